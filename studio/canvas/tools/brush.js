// Brush and eraser: painting on a mask, pixel for pixel, saved when the pointer is lifted.

import { Bitmap } from "../bitmap.js";
import { settings } from "../dom.js";
import { clamp } from "../geometry.js";
import { inkCircle } from "../ink.js";

const SMALLEST = 1, LARGEST = 600; // diameter in image pixels

export class Brush {
  cursor = "none";
  works = ["mask", "polygon"];
  constructor(app, erases) {
    Object.assign(this, { app, erases, name: erases ? "eraser" : "brush", at: null, stroke: null });
    app.brush ??= { size: clamp(settings.read().brush ?? 24, SMALLEST, LARGEST) };
  }

  editing() { return this.stroke?.object?.id ?? null; }

  #target() {
    const { object, locked } = this.app.stage;
    return object && !locked.has(object.id) && ["mask", "polygon"].includes(object.shape?.kind) ? object : null;
  }

  down(p) {
    const { stage, say } = this.app, { width, height } = stage.image;
    let object = this.#target();
    if (!object && this.erases) {
      const id = stage.at(p.x, p.y).find((i) => ["mask", "polygon"].includes(stage.objects.get(i).shape.kind));
      if (!id) return say("Select a mask first; the eraser takes away from it.");
      stage.select(id);
      object = stage.object;
    }
    if (object?.shape.kind === "polygon") say("The polygon becomes a mask where it is painted on. Undo brings the polygon back.");
    const bitmap = !object ? new Bitmap(width, height)
      : object.shape.kind === "polygon" ? Bitmap.fromRings(object.shape.rings, width, height)
        : new Bitmap(width, height, object.shape.counts);
    const erasing = this.erases !== (p.negative && !this.erases);
    this.stroke = { object, bitmap, erasing, canvas: document.createElement("canvas"), last: [p.x, p.y] };
    this.stroke.colour = stage.colour(object?.class ?? stage.className);
    this.#repaint();
    if (object) this.app.layers.draw("back");
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

  up() {
    const { stroke } = this, { stage, labelling } = this.app;
    this.stroke = null;
    if (!stroke) return;
    const shape = { kind: "mask", size: [stage.image.height, stage.image.width], counts: stroke.bitmap.counts() };
    const empty = shape.counts.length < 2;
    if (!stroke.object) {
      if (!empty) stage.select(labelling.draw(shape, "brush").id);
    } else if (empty) labelling.remove([stroke.object.id]);
    else labelling.edit(stroke.object, shape, stroke.erasing ? "erase" : "brush");
    this.app.layers.draw("back", "top");
  }

  cancel() {
    this.stroke = null;
    this.app.layers.draw("back", "top");
  }

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
      ctx.globalAlpha = Math.max(this.app.stage.opacity, 0.35);
      ctx.imageSmoothingEnabled = view.scale * view.dpr < 2;
      if (box.x1 > box.x0) ctx.drawImage(stroke.canvas, box.x0, box.y0);
      ctx.restore();
    }
    if (at) inkCircle(ctx, at[0], at[1], (this.app.brush.size / 2) * view.scale);
  }
}
