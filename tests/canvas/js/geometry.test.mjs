import assert from "node:assert/strict";
import test from "node:test";
import { Bitmap } from "../../../studio/canvas/bitmap.js";
import * as g from "../../../studio/canvas/geometry.js";
import { area } from "../../../studio/canvas/rle.js";
import { View } from "../../../studio/canvas/view.js";

test("a stroke covers exactly the pixels whose centres lie within its radius", () => {
  const [w, h, a, b, r] = [60, 50, [10.3, 12.8], [44.1, 30.2], 7.25];
  const bitmap = new Bitmap(w, h);
  bitmap.stroke(...a, ...b, r, 1);
  const counts = bitmap.counts();
  let expected = 0;
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) if (g.toSegment(x + 0.5, y + 0.5, a, b).distance <= r) expected++;
  assert.equal(area(counts), expected);
  assert.equal(counts.reduce((s, n) => s + n), w * h);
});

test("a stroke over the edge stays inside the image, and erasing it leaves nothing", () => {
  const bitmap = new Bitmap(40, 30);
  bitmap.stroke(-5, -5, 45, 35, 6, 1);
  assert.ok(area(bitmap.counts()) > 0);
  bitmap.stroke(20, 15, 20, 15, 200, 0);
  assert.deepEqual(bitmap.counts(), [1200]);
});

test("a bitmap that grows keeps what was painted", () => {
  const bitmap = new Bitmap(2000, 1500);
  bitmap.stroke(100, 100, 100, 100, 10, 1);
  const before = area(bitmap.counts());
  bitmap.stroke(1800, 1400, 1800, 1400, 10, 1);
  assert.equal(area(bitmap.counts()), 2 * before);
  const again = new Bitmap(2000, 1500, bitmap.counts());
  assert.deepEqual(again.counts(), bitmap.counts());
  assert.ok(again.bits.length < 2000 * 1500);
});

test("a polygon becomes the mask of the pixel centres inside it", () => {
  const bitmap = Bitmap.fromRings([[[2, 2], [12, 2], [12, 8], [2, 8]]], 20, 20);
  assert.equal(area(bitmap.counts()), 60);
});

test("a handle moves its own sides and never turns a box inside out or over the edge", () => {
  assert.deepEqual(g.dragHandle([10, 10, 30, 30], "se", 50, 45, 100, 100), [10, 10, 50, 45]);
  assert.deepEqual(g.dragHandle([10, 10, 30, 30], "n", 99, 20, 100, 100), [10, 20, 30, 30]);
  assert.deepEqual(g.dragHandle([10, 10, 30, 30], "w", 40, 0, 100, 100), [30, 10, 40, 30]);
  assert.deepEqual(g.dragHandle([10, 10, 30, 30], "se", 500, 500, 100, 90), [10, 10, 100, 90]);
  assert.deepEqual(g.moveBox([10, 10, 30, 30], -50, 500, 100, 90), [0, 70, 20, 90]);
});

test("the nearest vertex and edge are found within reach only", () => {
  const rings = [[[0, 0], [10, 0], [10, 10], [0, 10]]];
  assert.equal(g.nearestVertex(rings, 9, 1, 3).index, 1);
  assert.equal(g.nearestVertex(rings, 5, 5, 3), null);
  const edge = g.nearestEdge(rings, -1, 5, 3); // the one that closes the ring
  assert.deepEqual([edge.index, edge.x, edge.y], [3, 0, 5]);
});

test("zooming keeps the place under the pointer where it is", () => {
  const view = new View();
  view.setImage(4000, 3000);
  view.resize(1000, 800, 2);
  const before = view.toImage(310, 420);
  view.zoomAt(310, 420, 3.7);
  view.toImage(310, 420).forEach((v, i) => assert.ok(Math.abs(v - before[i]) < 1e-6));
});

test("a view of size 0 recovers, and the image can never be lost from sight", () => {
  const view = new View();
  view.resize(0, 0, 1);
  view.setImage(640, 480);
  view.resize(800, 600, 1);
  assert.ok(view.scale > 1 && view.scale < 1.25);
  view.panBy(1e6, -1e6);
  const [x0, , , y1] = view.window();
  assert.ok(x0 <= 0 && view.x < 800 && y1 >= 0 && view.y + 480 * view.scale > 0);
  view.resize(0, 0, 1);
  view.resize(900, 500, 1);
  assert.ok(Number.isFinite(view.x) && view.scale > 0);
});
