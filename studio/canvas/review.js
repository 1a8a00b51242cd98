// Review: step through the drafts of an image, accept or reject one after the other, or all above a score and a size.

import { count, h, icon, iconButton, say } from "./dom.js";
import { toPick } from "./picker.js";

const LEAST = 1e-5; // share of the image at the lower end of the slider for sizes

/** Return the share of the image that a slider from 0 to 100 stands for; steps are equal in ratio. */
export const shareOf = (at) => (at <= 0 ? 0 : LEAST ** (1 - at / 100));

/** Write a share as people do: two digits that count. */
export const percent = (share) => `${Number((share * 100).toPrecision(2))} %`;

/** Say whether a draft reaches both marks; one without a score is never held back by it. */
export function reaches(draft, { score, size }, pixels) {
  const sure = draft.score === null || draft.score === undefined || draft.score >= score;
  return sure && (draft.figure?.area ?? 0) >= size * pixels;
}

export class Review {
  /** `app` offers stage, labelling, view, say(text), announce(text), viewChanged(). */
  constructor(app) {
    Object.assign(this, { app, stage: app.stage, on: false, wanted: null, least: { score: 0, size: 0 }, at: 0 });
    this.element = this.#build();
    const { stage } = this;
    stage.on("image", () => { this.carry = this.on; this.#leave(); });
    stage.on("objects", () => { this.#begin(); this.carry = false; this.#update(); });
    stage.on("changed object selection classes", () => this.#update());
  }

  #build() {
    const { app } = this, back = () => app.host.focus({ preventScroll: true });
    const act = (label, key, onclick, more = {}) => h("button", { type: "button", class: "ol-act", onclick: () => { onclick(); back(); }, ...more },
      h("span", {}, label), key ? h("kbd", {}, key) : null);
    const slider = (name, label, show) => {
      const value = h("span", { class: "ol-num ol-least" }, show(0));
      const input = h("input", { type: "range", class: "ol-range", min: "0", max: "100", step: "1", value: "0", aria: { label },
        oninput: (e) => { this.least[name] = name === "size" ? shareOf(+e.target.value) : e.target.value / 100; say(value, show(this.least[name])); this.#sift(); } });
      return h("label", { class: "ol-size", title: label }, `${name === "size" ? "Size" : "Score"} from`, input, value);
    };
    this.place = h("span", { class: "ol-say ol-num" });
    this.take = act("Accept", "Enter", () => this.accept(), { class: "ol-act ol-primary" });
    this.drop = act("Reject", "⌫", () => this.reject());
    this.takeAll = act("Accept all", "Shift+Enter", () => this.acceptShown());
    this.dropRest = act("Reject the others", "", () => this.rejectOthers());
    this.klass = h("button", { type: "button", class: "ol-act", title: "Give all that are shown a class", aria: { haspopup: "listbox" },
      onclick: () => toPick(app, this.klass, "", (name) => this.classify(name)) }, h("span", {}, "Class of all …"));
    return h("div", { class: "ol-review", role: "group", hidden: true, aria: { label: "Review of drafts" } },
      h("div", { class: "ol-group" }, iconButton("previous", "Previous draft", "←", () => { this.step(-1); back(); }), this.place,
        iconButton("next", "Next draft", "→", () => { this.step(1); back(); }), this.take, this.drop),
      h("div", { class: "ol-group" }, slider("score", "Show drafts of at least this score", (v) => v.toFixed(2)),
        slider("size", "Show drafts of at least this share of the image", percent)),
      h("div", { class: "ol-group" }, this.klass, this.takeAll, this.dropRest), h("span", { class: "ol-space" }),
      h("button", { type: "button", class: "ol-button", title: "End the review (Esc)", aria: { label: "End the review" }, onclick: () => { this.close(); back(); } }, icon("close")));
  }

  // ---- what is reviewed -----------------------------------------------------------------------

  drafts() { return this.stage.list().filter((o) => o.draft && !this.stage.locked.has(o.id)); }

  shown() { return this.drafts().filter((o) => !this.stage.sifted.has(o.id)); }

  /** Begin once the drafts of an image are here, for what Python asks: "image id#anything". */
  request(asked) {
    const [image] = (asked || "").split("#");
    if (!image) return;
    this.wanted = image;
    this.#begin();
  }

  #begin() {
    const { stage } = this, wanted = this.carry || this.wanted === stage.image?.id;
    if (this.on || !wanted || !this.drafts().length) return;
    this.carry = false;
    this.wanted = null;
    this.open();
  }

  open() {
    const { stage } = this;
    if (!this.drafts().length) { this.app.say("There are no drafts on this image."); return; }
    this.on = true;
    this.before = stage.tool;
    stage.setTool("select");
    this.#sift();
    const shown = this.shown();
    if (!shown.some((o) => o.id === stage.selected)) this.#go(shown[0]);
    this.app.host.focus({ preventScroll: true });
  }

  close() {
    if (!this.on) return;
    this.#leave();
    this.stage.select(null);
    this.stage.emit("objects");
  }

  #leave() {
    const { stage } = this;
    if (!this.on) return;
    this.on = false;
    stage.sifted.clear();
    if (stage.tool === "select") stage.setTool(this.before);
    this.#update();
  }

  // ---- one by one -----------------------------------------------------------------------------

  step(by) {
    const shown = this.shown();
    if (!shown.length) return;
    const now = shown.findIndex((o) => o.id === this.stage.selected);
    this.#go(shown[now < 0 ? Math.min(this.at, shown.length - 1) : (now + by + shown.length) % shown.length]);
  }

  /** Accept the draft that is looked at, corrected or not, and go on to the next. */
  accept() { this.#decide(() => this.app.labelling.accept()); }

  reject() { this.#decide((id) => this.app.labelling.remove([id])); }

  #decide(act) {
    const { stage } = this, shown = this.shown(), now = shown.findIndex((o) => o.id === stage.selected);
    if (now < 0) return stage.active ? this.app.labelling.accept() : this.step(1);
    const next = shown[now + 1] ?? shown[now - 1];
    act(stage.selected);
    stage.setTool("select"); // a correction by clicks is over
    this.#go(next);
    if (!next) this.#over();
  }

  #go(object) {
    const { app, stage } = this;
    if (!object) return;
    stage.select(object.id);
    const [x0, y0, x1, y1] = object.figure.box, seen = app.view.window();
    if (x1 < seen[0] || y1 < seen[1] || x0 > seen[2] || y0 > seen[3]) { app.view.show(object.figure.box); app.viewChanged(); }
    app.announce(`Draft ${this.at + 1} of ${this.shown().length}, class ${object.class}${object.score == null ? "" : `, score ${object.score.toFixed(2)}`}.`);
  }

  /** Go to what an undo brought back. */
  follow(object) {
    if (this.on && object.draft) this.#go(object);
  }

  // ---- many at once ---------------------------------------------------------------------------

  acceptShown() {
    const shown = this.shown();
    if (!shown.length) return;
    this.app.labelling.put(shown, "accept", { draft: false });
    this.stage.select(null);
    this.app.say(`${count(shown.length)} accepted. Undo takes them back together.`);
    this.#over();
  }

  rejectOthers() {
    const others = this.drafts().filter((o) => this.stage.sifted.has(o.id));
    if (!others.length) return;
    this.app.labelling.remove(others.map((o) => o.id));
    this.app.say(`${count(others.length)} rejected. Undo brings them back together.`);
    this.#over();
  }

  classify(name) {
    const shown = this.shown();
    if (!shown.length) return;
    this.app.labelling.put(shown, "class", { class: name });
    this.stage.emit("objects");
    this.app.say(`${count(shown.length)} drafts are “${name}” now.`);
  }

  #over() {
    if (this.drafts().length) return this.#sift();
    this.close();
    this.app.announce("All drafts of this image are reviewed.");
  }

  // ---- showing --------------------------------------------------------------------------------

  #sift() {
    const { stage } = this, pixels = (stage.image?.width ?? 0) * (stage.image?.height ?? 0);
    stage.sifted = new Set(this.drafts().filter((o) => !reaches(o, this.least, pixels)).map((o) => o.id));
    if (stage.sifted.has(stage.selected)) stage.select(null);
    stage.emit("objects");
  }

  #update() {
    const { stage } = this;
    this.element.hidden = !this.on;
    if (!this.on) return;
    const shown = this.shown(), others = this.drafts().length - shown.length, now = shown.findIndex((o) => o.id === stage.selected);
    if (now >= 0) this.at = now;
    const score = shown[now]?.score;
    say(this.place, shown.length ? `${now < 0 ? "–" : now + 1} of ${count(shown.length)}${score == null ? "" : ` · ${score.toFixed(2)}`}` : "none shown");
    this.take.disabled = this.drop.disabled = now < 0;
    this.takeAll.disabled = this.klass.disabled = !shown.length;
    say(this.takeAll.firstChild, `Accept ${shown.length === 1 ? "this one" : `all ${count(shown.length)}`}`);
    this.dropRest.hidden = !others;
    say(this.dropRest.firstChild, `Reject the other ${count(others)}`);
  }

  /** Take a key of the review; false leaves it to the rest of the stage. */
  key(name, args, e) {
    if (!this.on) return false;
    const { stage } = this;
    if (name === "go" && /^Arrow/.test(e.key)) this.step(args[0]);
    else if (name === "accept" && stage.tool !== "polygon") this.accept();
    else if (name === "acceptAll") this.acceptShown();
    else if (name === "delete" && stage.tool === "select" && stage.object?.draft) this.reject();
    else if (name === "aside" && !stage.active && stage.tool === "select") this.close();
    else return false;
    return true;
  }
}
