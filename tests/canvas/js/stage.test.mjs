import assert from "node:assert/strict";
import test from "node:test";
import { Labelling } from "../../../studio/canvas/labelling.js";
import { Stage, toWire } from "../../../studio/canvas/stage.js";
import { Wire } from "../../../studio/canvas/wire.js";

const square = (n) => ({ kind: "mask", size: [10, 10], counts: [0, 10 * n, 100 - 10 * n] });

// A page without a page: what the labelling verbs need, and a server that answers as told.
function page(answer) {
  const stage = new Stage(), said = [], sent = [];
  const wire = new Wire(async (request) => { sent.push(structuredClone(request)); return { seq: request.seq, ...(await answer(request)) }; });
  const app = { stage, wire, sent, said, layers: { drawn: (f) => f(0), draw() {} }, say: (s) => said.push(s), announce() {}, trouble: (a) => said.push(a.error),
    reload() {}, resync() {}, advance() {}, latency() {}, addClass(name) { stage.className = name; } };
  stage.reset({ id: "i", width: 10, height: 10, version: 0 });
  stage.className = "apple";
  stage.model = "m";
  const labelling = new Labelling(app), idle = async () => { while (wire.pending) await new Promise((r) => setTimeout(r, 2)); };
  return { ...app, labelling, idle };
}

const segmented = (r, more = {}) => ({ ok: true, version: 1, candidates: [], timing: {}, annotation: { id: r.annotation, class: r.class, shape: square(r.points.length),
  draft: r.draft, source: "model", score: 0.9, model: "m", prompt: { points: r.points }, revision: r.revision + 1, ...more } });

test("a click sends prompts only, and the second one names the revision of the first", async () => {
  const { labelling, stage, sent, idle } = page((r) => segmented(r));
  labelling.click(3, 4, true);
  await idle();
  labelling.click(5, 5, false);
  await idle();
  assert.deepEqual(sent[1].points, [[3, 4, 1], [5, 5, 0]]);
  assert.deepEqual(sent.map((r) => r.revision), [0, 1]);
  assert.ok(!("shape" in sent[1]) && !JSON.stringify(sent[1]).includes("counts"));
  assert.equal(stage.activeObject.figure.area, 20);
});

test("an answer that comes while the person goes on keeps the newer clicks", async () => {
  let release;
  const { labelling, stage, idle } = page(async (r) => { if (r.points?.length === 1) await new Promise((f) => { release = f; }); return segmented(r); });
  labelling.click(1, 1, true);
  await new Promise((r) => setTimeout(r, 5));
  labelling.click(2, 2, true);
  release();
  await new Promise((r) => setTimeout(r, 1));
  assert.equal(stage.activeObject.clicks.points.length, 2);
  await idle();
  assert.equal(stage.activeObject.clicks.points.length, 2);
  assert.equal(stage.activeObject.revision, 2);
});

test("accepting before the answer has come still accepts the mask that was answered", async () => {
  const { labelling, sent, idle } = page((r) => (r.op === "segment" ? segmented(r)
    : { ok: true, annotations: r.annotations.map((a) => ({ ...a, revision: a.revision + 1 })), deleted: [], conflicts: [], version: 2 }));
  labelling.click(1, 1, true);
  labelling.accept();
  await idle();
  assert.deepEqual(sent.map((r) => r.op), ["segment", "put"]);
  assert.deepEqual([sent[1].annotations[0].draft, sent[1].annotations[0].revision, sent[1].annotations[0].shape.counts], [false, 1, [0, 10, 90]]);
});

test("a refused first click leaves nothing behind; a refused later one leaves what was there", async () => {
  let refuse = true;
  const { labelling, stage, said, idle } = page((r) => (refuse ? { ok: false, error: "No room.", kind: "OutOfMemory" } : segmented(r)));
  labelling.click(1, 1, true);
  await idle();
  assert.equal(stage.objects.size, 0);
  assert.deepEqual(said, ["No room."]);
  refuse = false;
  labelling.click(1, 1, true);
  await idle();
  refuse = true;
  labelling.click(8, 8, true);
  await idle();
  assert.deepEqual(stage.activeObject.clicks.points, [[1, 1, 1]]);
  assert.equal(stage.activeObject.figure.area, 10);
});

test("a click kept for a missing model is not thrown away", async () => {
  const { labelling, stage, idle } = page(() => ({ ok: false, error: "Not here.", kind: "NeedsDownload", model: { id: "m" } }));
  labelling.click(1, 1, true);
  await idle();
  assert.equal(stage.activeObject.waiting, true);
  assert.equal(stage.activeObject.clicks.points.length, 1);
});

test("putting a corrected object aside gives back what it was", async () => {
  const { labelling, stage, sent, idle } = page((r) => (r.op === "segment" ? segmented(r)
    : { ok: true, annotations: r.annotations.map((a) => ({ ...a, revision: a.revision + 1 })), deleted: [], conflicts: [], version: 2 }));
  stage.take({ id: "old", class: "apple", shape: square(5), draft: false, prompt: null, revision: 4 });
  labelling.reopen("old");
  labelling.click(1, 1, true);
  await idle();
  assert.equal(sent[0].draft, false);
  labelling.putAside();
  await idle();
  assert.deepEqual([sent[1].verb, sent[1].annotations[0].shape.counts, sent[1].annotations[0].revision], ["restore", [0, 50, 50], 5]);
  assert.equal(stage.active, null);
});

test("an object the server parted from somebody else's goes on under its new id", async () => {
  const { labelling, stage, said, idle } = page((r) => segmented(r, { id: "other", revision: 1 }) && { ...segmented(r, { id: "other" }), conflicts: ["Changed meanwhile."] });
  labelling.click(1, 1, true);
  await idle();
  assert.deepEqual([...stage.objects.keys()], ["other"]);
  assert.equal(stage.active, "other");
  assert.deepEqual(said, ["Changed meanwhile."]);
});

test("clicking where objects lie over each other finds the smallest first, and no hidden or locked one", () => {
  const stage = new Stage();
  stage.reset({ id: "i", width: 10, height: 10, version: 0 });
  for (const n of [8, 3, 5]) stage.take({ id: `s${n}`, class: "a", shape: square(n), prompt: null, revision: 1 });
  assert.deepEqual(stage.at(1, 5), ["s3", "s5", "s8"]);
  assert.deepEqual(stage.at(4, 5), ["s5", "s8"]);
  stage.hidden.add("s3");
  stage.locked.add("s5");
  assert.deepEqual(stage.at(1, 5), ["s8"]);
  assert.equal(toWire(stage.objects.get("s8")).class, "a");
});
