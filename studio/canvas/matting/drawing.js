// Draws the trimap over the picture, and the cut-out over what is to lie behind it.

import { figureOf } from "../figure.js";
import { Picture } from "../picture.js";

const KEPT = 5; // cut-outs whose pixels are held
const HATCH = 8; // screen pixels
export const INKS = { foreground: "#22c55e", unknown: "#f59e0b", background: "#e11d48" };

/** The cut-outs of an image by the digest of their alpha, read once each. */
export class Cutouts {
  constructor() { this.held = new Map(); }

  get(image, digest) {
    const key = `${image}/${digest}`;
    if (!this.held.has(key)) {
      const promise = Picture.load(`media/cutout/${key}`);
      promise.then((picture) => { promise.picture = picture; }, () => this.held.delete(key));
      this.held.set(key, promise);
      if (this.held.size > KEPT) this.held.delete(this.held.keys().next().value); // not closed: it may still be shown
    }
    return this.held.get(key);
  }
}

export class MatteLayer {
  /** Lies between the objects at rest and what is being worked on. */
  constructor(app) {
    this.app = app;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "ol-layer om-layer";
    this.canvas.setAttribute("aria-hidden", "true");
    app.host.insertBefore(this.canvas, app.layers.top.canvas);
    this.ctx = this.canvas.getContext("2d");
    this.aside = document.createElement("canvas").getContext("2d");
    this.figures = null; // of the trimap: {foreground, unknown}
    this.cutout = null;  // Picture of the alpha that is shown
    this.pending = [];   // strokes on their way: {canvas, box, ink}
  }

  resize() {
    const { width, height, dpr } = this.app.view;
    this.canvas.width = Math.max(1, Math.round(width * dpr));
    this.canvas.height = Math.max(1, Math.round(height * dpr));
    this.draw();
  }

  /** Show another trimap, as the server told it; null for none. */
  trimap(told) {
    this.figures = told && { foreground: figureOf(told.foreground), unknown: figureOf(told.unknown) };
    this.draw();
  }

  draw() { this.scheduled ??= requestAnimationFrame(() => { this.scheduled = null; this.#frame(); }); }

  #frame() {
    const { ctx, app } = this;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!app.stage.image || !app.view.width) return;
    if (app.step === "band") this.#band();
    else if (app.step === "alpha") this.#alpha();
    this.#strokes();
  }

  // ---- the trimap -----------------------------------------------------------------------------

  #band() {
    const { ctx, figures, app: { view, stage: { image } } } = this;
    if (!figures) return;
    view.apply(ctx);
    const { foreground, unknown } = figures;
    ctx.fillStyle = "rgba(8,12,20,.5)"; // what is surely not the object lies in the dark
    ctx.fillRect(0, 0, image.width, image.height);
    ctx.globalCompositeOperation = "destination-out";
    ctx.fillStyle = "#000";
    for (const figure of [foreground, unknown]) if (figure.box) ctx.fill(figure.path, "evenodd");
    ctx.globalCompositeOperation = "source-over";
    if (foreground.box) {
      ctx.fillStyle = INKS.foreground;
      ctx.globalAlpha = 0.28;
      ctx.fill(foreground.path, "evenodd");
    }
    if (unknown.box) {
      ctx.globalAlpha = 0.12;
      ctx.fillStyle = INKS.unknown;
      ctx.fill(unknown.path, "evenodd");
      ctx.globalAlpha = 0.85;
      ctx.fillStyle = this.#hatch();
      ctx.fill(unknown.path, "evenodd");
      ctx.lineWidth = 1.25 / view.scale;
      ctx.strokeStyle = "rgba(255,255,255,.9)";
      ctx.stroke(unknown.path);
    }
    ctx.globalAlpha = 1;
  }

