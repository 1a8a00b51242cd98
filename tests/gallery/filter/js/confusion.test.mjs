import test from 'node:test';
import assert from 'node:assert/strict';
import { agreement, cellRows, counts, decided, matrix } from '../../../../studio/gallery/filter/confusion.js';

const SORTED = { best: Int16Array.from([0, 1, 2, 0, 1]), confidence: Float32Array.from([0.9, 0.4, 0.8, 0.3, 0.95]) };
const GIVEN = Int16Array.from([0, 2, 2, -1, 0]);

test('who is less sure than the threshold gets no class', () => {
  assert.deepEqual([...decided(SORTED, 0)], [0, 1, 2, 0, 1]);
  assert.deepEqual([...decided(SORTED, 0.5)], [0, -1, 2, -1, 1]);
  assert.deepEqual([...counts(decided(SORTED, 0.5), 3)], [1, 1, 1, 2]);
});

test('the matrix counts what people tagged, by what the model says', () => {
  const table = matrix(GIVEN, decided(SORTED, 0.5), 3).map((row) => [...row]);
  assert.deepEqual(table, [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]);
  assert.deepEqual(agreement(table), { right: 2, all: 4 });
});

test('a cell gives its rows', () => {
  const predicted = decided(SORTED, 0.5);
  assert.deepEqual(cellRows(GIVEN, predicted, 0, 1), [4]);
  assert.deepEqual(cellRows(GIVEN, predicted, 2, -1), [1]);
  assert.deepEqual(cellRows(GIVEN, predicted, null, -1), [1, 3]);
  assert.equal(cellRows(GIVEN, predicted, null, null).length, 5);
});
