// What mouse, finger and keys do to the picture: a click takes a thing out or back in, a drag draws a region.

import { boxOf } from "../geometry.js";

const CLICK = 5, SMALLEST = 4; // screen pixels a click may wander; image pixels a region has at least

export class Pointer {
  constructor(app, signal) {
    this.app = app;
    this.drag = null;
    const on = (name, heard, more = {}) => app.host.addEventListener(name, heard, { signal, ...more });
    on("pointerdown", (e) => this.#down(e));
    on("pointermove", (e) => this.#move(e));
    on("pointerup", (e) => this.#up(e));
    on("pointercancel", () => this.#leave());
    on("pointerleave", () => { if (!this.drag) app.hover(null); });
    on("wheel", (e) => this.#wheel(e), { passive: false });
    on("keydown", (e) => this.#keys(e));
    on("auxclick", (e) => e.preventDefault());
  }

  #place(e) {
    const frame = this.app.host.getBoundingClientRect(), sx = e.clientX - frame.left, sy = e.clientY - frame.top;
    return { sx, sy, at: this.app.view.toImage(sx, sy) };
  }

  #down(e) {
    if (!this.app.image || (e.button !== 0 && e.button !== 1)) return;
    if (e.target.closest("button")) return;
    const draws = e.button === 0 && (e.pointerType !== "touch" || this.app.drawing);
    this.drag = { ...this.#place(e), draws, moved: false };
    this.app.host.setPointerCapture(e.pointerId);
    if (e.button === 1) e.preventDefault();
  }

  #move(e) {
    const p = this.#place(e), { drag, app } = this;
    if (!drag) {
      if (e.pointerType !== "touch") app.hover(app.image ? app.pointedAt(...p.at) : null);
      return;
    }
    if (!drag.moved && Math.hypot(p.sx - drag.sx, p.sy - drag.sy) < CLICK) return;
    drag.moved = true;
    if (drag.draws) app.drawn(boxOf(...drag.at, ...p.at, app.image.width, app.image.height));
    else {
      app.view.panBy(p.sx - (drag.lastX ?? drag.sx), p.sy - (drag.lastY ?? drag.sy));
      Object.assign(drag, { lastX: p.sx, lastY: p.sy });
      app.draw();
    }
  }

  #up(e) {
    const { drag, app } = this, p = this.#place(e);
    this.drag = null;
    if (!drag) return;
    if (!drag.moved) {
      const n = e.button === 0 ? app.pointedAt(...p.at) : null;
      if (n !== null) app.toggle(n);
      else if (e.button === 0) app.pointing?.click(...p.at);
      return;
    }
    if (!drag.draws) return;
    const box = boxOf(...drag.at, ...p.at, app.image.width, app.image.height);
    app.drawn(null);
    if (box[2] - box[0] >= SMALLEST && box[3] - box[1] >= SMALLEST) app.setRegion(box);
  }

  #leave() {
    this.drag = null;
    this.app.drawn(null);
  }

  #wheel(e) {
    if (!this.app.image || !(e.ctrlKey || e.metaKey)) return; // the plain wheel scrolls the page
    e.preventDefault();
    const { sx, sy } = this.#place(e);
    this.app.view.zoomAt(sx, sy, Math.exp(-e.deltaY * 0.004));
    this.app.draw();
  }

  #keys(e) {
    if (e.target !== this.app.host || e.ctrlKey || e.metaKey || e.altKey || !this.app.image) return;
    const { app } = this, step = 60;
    const act = {
      "+": () => app.zoom(1.4), "=": () => app.zoom(1.4), "-": () => app.zoom(1 / 1.4), 0: () => app.fit(), f: () => app.fit(),
      ArrowLeft: () => app.view.panBy(step, 0), ArrowRight: () => app.view.panBy(-step, 0),
      ArrowUp: () => app.view.panBy(0, step), ArrowDown: () => app.view.panBy(0, -step),
      Enter: () => app.panel.keep.click(), r: () => app.regionInSight(), Escape: () => app.setRegion(null),
    }[e.key];
    if (!act) return;
    e.preventDefault();
    act();
    app.draw();
  }
}
