import assert from "node:assert/strict";
import test from "node:test";
import { settle } from "../../../studio/canvas/settle.js";
import { sameShape } from "../../../studio/canvas/stage.js";
import { figureOf } from "../../../studio/canvas/figure.js";
import { Band, Latest, NARROWEST, placeOf, widthAt, WIDEST } from "../../../studio/canvas/matting/band.js";
import { cover, Ground } from "../../../studio/canvas/matting/grounds.js";
import { FILES, nameOf, request } from "../../../studio/canvas/matting/keep.js";
import { LEGEND } from "../../../studio/canvas/matting/keys.js";
import { Task } from "../../../studio/canvas/matting/tasks.js";
import { Wire } from "../../../studio/canvas/wire.js";

test("the slider's middle is what adapts to the object, its ends are the narrowest and the widest band", () => {
  assert.equal(widthAt(0), NARROWEST);
  assert.equal(widthAt(50), 1);
  assert.equal(widthAt(100), WIDEST);
  for (const place of [0, 13, 50, 88, 100]) assert.equal(placeOf(widthAt(place)), place);
});

test("what was painted is asked for whatever the width, and undone step by step", () => {
  const band = new Band();
  band.paint("unknown", [0, 5, 95]);
  band.set({ width: 2 }, "width");
  band.set({ width: 3 }, "width"); // still the same drag of the slider
  assert.deepEqual(band.request(), { band: { width: 3, pixels: null, see_through: [] }, strokes: [{ level: "unknown", mask: [0, 5, 95] }], kept: false });
  assert.ok(band.undo());
  assert.equal(band.now.width, 1);
  assert.equal(band.painted, 1);
  assert.ok(band.undo());
  assert.equal(band.painted, 0);
  assert.ok(!band.undo());
  assert.ok(band.redo() && band.redo() && !band.redo());
  assert.equal(band.now.width, 3);
});

test("after an alpha was made its trimap is painted on, and another width takes in all that was ever painted", () => {
  const band = new Band();
  band.paint("unknown", [1, 1, 98]);
  band.made();
  assert.deepEqual(band.request().strokes, []);
  assert.ok(band.request().kept && !band.undo());
  band.paint("background", [2, 1, 97]);
  assert.deepEqual(band.request().strokes.map((s) => s.level), ["background"]);
  band.set({ width: 2 });
  assert.deepEqual(band.request().strokes.map((s) => s.level), ["unknown", "background"]);
  assert.ok(!band.request().kept);
  band.undo();
  assert.ok(band.request().kept);
  assert.deepEqual(band.request().strokes.map((s) => s.level), ["background"]);
});

test("of questions asked in a row only the first and the last are put", async () => {
  const asked = [];
  const latest = new Latest(async (n) => { asked.push(n); await new Promise((r) => setTimeout(r, 5)); });
  const first = latest.ask(1);
  for (const n of [2, 3, 4]) latest.ask(n);
  await first;
  assert.deepEqual(asked, [1, 4]);
  assert.ok(!latest.busy);
});

function server(answers) {
  const asked = [];
  const wire = new Wire(async (r) => { asked.push(r); const a = answers(r); return a && { ok: true, seq: r.seq, ...a }; });
  return { wire, asked };
}

test("a task is looked at until it has ended, and tells how far it is", async () => {
  let looks = 0;
  const { wire, asked } = server((r) => (r.op === "matte" ? { task: "t" } : ++looks < 3 ? { share: looks / 4 } : { ended: true, annotations: [] }));
  const seen = [], task = new Task(wire, () => seen.push([task.op, task.share]));
  const outcome = await task.run("matte", { image: "i", annotation: "a" });
  assert.deepEqual(outcome.annotations, []);
  assert.ok(outcome.ok && !task.running);
  assert.deepEqual(seen.map(([, share]) => share), [null, 0.25, 0.5, null]);
  assert.deepEqual(asked.slice(1).map((r) => [r.op, r.task, r.image]), Array(3).fill(["look", "t", "i"]));
});

