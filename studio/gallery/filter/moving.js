// What was found for the images of a roster, when images went out of view or came back: nothing is asked anew for that.

/** Numbers by row, `width` a row, put where the rows are now; null where there is a row that has none. */
export function moved(numbers, rows, size, width = 1) {
  const found = new Float32Array(size * width).fill(NaN);
  rows.forEach((row, before) => {
    if (row < 0) return;
    for (let i = 0; i < width; i += 1) found[row * width + i] = numbers[before * width + i];
  });
  return found.some(Number.isNaN) ? null : found;
}

/** An order of rows after they moved, without those that are gone. */
export const movedOrder = (order, rows) => Uint32Array.from(order, (row) => rows[row]).filter((row) => row !== 0xffffffff);
