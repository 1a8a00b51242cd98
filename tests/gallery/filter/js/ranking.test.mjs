import test from 'node:test';
import assert from 'node:assert/strict';
import { countFrom, firstThreshold, histogram, keptRows, leftRows, makeRanking, ordered, spoken, thresholdFor } from '../../../../studio/gallery/filter/ranking.js';

const SCORES = [0.1, 0.9, 0.5, 0.5, 0.3, 0.7];
const ranking = () => makeRanking({ scores: Float32Array.from(SCORES), order: Uint32Array.from([1, 5, 2, 3, 4, 0]), scale: 'cosine' });

test('a threshold counts those that reach it, equal ones too', () => {
  const { sorted } = ranking();
  for (const t of [-1, 0.1, 0.2, 0.5, 0.50001, 0.9, 1]) {
    assert.equal(countFrom(sorted, t), [...sorted].filter((s) => s >= t).length, `at ${t}`);
  }
  assert.equal(countFrom(new Float32Array(0), 0.5), 0);
});

test('the threshold for a number lets just that many pass', () => {
  const { sorted } = ranking();
  for (const n of [0, 1, 2, 4, 5, 6]) assert.equal(countFrom(sorted, thresholdFor(sorted, n)), n);
  assert.equal(countFrom(sorted, thresholdFor(sorted, 3)), 4); // the third and the fourth are equal
  assert.equal(countFrom(sorted, thresholdFor(sorted, 99)), 6);
});

test('counts of a large ranking agree with counting one by one', () => {
  const scores = Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i * 12.9898) * 0.4);
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
  const { sorted } = makeRanking({ scores, order });
  for (let t = -0.5; t < 0.5; t += 0.0371) {
    let n = 0;
    for (const s of scores) if (s >= Math.fround(t)) n += 1;
    assert.equal(countFrom(sorted, Math.fround(t)), n);
  }
});

test('a histogram counts everything once, both ends included', () => {
  const counts = histogram(Float32Array.from(SCORES), Math.fround(0.1), Math.fround(0.9), 4);
  assert.deepEqual([...counts], [1, 1, 2, 2]);
  assert.deepEqual([...histogram(Float32Array.from([2, 2]), 2, 2, 3)], [2, 0, 0]);
});

test('what is kept and what is left are all there is, best and nearest first', () => {
  const r = ranking();
  for (const keep of ['above', 'below']) for (const top of [0, 1, 2, 9]) {
    const kept = keptRows(r, { threshold: 0.5, keep, top });
    const left = leftRows(r, { threshold: 0.5, keep, top });
    assert.deepEqual([...kept, ...left].sort(), [0, 1, 2, 3, 4, 5]);
    if (top) assert.ok(kept.length <= top);
  }
  assert.deepEqual([...keptRows(r, { threshold: 0.6 })], [1, 5]);
  assert.deepEqual([...keptRows(r, { threshold: 0.6, top: 1 })], [1]);
  assert.deepEqual([...leftRows(r, { threshold: 0.6 })], [2, 3, 4, 0]);
  assert.deepEqual([...keptRows(r, { threshold: 0.4, keep: 'below' })], [0, 4]);
  assert.deepEqual([...leftRows(r, { threshold: 0.6, top: 1 })], [5, 2, 3, 4, 0]);
});

test('the first threshold parts two groups in the middle of the gap', () => {
  const scores = Float32Array.from([...Array(40).keys()].map((i) => 0.1 + i * 0.001).concat([0.8, 0.81, 0.83, 0.84, 0.85]));
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
  const found = firstThreshold(makeRanking({ scores, order }));
  assert.ok(found > 0.3 && found < 0.65, String(found));
  const same = makeRanking({ scores: Float32Array.from([1, 1, 1]), order: Uint32Array.from([0, 1, 2]) });
  assert.equal(firstThreshold(same), 1);
});

test('scores are told as people read them', () => {
  assert.equal(spoken(0.28712, 'cosine'), '0.287');
  assert.equal(spoken(0.28712, 'combined'), '29 %');
});

test('rows are put in order as a plain sort does, equal ones by row, and the head stays ahead', () => {
  const scores = Float32Array.from({ length: 20_000 }, (_, i) => Math.fround(Math.round(Math.sin(i * 12.9898) * 500) / 700));
  scores[7] = 0;
  scores[9] = -0;
  const wanted = [...scores.keys()].sort((a, b) => scores[b] - scores[a] || a - b);
  assert.deepEqual([...ordered(scores)].map((row) => scores[row] + 0), wanted.map((row) => scores[row] + 0));
  const unequal = Float32Array.from([0.5, -0.25, 3e-9, 0, -7, 0.5, 1]);
  assert.deepEqual([...ordered(unequal)], [6, 0, 5, 2, 3, 1, 4]);
  assert.deepEqual([...ordered(unequal, Uint32Array.from([5, 0]))], [5, 0, 6, 2, 3, 1, 4]);
  assert.deepEqual([...ordered(new Float32Array(0))], []);
});
