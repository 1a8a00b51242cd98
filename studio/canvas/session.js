// Which image is open: opening, going on, getting ready ahead of the person, and what others did.

import { Picture } from "./picture.js";

const POLL = 5000, KEPT = 4; // ms; images whose pixels are held

export class Session {
  /** `app` offers stage, wire, say(text), announce(text), need(answer), trigger(name, data). */
  constructor(app) {
    Object.assign(this, { app, stage: app.stage, wire: app.wire });
    this.opened = new Map();    // id → answer of `open`, read ahead
    this.pictures = new Map();  // id → promise of a Picture
    this.announced = new Map(); // ids told to Python → when, so that an echo does not move the person back
    this.turn = 0;
    this.timer = setInterval(() => this.#poll(), POLL);
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.later);
    this.turn++;
  }

  /** Open an image; `tell` lets Python know that the person went there. */
  async open(id, { tell = false } = {}) {
    const turn = ++this.turn, { stage } = this;
    if (!id) { this.#show(null); return; }
    stage.emit("loading", true);
    const ahead = this.opened.get(id);
    this.opened.delete(id);
    const answer = ahead ?? (await this.wire.ask("open", { image: id }));
    if (turn !== this.turn) return;
    stage.emit("loading", false);
    if (!answer.ok) { this.app.say(answer.error, "error"); stage.emit("failed", { id, answer }); return; }
    this.#show(answer);
    if (tell) { this.announced.set(id, Date.now()); this.app.trigger("opened", { image: id }); }
    const picture = this.#picture(answer.image);
    this.prepare();
    try {
      const pixels = await picture;
      if (turn !== this.turn) return;
      stage.picture = pixels;
      stage.emit("picture");
      pixels.ready?.then(() => stage.emit("picture"));
    } catch (error) {
      this.pictures.delete(answer.image.id);
      if (turn === this.turn) this.app.say(`“${answer.image.name}” cannot be shown: ${error.message}`, "error");
    }
    if (ahead) this.poll(); // it may have changed since it was read
  }

  #show(answer) {
    const { stage } = this;
    stage.picture = null;
    stage.reset(answer?.image ?? null);
    if (answer) {
      stage.person = answer.person ?? null;
      for (const annotation of answer.annotations) stage.take(annotation);
      this.setClasses(answer.classes);
    }
    stage.emit("image");
    stage.emit("objects");
    if (answer) this.app.announce(`${answer.image.name}, ${answer.image.position + 1} of ${answer.image.total}, ${answer.annotations.length} objects.`);
  }

  /** Read the open image again from the server. */
  reload(id = this.stage.image?.id) {
    this.opened.delete(id);
    if (id === this.stage.image?.id) this.refresh();
  }

  /** Read the open image again without disturbing what the person sees or does. */
  async refresh() {
    const { stage } = this, id = stage.image?.id;
    this.opened.clear();
    if (!id) return;
    const answer = this.wire.pending ? null : await this.wire.ask("open", { image: id });
    if (stage.image?.id !== id || (answer && !answer.ok)) return;
    if (this.wire.pending) { // what was read may already be behind what is being saved
      clearTimeout(this.later);
      this.later = setTimeout(() => this.refresh(), 400);
      return;
    }
    Object.assign(stage.image, answer.image);
    this.setClasses(answer.classes);
    const now = new Set(answer.annotations.map((a) => a.id));
    const gone = stage.list().filter((o) => !now.has(o.id)).map((o) => o.id);
    this.#takeOver({ annotations: answer.annotations, deleted: gone, version: answer.image.version }, true);
    stage.emit("status");
    this.prepare();
  }

  /** Let go of what was read ahead of an image that has been changed since. */
  forget(id) { this.opened.delete(id); }

  echo(id) { return Date.now() - (this.announced.get(id) ?? 0) < 10000; }

  go(step) {
    const { image } = this.stage, id = step < 0 ? image?.previous : image?.next;
    if (id) this.open(id, { tell: true });
    else if (image) this.app.say(step < 0 ? "This is the first image." : "This is the last image.");
  }

  setClasses(classes) {
    const { stage } = this;
    if (!classes) return;
    stage.classes = classes;
    if (!classes.some((c) => c.name === stage.className)) stage.className = classes[0]?.name ?? null;
    stage.emit("classes");
  }

