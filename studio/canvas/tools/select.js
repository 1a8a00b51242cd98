// Select: picks objects; clicking again at one place goes through those that lie over each other.

import { VertexEdit } from "./vertices.js";

const SAME = 4; // screen pixels within which a click counts as being at the same place
const DOUBLE = 350; // ms

export class Select {
  name = "select";
  constructor(app) {
    this.app = app;
    this.edit = new VertexEdit(app, { body: true });
    this.press = null;
    this.last = null;
  }

  get cursor() { return this.edit.cursor ?? (this.app.stage.hovered ? "pointer" : "default"); }
  editing() { return this.edit.editing(); }

  down(p) {
    this.press = p;
    this.edit.down(p);
  }

  move(p) { this.edit.move(p); }

  hover(p) {
    this.edit.hover(p);
    this.app.stage.hover(this.app.stage.at(p.x, p.y)[0] ?? null);
  }

  up(p) {
    const held = this.edit.up(p), { press } = this;
    this.press = null;
    if (!press || held?.changed) return;
    const { stage } = this.app, ids = stage.at(press.x, press.y);
    const again = this.last && Math.hypot(this.last.sx - press.sx, this.last.sy - press.sy) < SAME;
    if (again && p.time - this.last.time < DOUBLE && stage.selected) return; // half of a double click
    this.last = { sx: press.sx, sy: press.sy, time: p.time };
    const at = ids.indexOf(stage.selected);
    stage.select(ids.length ? ids[again && at >= 0 ? (at + 1) % ids.length : 0] : null);
  }

  double(p) {
    const { stage, labelling } = this.app, id = stage.selected ?? stage.at(p.x, p.y)[0];
    if (id && ["mask", "alpha"].includes(stage.objects.get(id)?.shape.kind)) { stage.setTool("smart"); labelling.reopen(id); }
  }

  cancel() { this.edit.cancel(); }
  leave() { this.app.stage.hover(null); }
  key(action) { return action === "delete" && this.edit.deleteHot(); }
  draw(ctx, view) { this.edit.draw(ctx, view); }
}

/** Pan: the pointer moves the picture; the pointer code does it for every tool while space is held. */
export class Pan {
  name = "pan";
  cursor = "grab";
  pans = true;
  constructor(app) { this.app = app; }
  cancel() {}
}
