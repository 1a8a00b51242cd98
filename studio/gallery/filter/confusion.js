// Tags by a model against tags by people: the matrix of both, counted as a threshold moves.

export const NONE = -1;

/** The class each row gets: the best, or none where it is less sure than `least`. */
export function decided({ best, confidence }, least) {
  const found = new Int16Array(best.length);
  for (let i = 0; i < best.length; i += 1) found[i] = confidence[i] >= least ? best[i] : NONE;
  return found;
}

/** How many rows each class gets; the last number is of those without one. */
export function counts(predicted, classes) {
  const found = new Uint32Array(classes + 1);
  for (const c of predicted) found[c < 0 ? classes : c] += 1;
  return found;
}

/** Counts by people's class (rows) and the model's (columns, the last for none). Rows without a tag do not count. */
export function matrix(given, predicted, classes) {
  const found = Array.from({ length: classes }, () => new Uint32Array(classes + 1));
  for (let i = 0; i < given.length; i += 1) {
    if (given[i] >= 0) found[given[i]][predicted[i] < 0 ? classes : predicted[i]] += 1;
  }
  return found;
}

/** How many of the rows that people tagged the model tags alike, and of how many; none counts as wrong. */
export function agreement(table) {
  let right = 0;
  let all = 0;
  table.forEach((row, r) => row.forEach((n, c) => { all += n; if (r === c) right += n; }));
  return { right, all };
}

/** The rows of a cell; a null for either stands for any. */
export function cellRows(given, predicted, r, c) {
  const found = [];
  for (let i = 0; i < predicted.length; i += 1) {
    if ((r === null || given[i] === r) && (c === null || predicted[i] === c)) found.push(i);
  }
  return found;
}
