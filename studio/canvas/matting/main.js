// The matting stage: the labelling stage's parts, with two more steps, put together inside the element Gradio gives.

import { alphaPanel } from "./alpha_panel.js";
import { bandPanel } from "./band_panel.js";
import { bar, strip } from "./bar.js";
import { Choices } from "./choices.js";
import { Cutouts, MatteLayer } from "./drawing.js";
import { Flow } from "./flow.js";
import { Ground } from "./grounds.js";
import { Keys, LEGEND } from "./keys.js";
import { Look, Paint } from "./paint.js";
import { pointPanel } from "./point_panel.js";
import { Task } from "./tasks.js";
import { verbs } from "./verbs.js";
import { h, stylesheet } from "../dom.js";
import { Labelling } from "../labelling.js";
import { Layers } from "../layers.js";
import { legend } from "../legend.js";
import { ObjectPanel } from "../objects.js";
import { candidates, missing, notices } from "../overlay.js";
import { Pointer } from "../pointer.js";
import { Review } from "../review.js";
import { Session } from "../session.js";
import { Stage } from "../stage.js";
import { statusBar } from "../status.js";
import { classBar } from "../toolbar.js";
import { Pan, Select } from "../tools/select.js";
import { Smart } from "../tools/smart.js";
import { View } from "../view.js";
import { Wire } from "../wire.js";

const mounted = new Map(); // element → its stage, so that one element never carries two

/** Mount the stage; `props`, `trigger`, `server` and `watch` are those of gr.HTML. */
export async function mount({ element, props, trigger, server, watch }) {
  for (const [old, app] of mounted) if (old === element || !old.isConnected) app.dispose();
  await Promise.all(["../canvas.css", "matting.css"].map((name) => stylesheet(name, import.meta.url)));
  const app = new App(element.querySelector(".ol-mount") ?? element, props, trigger, (request) => server.matting(request));
  mounted.set(element, app);
  watch("image", () => app.imageProp());
  watch("refresh", () => app.refresh());
  watch("review", () => app.review.request(app.props.review));
  return app;
}

class App extends Flow {
  constructor(element, props, trigger, call) {
    super();
    Object.assign(this, { element, props, trigger });
    this.gone = new AbortController();
    this.quiet = [];
    this.stale = true; // whether models or their files may have come or gone since they were asked for
    this.stage = new Stage();
    this.view = new View();
    this.wire = new Wire(call, (state) => this.saveState(state));
    this.task = new Task(this.wire, () => this.stage.emit("task"));
    this.choices = new Choices(this);
    this.ground = new Ground();
    this.cutouts = new Cutouts();
    this.tools = { smart: new Smart(this), select: new Select(this), pan: new Pan(this), look: new Look(this),
      paint: new Paint(this, "paint", { ink: (p) => this.paintInk(p), done: (...all) => this.painted(...all) }),
      refine: new Paint(this, "refine", { ink: (p) => this.refineInk(p), done: (...all) => this.refined(...all) }) };
    this.begin();
    this.build();
    this.listen();
    this.theme();
    this.measure();
    this.stage.emit("tool", {});
    globalThis.__matting = this;
    this.stage.emit("image");
    this.imageProp();
  }

  build() {
    const { stage } = this;
    this.host = h("div", { class: "ol-view", tabIndex: 0, role: "application", aria: { roledescription: "matting canvas", describedby: "om-about" } });
    this.layers = new Layers(this.host, stage, this.view);
    this.matte = new MatteLayer(this);
    this.about = h("p", { id: "om-about", class: "ol-sr" }, "Click an object to get its mask; right-click takes away. Enter goes on to the unknown band, where U, O and G "
      + "choose what the brush paints, and then to the alpha. K is a cross-hair moved by the arrow keys, question mark shows all keys.");
    this.root = h("div", { class: "ol-stage om-stage", role: "region", aria: { label: "Matting stage" }, data: { step: "point" } });
    Object.assign(this, notices(this.root, this.host));
    this.session = new Session(this);
    this.labelling = new Labelling(this);
    this.do = verbs(this);
    const absent = missing(this);
    this.need = absent.show;
    this.panel = new ObjectPanel(this);
    this.panel.element.classList.add("om-list");
    this.review = new Review(this);
    this.bottom = statusBar(this);
    this.legend = legend(this, LEGEND);
    this.blank = h("div", { class: "ol-blank" });
    this.ring = h("div", { class: "ol-ring", hidden: true, "aria-hidden": "true" });
    this.host.append(this.ring, this.blank, candidates(this), strip(this), absent.panel);
    const side = h("div", { class: "om-side-panel" }, pointPanel(this), bandPanel(this), alphaPanel(this), this.panel.element);
    this.root.prepend(bar(this), classBar(this), this.review.element, h("div", { class: "ol-main" }, this.host, side), this.bottom.element, this.about, this.legend);
    this.element.replaceChildren(this.root);
    this.element.style.minHeight = "";
  }

