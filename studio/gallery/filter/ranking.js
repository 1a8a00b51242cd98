// What a ranking tells without asking the server again: how many pass a threshold, where the nth lies, the histogram.

/**
 * All rows, the best score first, equal ones by row; those of `head` come before all others in the order given. A radix
 * sort: 100,000 scores take some milliseconds, and need not be sent in their order.
 */
export function ordered(scores, head = new Uint32Array(0)) {
  const n = scores.length;
  const bits = new Uint32Array(scores.buffer, scores.byteOffset, n);
  const keys = new Uint32Array(n); // that rise where scores fall
  for (let i = 0; i < n; i += 1) keys[i] = bits[i] & 0x80000000 ? bits[i] : ~bits[i] & 0x7fffffff;
  let from = Uint32Array.from({ length: n }, (_, i) => i);
  let to = new Uint32Array(n);
  for (const shift of [0, 16]) {
    const starts = new Uint32Array(65537);
    for (let i = 0; i < n; i += 1) starts[((keys[i] >>> shift) & 0xffff) + 1] += 1;
    for (let i = 0; i < 65536; i += 1) starts[i + 1] += starts[i];
    for (let i = 0; i < n; i += 1) to[starts[(keys[from[i]] >>> shift) & 0xffff]++] = from[i];
    [from, to] = [to, from];
  }
  const first = new Uint8Array(n);
  for (const row of head) first[row] = 1;
  let at = 0;
  for (const row of head) to[at++] = row;
  for (let i = 0; i < n; i += 1) if (!first[from[i]]) to[at++] = from[i];
  return to;
}

/** A ranking: `scores` by row, `order` the rows best first, `sorted` the scores in that order. */
export function makeRanking({ scores, order, ...more }) {
  const sorted = new Float32Array(order.length);
  for (let i = 0; i < order.length; i += 1) sorted[i] = scores[order[i]];
  return { ...more, scores, order, sorted, high: sorted[0] ?? 0, low: sorted[sorted.length - 1] ?? 0 };
}

/** How many of scores that fall are at least `threshold`. */
export function countFrom(sorted, threshold) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] >= threshold) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The threshold that the first `count` pass and the others do not; equal scores pass together. */
export function thresholdFor(sorted, count) {
  const n = sorted.length;
  if (!n) return 0;
  if (count <= 0) return above(sorted[0]);
  if (count >= n) return sorted[n - 1];
  return (sorted[count - 1] + sorted[count]) / 2 || sorted[count - 1];
}

const above = (score) => score + Math.max(1e-6, Math.abs(score) * 1e-6);

/** How many scores lie in each of `bins` equal parts of [low, high]; both ends belong to a part. */
export function histogram(scores, low, high, bins) {
  const counts = new Uint32Array(bins);
  const scale = high > low ? bins / (high - low) : 0;
  for (let i = 0; i < scores.length; i += 1) {
    const at = Math.floor((scores[i] - low) * scale);
    if (at >= 0) counts[Math.min(at, bins - 1)] += 1;
  }
  return counts;
}

/**
 * What is kept: the first rows of the order (`keep` "above") or the others ("below"), and of these at most `top`,
 * the best, or where the others are kept the worst, first.
 */
export function keptRows(ranking, { threshold, keep = 'above', top = 0 }) {
  const cut = countFrom(ranking.sorted, threshold);
  const rows = keep === 'above' ? ranking.order.subarray(0, cut) : ranking.order.slice(cut).reverse();
  return top > 0 ? rows.subarray(0, top) : rows;
}

/** The other rows, those nearest to being kept first. */
export function leftRows(ranking, wanted) {
  const { threshold, keep = 'above', top = 0 } = wanted;
  const cut = countFrom(ranking.sorted, threshold);
  const beyond = keep === 'above' ? ranking.order.subarray(cut) : ranking.order.slice(0, cut).reverse();
  if (!top) return beyond;
  const kept = keptRows(ranking, { threshold, keep });
  const rest = kept.subarray(Math.min(top, kept.length));
  const all = new Uint32Array(rest.length + beyond.length);
  all.set(rest);
  all.set(beyond, rest.length);
  return all;
}

/** A score as people read it: three places, or a whole percentage where scores go from 0 to 1. */
export const spoken = (score, scale) => (scale === 'combined' ? `${(100 * score).toFixed(0)} %` : score.toFixed(3));

/**
 * A first threshold where nobody has said anything yet: the one that parts the scores into the two groups that differ
 * most (Otsu, A threshold selection method from gray-level histograms, 1979).
 */
export function firstThreshold(ranking, bins = 128) {
  const { sorted, low, high } = ranking;
  if (sorted.length < 3 || !(high > low)) return low;
  const counts = histogram(sorted, low, high, bins);
  let sum = 0;
  counts.forEach((n, i) => { sum += n * i; });
  let [under, underSum, first, last, most] = [0, 0, 0, 0, -1];
  for (let i = 0; i < bins - 1; i += 1) {
    under += counts[i];
    underSum += counts[i] * i;
    const over = sorted.length - under;
    if (!under || !over) continue;
    const between = under * over * (underSum / under - (sum - underSum) / over) ** 2;
    if (between > most * (1 + 1e-12)) { most = between; first = i; }
    if (between >= most * (1 - 1e-12)) last = i; // nothing lies between these: the middle of the gap
  }
  return low + (((first + last) / 2 + 1) * (high - low)) / bins;
}
