// The labelling stage: puts the parts together inside the element Gradio gives, and takes them down again.

import { actions, candidates, missing, notices } from "./overlay.js";
import { h, settings, stylesheet } from "./dom.js";
import { Keys } from "./keys.js";
import { Labelling } from "./labelling.js";
import { Layers } from "./layers.js";
import { legend } from "./legend.js";
import { ObjectPanel } from "./objects.js";
import { Review } from "./review.js";
import { Session } from "./session.js";
import { Shell, unmountOld } from "./shell.js";
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
  unmountOld(mounted, element);
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

class App extends Shell {
  constructor(element, props, trigger, call) {
    super();
    Object.assign(this, { mounted, element, props, trigger });
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
    const { stage, layers } = this;
    super.listen(Keys);
    stage.on("image", () => {
      this.view.setImage(stage.image?.width ?? 0, stage.image?.height ?? 0);
      if (stage.cursor) stage.cursor = stage.image ? { x: stage.image.width >> 1, y: stage.image.height >> 1 } : null;
      this.currentTool().leave?.();
      this.host.setAttribute("aria-label", stage.image ? `Picture ${stage.image.name}` : "No picture");
      this.blankText();
      layers.draw("base", "back");
      this.viewChanged();
    });
    stage.on("settings", (changes) => { if ("opacity" in changes) settings.write({ opacity: stage.opacity }); });
  }

  // ---- what the parts ask of each other ---------------------------------------------------------------

  modelTitle() { return this.props.model === this.stage.model ? this.props.model_title : ""; }
  brushTo(size) { this.do.brushBy(size / this.brush.size); }

  /** What the tool cannot work on is let go. */
  toolChanged() {
    const kind = this.stage.object?.shape?.kind, tool = this.currentTool();
    if (kind && !this.stage.active && tool.works && !tool.works.includes(kind)) this.stage.select(null);
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

  blankText() {
    const { image } = this.stage;
    this.blank.hidden = !!image;
    this.blank.replaceChildren(...(image ? [] : [h("strong", {}, "No image is open"), h("span", {}, "Add photographs in Data, then choose one to label.")]));
  }
}
