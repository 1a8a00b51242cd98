// A mask under the brush: a bitmap of a box that grows as it is painted, never as large as need not be.

import { capsuleSpan, inRing } from "./geometry.js";
import { bounds, decode, encode } from "./rle.js";

const MARGIN = 128; // pixels added at a growth, so that a stroke seldom grows it twice

export class Bitmap {
  /** An empty bitmap of a width × height image, or the mask whose run lengths are given. */
  constructor(width, height, counts = null) {
    this.width = width;
    this.height = height;
    this.box = (counts && bounds(counts, height)) || { x0: 0, y0: 0, x1: 0, y1: 0 };
    this.bits = counts ? decode(counts, height, this.box) : new Uint8Array(0);
  }

  static fromRings(rings, width, height) {
    const bitmap = new Bitmap(width, height);
    const xs = rings.flat().map((p) => p[0]), ys = rings.flat().map((p) => p[1]);
    bitmap.grow({ x0: Math.floor(Math.min(...xs)), y0: Math.floor(Math.min(...ys)),
      x1: Math.ceil(Math.max(...xs)), y1: Math.ceil(Math.max(...ys)) }, 0);
    const { x0, y0, x1, y1 } = bitmap.box;
    for (let x = x0, i = 0; x < x1; x++) {
      for (let y = y0; y < y1; y++, i++) {
        if (rings.some((ring) => inRing(ring, x + 0.5, y + 0.5))) bitmap.bits[i] = 1;
      }
    }
    return bitmap;
  }

  /** Make the bitmap cover `wanted` (clipped to the image); returns whether its box changed. */
  grow(wanted, margin = MARGIN) {
    const old = this.box, empty = old.x0 === old.x1;
    const need = { x0: Math.max(0, wanted.x0), y0: Math.max(0, wanted.y0),
      x1: Math.min(this.width, wanted.x1), y1: Math.min(this.height, wanted.y1) };
    if (need.x1 <= need.x0 || need.y1 <= need.y0) return false;
    if (!empty && need.x0 >= old.x0 && need.y0 >= old.y0 && need.x1 <= old.x1 && need.y1 <= old.y1) return false;
    const box = {
      x0: Math.max(0, Math.min(empty ? Infinity : old.x0, need.x0 - margin)),
      y0: Math.max(0, Math.min(empty ? Infinity : old.y0, need.y0 - margin)),
      x1: Math.min(this.width, Math.max(empty ? 0 : old.x1, need.x1 + margin)),
      y1: Math.min(this.height, Math.max(empty ? 0 : old.y1, need.y1 + margin)),
    };
    const bh = box.y1 - box.y0, oh = old.y1 - old.y0;
    const bits = new Uint8Array(bh * (box.x1 - box.x0));
    for (let x = old.x0; x < old.x1; x++) {
      const from = (x - old.x0) * oh;
      bits.set(this.bits.subarray(from, from + oh), (x - box.x0) * bh + old.y0 - box.y0);
    }
    this.box = box;
    this.bits = bits;
    return true;
  }

  /** Set (or clear) all within `r` of the segment a–b; returns the box touched, or null. */
  stroke(ax, ay, bx, by, r, value) {
    const touched = { x0: Math.floor(Math.min(ax, bx) - r), y0: Math.floor(Math.min(ay, by) - r),
      x1: Math.ceil(Math.max(ax, bx) + r) + 1, y1: Math.ceil(Math.max(ay, by) + r) + 1 };
    if (value) this.grow(touched);
    const { x0, y0, x1, y1 } = this.box, bh = y1 - y0;
    const from = Math.max(x0, touched.x0), to = Math.min(x1, touched.x1);
    for (let x = from; x < to; x++) {
      const span = capsuleSpan(x, ax, ay, bx, by, r);
      if (!span) continue;
      const top = Math.max(y0, span[0]), bottom = Math.min(y1, span[1]);
      if (top < bottom) this.bits.fill(value ? 1 : 0, (x - x0) * bh + top - y0, (x - x0) * bh + bottom - y0);
    }
    const box = { x0: from, y0: Math.max(y0, touched.y0), x1: to, y1: Math.min(y1, touched.y1) };
    return box.x0 < box.x1 && box.y0 < box.y1 ? box : null;
  }

  counts() {
    return encode(this.bits, this.box, this.height, this.width);
  }
}
