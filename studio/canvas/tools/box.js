// Box: a rectangle drawn by dragging; a selected one is moved and resized by its handles.

import { boxOf } from "../geometry.js";
import { inkObject } from "../ink.js";
import { figureOf } from "../figure.js";
import { VertexEdit } from "./vertices.js";

export class BoxTool {
  name = "box";
  works = ["box"];
  constructor(app) {
    this.app = app;
    this.drag = null;
    this.edit = new VertexEdit(app, { body: true });
  }

  get cursor() { return this.edit.cursor ?? "crosshair"; }
  editing() { return this.edit.editing(); }

  down(p) {
    if (this.edit.down(p)) return;
    this.app.stage.select(null);
    this.drag = { x: p.x, y: p.y, box: null };
  }

  move(p) {
    if (this.edit.move(p)) return;
    const { drag } = this, { width, height } = this.app.stage.image;
    if (!drag) return;
    drag.box = boxOf(drag.x, drag.y, p.x, p.y, width, height);
    this.app.layers.draw("top");
  }

  hover(p) { this.edit.hover(p); }

  up(p) {
    if (this.edit.up(p)) return;
    const { drag } = this, { stage, labelling } = this.app;
    this.drag = null;
    this.app.layers.draw("top");
    const box = drag?.box?.map((v) => Math.round(v * 10) / 10);
    if (box && box[2] - box[0] >= 2 && box[3] - box[1] >= 2) {
      stage.select(labelling.draw({ kind: "box", xyxy: box }, "box").id);
    } else if (drag) { // no drag: a click on a box takes hold of it
      const id = stage.at(p.x, p.y).find((i) => stage.objects.get(i).shape.kind === "box");
      stage.select(id ?? null);
    }
  }

  cancel() {
    this.drag = null;
    this.edit.cancel();
    this.app.layers.draw("top");
  }

  key(action) {
    if (action !== "aside" || !this.drag) return false;
    this.cancel();
    return true;
  }

  draw(ctx, view) {
    this.edit.draw(ctx, view);
    const box = this.drag?.box, { stage } = this.app;
    if (!box) return;
    ctx.save();
    view.apply(ctx);
    const object = { draft: false, figure: figureOf({ kind: "box", xyxy: box }) };
    inkObject(ctx, object, stage.colour(stage.className), view.scale, { fill: 0.3, line: 2, halo: true });
    ctx.restore();
  }
}
