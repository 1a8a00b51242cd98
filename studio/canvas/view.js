// Where the image lies in the window: zoom and offset, in CSS pixels.

import { clamp } from "./geometry.js";

const LARGEST = 64, KEEP = 48; // screen pixels an image pixel may have; pixels of the image always in sight

export class View {
  scale = 1; x = 0; y = 0;
  width = 0; height = 0; dpr = 1;
  imageWidth = 0; imageHeight = 0;
  fitted = true; // follows the window's size until the person zooms or pans
  version = 0;

  setImage(width, height) {
    this.imageWidth = width;
    this.imageHeight = height;
    this.fit();
  }

  /** Take the window's new size; what was in the middle stays there. Returns whether anything changed. */
  resize(width, height, dpr) {
    if (width === this.width && height === this.height && dpr === this.dpr) return false;
    const [cx, cy] = this.toImage(this.width / 2, this.height / 2), empty = !this.width || !this.height;
    Object.assign(this, { width, height, dpr });
    if (!width || !height) return true;
    if (this.fitted || empty) this.fit();
    else { this.x = width / 2 - cx * this.scale; this.y = height / 2 - cy * this.scale; this.#settle(); }
    return true;
  }

  get fitScale() {
    if (!this.imageWidth || !this.width) return 1;
    return Math.min((this.width - 32) / this.imageWidth, (this.height - 32) / this.imageHeight, 8);
  }

  fit() {
    this.scale = Math.max(this.fitScale, 0.001);
    this.x = (this.width - this.imageWidth * this.scale) / 2;
    this.y = (this.height - this.imageHeight * this.scale) / 2;
    this.fitted = true;
    this.version++;
  }

  /** Zoom by `factor` with the place under (sx, sy) standing still. */
  zoomAt(sx, sy, factor) {
    const scale = clamp(this.scale * factor, Math.min(this.fitScale / 2, 1), LARGEST), f = scale / this.scale;
    this.x = sx - (sx - this.x) * f;
    this.y = sy - (sy - this.y) * f;
    this.scale = scale;
    this.fitted = false;
    this.#settle();
  }

  panBy(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#settle();
  }

  /** Scroll no more than needed to bring an image point into sight. */
  reveal(ix, iy, margin = 40) {
    const [sx, sy] = this.toScreen(ix, iy);
    const dx = sx < margin ? margin - sx : Math.min(0, this.width - margin - sx);
    const dy = sy < margin ? margin - sy : Math.min(0, this.height - margin - sy);
    if (dx || dy) this.panBy(dx, dy);
  }

  /** Zoom so that a box fills the window's larger part. */
  show([x0, y0, x1, y1]) {
    const w = Math.max(x1 - x0, 8), h = Math.max(y1 - y0, 8);
    this.scale = clamp(Math.min((this.width * 0.6) / w, (this.height * 0.6) / h), this.fitScale, 16);
    this.x = this.width / 2 - ((x0 + x1) / 2) * this.scale;
    this.y = this.height / 2 - ((y0 + y1) / 2) * this.scale;
    this.fitted = false;
    this.#settle();
  }

  #settle() {
    const w = this.imageWidth * this.scale, h = this.imageHeight * this.scale;
    this.x = clamp(this.x, KEEP - w, this.width - KEEP);
    this.y = clamp(this.y, KEEP - h, this.height - KEEP);
    this.version++;
  }

  toImage(sx, sy) { return [(sx - this.x) / this.scale, (sy - this.y) / this.scale]; }
  toScreen(ix, iy) { return [ix * this.scale + this.x, iy * this.scale + this.y]; }

  /** The part of the image in sight, as a box. */
  window() {
    const [x0, y0] = this.toImage(0, 0), [x1, y1] = this.toImage(this.width, this.height);
    return [x0, y0, x1, y1];
  }

  apply(ctx) {
    const k = this.scale * this.dpr;
    ctx.setTransform(k, 0, 0, k, this.x * this.dpr, this.y * this.dpr);
  }
}
