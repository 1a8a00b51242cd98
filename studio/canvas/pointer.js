// Mouse, pen and fingers: turns what happens over the picture into calls on the tool that is held.

const HOLD = 480, STILL = 10; // ms of a long press; screen pixels a resting finger may stray

export class Pointer {
  /** `app` offers stage, view, layers, currentTool(), viewChanged(), brushBy(factor), host. */
  constructor(app, signal) {
    Object.assign(this, { app, touches: new Map(), pan: null, pinch: null, active: null, space: false });
    const on = (name, heard, more) => app.host.addEventListener(name, heard, { signal, ...more });
    on("pointerdown", (e) => this.#down(e));
    on("pointermove", (e) => this.#move(e));
    on("pointerup", (e) => this.#up(e));
    on("pointercancel", (e) => this.#lost(e));
    on("pointerleave", (e) => { if (e.pointerType !== "touch") this.#left(); });
    on("contextmenu", (e) => { if (this.#onPicture(e)) e.preventDefault(); });
    on("dblclick", (e) => { if (this.#onPicture(e)) this.app.currentTool().double?.(this.#point(e)); });
    on("wheel", (e) => this.#wheel(e), { passive: false });
  }

  #onPicture(e) { return e.target === this.app.host || e.target.classList.contains("ol-layer"); }

  #point(e) {
    const r = this.app.host.getBoundingClientRect(), sx = e.clientX - r.left, sy = e.clientY - r.top;
    const [x, y] = this.app.view.toImage(sx, sy);
    return { sx, sy, x, y, touch: e.pointerType === "touch", alt: e.altKey, shift: e.shiftKey,
      negative: e.button === 2 || e.shiftKey, time: performance.now() };
  }

  #down(e) {
    const { app } = this;
    if (!this.#onPicture(e) || !app.stage.image) return;
    app.host.focus({ preventScroll: true });
    const p = this.#point(e);
    app.host.setPointerCapture(e.pointerId);
    this.moved(p);
    if (p.touch) {
      this.touches.set(e.pointerId, p);
      if (this.touches.size === 2) return this.#pinchBegins();
      if (this.touches.size > 2) return;
    }
    if (e.button === 1 || (e.button === 0 && (this.space || app.currentTool().pans))) {
      e.preventDefault();
      this.pan = p;
      app.host.classList.add("ol-panning");
      return;
    }
    if (e.button !== 0 && e.button !== 2) return;
    this.active = { id: e.pointerId, from: p, negative: p.negative };
    if (p.touch) this.active.timer = setTimeout(() => this.#held(), HOLD);
    app.currentTool().down?.(p);
  }

  // A finger that rests means the opposite: take away instead of add.
  #held() {
    if (!this.active) return;
    this.active.negative = true;
    navigator.vibrate?.(12);
    this.app.held(this.active.from);
  }

  #move(e) {
    const { app } = this;
    if (!app.stage.image) return;
    const p = this.#point(e);
    if (p.touch && this.touches.has(e.pointerId)) this.touches.set(e.pointerId, p);
    if (this.pinch) return this.#pinched();
    if (this.pan) {
      app.view.panBy(p.sx - this.pan.sx, p.sy - this.pan.sy);
      this.pan = p;
      return app.viewChanged();
    }
    this.moved(p);
    if (this.active?.id === e.pointerId) {
      if (this.active.timer && Math.hypot(p.sx - this.active.from.sx, p.sy - this.active.from.sy) > STILL) this.#unhold();
      p.negative = this.active.negative;
      p.path = (e.getCoalescedEvents?.() ?? []).map((c) => this.#point(c));
      if (!p.path.length) delete p.path;
      app.currentTool().move?.(p);
    } else if (!e.buttons && this.#onPicture(e)) app.currentTool().hover?.(p);
    app.cursorChanged();
  }

  #unhold() {
    clearTimeout(this.active?.timer);
    if (this.active) this.active.timer = 0;
    this.app.held(null);
  }

  #up(e) {
    const { app } = this;
    this.touches.delete(e.pointerId);
    if (this.pinch) { if (!this.touches.size) this.pinch = null; return; }
    if (this.pan) {
      this.pan = null;
      app.host.classList.remove("ol-panning");
      return;
    }
    if (this.active?.id !== e.pointerId) return;
    this.#unhold();
    const p = { ...this.#point(e), negative: this.active.negative };
    this.active = null;
    app.currentTool().up?.(p);
    app.cursorChanged();
  }

  #lost(e) {
    this.touches.delete(e.pointerId);
    if (this.active?.id === e.pointerId) this.#drop();
    if (!this.touches.size) this.pinch = null;
    this.pan = null;
    this.app.host.classList.remove("ol-panning");
  }

  #drop() {
    this.#unhold();
    this.active = null;
    this.app.currentTool().cancel?.();
  }

  #left() {
    this.moved(null);
    this.app.stage.hover(null);
    this.app.currentTool().leavePointer?.();
  }

  moved(p) { this.app.pointed(p); }

  #pinchBegins() {
    if (this.active) this.#drop();
    this.pinch = this.#fingers();
  }

  #fingers() {
    const [a, b] = [...this.touches.values()];
    return { sx: (a.sx + b.sx) / 2, sy: (a.sy + b.sy) / 2, gap: Math.max(Math.hypot(a.sx - b.sx, a.sy - b.sy), 1) };
  }

  #pinched() {
    if (this.touches.size < 2) return;
    const now = this.#fingers(), { view } = this.app;
    view.panBy(now.sx - this.pinch.sx, now.sy - this.pinch.sy);
    view.zoomAt(now.sx, now.sy, now.gap / this.pinch.gap);
    this.pinch = now;
    this.app.viewChanged();
  }

  #wheel(e) {
    const { app } = this;
    if (!app.stage.image || !this.#onPicture(e)) return;
    e.preventDefault();
    const unit = e.deltaMode === 1 ? 16 : e.deltaMode === 2 ? 400 : 1, dy = (e.deltaY || e.deltaX) * unit;
    if (e.altKey) return app.brushBy(dy < 0 ? 1.12 : 1 / 1.12);
    const p = this.#point(e);
    if (e.shiftKey) app.view.panBy(-dy, 0);
    else app.view.zoomAt(p.sx, p.sy, Math.exp(-Math.max(-240, Math.min(240, dy)) * (e.ctrlKey ? 0.01 : 0.0016)));
    app.viewChanged();
    this.moved(this.#point(e));
  }
}
