// Talk with the server. Questions go at once; changes go one after the other, in the order they were
// made, and are kept and tried again until the server has answered them.

import { settle } from "./settle.js";

const WAITS = [800, 1500, 3000, 6000, 10000, 15000]; // ms between tries while nothing answers
const LIMIT = 180000; // a first click may wait for a model to be loaded and an image to be encoded
const TRIES = 3;      // with the server answering else, before a change counts as one it cannot do

export const BROKEN = "The server could not carry this out. Nothing that was saved is lost; please try again.";

export class Wire {
  /** `call(request)` resolves to an answer or null; `onState({kind, pending})` hears saved/saving/offline. */
  constructor(call, onState = () => {}) {
    this.call = call;
    this.onState = onState;
    this.seq = 0;
    this.queue = [];
    this.running = false;
    this.offline = false;
    this.savedAt = null;
    this.wake = null;
  }

  /** Ask once; a missing answer becomes {ok: false, kind: "Broken"}. */
  async ask(op, body) {
    return (await this.#once(op, body)) ?? { ok: false, kind: "Broken", error: BROKEN };
  }

  async #once(op, body) {
    const seq = ++this.seq;
    let timer, answer = null;
    try {
      const late = new Promise((resolve) => { timer = setTimeout(resolve, LIMIT, null); });
      answer = await Promise.race([this.call({ op, seq, ...body }), late]);
      if (typeof answer === "string") answer = JSON.parse(answer);
    } catch (error) {
      console.warn(`${op} got no answer`, error);
      answer = null;
    }
    clearTimeout(timer);
    if (!answer || typeof answer !== "object" || (answer.seq ?? seq) !== seq) return null;
    return { ...answer, seq };
  }

  /**
   * Queue a change: {op, image, ids, build(), done(answer, sent), refused(answer, sent), version()}.
   * `build` is asked when its turn has come and may return null where there is nothing left to do.
   * A waiting change with the same `merge` key gives way to the newer one.
   */
  send(item) {
    if (item.merge) {
      const first = this.running ? 1 : 0; // the one at the head is under way
      const at = this.queue.findIndex((other, i) => i >= first && other.merge === item.merge);
      if (at >= 0 && at === this.queue.length - 1) {
        item.followers = [...(this.queue[at].followers ?? []), this.queue[at]];
        this.queue.splice(at, 1);
      }
    }
    this.queue.push(item);
    this.#pump();
  }

  get pending() { return this.queue.length; }

  /** Say whether a change of this object still waits for its answer. */
  waits(id) { return this.queue.some((item) => item.ids?.includes(id)); }

  retryNow() { this.wake?.(); }

  #tell() {
    const kind = this.offline ? "offline" : this.queue.length ? "saving" : "saved";
    this.onState({ kind, pending: this.queue.length, savedAt: this.savedAt, image: this.savedImage });
  }

  async #pump() {
    if (this.running) return;
    this.running = true;
    while (this.queue.length) {
      const item = this.queue[0];
      const body = item.build();
      if (body) {
        this.#tell();
        const answer = await this.#persist(item, body);
        this.queue.shift();
        if (answer.ok) { this.savedAt = Date.now(); this.savedImage = item.image; }
        try {
          if (answer.ok) item.done?.(answer, body); else item.refused?.(answer, body);
        } catch (error) {
          console.error(error); // a fault in drawing must not stop what waits from being saved
        }
      } else this.queue.shift();
    }
    this.running = false;
    this.#tell();
  }

  // Try until there is an answer. Between tries ask what the server has, since only the answer may be lost.
  async #persist(item, body) {
    const version = item.version?.() ?? null;
    for (let lost = 0, broken = 0; ; lost++) {
      item.sent = performance.now();
      const answer = await this.#once(item.op, { image: item.image, ...body });
      if (answer) return this.#reached(answer);
      this.offline = true;
      this.#tell();
      await this.#pause(WAITS[Math.min(lost, WAITS.length - 1)]);
      const poll = await this.#once("poll", { image: item.image, version: version ?? 0 });
      if (!poll) continue;
      const settled = poll.ok ? settle(item.op, body, poll, version) : null;
      if (settled) return this.#reached(settled);
      if (++broken >= TRIES) return this.#reached({ ok: false, kind: "Broken", error: BROKEN });
    }
  }

  #reached(answer) {
    this.offline = false;
    return answer;
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => { clearTimeout(timer); resolve(); };
    }).finally(() => { this.wake = null; });
  }
}
