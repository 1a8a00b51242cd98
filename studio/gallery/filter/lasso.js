// Which points of a map lie inside of a line drawn around them, and which lies nearest.

/** Whether each of the points, x and y in turn, lies inside a polygon of [x, y]; by how often a ray crosses it. */
export function inside(points, polygon) {
  const count = points.length / 2;
  const found = new Uint8Array(count);
  if (polygon.length < 3) return found;
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of polygon) {
    left = Math.min(left, x); right = Math.max(right, x);
    top = Math.min(top, y); bottom = Math.max(bottom, y);
  }
  for (let p = 0; p < count; p += 1) {
    const x = points[2 * p];
    const y = points[2 * p + 1];
    if (x < left || x > right || y < top || y > bottom) continue;
    let odd = 0;
    for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
      const [xi, yi] = polygon[i];
      const [xj, yj] = polygon[j];
      if ((yi > y) !== (yj > y) && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd ^= 1;
    }
    found[p] = odd;
  }
  return found;
}

/** Points in square cells, so that the nearest one is found among a few. */
export function makeIndex(points, side = 64) {
  const cells = new Map();
  const cell = (v) => Math.min(side - 1, Math.max(0, Math.floor(v * side)));
  for (let p = 0; p < points.length / 2; p += 1) {
    const key = cell(points[2 * p + 1]) * side + cell(points[2 * p]);
    const there = cells.get(key);
    if (there) there.push(p);
    else cells.set(key, [p]);
  }
  return {
    /** The point nearest to a place, within `reach`; -1 where there is none. */
    nearest(x, y, reach) {
      let best = -1;
      let least = reach * reach;
      for (let row = cell(y - reach); row <= cell(y + reach); row += 1) {
        for (let column = cell(x - reach); column <= cell(x + reach); column += 1) {
          for (const p of cells.get(row * side + column) ?? []) {
            const d = (points[2 * p] - x) ** 2 + (points[2 * p + 1] - y) ** 2;
            if (d <= least) { least = d; best = p; }
          }
        }
      }
      return best;
    },
  };
}

/** The points in sight, at most `most`, spread over the sight: one each of equal cells, for pictures in their places. */
export function spread(points, view, most) {
  const columns = Math.max(1, Math.round(Math.sqrt(most)));
  const taken = new Map();
  for (let p = 0; p < points.length / 2; p += 1) {
    const u = (points[2 * p] - view.x) / view.size;
    const v = (points[2 * p + 1] - view.y) / view.size;
    if (u < 0 || v < 0 || u >= 1 || v >= view.ratio) continue;
    const key = Math.floor(v * columns) * columns + Math.floor(u * columns);
    if (!taken.has(key)) taken.set(key, p);
  }
  return [...taken.values()];
}
