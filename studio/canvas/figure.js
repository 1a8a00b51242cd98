// A shape made ready to be drawn and hit: its box, area and path, each worked out when first asked for.

import { outline } from "./contour.js";
import { inBox, inRing, ringsBox, signedArea } from "./geometry.js";
import { area, bounds, contains, decode, ends } from "./rle.js";

/** Return the figure of a wire shape; kinds without a place in the picture give one with a null box. */
export function figureOf(shape) {
  if (shape?.kind === "mask") return new MaskFigure(shape);
  if (shape?.kind === "alpha" && shape.mask) return new MaskFigure(shape.mask); // where it is at least a half
  if (shape?.kind === "polygon") return new PolygonFigure(shape.rings);
  if (shape?.kind === "box") return new BoxFigure(shape.xyxy);
  if (shape?.kind === "keypoints") return new KeypointsFigure(shape.points);
  return { kind: shape?.kind ?? "none", box: null, area: 0, path: null, hit: () => false };
}

class MaskFigure {
  kind = "mask";
  constructor({ size: [height, width], counts }) {
    Object.assign(this, { height, width, counts });
    const b = bounds(counts, height);
    this.bounds = b;
    this.box = b && [b.x0, b.y0, b.x1, b.y1];
    this.area = area(counts);
  }

  get path() {
    if (!this.made) {
      this.made = new Path2D();
      if (this.bounds) {
        for (const ring of outline(decode(this.counts, this.height, this.bounds), this.bounds)) {
          this.made.moveTo(ring[0], ring[1]);
          for (let i = 2; i < ring.length; i += 2) this.made.lineTo(ring[i], ring[i + 1]);
          this.made.closePath();
        }
      }
    }
    return this.made;
  }

  hit(x, y) {
    if (!this.box || !inBox(this.box, x, y)) return false;
    this.ends ??= ends(this.counts);
    return contains(this.ends, this.height, this.width, x, y);
  }
}

class PolygonFigure {
  kind = "polygon";
  constructor(rings) {
    this.rings = rings;
    this.box = ringsBox(rings);
    this.area = rings.reduce((sum, ring) => sum + Math.abs(signedArea(ring)) / 2, 0);
  }

  // Rings that all run the same way fill to their union under the non-zero rule.
  get path() {
    if (!this.made) {
      this.made = new Path2D();
      for (const ring of this.rings) {
        (signedArea(ring) < 0 ? [...ring].reverse() : ring)
          .forEach(([x, y], i) => (i ? this.made.lineTo(x, y) : this.made.moveTo(x, y)));
        this.made.closePath();
      }
    }
    return this.made;
  }

  hit(x, y) { return this.rings.some((ring) => inRing(ring, x, y)); }
}

class BoxFigure {
  kind = "box";
  constructor(xyxy) {
    this.box = xyxy;
    this.area = (xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1]);
  }

  get path() {
    if (!this.made) {
      const [x0, y0, x1, y1] = this.box;
      this.made = new Path2D();
      this.made.rect(x0, y0, x1 - x0, y1 - y0);
    }
    return this.made;
  }

  hit(x, y) { return inBox(this.box, x, y); }
}

class KeypointsFigure {
  kind = "keypoints";
  constructor(points) {
    this.points = points.filter((p) => p[2] > 0);
    this.box = this.points.length ? ringsBox([this.points]) : null;
    this.area = this.points.length;
  }

  get path() {
    if (!this.made) {
      this.made = new Path2D();
      for (const [x, y] of this.points) { this.made.moveTo(x + 2, y); this.made.arc(x, y, 2, 0, 2 * Math.PI); }
    }
    return this.made;
  }

  hit(x, y) { return this.points.some((p) => Math.hypot(p[0] - x, p[1] - y) < 6); }
}
