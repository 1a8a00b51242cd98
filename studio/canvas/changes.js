// Changing objects: at once on the stage, then on the server, whose word is final.

import { newId, toWire } from "./stage.js";

export class Changes {
  /** `app` offers stage, wire, layers, say(text), announce(text), trouble(answer), resync(), latency(entry). */
  constructor(app) {
    Object.assign(this, { app, stage: app.stage, wire: app.wire });
  }

  /** Save a shape drawn by hand; returns its object. */
  draw(shape, verb) {
    const { stage } = this;
    if (!stage.className) this.app.addClass("object");
    const object = stage.take({ id: newId(), class: stage.className ?? "object", shape, source: "person", draft: false,
      prompt: null, revision: 0, score: null, model: null });
    this.put([object], verb, { shape });
    return object;
  }

  /** Save a shape changed by hand; prompts no longer say how it came to be. */
  edit(object, shape, verb) {
    this.stage.reshape(object, shape);
    object.candidates = null;
    object.clicks = { points: [], box: null };
    this.put([object], verb, { shape, prompt: null, score: null, source: "person" });
  }

  /** What the server is asked about after a lost answer: all since this version of the image. */
  versionOf(image) { return () => (this.stage.image?.id === image ? this.stage.version : null); }

  put(objects, verb, changes, { merge, ...more } = {}) {
    const { stage } = this, image = stage.image.id;
    for (const object of objects) Object.assign(object, changes);
    this.wire.send({
      op: "put", image, merge, ids: objects.map((o) => o.id), version: this.versionOf(image),
      build: () => {
        const ready = objects.filter((o) => !o.gone && (changes.shape ?? o.shape));
        return ready.length ? { verb, ...more, annotations: ready.map((o) => toWire(o, changes)) } : null;
      },
      done: (answer) => this.merged(image, objects, answer),
      refused: (answer) => this.notTaken(answer, image),
    });
    stage.emit("changed", objects);
  }

  remove(ids) {
    const { stage } = this, image = stage.image.id;
    const objects = ids.map((id) => stage.objects.get(id)).filter(Boolean);
    for (const object of objects) { object.gone = true; stage.drop(object.id); }
    this.wire.send({
      op: "delete", image, ids, version: this.versionOf(image),
      build: () => {
        const saved = objects.filter((o) => o.revision > 0).map((o) => ({ id: o.id, revision: o.revision }));
        return saved.length ? { ids: saved } : null;
      },
      done: (answer) => this.merged(image, [], answer),
      refused: (answer) => this.notTaken(answer, image),
    });
    stage.emit("selection", { activeChanged: true });
    stage.emit("objects");
  }

  undo() { this.#step("undo"); }
  redo() { this.#step("redo"); }

  #step(op) {
    const { stage } = this, image = stage.image?.id;
    if (!image) return;
    this.wire.send({
      op, image, ids: [], version: this.versionOf(image), build: () => ({}),
      done: (answer) => {
        if (!answer.done) return this.app.say(`There is nothing to ${op} on this image.`);
        if (stage.image?.id !== image) return;
        this.merged(image, [], answer, true);
        this.app.announce(op === "undo" ? "Undone." : "Done again.");
      },
      refused: (answer) => this.notTaken(answer, image),
    });
  }

  merged(image, sent, answer, follow = false) {
    const { stage } = this;
    for (const a of answer.annotations ?? []) { // also where the person has gone on to another image
      const object = sent.find((o) => o.id === a.id);
      if (object) object.revision = a.revision;
    }
    if (stage.image?.id !== image) return;
    for (const id of answer.deleted ?? []) stage.drop(id);
    let same = !answer.deleted?.length;
    const taken = (answer.annotations ?? []).filter((a) => !sent.find((o) => o.id === a.id)?.gone).map((a) => {
      const known = stage.objects.get(a.id), figure = known?.figure, shown = known && [known.class, known.draft].join();
      const object = stage.take(a, { partial: this.wire.waits(a.id) && !follow });
      same &&= object.figure === figure && [object.class, object.draft].join() === shown;
      return object;
    });
    for (const object of taken) {
      object.gone = false;
      if (follow) object.candidates = null;
    }
    if (follow && taken.length === 1 && taken[0].draft && stage.tool === "smart") stage.select(taken[0].id, { open: true });
    if (follow && taken.length === 1) this.app.review?.follow(taken[0]);
    if (answer.conflicts?.length) {
      stage.select(null);
      this.conflicts(answer);
    } else this.app.advance(answer.version);
    if (same) taken.forEach((object) => stage.emit("object", object)); // it is drawn as it should be already
    else {
      stage.emit("objects");
      stage.emit("selection", { activeChanged: follow });
    }
  }

  notTaken(answer, image) {
    this.app.trouble(answer, image);
    this.app.reload(image); // show what the server holds rather than what was wished for
  }

  conflicts(answer) {
    answer.conflicts?.forEach((sentence) => this.app.say(sentence, "warning"));
    this.app.resync();
  }
}
