import test from 'node:test';
import assert from 'node:assert/strict';
import { floats, makeRoster, packed, shorts, wholes } from '../../../../studio/gallery/filter/packing.js';
import { moved, movedOrder } from '../../../../studio/gallery/filter/moving.js';

test('numbers come back as they were packed', () => {
  for (const [read, array] of [[floats, Float32Array.from([0.25, -1.5, 3e7])], [wholes, Uint32Array.from([0, 7, 0xffffffff])], [shorts, Int16Array.from([-1, 0, 300])]]) {
    assert.deepEqual(read(packed(array)), array);
  }
  const long = Float32Array.from({ length: 100_000 }, (_, i) => i / 3);
  assert.deepEqual(floats(packed(long)), long);
});

test('a part of an array is packed alone', () => {
  assert.deepEqual([...wholes(packed(Uint32Array.from([1, 2, 3, 4]).subarray(1, 3)))], [2, 3]);
});

test('a roster knows ids by row and rows by id', () => {
  const ids = ['00112233445566778899aabbccddeeff', 'ffeeddccbbaa99887766554433221100', '0123456789abcdef0123456789abcdef'];
  const roster = makeRoster();
  assert.equal(roster.size, 0);
  roster.set('s', packed(Uint8Array.from(ids.flatMap((id) => id.match(/../g).map((pair) => parseInt(pair, 16))))));
  assert.equal(roster.size, 3);
  assert.deepEqual([0, 1, 2].map(roster.id), ids);
  assert.equal(roster.row(ids[2]), 2);
  assert.equal(roster.row('0'.repeat(32)), -1);
  assert.equal(roster.pack([2, 0]), packed(Uint8Array.from([ids[2], ids[0]].flatMap((id) => id.match(/../g).map((pair) => parseInt(pair, 16))))));
  roster.set('', '');
  assert.equal(roster.size, 0);
  assert.equal(roster.row(ids[0]), -1);
});

test('what was found moves with its rows, and is given up where a row is new', () => {
  const scores = Float32Array.from([1, 2, 3]);
  assert.deepEqual([...moved(scores, [1, -1, 0], 2)], [3, 1]);
  assert.equal(moved(scores, [1, -1, 0], 3), null);
  assert.deepEqual([...moved(Float32Array.from([1, 2, 3, 4]), [1, 0], 2, 2)], [3, 4, 1, 2]);
  assert.deepEqual([...movedOrder(Uint32Array.from([2, 1, 0]), Int32Array.from([1, -1, 0]))], [0, 1]);
});
