// Drawing, on three canvases one above the other: the picture; the objects at rest, which a click does
// not touch; and what is being worked on.

import { inkLabel, inkObject, inkPrompt, inkReticle } from "./ink.js";

const SLOW = 7; // ms; above this the layer at rest is moved as it is while the view moves, drawn anew after

export class Layers {
  constructor(host, stage, view) {
    Object.assign(this, { host, stage, view, tool: null, dirty: new Set(), after: [], inRest: new Set() });
    this.rest = { view: null, cost: 0, timer: 0 };
    for (const name of ["base", "back", "top"]) {
      const canvas = document.createElement("canvas");
      canvas.className = `ol-layer ol-${name}`;
      canvas.setAttribute("aria-hidden", "true");
      host.append(canvas);
      this[name] = canvas.getContext("2d");
    }
    this.restRedrawn = 0; // how often the layer at rest was rebuilt, for the tests
  }

  /** Ask for layers to be drawn in the next frame: "base", "back", "top", or "view" for all of them. */
  draw(...names) {
    for (const name of names) this.dirty.add(name);
    this.scheduled ??= requestAnimationFrame(() => this.#frame());
  }

  /** Call back once what is asked for by now has been drawn. */
  drawn(callback) {
    this.after.push(callback);
    this.draw("top");
  }

  resize() {
    const { width, height, dpr } = this.view;
    for (const { canvas } of [this.base, this.back, this.top]) {
      canvas.width = Math.max(1, Math.round(width * dpr));
      canvas.height = Math.max(1, Math.round(height * dpr));
    }
    this.rest.view = null;
    this.draw("view");
  }

  /** An object came to rest: put it on top of the layer at rest without drawing the others again. */
  settle(object) {
    if (!object?.shape || this.inRest.has(object.id) || !this.stage.seen(object) || !this.rest.view) return this.draw("back");
    if (this.dirty.has("back") || this.dirty.has("view") || this.rest.view.version !== this.view.version) return this.draw("back");
    this.view.apply(this.back);
    this.#inkRest(object);
    this.draw("top");
  }

  #frame() {
    this.scheduled = null;
    const dirty = this.dirty;
    this.dirty = new Set();
    if (!this.view.width || !this.view.height) return;
    const moved = dirty.has("view");
    if (moved || dirty.has("base")) this.#drawBase();
    if (dirty.has("back") || !this.rest.view) this.#drawBack();
    else if (moved) this.#moveBack();
    this.#drawTop();
    const after = this.after;
    this.after = [];
    for (const callback of after) callback(performance.now());
  }

  #clear(ctx) {
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, ctx.canvas.width, ctx.canvas.height);
  }

  #drawBase() {
    const { view, stage, base: ctx } = this;
    this.#clear(ctx);
    if (!stage.image) return;
    view.apply(ctx);
    const { width, height } = stage.image;
    ctx.fillStyle = "rgba(128,128,128,.18)";
    ctx.fillRect(0, 0, width, height);
    if (!stage.picture) return;
    const pixel = (view.scale * view.dpr * width) / stage.picture.width;
    ctx.imageSmoothingEnabled = pixel <= 2;
    ctx.imageSmoothingQuality = pixel < 0.7 ? "medium" : "low";
    stage.picture.draw(ctx, view.window(), width, height, view.scale * view.dpr);
  }

  #drawBack() {
    const began = performance.now(), { view, stage, back: ctx } = this;
    clearTimeout(this.rest.timer);
    this.rest.timer = 0;
    this.restRedrawn++;
    ctx.canvas.style.transform = "";
    this.#clear(ctx);
    this.inRest.clear();
    this.rest.view = { scale: view.scale, x: view.x, y: view.y, version: view.version };
    view.apply(ctx);
    const window = view.window();
    const all = stage.list().filter((o) => o.id !== stage.active && stage.seen(o));
    all.sort((a, b) => b.figure.area - a.figure.area);
    for (const object of all) this.#inkRest(object, window);
    this.rest.cost = performance.now() - began;
  }

  #inkRest(object, window = this.view.window()) {
    this.inRest.add(object.id);
    const b = object.figure.box;
    if (b[0] > window[2] || b[1] > window[3] || b[2] < window[0] || b[3] < window[1]) return;
    inkObject(this.back, object, this.stage.colour(object.class), this.view.scale, { fill: this.stage.opacity, line: 1.5 });
  }

  #moveBack() {
    if (this.rest.cost < SLOW) return this.#drawBack();
    const { view, rest } = this, f = view.scale / rest.view.scale;
    this.back.canvas.style.transform = `translate(${view.x - rest.view.x * f}px, ${view.y - rest.view.y * f}px) scale(${f})`;
    clearTimeout(rest.timer);
    rest.timer = setTimeout(() => this.draw("back"), 110);
  }

  #drawTop() {
    const { view, stage, top: ctx } = this, k = view.scale;
    this.#clear(ctx);
    if (!stage.image) return;
    const active = stage.activeObject, editing = this.tool?.editing?.() ?? null;
    const shown = (id) => { const o = stage.objects.get(id); return o && o !== active && o.id !== editing && stage.seen(o) ? o : null; };
    view.apply(ctx);
    const hovered = shown(stage.hovered), chosen = shown(stage.selected);
    if (hovered && hovered !== chosen) inkObject(ctx, hovered, stage.colour(hovered.class), k, { fill: 0.18, line: 2, halo: true });
    if (chosen) inkObject(ctx, chosen, stage.colour(chosen.class), k, { fill: 0.12, line: 2.5, halo: true });
    if (active?.figure?.box && active.id !== editing) {
      inkObject(ctx, active, stage.colour(active.class), k, { fill: Math.max(stage.opacity, 0.15), line: 2.5, halo: true });
    }
    ctx.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
    for (const o of new Set([hovered, chosen])) if (o) inkLabel(ctx, view, o, stage.colour(o.class));
    if (active && stage.tool === "smart") inkPrompt(ctx, view, active.clicks);
    this.tool?.draw?.(ctx, view);
    if (stage.cursor) inkReticle(ctx, ...view.toScreen(stage.cursor.x + 0.5, stage.cursor.y + 0.5), view);
  }
}
