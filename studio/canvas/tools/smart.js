// Smart: clicks and a box, from which the model makes the mask.

import { boxOf } from "../geometry.js";
import { inkFrame } from "../ink.js";

const REACH = 9, DRAG = 5, DOUBLE = 350; // screen pixels; ms within which a second click is a double click

export class Smart {
  name = "smart";
  works = []; // kinds of shapes that stay selected when this tool is taken up
  constructor(app) { this.app = app; this.press = null; this.last = null; }

  get cursor() { return this.press?.point !== undefined && this.press?.point >= 0 ? "grabbing" : "crosshair"; }

  #point(sx, sy, reach) {
    const { stage, view } = this.app, points = stage.activeObject?.clicks.points ?? [];
    for (let i = points.length - 1; i >= 0; i--) {
      const [px, py] = view.toScreen(points[i][0], points[i][1]);
      if (Math.hypot(px - sx, py - sy) <= reach) return i;
    }
    return -1;
  }

  down(p) { this.press = { ...p, point: this.#point(p.sx, p.sy, p.touch ? REACH * 1.8 : REACH), box: null, dragged: false }; }

  move(p) {
    const { press } = this, { image } = this.app.stage;
    if (!press) return;
    if (!press.dragged && Math.hypot(p.sx - press.sx, p.sy - press.sy) < (p.touch ? DRAG * 2 : DRAG)) return;
    press.dragged = true;
    if (press.point >= 0) press.to = [p.x, p.y];
    else press.box = boxOf(press.x, press.y, p.x, p.y, image.width, image.height);
    this.app.layers.draw("top");
  }

  up(p) {
    const { press } = this, { labelling, stage } = this.app;
    this.press = null;
    if (!press) return;
    if (press.dragged) {
      if (press.to) labelling.movePoint(press.point, ...press.to);
      else if (press.box && press.box[2] - press.box[0] >= 2 && press.box[3] - press.box[1] >= 2) labelling.frame(press.box, p.time);
      this.app.layers.draw("top");
      return;
    }
    if (this.#twice(press)) return this.#doubled(press);
    this.last = { time: p.time, sx: press.sx, sy: press.sy, active: stage.active };
    if (press.point >= 0) return labelling.removePoint(press.point);
    labelling.click(press.x, press.y, press.negative || p.negative ? false : stage.adding, p.time);
  }

  #twice(press) {
    return this.last && press.time - this.last.time < DOUBLE && Math.hypot(press.sx - this.last.sx, press.sy - this.last.sy) < REACH;
  }

  // A double click takes up a finished object beneath; the click it began with is taken back.
  #doubled(press) {
    const { stage, labelling } = this.app, begun = this.last.active === null ? stage.active : null;
    this.last = null;
    const target = stage.at(press.x, press.y).find((id) => id !== stage.active);
    if (!target || !begun) return;
    labelling.remove([begun]);
    labelling.reopen(target);
  }

  cancel() {
    this.press = null;
    this.app.layers.draw("top");
  }

  draw(ctx, view) {
    const { press } = this;
    if (press?.box) inkFrame(ctx, view, press.box);
    if (press?.to) inkFrame(ctx, view, [press.to[0] - 4 / view.scale, press.to[1] - 4 / view.scale, press.to[0] + 4 / view.scale, press.to[1] + 4 / view.scale]);
  }
}
