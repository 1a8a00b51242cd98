// After a lost answer: did the server carry the change out or not?

import { sameShape } from "./stage.js";

const near = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

/**
 * Return the answer that was lost, made from what `poll` found since `version`, or null where the change
 * never arrived and must be sent again.
 */
export function settle(op, body, poll, version) {
  const found = new Map((poll.annotations ?? []).map((a) => [a.id, a]));
  const base = { ok: true, version: poll.version, recovered: true };
  if (op === "put") {
    const all = body.annotations.map((sent) => {
      const now = found.get(sent.id);
      const same = now && now.revision > sent.revision && now.class === sent.class && now.draft === sent.draft;
      return same && sameShape(now.shape, sent.shape) ? now : null;
    });
    return all.every(Boolean) ? { ...base, annotations: all, deleted: [], conflicts: [] } : null;
  }
  if (op === "segment") {
    const now = found.get(body.annotation);
    const same = now && now.revision > body.revision && near(now.prompt?.points ?? [], body.points)
      && near(now.prompt?.box, body.box);
    return same ? { ...base, annotation: now, candidates: [], timing: {} } : null;
  }
  if (op === "refine") {
    const now = found.get(body.annotation);
    return now && now.revision > body.revision && now.shape?.kind === "alpha" ? { ...base, annotations: [now], deleted: [], conflicts: [] } : null;
  }
  if (op === "delete") {
    const gone = new Set(poll.deleted ?? []);
    return body.ids.every((i) => gone.has(i.id))
      ? { ...base, annotations: [], deleted: body.ids.map((i) => i.id), conflicts: [] } : null;
  }
  if (op === "undo" || op === "redo") {
    return version === null || poll.version > version // unknown: one undo too few is better than one too many
      ? { ...base, annotations: poll.annotations, deleted: poll.deleted ?? [], done: true } : null;
  }
  return null; // setting a status or adding a class twice does no harm
}
