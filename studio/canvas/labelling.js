// The verbs of labelling with clicks: each changes the stage at once and sends what it did to the server.

import { Changes } from "./changes.js";
import { count } from "./dom.js";
import { newId, toWire } from "./stage.js";

const round = (v) => Math.round(v * 10) / 10;
const SHOWN = 3; // candidates offered at most

export class Labelling extends Changes {
  // ---- prompts --------------------------------------------------------------------------------

  /** Add a click to the object being worked on, or begin one with it. */
  click(x, y, positive, clicked = performance.now()) {
    const { stage } = this, { width, height } = stage.image;
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    if (!this.#ready()) return;
    if (!positive && !stage.active) {
      if (!stage.object) return this.app.say("Click an object first; then take away what does not belong to it.");
      this.reopen(stage.selected);
    }
    const object = stage.activeObject ?? this.#begin();
    object.clicks.points.push([round(x), round(y), positive ? 1 : 0]);
    this.#segment(object, clicked);
  }

  /** Give the object being worked on a box, or begin one with it. */
  frame(box, clicked = performance.now()) {
    if (!this.#ready()) return;
    const object = this.stage.activeObject ?? this.#begin();
    object.clicks.box = box.map(round);
    this.#segment(object, clicked);
  }

  /** Move or take back one click; an object left with none goes back to what it was. */
  movePoint(index, x, y) {
    const { activeObject: object, image } = this.stage;
    const point = object.clicks.points[index];
    [point[0], point[1]] = [round(Math.min(Math.max(x, 0), image.width - 0.1)), round(Math.min(Math.max(y, 0), image.height - 0.1))];
    this.#segment(object, performance.now());
  }

  removePoint(index) {
    const object = this.stage.activeObject;
    object.clicks.points.splice(index, 1);
    if (object.clicks.points.length || object.clicks.box) this.#segment(object, performance.now());
    else if (object.before) this.#restore(object);
    else this.remove([object.id]);
  }

  #ready() {
    if (!this.stage.model) this.app.say("Choose a model first; it answers the clicks.");
    return !!this.stage.model;
  }

  #begin() {
    const { stage } = this;
    if (!stage.className) this.app.addClass("object");
    const object = { id: newId(), class: stage.className ?? "object", shape: null, draft: true, source: "person",
      prompt: null, revision: 0, clicks: { points: [], box: null }, told: { points: [], box: null } };
    stage.objects.set(object.id, object);
    stage.select(object.id, { open: true });
    return object;
  }

  /** Send the prompts of `object` again, for a model that has become ready. */
  again(object) { this.#segment(object, performance.now()); }

  #segment(object, t_click) {
    const { stage } = this, image = stage.image.id, item = {
      op: "segment", image, ids: [object.id], merge: `segment ${object.id}`, version: this.versionOf(image),
      clicks: [{ t_click, image, objects: stage.objects.size }],
      build: () => (object.gone ? null : this.#prompt(object)),
      done: (answer) => this.#segmented(item, object, answer),
      refused: (answer) => this.#notSegmented(object, image, answer),
    };
    object.candidates = null;
    stage.emit("prompts");
    this.wire.send(item);
  }

  #prompt(object) {
    return { model: this.stage.model, annotation: object.id, class: object.class, revision: object.revision,
      points: object.clicks.points.map((p) => [...p]), box: object.clicks.box, draft: object.draft };
  }

  #segmented(item, object, answer) {
    const { stage } = this, t_answer = performance.now();
    object.waiting = false;
    if (stage.image?.id !== item.image || object.gone) {
      object.revision = answer.annotation.revision;
      return;
    }
    if (answer.annotation.id !== object.id) return this.#parted(object, answer);
    const partial = this.wire.waits(object.id);
    stage.take(answer.annotation, { partial });
    this.app.advance(answer.version);
    object.candidates = !partial && answer.candidates?.length > 1 ? answer.candidates.slice(0, SHOWN) : null;
    object.choice = 0;
    stage.emit("segmented", object);
    const all = [...(item.followers ?? []), item].flatMap((i) => i.clicks);
    this.app.layers.drawn((t_drawn) => {
      for (const entry of all) this.app.latency({ ...entry, t_sent: item.sent, t_answer, t_drawn, seq: answer.seq, ...answer.timing });
      setTimeout(() => { stage.emit("object", object); this.#describe(object); });
    });
  }

  // Somebody else changed the object meanwhile: theirs stands, ours goes on beside it under a new id.
  #parted(object, answer) {
    this.stage.drop(object.id);
    const mine = this.stage.take(answer.annotation);
    this.stage.select(mine.id, { open: true });
    this.conflicts(answer);
    this.stage.emit("objects");
  }

