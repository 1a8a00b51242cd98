import assert from "node:assert/strict";
import test from "node:test";
import { settle } from "../../../studio/canvas/settle.js";
import { Wire } from "../../../studio/canvas/wire.js";

const mask = { kind: "mask", size: [2, 2], counts: [1, 3] };
const note = (changes) => ({ id: "a", class: "apple", draft: false, shape: mask, revision: 1, ...changes });
const quiet = (t) => t.mock.method(console, "warn", () => {});

function wireTo(answer) {
  const sent = [], states = [];
  const wire = new Wire(async (request) => { sent.push(request); return answer(request, sent.length); }, (s) => states.push(s.kind));
  const send = (op, build, more = {}) => new Promise((resolve) => wire.send({ op, image: "i", ids: ["a"], build, done: resolve, refused: resolve, version: () => 3, ...more }));
  return { wire, sent, states, send };
}

test("changes go one after the other, and each is built when its turn has come", async () => {
  let revision = 0, inside = 0;
  const { send, sent } = wireTo(async (r) => {
    assert.equal(++inside, 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    inside--;
    return { ok: true, seq: r.seq, revision: r.revision + 1 };
  });
  await Promise.all([1, 2, 3].map(() => send("put", () => ({ revision })).then((a) => { revision = a.revision; })));
  assert.equal(sent.length, 3);
  assert.deepEqual(sent.map((r) => r.seq), [1, 2, 3]);
});

test("an answer may be text, and one to another question is dropped", async (t) => {
  quiet(t);
  const { wire } = wireTo((r) => JSON.stringify({ ok: true, seq: r.seq, x: 1 }));
  assert.equal((await wire.ask("open", {})).x, 1);
  const stale = wireTo((r) => ({ ok: true, seq: r.seq - 1 }));
  assert.equal((await stale.wire.ask("open", {})).kind, "Broken");
  const torn = wireTo(() => "{not json");
  assert.equal((await torn.wire.ask("open", {})).ok, false);
});

test("a waiting click gives way to the next one on the same object", async () => {
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  const { send, sent } = wireTo(async (r) => { await held; return { ok: true, seq: r.seq }; });
  const all = [send("segment", () => ({ n: 1 }), { merge: "m" })];
  send("segment", () => ({ n: 2 }), { merge: "m" });
  all.push(send("segment", () => ({ n: 3 }), { merge: "m" }));
  release();
  await Promise.all(all);
  assert.deepEqual(sent.map((r) => r.n), [1, 3]);
});

test("a change is kept while nothing answers, and sent again afterwards", async (t) => {
  quiet(t);
  let down = true;
  const { wire, send, sent, states } = wireTo((r) => (down ? null : r.op === "poll" ? { ok: true, seq: r.seq, annotations: [], version: 3 } : { ok: true, seq: r.seq }));
  const kept = send("put", () => ({ annotations: [note({ revision: 0 })] }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(wire.pending, 1);
  assert.equal(states.at(-1), "offline");
  down = false;
  wire.retryNow();
  assert.equal((await kept).ok, true);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(states.at(-1), "saved");
  assert.deepEqual(sent.map((r) => r.op), ["put", "poll", "put"]);
});

test("a change whose answer was lost is not made twice", async (t) => {
  quiet(t);
  const { wire, send, sent } = wireTo((r, n) => (n === 1 ? null : { ok: true, seq: r.seq, annotations: [note()], deleted: [], version: 4 }));
  const kept = send("put", () => ({ annotations: [note({ revision: 0 })] }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  wire.retryNow();
  const answer = await kept;
  assert.equal(answer.recovered, true);
  assert.equal(answer.annotations[0].revision, 1);
  assert.deepEqual(sent.map((r) => r.op), ["put", "poll"]);
});

test("what is found after a lost answer counts only where it is the very change", () => {
  const poll = { annotations: [note()], deleted: ["b"], version: 4 };
  assert.ok(settle("put", { annotations: [note({ revision: 0 })] }, poll, 3));
  assert.equal(settle("put", { annotations: [note({ revision: 0, class: "pear" })] }, poll, 3), null);
  assert.equal(settle("put", { annotations: [note({ revision: 1 })] }, poll, 3), null);
  assert.ok(settle("delete", { ids: [{ id: "b", revision: 1 }] }, poll, 3));
  assert.equal(settle("delete", { ids: [{ id: "a", revision: 1 }] }, poll, 3), null);
  assert.ok(settle("undo", {}, poll, 3));
  assert.equal(settle("undo", {}, poll, 4), null);
});
