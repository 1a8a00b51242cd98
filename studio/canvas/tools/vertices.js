// Taking hold of what is selected: a polygon's vertices and edges, a box's handles, or the whole of either.

import { clamp, dragHandle, handles, inBox, inRing, moveBox, nearestEdge, nearestVertex, ringsBox } from "../geometry.js";
import { inkHandle, inkObject } from "../ink.js";
import { figureOf } from "../figure.js";

const REACH = 9, TOUCH = 18; // screen pixels around a handle that still take hold of it
const CURSORS = { nw: "nwse-resize", se: "nwse-resize", ne: "nesw-resize", sw: "nesw-resize", n: "ns-resize",
  s: "ns-resize", e: "ew-resize", w: "ew-resize" };

export class VertexEdit {
  constructor(app, { body = false } = {}) {
    Object.assign(this, { app, body, hold: null, hot: null });
  }

  get cursor() {
    const grip = this.hold ?? this.hot;
    return !grip ? null : grip.handle ? CURSORS[grip.handle] : grip.vertex !== undefined ? "move" : grip.edge ? "copy" : "grab";
  }

  editing() { return this.hold?.changed ? this.hold.id : null; }

  #object() {
    const { object, locked, active } = this.app.stage;
    return object && !active && !locked.has(object.id) && ["polygon", "box"].includes(object.shape?.kind) ? object : null;
  }

  #grip(p) {
    const object = this.#object();
    if (!object || !this.app.stage.seen(object)) return null;
    const reach = (p.touch ? TOUCH : REACH) / this.app.view.scale, { shape } = object;
    if (shape.kind === "box") {
      const near = handles(shape.xyxy).map(([handle, x, y]) => ({ handle, d: Math.hypot(x - p.x, y - p.y) }))
        .filter((g) => g.d <= reach).sort((a, b) => a.d - b.d)[0];
      return near ? { handle: near.handle } : this.body && inBox(shape.xyxy, p.x, p.y) ? { whole: true } : null;
    }
    const vertex = nearestVertex(shape.rings, p.x, p.y, reach);
    if (vertex) return { ring: vertex.ring, vertex: vertex.index };
    const edge = nearestEdge(shape.rings, p.x, p.y, reach * 0.8);
    if (edge) return { ring: edge.ring, edge };
    return this.body && shape.rings.some((r) => inRing(r, p.x, p.y)) ? { whole: true } : null;
  }

  /** Take hold of what lies under the pointer; false where there is nothing. */
  down(p) {
    const grip = this.#grip(p);
    if (!grip) return false;
    const object = this.#object(), shape = structuredClone(object.shape);
    if (grip.vertex !== undefined && (p.alt || p.negative)) { this.#take(object, grip); return true; }
    let inserted = false;
    if (grip.edge) {
      shape.rings[grip.ring].splice(grip.edge.index + 1, 0, [grip.edge.x, grip.edge.y]);
      grip.vertex = grip.edge.index + 1;
      inserted = true;
      delete grip.edge;
    }
    this.hold = { ...grip, id: object.id, shape, from: structuredClone(shape), x: p.x, y: p.y, changed: inserted };
    return true;
  }

  move(p) {
    const { hold } = this;
    if (!hold) return false;
    const { width, height } = this.app.stage.image, { shape, from } = hold;
    const began = !hold.changed;
    if (hold.handle) shape.xyxy = dragHandle(from.xyxy, hold.handle, p.x, p.y, width, height);
    else if (hold.vertex !== undefined) shape.rings[hold.ring][hold.vertex] = [clamp(p.x, 0, width), clamp(p.y, 0, height)];
    else if (!hold.changed && Math.hypot(p.x - hold.x, p.y - hold.y) * this.app.view.scale < 4) return true;
    else this.#shift(shape, from, p.x - hold.x, p.y - hold.y, width, height);
    hold.changed = true;
    this.app.layers.draw("top", ...(began ? ["back"] : []));
    return true;
  }

  #shift(shape, from, dx, dy, width, height) {
    if (shape.kind === "box") { shape.xyxy = moveBox(from.xyxy, dx, dy, width, height); return; }
    const box = ringsBox(from.rings), moved = moveBox(box, dx, dy, width, height);
    shape.rings = from.rings.map((ring) => ring.map(([x, y]) => [x + moved[0] - box[0], y + moved[1] - box[1]]));
  }

  /** Let go; true where a hold was let go, `changed` says whether anything moved. */
  up() {
    const { hold } = this;
    this.hold = null;
    if (!hold) return false;
    const object = this.app.stage.objects.get(hold.id);
    if (hold.changed && object) this.app.labelling.edit(object, rounded(hold.shape), "edit");
    this.app.layers.draw("back", "top");
    return { changed: hold.changed };
  }

  cancel() {
    if (!this.hold) return;
    this.hold = null;
    this.app.layers.draw("back", "top");
  }

  hover(p) {
    this.hot = this.#grip(p);
    this.app.layers.draw("top");
  }

  /** Take out the vertex under the pointer. */
  deleteHot() {
    const object = this.#object();
    if (!object || this.hot?.vertex === undefined) return false;
    this.#take(object, this.hot);
    return true;
  }

  #take(object, { ring, vertex }) {
    const shape = structuredClone(object.shape);
    if (shape.rings[ring].length > 3) shape.rings[ring].splice(vertex, 1);
    else if (shape.rings.length > 1) shape.rings.splice(ring, 1);
    else return this.app.say("A polygon needs at least three vertices. Delete the whole of it with the object list or Select.");
    this.hot = null;
    this.app.labelling.edit(object, rounded(shape), "edit");
  }

  draw(ctx, view) {
    const object = this.#object();
    if (!object || !this.app.stage.seen(object)) return;
    const shape = this.hold?.shape ?? object.shape, colour = this.app.stage.colour(object.class);
    if (this.hold?.changed) {
      ctx.save();
      view.apply(ctx);
      inkObject(ctx, { ...object, figure: figureOf(shape) }, colour, view.scale, { fill: 0.3, line: 2.5, halo: true });
      ctx.restore();
    }
    const grip = this.hold ?? this.hot;
    if (shape.kind === "box") {
      for (const [name, x, y] of handles(shape.xyxy)) {
        inkHandle(ctx, ...view.toScreen(x, y), { square: true, colour, hot: grip?.handle === name });
      }
      return;
    }
    shape.rings.forEach((ring, r) => ring.forEach(([x, y], i) => {
      inkHandle(ctx, ...view.toScreen(x, y), { colour, hot: grip?.ring === r && grip.vertex === i });
    }));
    if (!this.hold && grip?.edge) inkHandle(ctx, ...view.toScreen(grip.edge.x, grip.edge.y), { colour, ghost: true });
  }
}

function rounded(shape) {
  const r = (v) => Math.round(v * 10) / 10;
  return shape.kind === "box" ? { ...shape, xyxy: shape.xyxy.map(r) }
    : { ...shape, rings: shape.rings.map((ring) => ring.map((p) => p.map(r))) };
}
