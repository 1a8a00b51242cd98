// The outline of a bitmap along the edges of its pixels, so that it is exact at any zoom.

const STEP_X = [1, 0, -1, 0], STEP_Y = [0, 1, 0, -1]; // right, down, left, up
// The pixel ahead on the right and on the left of a corner, for each direction, as offsets from it.
const RIGHT_X = [0, -1, -1, 0], RIGHT_Y = [0, 0, -1, -1];
const LEFT_X = [0, 0, -1, -1], LEFT_Y = [-1, 0, 0, -1];

/**
 * Return closed rings [x, y, x, y, …] around all that is set, holes too, in image coordinates.
 * `bits` covers `box` column after column. Fill them by the even-odd rule.
 */
export function outline(bits, box) {
  const w = box.x1 - box.x0, h = box.y1 - box.y0, rings = [];
  const seen = new Uint8Array(bits.length);
  for (let x = 0, i = 0; x < w; x++) {
    for (let y = 0; y < h; y++, i++) {
      if (bits[i] && !seen[i] && (x === 0 || !bits[i - h])) rings.push(follow(bits, seen, w, h, x, y, box));
    }
  }
  return rings;
}

// Walk with the mask on the right hand, beginning upwards along the left edge of pixel (px, py).
function follow(bits, seen, w, h, px, py, box) {
  const ring = [], startX = px, startY = py + 1;
  let x = startX, y = startY, d = 3;
  do {
    if (d === 3) seen[x * h + y - 1] = 1;
    x += STEP_X[d]; y += STEP_Y[d];
    const rx = x + RIGHT_X[d], ry = y + RIGHT_Y[d];
    const right = rx >= 0 && ry >= 0 && rx < w && ry < h && bits[rx * h + ry];
    let turn = d;
    if (!right) turn = (d + 1) & 3;
    else {
      const lx = x + LEFT_X[d], ly = y + LEFT_Y[d];
      if (lx >= 0 && ly >= 0 && lx < w && ly < h && bits[lx * h + ly]) turn = (d + 3) & 3;
    }
    if (turn !== d) { ring.push(x + box.x0, y + box.y0); d = turn; }
  } while (x !== startX || y !== startY || d !== 3);
  return ring;
}
