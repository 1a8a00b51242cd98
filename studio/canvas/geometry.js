// Plane geometry of boxes and rings, in image pixels. A box is [x0, y0, x1, y1]; a ring is [[x, y], …].

export const clamp = (v, low, high) => Math.min(Math.max(v, low), high);

/** Return the box spanned by two corners, inside a width × height image. */
export function boxOf(ax, ay, bx, by, width, height) {
  return [clamp(Math.min(ax, bx), 0, width), clamp(Math.min(ay, by), 0, height),
    clamp(Math.max(ax, bx), 0, width), clamp(Math.max(ay, by), 0, height)];
}

export const inBox = (b, x, y) => x >= b[0] && y >= b[1] && x < b[2] && y < b[3];

/** Return twice the signed area; positive where the ring runs clockwise on the screen. */
export function signedArea(ring) {
  let sum = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    sum += ring[j][0] * ring[i][1] - ring[i][0] * ring[j][1];
  }
  return sum;
}

export function inRing(ring, x, y) {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [xi, yi] = ring[i], [xj, yj] = ring[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** Return the box around rings. */
export function ringsBox(rings) {
  let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
  for (const ring of rings) {
    for (const [x, y] of ring) {
      x0 = Math.min(x0, x); y0 = Math.min(y0, y); x1 = Math.max(x1, x); y1 = Math.max(y1, y);
    }
  }
  return [x0, y0, x1, y1];
}

/** Return the distance of (x, y) to a segment and the nearest place on it. */
export function toSegment(x, y, [ax, ay], [bx, by]) {
  const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
  const t = length ? clamp(((x - ax) * dx + (y - ay) * dy) / length, 0, 1) : 0;
  const px = ax + t * dx, py = ay + t * dy;
  return { distance: Math.hypot(x - px, y - py), x: px, y: py };
}

/** Return the nearest vertex {ring, index, distance} of rings, or null where none is within `reach`. */
export function nearestVertex(rings, x, y, reach) {
  let best = null;
  rings.forEach((ring, r) => ring.forEach(([vx, vy], index) => {
    const distance = Math.hypot(vx - x, vy - y);
    if (distance <= reach && (!best || distance < best.distance)) best = { ring: r, index, distance };
  }));
  return best;
}

/** Return the nearest edge {ring, index, x, y, distance}; a vertex put there goes in at index + 1. */
export function nearestEdge(rings, x, y, reach) {
  let best = null;
  rings.forEach((ring, r) => ring.forEach((point, index) => {
    const near = toSegment(x, y, point, ring[(index + 1) % ring.length]);
    if (near.distance <= reach && (!best || near.distance < best.distance)) {
      best = { ring: r, index, ...near };
    }
  }));
  return best;
}

/** The eight handles of a box as [name, x, y]; the name holds the sides they move. */
export function handles([x0, y0, x1, y1]) {
  const mx = (x0 + x1) / 2, my = (y0 + y1) / 2;
  return [["nw", x0, y0], ["n", mx, y0], ["ne", x1, y0], ["e", x1, my],
    ["se", x1, y1], ["s", mx, y1], ["sw", x0, y1], ["w", x0, my]];
}

/** Return the box after its handle was dragged to (x, y); it never turns inside out. */
export function dragHandle(box, name, x, y, width, height) {
  let [x0, y0, x1, y1] = box;
  if (name.includes("w")) x0 = x;
  if (name.includes("e")) x1 = x;
  if (name.includes("n")) y0 = y;
  if (name.includes("s")) y1 = y;
  return boxOf(x0, y0, x1, y1, width, height);
}

/** Return the box moved by (dx, dy), held inside the image. */
export function moveBox([x0, y0, x1, y1], dx, dy, width, height) {
  const mx = clamp(dx, -x0, width - x1), my = clamp(dy, -y0, height - y1);
  return [x0 + mx, y0 + my, x1 + mx, y1 + my];
}

/**
 * Return, for the pixel column `column`, the rows [from, to) whose centres lie within `r` of the segment
 * from (ax, ay) to (bx, by), or null. A segment's surroundings are convex, so there is only one such span.
 */
export function capsuleSpan(column, ax, ay, bx, by, r) {
  const cx = column + 0.5;
  let low = Infinity, high = -Infinity;
  const take = (y) => { if (y < low) low = y; if (y > high) high = y; };
  for (const [x, y] of [[ax, ay], [bx, by]]) {
    const d = r * r - (cx - x) * (cx - x);
    if (d >= 0) { const s = Math.sqrt(d); take(y - s); take(y + s); }
  }
  const dx = bx - ax, dy = by - ay, length = Math.hypot(dx, dy);
  if (length > 0) {
    const nx = (-dy / length) * r, ny = (dx / length) * r;
    for (const [px, py, qx, qy] of [[ax + nx, ay + ny, bx + nx, by + ny], [ax - nx, ay - ny, bx - nx, by - ny]]) {
      if (cx >= Math.min(px, qx) && cx <= Math.max(px, qx)) {
        if (px === qx) { take(py); take(qy); } else take(py + ((cx - px) / (qx - px)) * (qy - py));
      }
    }
  }
  if (low > high) return null;
  const from = Math.ceil(low - 0.5), to = Math.floor(high - 0.5) + 1;
  return to > from ? [from, to] : null;
}
