import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { outline } from "../../../studio/canvas/contour.js";
import { area, bounds, contains, decode, encode, ends } from "../../../studio/canvas/rle.js";

const cases = JSON.parse(readFileSync(process.env.CANVAS_FIXTURES, "utf8")); // made by numpy and studio.annotations

for (const { name, size: [h, w], counts, box, area: pixels, rows } of cases) {
  test(`${name}: bounds, area and pixels are as Python has them`, () => {
    assert.equal(area(counts), pixels);
    const found = bounds(counts, h);
    assert.deepEqual(found && [found.x0, found.y0, found.x1, found.y1], box);
    const whole = decode(counts, h, { x0: 0, y0: 0, x1: w, y1: h });
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) assert.equal(whole[x * h + y], rows[y][x], `${x}, ${y}`);
    const runEnds = ends(counts);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) assert.equal(contains(runEnds, h, w, x + 0.5, y + 0.5), !!rows[y][x]);
    assert.equal(contains(runEnds, h, w, -1, 0) || contains(runEnds, h, w, 0, h) || contains(runEnds, h, w, w, 0), false);
  });

  test(`${name}: what was decoded is encoded to the same run lengths`, () => {
    const whole = { x0: 0, y0: 0, x1: w, y1: h };
    assert.deepEqual(encode(decode(counts, h, whole), whole, h, w), counts);
    const tight = bounds(counts, h);
    if (tight) assert.deepEqual(encode(decode(counts, h, tight), tight, h, w), counts);
  });

  test(`${name}: filling the outline by the even-odd rule gives the mask`, () => {
    const tight = bounds(counts, h);
    if (!tight) return;
    const rings = outline(decode(counts, h, tight), tight);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) assert.equal(crossings(rings, x + 0.5, y + 0.5) % 2, rows[y][x], `${x}, ${y}`);
  });
}

function crossings(rings, x, y) {
  let n = 0;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
      const [x0, y0, x1, y1] = [ring[j], ring[j + 1], ring[i], ring[i + 1]];
      assert.ok(x0 === x1 || y0 === y1, "outlines run along the edges of pixels");
      if (x0 === x1 && x0 > x && y > Math.min(y0, y1) && y < Math.max(y0, y1)) n++;
    }
  }
  return n;
}