  listen() {
    const { stage, layers, gone: { signal } } = this;
    this.pointer = new Pointer(this, signal);
    this.keys = new Keys(this, signal);
    stage.on("image", () => this.imageChanged());
    stage.on("loading", (on) => this.root.classList.toggle("ol-loading", on));
    stage.on("picture", () => { layers.draw("base"); this.matte.draw(); });
    stage.on("objects classes", () => layers.draw("back", "top"));
    stage.on("changed", (objects) => layers.draw("top", ...(objects.some((o) => o.id !== stage.active) ? ["back"] : [])));
    stage.on("prompts segmented hover", () => layers.draw("top"));
    stage.on("settings", () => layers.draw("back", "top"));
    stage.on("choices", () => this.setModel(this.choices.id("segmenter")));
    stage.on("selection", ({ activeChanged, before }) => {
      if (before && before !== stage.active) layers.settle(stage.objects.get(before));
      if (activeChanged && layers.inRest.has(stage.active)) layers.draw("back");
      layers.draw("top");
      if (this.review.on && this.object) this.setStep(this.object.shape.kind === "alpha" ? "alpha" : "point");
    });
    stage.on("selection objects object", () => this.sync());
    stage.on("segmented", (object) => this.bands.delete(object.id)); // another mask, another band
    stage.on("tool", ({ before }) => {
      this.tools[before]?.leave?.();
      layers.tool = this.currentTool();
      layers.draw("top");
      this.matte.draw();
      this.cursorChanged();
    });
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this.element);
    this.sizes.observe(this.host);
    this.around = new ResizeObserver(() => requestAnimationFrame(() => this.measure())); // what stands above may open or close
    for (const above of [document.body, this.element.closest(".tabitem")]) if (above) this.around.observe(above);
    window.addEventListener("keydown", (e) => { if (e.key === "Tab") this.root.classList.add("ol-keys"); }, { signal, capture: true });
    this.root.addEventListener("pointerdown", () => this.root.classList.remove("ol-keys"), { signal, capture: true });
    window.addEventListener("resize", () => this.measure(), { signal });
    window.addEventListener("online", () => this.wire.retryNow(), { signal });
    window.addEventListener("beforeunload", (e) => { if (this.wire.pending) e.preventDefault(); }, { signal });
    this.classes = new MutationObserver(() => this.theme());
    for (const node of [document.body, document.documentElement]) this.classes.observe(node, { attributes: true, attributeFilter: ["class"] });
  }

  imageChanged() {
    const { stage, view, layers } = this;
    this.bands.clear();
    Object.assign(this.matte, { figures: null, cutout: null, pending: [], of: null });
    this.picturesOf = null;
    view.setImage(stage.image?.width ?? 0, stage.image?.height ?? 0);
    if (stage.cursor) stage.cursor = stage.image ? { x: stage.image.width >> 1, y: stage.image.height >> 1 } : null;
    this.currentTool().leave?.();
    this.setStep("point");
    this.host.setAttribute("aria-label", stage.image ? `Picture ${stage.image.name}` : "No picture");
    this.blank.hidden = !!stage.image;
    this.blank.replaceChildren(...(stage.image ? [] : [h("strong", {}, "No image is open"), h("span", {}, "Add photographs in Data; then come back to cut things out of them.")]));
    layers.draw("base", "back");
    this.viewChanged();
    if (stage.image && this.stale) {
      this.stale = false;
      this.choices.read();
    }
  }

  // ---- what the parts ask of each other ---------------------------------------------------------------

  currentTool() { return this.tools[this.stage.tool] ?? this.tools.smart; }
  visible() { return this.host.isConnected && this.host.clientWidth > 0 && this.host.clientHeight > 0; }
  modelTitle() { return this.choices.card("segmenter")?.title ?? ""; }
  addClass(name) { return this.session.addClass(name); }
  reload(image) { return this.session.reload(image); }
  resync() { return this.session.poll(); }
  brushBy(factor) { this.do.brushBy(factor); }
  brushTo(size) { this.tools.paint.resize(size / this.brush.size); }
  drawer() {}
  latency(entry) { this.stage.emit("latency", entry.t_drawn - entry.t_click); }

  advance(version) {
    if (version === this.stage.version + 1) this.stage.version = version;
    if (this.stage.image) this.session.forget(this.stage.image.id);
  }

  trouble(answer, image) {
    if (answer.model && image === this.stage.image?.id) this.need(answer);
    else this.say(answer.error, "error");
  }

  viewChanged() {
    this.layers.draw("view");
    this.matte.draw();
    this.stage.emit("view");
  }

  pointed(p) { this.stage.emit("pointer", p); }

  cursorChanged() {
    const cursor = this.pointer?.space ? "grab" : this.currentTool().cursor;
    if (this.host.style.cursor !== cursor) this.host.style.cursor = cursor;
  }

  spaceHeld(held) {
    this.pointer.space = held;
    this.cursorChanged();
  }

  /** Show where a long press was felt. */
  held(p) {
    this.ring.hidden = !p;
    if (p) this.ring.style.transform = `translate(${p.sx}px, ${p.sy}px)`;
  }

  /** Resolve once nothing waits to be saved. */
  settled() { return this.wire.pending ? new Promise((resolve) => { this.quiet.push(resolve); }) : Promise.resolve(); }

  saveState(state) {
    this.bottom?.saved(state);
    if (!state.pending) for (const resolve of this.quiet.splice(0)) resolve();
    if (state.kind === "saved" && state.savedAt && state.savedAt !== this.toldAt) {
      this.toldAt = state.savedAt;
      this.trigger("saved", { image: state.image, version: this.stage.version });
    }
  }

  // ---- what Python sets -------------------------------------------------------------------------------

  imageProp() {
    const [id, again] = (this.props.image || "").split("#");
    if (id !== (this.stage.image?.id ?? "") && !(id && !again && this.session.echo(id))) this.session.open(id);
  }

  setModel(model) {
    if ((model || null) === this.stage.model) return;
    if (model && model !== this.choices.id("segmenter")) return this.choices.choose("segmenter", model); // comes back here
    this.stage.model = model || null;
    this.need(null);
    this.session.prepare();
  }

  refresh() {
    this.stale = true; // an image of another project may be on its way
    if (!this.stage.image) return this.imageProp();
    this.session.refresh();
    this.choices.read();
  }

  // ---- the window -------------------------------------------------------------------------------------

  measure() {
    if (!this.element.isConnected) return this.wire.pending ? null : this.dispose();
    const top = this.element.getBoundingClientRect().top + window.scrollY;
    const own = `${Math.max(520, Math.round(window.innerHeight - Math.min(top, window.innerHeight * 0.4) - 12))}px`;
    if (this.own !== own) this.root.style.setProperty("--ol-height", this.own = own);
    if (this.view.resize(this.host.clientWidth, this.host.clientHeight, window.devicePixelRatio || 1)) {
      this.layers.resize();
      this.matte.resize();
      this.stage.emit("view");
    }
  }

  theme() {
    const dark = document.querySelector("body.dark, html.dark, .gradio-container.dark");
    this.root.dataset.theme = dark ? "dark" : "light";
  }

  dispose() {
    this.gone.abort();
    this.session.close();
    this.sizes.disconnect();
    this.around.disconnect();
    this.classes.disconnect();
    this.panel.watcher.disconnect();
    this.bottom.close();
    for (const [element, app] of mounted) if (app === this) mounted.delete(element);
  }
}