  async addClass(name) {
    name = name.trim();
    if (!name) return;
    if (!this.stage.classes.some((c) => c.name === name)) { // shown at once, coloured when the server has answered
      this.stage.classes = [...this.stage.classes, { id: null, name, colour: "#64748b", hotkey: null }];
    }
    this.stage.className = name;
    this.stage.emit("classes");
    const image = this.stage.image?.id ?? null;
    const answer = await this.wire.ask("add_class", { image, name });
    if (!answer.ok) this.app.say(answer.error, "error");
    else { this.opened.clear(); this.setClasses(answer.classes); }
  }

  /** Have the image encoded before the first click, and then the next one. */
  async prepare() {
    const { stage } = this, image = stage.image?.id, model = stage.model, turn = this.turn;
    if (!image || !model) return;
    stage.emit("preparing", { image, busy: true });
    const answer = await this.wire.ask("prepare", { image, model });
    if (turn !== this.turn || model !== stage.model) return;
    stage.emit("preparing", { image, busy: false, answer });
    if (!answer.ok) {
      if (answer.model) this.app.need(answer);
      return answer;
    }
    this.app.need(null);
    for (const object of stage.objects.values()) if (object.waiting) this.app.labelling.again(object);
    this.#ahead(stage.image.next, model, turn);
    return answer;
  }

  async #ahead(id, model, turn) {
    if (!id || this.opened.has(id)) return;
    const answer = await this.wire.ask("open", { image: id });
    if (!answer.ok || turn !== this.turn) return;
    this.opened.set(id, answer);
    this.#picture(answer.image).catch(() => this.pictures.delete(id));
    this.wire.ask("prepare", { image: id, model, ahead: true });
  }

  #picture({ id, url }) {
    if (!this.pictures.has(id)) this.pictures.set(id, Picture.load(new URL(url, document.baseURI).href));
    const picture = this.pictures.get(id);
    this.pictures.delete(id);
    this.pictures.set(id, picture); // the most recently used last
    for (const [old, promise] of this.pictures) {
      if (this.pictures.size <= KEPT) break;
      this.pictures.delete(old);
      promise.then((p) => setTimeout(() => p.close(), 1000), () => {});
    }
    return picture;
  }

  async setDone(done) {
    const { stage } = this, image = stage.image;
    if (!image) return;
    const status = done ? "done" : "todo", left = stage.list().filter((o) => o.draft).length;
    image.status = status;
    stage.emit("status");
    this.wire.send({
      op: "status", image: image.id, ids: [], build: () => ({ status }),
      done: () => stage.emit("status"),
      refused: (answer) => { image.status = done ? "todo" : "done"; stage.emit("status"); this.app.trouble(answer, image.id); },
    });
    if (!done) return;
    if (left) this.app.say(`${image.name} is done. ${left === 1 ? "One draft stays" : `${left} drafts stay`} unaccepted on it.`);
    if (image.next) this.open(image.next, { tell: true });
    else if (!left) this.app.say("Done. That was the last image.");
  }

  #poll() {
    const { stage } = this;
    if (document.hidden || !stage.image || this.wire.pending || !this.app.visible()) return;
    this.poll();
  }

  /** Take over what others changed on the open image since the version held here. */
  async poll() {
    const { stage } = this, image = stage.image?.id, turn = this.turn;
    if (!image) return;
    const answer = await this.wire.ask("poll", { image, version: stage.version });
    if (!answer.ok || turn !== this.turn) return;
    if (answer.classes) this.setClasses(answer.classes);
    this.#takeOver(answer);
    if (answer.status && answer.status !== stage.image.status) { stage.image.status = answer.status; stage.emit("status"); }
  }

  // What waits to be sent is left as it is: the server will say what is to be done about it.
  #takeOver(answer, all = false) {
    const { stage } = this;
    let changed = false, skipped = false;
    for (const annotation of answer.annotations ?? []) {
      const known = stage.objects.get(annotation.id);
      if (this.wire.waits(annotation.id)) skipped = true;
      else if (all || !known || known.revision !== annotation.revision) { stage.take(annotation); changed = true; }
    }
    for (const id of answer.deleted ?? []) {
      if (this.wire.waits(id)) skipped = true;
      else if (stage.objects.has(id)) { stage.drop(id); changed = true; }
    }
    if (!skipped) stage.version = Math.max(stage.version, answer.version ?? 0);
    if (changed) { stage.emit("objects"); stage.emit("selection", { activeChanged: true }); }
  }
}
