// The labelling stage: puts the parts together inside the element Gradio gives, and takes them down again.

import { actions, candidates, missing, notices } from "./overlay.js";
import { h, settings, stylesheet } from "./dom.js";
import { Keys } from "./keys.js";
import { Labelling } from "./labelling.js";
import { Layers } from "./layers.js";
import { legend } from "./legend.js";
import { ObjectPanel } from "./objects.js";
import { Pointer } from "./pointer.js";
import { Review } from "./review.js";
import { Session } from "./session.js";
import { Stage } from "./stage.js";
import { statusBar } from "./status.js";
import { classBar, toolbar } from "./toolbar.js";
import { BoxTool } from "./tools/box.js";
import { Brush } from "./tools/brush.js";
import { Polygon } from "./tools/polygon.js";
import { Pan, Select } from "./tools/select.js";
import { Smart } from "./tools/smart.js";
import { verbs } from "./verbs.js";
import { View } from "./view.js";
import { Wire } from "./wire.js";

const mounted = new Map(); // element → its stage, so that one element never carries two
const KEPT = 2000;         // latencies remembered for a benchmark

/** Mount the stage; `props`, `trigger`, `server` and `watch` are those of gr.HTML. */
export async function mount({ element, props, trigger, server, watch }) {
  for (const [old, app] of mounted) if (old === element || !old.isConnected) app.dispose();
  await stylesheet("canvas.css", import.meta.url);
  const app = new App(element.querySelector(".ol-mount") ?? element, props, trigger, (request) => server.canvas(request));
  mounted.set(element, app);
  watch("image", () => app.imageProp());
  watch(["model", "model_title"], () => app.setModel(props.model));
  watch("refresh", () => app.refresh());
  watch("review", () => app.review.request(app.props.review));
  watch("height", () => app.measure());
  return app;
}

class App {
  constructor(element, props, trigger, call) {
    Object.assign(this, { element, props, trigger });
    this.gone = new AbortController();
    const kept = settings.read();
    this.stage = new Stage();
    if (Number.isFinite(kept.opacity)) this.stage.opacity = kept.opacity;
    this.stage.model = props.model || null;
    this.view = new View();
    this.latencies = [];
    this.wire = new Wire(call, (state) => this.saveState(state));
    this.tools = { smart: new Smart(this), brush: new Brush(this, false), eraser: new Brush(this, true), polygon: new Polygon(this),
      box: new BoxTool(this), select: new Select(this), pan: new Pan(this) };
    this.build();
    this.listen();
    this.theme();
    this.measure();
    this.stage.emit("tool", {});
    globalThis.__onelabel = { latencies: this.latencies, app: this, get stage() { return this.app.stage; } };
    this.stage.emit("image");
    this.imageProp();
  }

  build() {
    const { stage } = this;
    this.host = h("div", { class: "ol-view", tabIndex: 0, role: "application", aria: { roledescription: "labelling canvas", describedby: "ol-about" } });
    this.layers = new Layers(this.host, stage, this.view);
    this.about = h("p", { id: "ol-about", class: "ol-sr" }, "Click an object to get its mask; right-click takes away. Press K for a cross-hair moved by the "
      + "arrow keys: Space clicks, X takes away, A accepts. G goes to the list of objects, question mark shows all keys.");
    this.root = h("div", { class: "ol-stage", role: "region", aria: { label: "Labelling stage" } });
    Object.assign(this, notices(this.root, this.host));
    this.session = new Session(this);
    this.labelling = new Labelling(this);
    this.do = verbs(this);
    this.need = null;
    const absent = missing(this);
    this.need = absent.show;
    this.panel = new ObjectPanel(this);
    this.review = new Review(this);
    this.bottom = statusBar(this);
    this.legend = legend(this);
    this.blank = h("div", { class: "ol-blank" });
    this.ring = h("div", { class: "ol-ring", hidden: true, "aria-hidden": "true" });
    this.host.append(this.ring, this.blank, candidates(this), actions(this), absent.panel);
    this.root.prepend(toolbar(this), classBar(this), this.review.element, h("div", { class: "ol-main" }, this.host, this.panel.element), this.bottom.element, this.about, this.legend);
    this.element.replaceChildren(this.root);
    this.element.style.minHeight = "";
  }

