// Masks as run lengths down the columns, zeros first, as studio.annotations.Mask keeps them; and as
// bitmaps of a bounding box, one byte a pixel, column after column: bits[(x - x0) * height + (y - y0)].

/** Return the tight box {x0, y0, x1, y1} (x1, y1 exclusive) of a mask `height` pixels tall, or null. */
export function bounds(counts, height) {
  let x0 = Infinity, x1 = -1, y0 = height, y1 = -1, at = 0;
  for (let i = 0; i < counts.length; i++) {
    const n = counts[i];
    if (i & 1 && n > 0) {
      const first = Math.floor(at / height), end = at + n - 1, last = Math.floor(end / height);
      if (first < x0) x0 = first;
      if (last > x1) x1 = last;
      if (first !== last) { y0 = 0; y1 = height - 1; } else {
        if (at - first * height < y0) y0 = at - first * height;
        if (end - last * height > y1) y1 = end - last * height;
      }
    }
    at += n;
  }
  return x1 < 0 ? null : { x0, y0, x1: x1 + 1, y1: y1 + 1 };
}

/** Return how many pixels belong to the mask. */
export function area(counts) {
  let sum = 0;
  for (let i = 1; i < counts.length; i += 2) sum += counts[i];
  return sum;
}

/** Return the mask inside `box` as a column-by-column bitmap; what lies outside the box is left out. */
export function decode(counts, height, box) {
  const bh = box.y1 - box.y0;
  const bits = new Uint8Array(bh * (box.x1 - box.x0));
  let at = 0;
  for (let i = 0; i < counts.length; i++) {
    const n = counts[i];
    if (i & 1 && n > 0) fillRun(bits, at, at + n, height, box, bh);
    at += n;
  }
  return bits;
}

function fillRun(bits, from, to, height, box, bh) {
  const first = Math.max(box.x0, Math.floor(from / height));
  const last = Math.min(box.x1 - 1, Math.floor((to - 1) / height));
  for (let x = first; x <= last; x++) {
    const top = Math.max(box.y0, from - x * height), bottom = Math.min(box.y1, to - x * height);
    if (top < bottom) {
      const base = (x - box.x0) * bh - box.y0;
      bits.fill(1, base + top, base + bottom);
    }
  }
}

/** Encode a bitmap that covers `box` as the run lengths of a height × width mask. */
export function encode(bits, box, height, width) {
  const counts = [], bh = box.y1 - box.y0;
  let run = 0, value = 0, at = 0;
  const skip = (to) => { // zeros up to position `to`
    if (to > at) {
      if (value) { counts.push(run); run = 0; value = 0; }
      run += to - at;
      at = to;
    }
  };
  for (let x = box.x0, i = 0; x < box.x1; x++) {
    skip(x * height + box.y0);
    for (let y = 0; y < bh; y++, i++) {
      const bit = bits[i] ? 1 : 0;
      if (bit !== value) { counts.push(run); run = 0; value = bit; }
      run++;
    }
    at += bh;
  }
  skip(height * width);
  counts.push(run);
  return counts;
}

/** Return where each run ends, for `contains`. */
export function ends(counts) {
  const out = new Float64Array(counts.length);
  let at = 0;
  for (let i = 0; i < counts.length; i++) out[i] = at += counts[i];
  return out;
}

/** Say whether the pixel under (x, y) belongs to a mask whose `ends` are given. */
export function contains(runEnds, height, width, x, y) {
  x = Math.floor(x); y = Math.floor(y);
  if (x < 0 || y < 0 || x >= width || y >= height) return false;
  const at = x * height + y;
  let low = 0, high = runEnds.length;
  while (low < high) { // the first run that ends beyond `at`
    const middle = (low + high) >> 1;
    if (runEnds[middle] > at) high = middle; else low = middle + 1;
  }
  return low % 2 === 1;
}