test("a task that is stopped before its name is known is stopped once it is, and its sentence comes back", async () => {
  let stopped = false;
  const { wire, asked } = server((r) => {
    if (r.op === "matte") return { task: "t" };
    if (r.op === "stop") { stopped = true; return {}; }
    return stopped ? { ended: true, stopped: true, error: "Stopped. The object is as it was." } : { share: 0 };
  });
  const task = new Task(wire), running = task.run("matte", { image: "i" });
  task.stop();
  const outcome = await running;
  assert.deepEqual([outcome.ok, outcome.stopped, outcome.error], [false, true, "Stopped. The object is as it was."]);
  assert.equal(asked.filter((r) => r.op === "stop").length, 1);
  assert.equal((await new Task(wire).run("x", { image: "i" })).ok, false);
});

test("a picture behind a cut-out covers it, cut off evenly on both sides", () => {
  assert.deepEqual(cover(200, 100, 50, 50), [50, 0, 100, 100]);
  assert.deepEqual(cover(100, 200, 50, 50), [0, 50, 100, 100]);
  assert.deepEqual(cover(30, 40, 60, 80), [0, 0, 30, 40]);
});

test("a file asks for what is shown behind the cut-out only where that goes into it", () => {
  const ground = new Ground(), composite = FILES.find((f) => f.what === "composite"), alpha = FILES.find((f) => f.bits === 16 && f.what === "alpha");
  Object.assign(ground, { kind: "colour", colour: "#102030" });
  assert.equal(request("i", "a", composite, ground).url, "media/cut/i/a?what=composite&kind=png&bits=8&background=%23102030");
  assert.equal(request("i", "a", alpha, ground).url, "media/cut/i/a?what=alpha&kind=png&bits=16");
  Object.assign(ground, { kind: "picture", picture: { image: "j", file: null } });
  assert.match(request("i", "a", composite, ground).url, /background=j$/);
  ground.picture.file = "bytes";
  assert.deepEqual(request("i", "a", composite, ground), { url: "media/cut/i/a?what=composite&kind=png&bits=8", body: "bytes" });
  assert.equal(nameOf("attachment; filename=\"a.png\"; filename*=UTF-8''%C3%A4.png"), "ä.png");
  assert.equal(nameOf('attachment; filename="a.png"'), "a.png");
});

test("an alpha is drawn and hit as its mask, and two are the same by their files", () => {
  const mask = { kind: "mask", size: [4, 4], counts: [4, 4, 8] }, alpha = { kind: "alpha", size: [4, 4], digest: "d", trimap: null, mask };
  assert.deepEqual(figureOf(alpha).box, [1, 0, 2, 4]);
  assert.ok(figureOf(alpha).hit(1.5, 2) && !figureOf(alpha).hit(2.5, 2));
  assert.equal(figureOf({ ...alpha, mask: null }).box, null);
  assert.ok(sameShape(alpha, { ...alpha, mask: null }));
  assert.ok(!sameShape(alpha, { ...alpha, digest: "e" }));
});

test("a refinement whose answer was lost is known by the object's later revision", () => {
  const now = { id: "a", revision: 3, shape: { kind: "alpha", digest: "e" } };
  const body = { annotation: "a", revision: 2 };
  assert.deepEqual(settle("refine", body, { annotations: [now], version: 5 }, 4).annotations, [now]);
  assert.equal(settle("refine", { ...body, revision: 3 }, { annotations: [now], version: 5 }, 4), null);
  assert.equal(settle("refine", body, { annotations: [], version: 4 }, 4), null);
});

test("every key of the legend is told once for a step", () => {
  for (const [title, rows] of LEGEND) {
    const keys = rows.flatMap(([keys]) => keys);
    assert.equal(new Set(keys).size, keys.length, title);
  }
});