  #notSegmented(object, image, answer) {
    if (this.stage.image?.id === image) {
      if (answer.model) object.waiting = true; // the clicks stay, for when the model has come
      else if (object.shape) object.clicks = { points: object.told.points.map((p) => [...p]), box: object.told.box };
      else this.stage.drop(object.id);
      this.stage.emit("prompts");
      this.stage.emit("selection", { activeChanged: true });
    }
    this.app.trouble(answer, image);
  }

  #describe(object) {
    if (!object.figure?.box) return this.app.announce("Nothing was found there. Click elsewhere on the object.");
    const more = object.candidates ? `, candidate ${object.choice + 1} of ${object.candidates.length}` : "";
    this.app.announce(`Mask of ${count(object.figure.area)} pixels, class ${object.class}${more}.`);
  }

  // ---- what becomes of an object ------------------------------------------------------------------

  /** Show candidate `index` of the last click instead; it is kept like any other change. */
  choose(index) {
    const object = this.stage.activeObject;
    if (!object?.candidates) return;
    const n = object.candidates.length;
    object.choice = (index + n) % n;
    const { shape, score } = object.candidates[object.choice];
    this.stage.reshape(object, shape);
    this.put([object], "candidate", { shape, score }, { merge: `candidate ${object.id}`, candidate: object.choice });
    this.#describe(object);
  }

  /** Take up a finished object again, with the prompts it was made from. */
  reopen(id) {
    const object = this.stage.objects.get(id);
    if (!object || this.stage.locked.has(id)) return;
    if (object.shape?.kind === "alpha") this.app.say("A click makes a mask of this alpha. Undo brings the alpha back.");
    object.before = toWire(object);
    this.stage.select(id, { open: true });
    this.app.announce(`Correcting ${object.class}. ${object.clicks.points.length} clicks so far.`);
  }

  /** Accept the object being worked on (or the selected draft); the next click begins another. */
  accept() {
    const { stage } = this, object = stage.activeObject ?? (stage.object?.draft ? stage.object : null);
    if (!object) return false;
    if (object.draft) this.put([object], "accept", { draft: false });
    object.candidates = object.before = null;
    stage.select(null);
    this.app.announce(`Accepted, class ${object.class}.`);
    return true;
  }

  acceptAll() {
    const drafts = this.stage.list().filter((o) => o.draft);
    if (!drafts.length) return;
    this.put(drafts, "accept", { draft: false });
    this.stage.select(null);
    this.app.say(`${drafts.length} drafts accepted.`);
  }

  /** Put the unfinished object aside: a new one goes, a reopened one is again what it was. */
  putAside() {
    const object = this.stage.activeObject;
    if (!object) { this.stage.select(null); return; }
    if (object.before) this.#restore(object);
    else if (object.draft) {
      this.remove([object.id]);
      this.app.announce("Put aside. Undo brings it back.");
      return;
    }
    this.stage.select(null);
  }

  #restore(object) {
    const { before } = object, changed = object.revision !== before.revision || this.wire.waits(object.id);
    if (changed) {
      const { shape, prompt, draft, score, model } = before;
      this.stage.reshape(object, shape);
      this.put([object], "restore", { shape, prompt, draft, score, model, class: before.class });
    }
    object.candidates = null;
    this.stage.emit("object", object);
  }

  setClass(name, id = null) {
    const { stage } = this, object = id ? stage.objects.get(id) : stage.object;
    if (!id) stage.set({ className: name });
    if (!object || object.class === name) return;
    object.class = name;
    if (object.shape || object.revision) this.put([object], "class", { class: name });
    else stage.emit("object", object);
    this.app.announce(`Class ${name}.`);
  }
}
