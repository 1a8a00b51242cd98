// What a person makes of an object's unknown band: how wide, what is see-through, what was painted; and the way back.

export const NARROWEST = 0.25, WIDEST = 4; // of what adapts to the object
const MOST_STEPS = 100;

/** The width that a slider from 0 to 100 stands for, and back; steps are equal in ratio, 50 is what adapts. */
export const widthAt = (place) => NARROWEST * (WIDEST / NARROWEST) ** (place / 100);
export const placeOf = (width) => Math.round((100 * Math.log(width / NARROWEST)) / Math.log(WIDEST / NARROWEST));

export class Band {
  /** With `kept` the trimap that an alpha was made from is where painting goes on. */
  constructor(kept = false) {
    this.now = { width: 1, pixels: null, see_through: [], strokes: [], kept, from: 0 };
    this.past = [];
    this.future = [];
    this.merge = null;
  }

  /** Change the band; changes in a row with the same `merge` are one step. */
  set(changes, merge = null) {
    this.#step(merge);
    this.now = { ...this.now, ...changes, kept: false, from: 0 }; // worked out anew, with all that was painted
  }

  /** Paint a level, "foreground", "background" or "unknown", where the run lengths say. */
  paint(level, counts) {
    this.#step(null);
    this.now = { ...this.now, strokes: [...this.now.strokes, { level, mask: counts }] };
  }

  clear() {
    if (!this.painted) return false;
    this.#step(null);
    this.now = { ...this.now, strokes: [], kept: false, from: 0 };
    return true;
  }

  /** An alpha was made of it: its trimap holds all that was painted so far. */
  made() {
    this.now = { ...this.now, kept: true, from: this.now.strokes.length };
    this.past = [];
    this.future = [];
    this.merge = null;
  }

  get painted() { return this.now.strokes.length; }

  undo() { return this.#go(this.past, this.future); }
  redo() { return this.#go(this.future, this.past); }

  /** What the server is asked for. */
  request() {
    const { width, pixels, see_through, strokes, kept, from } = this.now;
    return { band: { width, pixels, see_through }, strokes: kept ? strokes.slice(from) : strokes, kept };
  }

  #step(merge) {
    if (merge !== null && merge === this.merge) return;
    this.merge = merge;
    this.past.push(this.now);
    if (this.past.length > MOST_STEPS) this.past.shift();
    this.future = [];
  }

  #go(from, to) {
    if (!from.length) return false;
    to.push(this.now);
    this.now = from.pop();
    this.merge = null;
    return true;
  }
}

/** Runs `work(…)` for the latest question only: while one is under way, the others wait and the last of them is asked. */
export class Latest {
  constructor(work) {
    this.work = work;
    this.waiting = null;
    this.busy = false;
  }

  async ask(...args) {
    this.waiting = args;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.waiting) {
        const next = this.waiting;
        this.waiting = null;
        await this.work(...next);
      }
    } finally { this.busy = false; }
  }
}
