// Pointing things out as examples of what is sought: a box drawn, a click, and what was found, right or wrong.

import { count, h, icon, say } from "../dom.js";

/** What the picture says of a box where it is something to look for, rather than where to look. */
export const EXAMPLE = {
  pen: "Draw a box", penTitle: "Draw a box around one thing",
  whole: "No box", wholeTitle: "Take the box away (Esc)",
  none: "Drag a box around one thing, or click it",
  drawn: (width, height) => `${width} × ${height} pixels`,
  about: "Drag a box around one thing to show what is sought, or click it; then Like this, or Not like this. Click a found thing to take "
    + "it out. Plus and minus zoom, arrow keys move, R takes what is in sight as the box, Escape takes the box away, Enter keeps what "
    + "was found.",
};

/** What it says where a box is the part to look at. */
export const REGION = {
  pen: "Draw a region", penTitle: "Draw a rectangle: only what lies in it is looked at",
  whole: "Whole image", wholeTitle: "Look at the whole image again (Esc)",
  none: "Drag over a part to look only there",
  drawn: (width, height) => `Only ${width} × ${height} pixels will be looked at`,
  about: "Drag to draw a region, click a thing to take it out. Plus and minus zoom, arrow keys move, R takes what is in sight as the "
    + "region, Escape takes the whole image again, Enter keeps what was found.",
};

export class Pointing {
  constructor(app) {
    this.app = app;
    const button = (name, title, act) => h("button", { type: "button", class: "of-button", hidden: true, title, onclick: act }, icon(name), "");
    this.boxed = [true, false].map((positive) => {
      const made = button(positive ? "plus" : "minus", positive ? "What is in the box is an example of what to look for" : "What is in the box is not meant",
        () => this.#tell({ box: app.region, positive }));
      made.lastChild.textContent = positive ? "Like this" : "Not like this";
      made.classList.add(positive ? "of-like" : "of-unlike");
      return made;
    });
    this.found = [true, false].map((positive) => button(positive ? "plus" : "minus",
      positive ? "The surest of what is kept become examples, too" : "What you took out becomes an example of what is not meant",
      () => this.#tell({ chosen: this.#numbers(positive), positive })));
    this.learn = h("div", { class: "of-learn", hidden: true }, ...this.found);
  }

  /** Bring the buttons up to date: those for a box that is drawn, and those for what was found. */
  show() {
    const { app } = this;
    for (const button of this.boxed) button.hidden = !app.region;
    const [kept, out] = [true, false].map((positive) => this.#numbers(positive).length);
    this.learn.hidden = !app.findings.items.length;
    this.found[0].hidden = !kept;
    this.found[1].hidden = !out;
    say(this.found[0].lastChild, "More like those kept");
    say(this.found[1].lastChild, `Not like ${out === 1 ? "the one" : `the ${count(out)}`} taken out`);
  }

  /** A click where nothing was found: whoever shows the picture may say what is there. */
  click(x, y) { this.app.trigger("point", { image: this.app.image.id, x, y }); }

  #numbers(positive) {
    const { findings } = this.app;
    return positive ? findings.chosen() : findings.reaching().filter((n) => findings.dropped.has(n));
  }

  #tell(example) { this.app.trigger("example", { image: this.app.image.id, token: this.app.token, ...example }); }
}
