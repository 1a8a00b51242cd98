// What is on the stage now: the image, its classes and objects, what is selected, which tool is held.
// It knows nothing of the server or of the page; whoever needs to know listens.

import { figureOf } from "./figure.js";

const WIRE = ["id", "class", "shape", "source", "draft", "model", "model_version", "score", "prompt", "revision",
  "created_by"];
const OWN = ["prompt", "class", "draft"];
const FALLBACK = "#8a94a6";

export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) =>
  b.toString(16).padStart(2, "0")).join("");

export class Stage {
  image = null;      // as `open` told it
  picture = null;    // its pixels, when they have come
  classes = [];
  objects = new Map();
  selected = null;   // id shown as chosen
  active = null;     // id whose prompts are being worked on; then also the selected one
  hovered = null;
  tool = "smart";
  className = null;
  adding = true;     // what a plain click means: add to the object or take away
  opacity = 0.4;
  hidden = new Set();
  sifted = new Set(); // drafts that a review leaves out for now
  locked = new Set();
  hideAll = false;
  version = 0;
  person = null;
  cursor = null;     // keyboard cursor, in image pixels
  #listeners = new Map();

  on(names, heard) {
    for (const name of names.split(" ")) {
      if (!this.#listeners.has(name)) this.#listeners.set(name, []);
      this.#listeners.get(name).push(heard);
    }
  }

  emit(name, detail) {
    for (const heard of this.#listeners.get(name) ?? []) heard(detail);
  }

  get object() { return this.objects.get(this.selected) ?? null; }
  get activeObject() { return this.objects.get(this.active) ?? null; }

  /** Objects that have a shape, in the order they were made. */
  list() { return [...this.objects.values()].filter((o) => o.shape); }

  seen(object) { return !this.hideAll && !this.hidden.has(object.id) && !this.sifted.has(object.id) && !!object.figure?.box; }

  colour(name) { return this.classes.find((c) => c.name === name)?.colour ?? FALLBACK; }

  reset(image) {
    this.image = image;
    this.objects = new Map();
    this.selected = this.active = this.hovered = null;
    this.version = image?.version ?? 0;
    this.hidden.clear();
    this.sifted.clear();
    this.locked.clear();
  }

  /**
   * Take an annotation as the server has it; returns the object that now stands for it. With `partial`
   * the person has gone on meanwhile: clicks, class and state stay as they are here.
   */
  take(annotation, { partial = false } = {}) {
    const object = this.objects.get(annotation.id) ?? { id: annotation.id };
    const same = object.figure && sameShape(object.shape, annotation.shape), shape = object.shape;
    for (const key of WIRE) if (key in annotation && !(partial && OWN.includes(key))) object[key] = annotation[key];
    if (same) object.shape = shape;
    else object.figure = object.shape ? figureOf(object.shape) : null;
    if (!partial || !object.clicks) object.clicks = clicksOf(annotation.prompt);
    object.told = clicksOf(annotation.prompt); // what the server holds, to go back to
    this.objects.set(object.id, object);
    return object;
  }

  reshape(object, shape) {
    object.shape = shape;
    object.figure = figureOf(shape);
  }

  drop(id) {
    this.objects.delete(id);
    if (this.selected === id) this.selected = null;
    if (this.active === id) this.active = null;
    if (this.hovered === id) this.hovered = null;
  }

  select(id, { open = false } = {}) {
    const active = open ? id : null;
    if (this.selected === id && this.active === active) return;
    const before = this.active;
    this.selected = id;
    this.active = active;
    if (open && id) this.hidden.delete(id);
    this.emit("selection", { activeChanged: before !== active, before });
  }

  hover(id) {
    if (this.hovered === id) return;
    this.hovered = id;
    this.emit("hover");
  }

  setTool(name) {
    if (this.tool === name) return;
    const before = this.tool;
    this.tool = name;
    this.emit("tool", { before });
  }

  set(changes) {
    Object.assign(this, changes);
    this.emit("settings", changes);
  }

  /** Ids of the objects under (x, y), the smallest first; hidden and locked ones are passed over. */
  at(x, y) {
    return this.list()
      .filter((o) => this.seen(o) && !this.locked.has(o.id) && o.figure.hit(x, y))
      .sort((a, b) => a.figure.area - b.figure.area)
      .map((o) => o.id);
  }
}

export function clicksOf(prompt) {
  return { points: (prompt?.points ?? []).map((p) => [...p]), box: prompt?.box ? [...prompt.box] : null };
}

export function sameShape(a, b) {
  if (!a || !b || a.kind !== b.kind) return false;
  if (a.kind === "alpha") return a.digest === b.digest && a.trimap === b.trimap;
  if (a.kind !== "mask") return JSON.stringify(a) === JSON.stringify(b);
  const p = a.counts, q = b.counts;
  if (p.length !== q.length || a.size[0] !== b.size[0] || a.size[1] !== b.size[1]) return false;
  for (let i = 0; i < p.length; i++) if (p[i] !== q[i]) return false;
  return true;
}

/** Return an object as the wire carries it. */
export function toWire(object, changes = {}) {
  const out = {};
  for (const key of WIRE) out[key] = object[key] ?? null;
  out.draft = !!object.draft;
  out.revision = object.revision ?? 0;
  return Object.assign(out, changes);
}