  // Slanted lines that keep their width and their distance on the screen, whatever the zoom.
  #hatch() {
    const { view } = this.app;
    if (!this.lines || this.lines.dpr !== view.dpr) {
      const side = Math.round(HATCH * view.dpr), tile = document.createElement("canvas"), pen = tile.getContext("2d");
      tile.width = tile.height = side;
      pen.strokeStyle = INKS.unknown;
      pen.lineWidth = 1.5 * view.dpr;
      for (const shift of [-side, 0, side]) { pen.beginPath(); pen.moveTo(shift - 2, side + 2); pen.lineTo(shift + side + 2, -2); pen.stroke(); }
      this.lines = { dpr: view.dpr, pattern: this.ctx.createPattern(tile, "repeat") };
    }
    const k = 1 / (view.scale * view.dpr);
    this.lines.pattern.setTransform(new DOMMatrix([k, 0, 0, k, 0, 0]));
    return this.lines.pattern;
  }

  // ---- the alpha ------------------------------------------------------------------------------

  /** The image's place on the screen as [x, y, width, height]. */
  place() {
    const { view, stage: { image } } = this.app, [x, y] = view.toScreen(0, 0);
    return [x, y, image.width * view.scale, image.height * view.scale];
  }

  /** Where the line between before and after stands on the screen. */
  line() {
    const [x, , width] = this.place();
    return x + width * this.app.split;
  }

  #alpha() {
    const { ctx, app, cutout } = this, { view, ground } = app, rect = this.place();
    if (!cutout) return;
    ctx.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
    ctx.save();
    if (app.compare) {
      ctx.beginPath();
      ctx.rect(this.line(), 0, view.width, view.height);
      ctx.clip();
    }
    ground.draw(ctx, rect);
    if (ground.kind === "grey") this.#masked((pen) => { pen.fillStyle = "#fff"; pen.fillRect(...rect); }, "source-in");
    else if (app.clean) this.#cut(ctx);
    else this.#masked((pen) => this.#picture(pen), "source-in");
    ctx.restore();
    if (app.stage.tool === "refine" && this.figures?.unknown.box) {
      view.apply(ctx);
      ctx.lineWidth = 1.25 / view.scale;
      ctx.setLineDash([5 / view.scale, 4 / view.scale]);
      ctx.strokeStyle = INKS.unknown;
      ctx.stroke(this.figures.unknown.path);
      ctx.setLineDash([]);
    }
    if (app.compare) this.#handle();
  }

  #cut(ctx) {
    const { app: { view, stage: { image } }, cutout } = this;
    view.apply(ctx);
    ctx.imageSmoothingEnabled = (view.scale * view.dpr * image.width) / cutout.width <= 2;
    cutout.draw(ctx, view.window(), image.width, image.height, view.scale * view.dpr);
    ctx.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
  }

  #picture(pen) {
    const { view, stage: { image, picture } } = this.app;
    view.apply(pen);
    picture?.draw(pen, view.window(), image.width, image.height, view.scale * view.dpr);
  }

  // The alpha's shape, filled by `paint`.
  #masked(paint, rule) {
    const { aside, canvas, ctx, app: { view } } = this;
    aside.canvas.width = canvas.width;
    aside.canvas.height = canvas.height;
    this.#cut(aside);
    aside.globalCompositeOperation = rule;
    paint(aside);
    aside.globalCompositeOperation = "source-over";
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(aside.canvas, 0, 0);
    ctx.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
  }

  #handle() {
    const { ctx, app: { view } } = this, x = this.line(), [, top, , height] = this.place();
    const y = Math.min(Math.max(top + height / 2, 24), view.height - 24);
    ctx.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
    for (const [width, ink] of [[4, "rgba(0,0,0,.45)"], [2, "#fff"]]) {
      ctx.lineWidth = width;
      ctx.strokeStyle = ink;
      ctx.beginPath();
      ctx.moveTo(x, Math.max(0, top));
      ctx.lineTo(x, Math.min(view.height, top + height));
      ctx.stroke();
    }
    ctx.beginPath();
    ctx.arc(x, y, 13, 0, 2 * Math.PI);
    ctx.fillStyle = "#fff";
    ctx.shadowColor = "rgba(0,0,0,.5)";
    ctx.shadowBlur = 6;
    ctx.fill();
    ctx.shadowBlur = 0;
    ctx.lineWidth = 1.75;
    ctx.strokeStyle = "#1b2330";
    for (const side of [-1, 1]) {
      ctx.beginPath();
      ctx.moveTo(x + side * 3, y - 4); ctx.lineTo(x + side * 7, y); ctx.lineTo(x + side * 3, y + 4);
      ctx.stroke();
    }
  }

  // ---- strokes on their way -------------------------------------------------------------------

  #strokes() {
    const { ctx, app: { view } } = this;
    if (!this.pending.length) return;
    view.apply(ctx);
    ctx.globalAlpha = 0.45;
    for (const { canvas, box } of this.pending) ctx.drawImage(canvas, box.x0, box.y0);
    ctx.globalAlpha = 1;
  }
}
