// A round brush that paints into a bitmap and shows what it paints; what a stroke is for says who extends it.

import { settings } from "../dom.js";
import { clamp } from "../geometry.js";
import { inkCircle } from "../ink.js";

const SMALLEST = 1, LARGEST = 600; // diameter in image pixels

export class StrokeTool {
  cursor = "none";
  constructor(app, name) {
    Object.assign(this, { app, name, at: null, stroke: null });
    app.brush ??= { size: clamp(settings.read().brush ?? 24, SMALLEST, LARGEST) };
  }

  /** Begin a stroke at a point, into a bitmap that may hold something already; `more` is kept with the stroke. */
  begin(p, bitmap, colour, more = {}) {
    this.stroke = { bitmap, colour, erasing: false, ...more, canvas: document.createElement("canvas"), last: [p.x, p.y] };
    this.#repaint();
    this.#dab(p.x, p.y);
  }

  move(p) {
    if (this.stroke) for (const q of p.path ?? [p]) this.#dab(q.x, q.y);
    this.hover(p);
  }

  hover(p) {
    this.at = p.touch ? null : [p.sx, p.sy];
    this.app.layers.draw("top");
  }

  leavePointer() {
    this.at = null;
    this.app.layers.draw("top");
  }

  #dab(x, y) {
    const { stroke } = this, { bitmap, last } = stroke, before = bitmap.box;
    const touched = bitmap.stroke(last[0], last[1], x, y, this.app.brush.size / 2, !stroke.erasing);
    stroke.last = [x, y];
    if (bitmap.box !== before) this.#repaint();
    else if (touched) this.#paint(touched);
    this.app.layers.draw("top");
  }

  #repaint() {
    const { bitmap: { box }, canvas } = this.stroke;
    canvas.width = Math.max(1, box.x1 - box.x0);
    canvas.height = Math.max(1, box.y1 - box.y0);
    if (box.x1 > box.x0) this.#paint(box);
  }

  // Copy a part of the bitmap, kept by columns, into the picture of it, kept by rows.
  #paint({ x0, y0, x1, y1 }) {
    const { bitmap: { box, bits }, canvas, colour } = this.stroke, bh = box.y1 - box.y0, w = x1 - x0;
    const image = new ImageData(w, y1 - y0), pixels = new Uint32Array(image.data.buffer);
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
    const ink = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    for (let x = x0; x < x1; x++) {
      const from = (x - box.x0) * bh - box.y0;
      for (let y = y0, i = x - x0; y < y1; y++, i += w) if (bits[from + y]) pixels[i] = ink;
    }
    canvas.getContext("2d").putImageData(image, x0 - box.x0, y0 - box.y0);
  }

  resize(factor) {
    const { brush } = this.app, grown = Math.round(brush.size * factor);
    brush.size = clamp(grown === brush.size ? brush.size + Math.sign(factor - 1) : grown, SMALLEST, LARGEST);
    settings.write({ brush: brush.size });
    this.app.stage.emit("settings", { brush: brush.size });
    this.app.layers.draw("top");
  }

  /** How strongly a stroke covers the picture, 0 to 1. */
  get opacity() { return 0.45; }

  draw(ctx, view) {
    const { stroke, at } = this;
    if (stroke) {
      const { box } = stroke.bitmap;
      ctx.save();
      view.apply(ctx);
      ctx.globalAlpha = this.opacity;
      ctx.imageSmoothingEnabled = view.scale * view.dpr < 2;
      if (box.x1 > box.x0) ctx.drawImage(stroke.canvas, box.x0, box.y0);
      ctx.restore();
    }
    if (at) inkCircle(ctx, at[0], at[1], (this.app.brush.size / 2) * view.scale);
  }
}
