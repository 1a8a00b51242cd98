// Polygon: drawn vertex by vertex; the vertices of a selected one can be moved, put in and taken out.

import { clamp } from "../geometry.js";
import { inkHandle } from "../ink.js";
import { VertexEdit } from "./vertices.js";

const CLOSE = 10; // screen pixels from the first vertex within which a click closes the ring

export class Polygon {
  name = "polygon";
  works = ["polygon"];
  cursor = "crosshair";
  constructor(app) {
    this.app = app;
    this.ring = null;
    this.at = null;
    this.edit = new VertexEdit(app);
  }

  get drawing() { return !!this.ring; }
  editing() { return this.edit.editing(); }

  down(p) {
    if (!this.ring && this.edit.down(p)) return;
    if (p.negative) { this.back(); return; }
    const { stage } = this.app, { width, height } = stage.image;
    const point = [clamp(p.x, 0, width), clamp(p.y, 0, height)];
    if (!this.ring) {
      stage.select(null);
      this.ring = [point];
    } else if (this.ring.length >= 3 && this.#nearFirst(p)) return this.close();
    else if (this.#screen(this.ring.at(-1), p) > 2) this.ring.push(point);
    this.at = point;
    stage.emit("drawing");
    this.app.layers.draw("top");
  }

  move(p) {
    if (this.edit.move(p)) return;
    this.hover(p);
  }

  hover(p) {
    this.at = [p.x, p.y];
    this.snap = this.ring?.length >= 3 && this.#nearFirst(p);
    if (!this.ring) this.edit.hover(p);
    this.app.layers.draw("top");
  }

  up(p) { this.edit.up(p); }

  double() { if (this.ring?.length >= 3) this.close(); }

  #screen([x, y], p) { return Math.hypot((x - p.x) * this.app.view.scale, (y - p.y) * this.app.view.scale); }
  #nearFirst(p) { return this.#screen(this.ring[0], p) <= (p.touch ? CLOSE * 2 : CLOSE); }

  close() {
    const { labelling, stage, say } = this.app, ring = this.ring;
    if (!ring) return;
    if (ring.length < 3) return say("A polygon needs at least three vertices.");
    this.#stop();
    const round = (v) => Math.round(v * 10) / 10;
    const object = labelling.draw({ kind: "polygon", rings: [ring.map(([x, y]) => [round(x), round(y)])] }, "polygon");
    stage.select(object.id);
  }

  /** Take back the vertex put last. */
  back() {
    if (!this.ring) return false;
    this.ring.pop();
    if (!this.ring.length) this.#stop();
    this.app.stage.emit("drawing");
    this.app.layers.draw("top");
    return true;
  }

  #stop() {
    this.ring = null;
    this.snap = false;
    this.app.stage.emit("drawing");
    this.app.layers.draw("top");
  }

  /** Let the pointer's gesture go (a second finger came down); what is drawn stays. */
  cancel() { this.edit.cancel(); }
  leave() { this.#stop(); }

  key(action) {
    if (this.ring) {
      if (action === "accept") { this.close(); return true; }
      if (action === "undo" || action === "delete") return this.back();
      if (action === "aside") { this.#stop(); return true; }
      return false;
    }
    return action === "delete" && this.edit.deleteHot();
  }

  draw(ctx, view) {
    this.edit.draw(ctx, view);
    if (!this.ring) return;
    const points = this.ring.map(([x, y]) => view.toScreen(x, y)), colour = this.app.stage.colour(this.app.stage.className);
    const trail = this.at ? [...points, this.snap ? points[0] : view.toScreen(...this.at)] : points;
    ctx.lineJoin = "round";
    for (const [width, stroke] of [[4, "rgba(255,255,255,.9)"], [2, colour]]) {
      ctx.lineWidth = width;
      ctx.strokeStyle = stroke;
      ctx.beginPath();
      trail.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
      ctx.stroke();
    }
    points.forEach(([x, y], i) => inkHandle(ctx, x, y, { colour, hot: i === 0 && this.snap }));
  }
}
