// Looking at what was found on one image: drawn, with a threshold that moves without asking anybody, things taken
// out by a click, and a region drawn by a drag. It knows of no model; whoever shows findings says what they are.

import { Drawing, figures } from "./drawing.js";
import { Panel } from "./panel.js";
import { Pointer } from "./pointer.js";
import { EXAMPLE, Pointing, REGION } from "./pointing.js";
import { Findings } from "./state.js";
import { h, icon, iconButton, say, stylesheet } from "../dom.js";
import { Picture } from "../picture.js";
import { View } from "../view.js";

const mounted = new Map(); // element → what looks at findings in it

export async function mount({ element, props, trigger, watch }) {
  for (const [old, app] of mounted) if (old === element || !old.isConnected) app.dispose();
  await Promise.all(["../canvas.css", "findings.css"].map((name) => stylesheet(name, import.meta.url)));
  const app = new Looking(element, props, trigger);
  mounted.set(element, app);
  watch("shown", () => app.show());
  watch("kept", () => app.answered());
  watch("aim", () => app.aim());
  return app;
}

class Looking {
  constructor(element, props, trigger) {
    Object.assign(this, { element, props, trigger });
    this.gone = new AbortController();
    this.findings = new Findings();
    this.view = new View();
    this.image = this.picture = this.region = this.hovering = this.box = null;
    this.lit = []; // findings that something outside speaks of just now
    this.drawing = false; // a finger's drag draws a region
    this.pointing = props.pointing ? new Pointing(this) : null; // a box is an example then
    this.words = props.pointing ? EXAMPLE : REGION;
    this.#build();
    this.#listen();
    this.show();
  }

