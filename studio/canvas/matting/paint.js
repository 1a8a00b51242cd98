// A brush that paints one stroke at a time and hands it over when it is lifted; and the hand that looks around.

import { Bitmap } from "../bitmap.js";
import { settings } from "../dom.js";
import { clamp } from "../geometry.js";
import { inkCircle } from "../ink.js";

const SMALLEST = 1, LARGEST = 600; // diameter in image pixels
const NEAR = 12, NEAR_TOUCH = 26;  // screen pixels around the line between before and after

export class Paint {
  cursor = "none";
  /** `ink(p)` gives the colour a stroke is shown in, `done(counts, p, shown)` takes it. */
  constructor(app, name, { ink, done }) {
    Object.assign(this, { app, name, ink, done, at: null, stroke: null });
    app.brush ??= { size: clamp(settings.read().brush ?? 24, SMALLEST, LARGEST) };
  }

  editing() { return null; }

  down(p) {
    const { image } = this.app.stage, ink = this.ink(p);
    if (!ink) return;
    this.stroke = { bitmap: new Bitmap(image.width, image.height), canvas: document.createElement("canvas"), ink, last: [p.x, p.y], negative: p.negative };
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
    const { bitmap, last } = this.stroke, before = bitmap.box;
    const touched = bitmap.stroke(last[0], last[1], x, y, this.app.brush.size / 2, true);
    this.stroke.last = [x, y];
    if (bitmap.box !== before) this.#repaint();
    else if (touched) this.#ink(touched);
    this.app.layers.draw("top");
  }

  #repaint() {
    const { bitmap: { box }, canvas } = this.stroke;
    canvas.width = Math.max(1, box.x1 - box.x0);
    canvas.height = Math.max(1, box.y1 - box.y0);
    if (box.x1 > box.x0) this.#ink(box);
  }

  // The bitmap is kept by columns, its picture by rows.
  #ink({ x0, y0, x1, y1 }) {
    const { bitmap: { box, bits }, canvas, ink } = this.stroke, bh = box.y1 - box.y0, w = x1 - x0;
    const image = new ImageData(w, y1 - y0), pixels = new Uint32Array(image.data.buffer);
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(ink.slice(i, i + 2), 16)), value = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    for (let x = x0; x < x1; x++) {
      const from = (x - box.x0) * bh - box.y0;
      for (let y = y0, i = x - x0; y < y1; y++, i += w) if (bits[from + y]) pixels[i] = value;
    }
    canvas.getContext("2d").putImageData(image, x0 - box.x0, y0 - box.y0);
  }

  up() {
    const { stroke } = this;
    this.stroke = null;
    if (!stroke) return;
    const counts = stroke.bitmap.counts();
    if (counts.length > 1) this.done(counts, stroke, { canvas: stroke.canvas, box: stroke.bitmap.box });
    this.app.layers.draw("top");
  }

  cancel() {
    this.stroke = null;
    this.app.layers.draw("top");
  }

  leave() { this.at = this.stroke = null; }

  resize(factor) {
    const { brush } = this.app, grown = Math.round(brush.size * factor);
    brush.size = clamp(grown === brush.size ? brush.size + Math.sign(factor - 1) : grown, SMALLEST, LARGEST);
    settings.write({ brush: brush.size });
    this.app.stage.emit("settings", { brush: brush.size });
    this.app.layers.draw("top");
  }

  draw(ctx, view) {
    const { stroke, at } = this;
    if (stroke) {
      const { box } = stroke.bitmap;
      ctx.save();
      view.apply(ctx);
      ctx.globalAlpha = 0.45;
      if (box.x1 > box.x0) ctx.drawImage(stroke.canvas, box.x0, box.y0);
      ctx.restore();
    }
    if (at) inkCircle(ctx, at[0], at[1], (this.app.brush.size / 2) * view.scale);
  }
}

/** Drags the line between before and after, and moves the picture elsewhere. */
export class Look {
  name = "look";
  constructor(app) { Object.assign(this, { app, hold: null, near: false }); }

  get cursor() { return this.near || this.hold?.line ? "ew-resize" : "grab"; }

  #reaches(p) { return this.app.comparing && Math.abs(p.sx - this.app.matte.line()) <= (p.touch ? NEAR_TOUCH : NEAR); }

  down(p) { this.hold = { line: this.#reaches(p), sx: p.sx, sy: p.sy }; }

  move(p) {
    const { app, hold } = this;
    if (!hold) return;
    if (hold.line) return app.splitAt(p.sx);
    app.view.panBy(p.sx - hold.sx, p.sy - hold.sy);
    Object.assign(hold, { sx: p.sx, sy: p.sy });
    app.viewChanged();
  }

  hover(p) { this.near = this.#reaches(p); }
  up() { this.hold = null; }
  cancel() { this.hold = null; }
}
