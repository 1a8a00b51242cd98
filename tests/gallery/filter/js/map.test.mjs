import test from 'node:test';
import assert from 'node:assert/strict';
import { inside, makeIndex, spread } from '../../../../studio/gallery/filter/lasso.js';

const GRID = Float32Array.from(Array.from({ length: 100 }, (_, i) => [(i % 10) / 10 + 0.05, Math.floor(i / 10) / 10 + 0.05]).flat());
const rows = (flags) => [...flags.keys()].filter((i) => flags[i]);

test('a lasso holds what it goes around', () => {
  const square = [[0, 0], [0.3, 0], [0.3, 0.3], [0, 0.3]];
  assert.deepEqual(rows(inside(GRID, square)), [0, 1, 2, 10, 11, 12, 20, 21, 22]);
  assert.deepEqual(rows(inside(GRID, [...square].reverse())), rows(inside(GRID, square)));
});

test('a lasso with a bay leaves out what lies in the bay', () => {
  const bay = [[0, 0], [1, 0], [1, 1], [0.6, 1], [0.6, 0.2], [0.4, 0.2], [0.4, 1], [0, 1]];
  const found = new Set(rows(inside(GRID, bay)));
  assert.ok(found.has(0) && found.has(9) && found.has(95 - 2));
  assert.ok(![54, 55, 94, 95].some((p) => found.has(p)));
});

test('a line without an inside holds nothing', () => {
  assert.deepEqual(rows(inside(GRID, [[0, 0], [1, 1]])), []);
  assert.deepEqual(rows(inside(new Float32Array(0), [[0, 0], [1, 0], [1, 1]])), []);
});

test('the nearest point is the nearest, within reach', () => {
  const index = makeIndex(GRID, 16);
  assert.equal(index.nearest(0.06, 0.05, 0.05), 0);
  assert.equal(index.nearest(0.949, 0.951, 0.2), 99);
  assert.equal(index.nearest(0.1, 0.1, 0.01), -1);
  const points = Float32Array.from({ length: 400 }, (_, i) => Math.abs(Math.sin(i * 78.233) % 1));
  const many = makeIndex(points, 9);
  for (let i = 0; i < 50; i += 1) {
    const [x, y] = [Math.abs(Math.sin(i)), Math.abs(Math.cos(i))];
    let best = -1;
    let least = 0.2 ** 2;
    for (let p = 0; p < 200; p += 1) {
      const d = (points[2 * p] - x) ** 2 + (points[2 * p + 1] - y) ** 2;
      if (d <= least) { least = d; best = p; }
    }
    assert.equal(many.nearest(x, y, 0.2), best);
  }
});

test('pictures are spread over the sight, one a place', () => {
  assert.deepEqual(spread(GRID, { x: 0, y: 0, size: 1, ratio: 1 }, 25).length, 25);
  assert.deepEqual(spread(GRID, { x: 0, y: 0, size: 0.2, ratio: 1 }, 100).sort((a, b) => a - b), [0, 1, 10, 11]);
});