  #build() {
    const act = {
      threshold: (value, name) => this.threshold(value, name), moved: () => this.trigger("moved", {}), hover: (n) => this.hover(n),
      toggle: (n) => this.toggle(n), toggleClass: (name) => { this.findings.toggleClass(name); this.changed(); }, keep: () => this.keep(),
    };
    this.host = h("div", { class: "ol-view of-view", tabIndex: 0, role: "group", aria: { label: "Picture", describedby: "of-about" } });
    this.canvas = new Drawing(this.host, this.view);
    this.blank = h("div", { class: "ol-blank" });
    this.panel = new Panel(this.findings, Boolean(this.props.each), act, this.props.graded !== false);
    this.pen = h("button", { type: "button", class: "of-button of-pen", title: this.words.penTitle, aria: { pressed: "false" },
      onclick: () => this.setDrawing(!this.drawing) }, icon("box"), this.words.pen);
    this.whole = h("button", { type: "button", class: "of-button", hidden: true, title: this.words.wholeTitle,
      onclick: () => this.setRegion(null) }, icon("close"), this.words.whole);
    this.where = h("span", { class: "of-soft of-where" });
    const zoom = h("div", { class: "ol-group" }, iconButton("minus", "Zoom out", "-", () => this.zoom(1 / 1.4)),
      iconButton("fit", "Show the whole image", "0", () => this.fit()), iconButton("plus", "Zoom in", "+", () => this.zoom(1.4)));
    this.bar = h("div", { class: "of-bar" }, this.pen, ...(this.pointing?.boxed ?? []), this.whole, this.where, zoom);
    if (this.pointing) this.panel.keep.before(this.pointing.learn);
    this.host.append(this.blank);
    this.about = h("p", { class: "ol-sr", id: "of-about" }, this.words.about);
    this.root = h("div", { class: "ol-stage of-looking", role: "region", aria: { label: "What was found" } },
      h("div", { class: "of-left" }, this.bar, this.host, this.about), this.panel.element);
    this.element.replaceChildren(this.root);
  }

  #listen() {
    const { signal } = this.gone;
    this.pointer = new Pointer(this, signal);
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this.host);
    this.themes = new MutationObserver(() => this.theme());
    for (const node of [document.body, document.documentElement]) this.themes.observe(node, { attributes: true, attributeFilter: ["class"] });
    // Whoever holds another slider for the same threshold says so without a word to the server.
    this.root.addEventListener("onelabel:threshold", (e) => this.askedFor(e.detail), { signal });
    this.root.addEventListener("onelabel:hover", (e) => this.light(e.detail), { signal }); // words that speak of findings
    this.theme();
  }

  // ---- what Python sets ----

  show() {
    let told = null;
    try { told = JSON.parse(this.props.shown || "null"); } catch { /* nothing is shown then */ }
    const image = told?.image ?? null, same = image && this.image?.id === image.id;
    Object.assign(this, { token: told?.token ?? "", hint: told?.items ? null : told?.hint ?? "", image });
    if (!same) this.#open(image);
    if (Number.isFinite(told?.threshold)) this.findings.threshold = told.threshold;
    this.findings.set(told?.items, told?.classes);
    this.canvas.figures = figures(this.findings.items);
    this.hovering = null;
    this.lit = [];
    this.panel.busy = false;
    const [title, hint] = told?.blank ?? ["No image yet", "Add photographs in Data first."];
    this.blank.hidden = Boolean(image);
    this.blank.replaceChildren(...(image ? [] : [h("strong", {}, title), h("span", {}, hint)]));
    this.bar.hidden = this.panel.element.hidden = !image;
    this.changed();
  }

  #open(image) {
    this.picture?.close();
    this.picture = null;
    this.view.setImage(image?.width ?? 0, image?.height ?? 0);
    this.setRegion(null);
    this.host.setAttribute("aria-label", image ? `Picture ${image.name}` : "No picture");
    if (!image) return;
    this.root.classList.add("ol-loading");
    Picture.load(image.url).then((picture) => {
      if (this.image?.id !== image.id) return picture.close();
      this.picture = picture;
      this.draw();
      return picture.ready?.then(() => this.draw());
    }, () => { if (this.image?.id === image.id) say(this.where, "The picture could not be loaded. Choose it again."); })
      .finally(() => { if (this.image?.id === image.id) this.root.classList.remove("ol-loading"); });
  }

  answered() {
    this.panel.busy = false;
    this.changed();
  }

  /** Draw the box that Python found, or take away the one that it has dealt with. */
  aim() {
    const { image, box } = JSON.parse(this.props.aim || "{}");
    if (image && image === this.image?.id) this.setRegion(box);
  }

  // ---- what a person does ----

  threshold(value, name) {
    if (!Number.isFinite(value)) return;
    if (name) {
      this.findings.own.set(name, value);
      this.#say("own-threshold", { name, value });
    } else this.findings.threshold = value;
    this.changed();
  }

  /** Follow another slider: a threshold for all, or {own: {name: its threshold, null for that of all}}. */
  askedFor(told) {
    if (!told?.own) return this.threshold(Number(told));
    for (const [name, value] of Object.entries(told.own)) {
      if (value === null) this.findings.own.delete(name);
      else this.findings.own.set(name, value);
    }
    return this.changed();
  }

  toggle(n) { this.findings.toggle(n); this.changed(); }

  keep() {
    this.panel.busy = true;
    this.changed();
    this.trigger("keep", { token: this.token, chosen: this.findings.chosen(), threshold: this.findings.threshold });
  }

  hover(n) {
    if (n === this.hovering) return;
    this.hovering = n;
    this.lit = [];
    this.host.style.cursor = n === null ? "" : "pointer";
    this.panel.hovered(n);
    this.root.dispatchEvent(new CustomEvent("onelabel:hovered", { bubbles: true, detail: n }));
    this.draw();
  }

  /** Show some findings as if the pointer were over each of them. */
  light(numbers) {
    this.lit = (numbers ?? []).filter((n) => n in this.findings.items);
    this.hovering = null;
    this.panel.hovered(this.lit[0] ?? null);
    this.draw();
  }

  pointedAt(x, y) { return this.canvas.at(this.findings, x, y); }

  setDrawing(on) {
    this.drawing = on;
    this.pen.setAttribute("aria-pressed", String(on));
    this.host.style.touchAction = on || !this.view.fitted ? "none" : "pan-y";
  }

  drawn(box) { this.box = box; this.draw(); }

  setRegion(box) {
    this.region = box && box.map(Math.round);
    this.whole.hidden = !box;
    this.pen.hidden = Boolean(box);
    this.setDrawing(false);
    say(this.where, box ? this.words.drawn(this.region[2] - this.region[0], this.region[3] - this.region[1]) : this.words.none);
    this.pointing?.show();
    this.#tell();
    this.draw();
  }

  regionInSight() {
    const [x0, y0, x1, y1] = this.view.window(), { width, height } = this.image;
    this.setRegion([Math.max(0, x0), Math.max(0, y0), Math.min(width, x1), Math.min(height, y1)]);
  }

  zoom(factor) { this.view.zoomAt(this.view.width / 2, this.view.height / 2, factor); this.setDrawing(this.drawing); this.draw(); }
  fit() { this.view.fit(); this.setDrawing(this.drawing); this.draw(); }

  // ---- the window ----

  changed() {
    this.panel.paint(this.hint);
    this.pointing?.show();
    this.#tell();
    this.draw();
  }

  /** What the page reads when a button elsewhere is pressed: image, region and threshold. */
  #tell() {
    if (!this.root) return;
    Object.assign(this.root.dataset, { image: this.image?.id ?? "", region: this.region ? JSON.stringify(this.region) : "",
      threshold: String(this.findings.threshold) });
    if (!this.props.each) return;
    const counts = Object.fromEntries(this.findings.classes().map((row) => [row.name, row.reaching]));
    this.#say("counted", { own: Object.fromEntries(this.findings.own), counts });
  }

  #say(name, detail) { this.root.dispatchEvent(new CustomEvent(`onelabel:${name}`, { bubbles: true, detail })); }

  draw() {
    this.scheduled ??= requestAnimationFrame(() => {
      this.scheduled = null;
      if (!this.view.width) return;
      this.canvas.picture(this.image, this.picture);
      const hovered = this.hovering === null ? this.lit : [this.hovering];
      this.canvas.found(this.findings, { hovered, region: this.region, drawn: this.box });
    });
  }

  measure() {
    if (!this.element.isConnected) return this.dispose();
    if (this.view.resize(this.host.clientWidth, this.host.clientHeight, window.devicePixelRatio || 1)) {
      this.canvas.resize();
      this.draw();
    }
    return null;
  }

  theme() { this.root.dataset.theme = document.querySelector("body.dark, html.dark, .gradio-container.dark") ? "dark" : "light"; }

  dispose() {
    this.gone.abort();
    this.sizes.disconnect();
    this.themes.disconnect();
    this.picture?.close();
    for (const [element, app] of mounted) if (app === this) mounted.delete(element);
  }
}