  listen() {
    const { stage, layers, gone: { signal } } = this;
    this.pointer = new Pointer(this, signal);
    this.keys = new Keys(this, signal);
    stage.on("image", () => {
      this.view.setImage(stage.image?.width ?? 0, stage.image?.height ?? 0);
      if (stage.cursor) stage.cursor = stage.image ? { x: stage.image.width >> 1, y: stage.image.height >> 1 } : null;
      this.currentTool().leave?.();
      this.host.setAttribute("aria-label", stage.image ? `Picture ${stage.image.name}` : "No picture");
      this.blankText();
      layers.draw("base", "back");
      this.viewChanged();
    });
    stage.on("loading", (on) => this.root.classList.toggle("ol-loading", on));
    stage.on("picture", () => layers.draw("base"));
    stage.on("objects classes", () => layers.draw("back", "top"));
    stage.on("changed", (objects) => layers.draw("top", ...(objects.some((o) => o.id !== stage.active) ? ["back"] : [])));
    stage.on("prompts segmented hover", () => layers.draw("top"));
    stage.on("settings", (changes) => {
      if ("opacity" in changes) settings.write({ opacity: stage.opacity });
      layers.draw("back", "top");
    });
    stage.on("selection", ({ activeChanged, before }) => {
      if (before && before !== stage.active) layers.settle(stage.objects.get(before));
      if (activeChanged && layers.inRest.has(stage.active)) layers.draw("back");
      layers.draw("top");
    });
    stage.on("tool", ({ before }) => {
      this.tools[before]?.leave?.();
      const kind = stage.object?.shape?.kind, tool = this.currentTool(); // what the tool cannot work on is let go
      if (kind && !stage.active && tool.works && !tool.works.includes(kind)) stage.select(null);
      layers.tool = this.currentTool();
      layers.draw("top");
      this.cursorChanged();
    });
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this.element);
    this.sizes.observe(this.host);
    this.around = new ResizeObserver(() => requestAnimationFrame(() => this.measure())); // what stands above may open or close
    for (const above of [document.body, this.element.closest(".tabitem")]) if (above) this.around.observe(above);
    window.addEventListener("keydown", (e) => { if (e.key === "Tab" || this.stage.cursor) this.root.classList.add("ol-keys"); }, { signal, capture: true });
    this.root.addEventListener("pointerdown", () => this.root.classList.remove("ol-keys"), { signal, capture: true });
    window.addEventListener("resize", () => this.measure(), { signal });
    window.addEventListener("online", () => this.wire.retryNow(), { signal });
    window.addEventListener("beforeunload", (e) => { if (this.wire.pending) e.preventDefault(); }, { signal });
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.visible() && !this.wire.pending) this.session.poll(); }, { signal });
    this.classes = new MutationObserver(() => this.theme());
    this.classes.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.classes.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.theme(), { signal });
  }

  // ---- what the parts ask of each other ---------------------------------------------------------------

  currentTool() { return this.tools[this.stage.tool]; }
  visible() { return this.host.isConnected && this.host.clientWidth > 0 && this.host.clientHeight > 0; }
  modelTitle() { return this.props.model === this.stage.model ? this.props.model_title : ""; }
  addClass(name) { return this.session.addClass(name); }
  reload(image) { return this.session.reload(image); }
  resync() { return this.session.poll(); }
  brushBy(factor) { this.do.brushBy(factor); }
  brushTo(size) { this.do.brushBy(size / this.brush.size); }

  /** The server's version after a change of ours; where others came between, the next poll tells. */
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

  /** A press and release of the tool at an image point, for the keyboard's cross-hair. */
  press(x, y) {
    const [sx, sy] = this.view.toScreen(x, y), p = { x, y, sx, sy, time: performance.now() }, tool = this.currentTool();
    tool.hover?.(p);
    tool.down?.(p);
    tool.up?.(p);
  }

  drawer(open) {
    this.root.classList.toggle("ol-drawn", open);
    this.root.querySelector(".ol-bar .ol-drawer-button").setAttribute("aria-expanded", String(open));
  }

  latency(entry) {
    this.latencies.push(entry);
    if (this.latencies.length > KEPT) this.latencies.shift();
    this.stage.emit("latency", entry.t_drawn - entry.t_click);
  }

  saveState(state) {
    this.bottom?.saved(state);
    if (state.kind === "saved" && state.savedAt && state.savedAt !== this.toldAt) {
      this.toldAt = state.savedAt;
      this.saved = { image: state.image, version: this.stage.version };
      this.savedTimer ??= setTimeout(() => {
        this.savedTimer = null;
        if (!this.gone.signal.aborted) this.trigger("saved", this.saved);
      }, 2000);
    }
  }

  // ---- what Python sets -------------------------------------------------------------------------------

  imageProp() {
    const [id, again] = (this.props.image || "").split("#");
    if (id !== (this.stage.image?.id ?? "") && !(id && !again && this.session.echo(id))) this.session.open(id);
  }

  setModel(model) {
    const changed = (model || null) !== this.stage.model;
    this.stage.model = model || null;
    if (changed) this.need(null);
    this.session.prepare();
  }

  refresh() {
    if (this.stage.image) this.session.refresh();
    else this.imageProp();
  }

  // ---- the window -------------------------------------------------------------------------------------

  measure() {
    if (!this.element.isConnected) return this.wire.pending ? null : this.dispose();
    const top = this.element.getBoundingClientRect().top + window.scrollY;
    const own = this.props.height || `${Math.max(420, Math.round(window.innerHeight - Math.min(top, window.innerHeight * 0.4) - 12))}px`;
    if (this.own !== own) this.root.style.setProperty("--ol-height", this.own = own);
    if (this.view.resize(this.host.clientWidth, this.host.clientHeight, window.devicePixelRatio || 1)) {
      this.layers.resize();
      this.stage.emit("view");
    }
  }

  theme() {
    const gradio = document.querySelector("gradio-app, .gradio-container");
    const dark = gradio ? !!document.querySelector("body.dark, html.dark, .gradio-container.dark") : matchMedia("(prefers-color-scheme: dark)").matches;
    this.root.dataset.theme = dark ? "dark" : "light";
  }

  blankText() {
    const { image } = this.stage;
    this.blank.hidden = !!image;
    this.blank.replaceChildren(...(image ? [] : [h("strong", {}, "No image is open"), h("span", {}, "Add photographs in Data, then choose one to label.")]));
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
