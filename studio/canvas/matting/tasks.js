// What takes a while on the server: begun, looked at until it has ended, and stopped where a person asks for it.

const FIRST = 120, LATER = 450; // ms between looks
const LOST = 6; // looks without an answer before it counts as gone

export class Task {
  /** `wire` asks; `changed()` is called whenever there is something new to show. */
  constructor(wire, changed = () => {}) {
    Object.assign(this, { wire, changed, name: null, op: null, share: null, began: 0, stopping: false });
  }

  get running() { return this.op !== null; }

  /** Run an operation; resolves to its outcome, {ok: true, …} or {ok: false, error, stopped?}. */
  async run(op, body) {
    if (this.running) return { ok: false, error: "Something is under way here already. Wait for it, or stop it." };
    Object.assign(this, { op, share: null, began: performance.now(), stopping: false });
    this.changed();
    try {
      const begun = await this.wire.ask(op, body);
      if (!begun.ok) return begun;
      this.name = begun.task;
      if (this.stopping) this.#stop(body.image);
      this.image = body.image;
      return await this.#watch(body.image);
    } finally {
      Object.assign(this, { op: null, name: null, share: null });
      this.changed();
    }
  }

  stop() {
    if (!this.running || this.stopping) return;
    this.stopping = true;
    if (this.name) this.#stop(this.image);
    this.changed();
  }

  #stop(image) { this.wire.ask("stop", { image, task: this.name }); }

  async #watch(image) {
    for (let looks = 0, lost = 0; ; looks++) {
      await new Promise((resolve) => setTimeout(resolve, looks < 8 ? FIRST : LATER));
      const seen = await this.wire.ask("look", { image, task: this.name });
      if (!seen.ok) {
        if (seen.kind === "Broken" && ++lost < LOST) continue;
        return seen;
      }
      lost = 0;
      if (seen.ended) return seen.error ? { ...seen, ok: false } : seen;
      if (seen.share !== this.share) { this.share = seen.share; this.changed(); }
    }
  }
}
