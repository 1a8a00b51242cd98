// Brush and eraser: painting on a mask, pixel for pixel, saved when the pointer is lifted.

import { Bitmap } from "../bitmap.js";
import { StrokeTool } from "./stroke.js";

export class Brush extends StrokeTool {
  works = ["mask", "polygon"];
  constructor(app, erases) {
    super(app, erases ? "eraser" : "brush");
    this.erases = erases;
  }

  get opacity() { return Math.max(this.app.stage.opacity, 0.35); }

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
    this.begin(p, bitmap, stage.colour(object?.class ?? stage.className), { object, erasing });
    if (object) this.app.layers.draw("back");
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
}
