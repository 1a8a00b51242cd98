// What was found on one image, and which of it is to be kept: no page and no server, only the choice.

export class Findings {
  items = [];          // {name, score, box, mask?, points?, tag?} as the wire has them
  colours = new Map(); // name → colour
  threshold = 0.3;
  own = new Map();     // name → a threshold of its own, where a class has one
  dropped = new Set(); // numbers of items that the person took out
  off = new Set();     // names of classes that are left out as a whole

  /** Take in new findings; the thresholds stay, what was taken out of the old ones is forgotten. */
  set(items, classes) {
    this.items = items ?? [];
    this.colours = new Map((classes ?? []).map((c) => [c.name, c.colour]));
    this.dropped = new Set();
    this.off = new Set();
  }

  thresholdOf(name) { return this.own.get(name) ?? this.threshold; }
  reaches(n) { return this.items[n].score >= this.thresholdOf(this.items[n].name); }
  kept(n) { return this.reaches(n) && !this.dropped.has(n) && !this.off.has(this.items[n].name); }
  colour(n) { return this.colours.get(this.items[n].name) ?? "#8a94a6"; }

  /** The numbers of the items that reach their threshold, the surest first, as they came. */
  reaching() { return this.items.map((_, n) => n).filter((n) => this.reaches(n)); }
  chosen() { return this.reaching().filter((n) => this.kept(n)); }

  /** Take one out, or back in; one whose class is left out comes back alone, without the others. */
  toggle(n) {
    const { name } = this.items[n];
    if (this.off.has(name)) {
      this.off.delete(name);
      this.items.forEach((item, m) => { if (item.name === name) this.dropped.add(m); });
      this.dropped.delete(n);
    } else if (!this.dropped.delete(n)) this.dropped.add(n);
  }

  toggleClass(name) {
    if (this.off.delete(name)) {
      this.items.forEach((item, n) => { if (item.name === name) this.dropped.delete(n); });
    } else this.off.add(name);
  }

  /** Every class with how many of it reach the threshold and are kept, those with most first. */
  classes() {
    const rows = new Map();
    this.items.forEach((item, n) => {
      const row = rows.get(item.name) ?? { name: item.name, colour: this.colour(n), total: 0, reaching: 0, kept: 0 };
      row.total += 1;
      if (this.reaches(n)) row.reaching += 1;
      if (this.kept(n)) row.kept += 1;
      rows.set(item.name, row);
    });
    return [...rows.values()].sort((a, b) => b.reaching - a.reaching || b.total - a.total || (a.name < b.name ? -1 : 1));
  }

  /** Whether a threshold says anything: a model that gives every pixel a class is equally sure of all. */
  get graded() { return this.items.some((item) => item.score < 1); }
}
