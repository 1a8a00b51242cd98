// A brush that paints one stroke at a time and hands it over when it is lifted; and the hand that looks around.

import { Bitmap } from "../bitmap.js";
import { StrokeTool } from "../tools/stroke.js";

const NEAR = 12, NEAR_TOUCH = 26;  // screen pixels around the line between before and after

export class Paint extends StrokeTool {
  /** `ink(p)` gives the colour a stroke is shown in, `done(counts, p, shown)` takes it. */
  constructor(app, name, { ink, done }) {
    super(app, name);
    Object.assign(this, { ink, done });
  }

  editing() { return null; }

  down(p) {
    const { image } = this.app.stage, ink = this.ink(p);
    if (ink) this.begin(p, new Bitmap(image.width, image.height), ink, { negative: p.negative });
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
