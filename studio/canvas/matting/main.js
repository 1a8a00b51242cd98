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
import { Review } from "../review.js";
import { Session } from "../session.js";
import { unmountOld } from "../shell.js";
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
  unmountOld(mounted, element);
  await Promise.all(["../canvas.css", "matting.css"].map((name) => stylesheet(name, import.meta.url)));
  const app = new App(element.querySelector(".ol-mount") ?? element, props, trigger, (request) => server.matting(request));
  mounted.set(element, app);
  watch("image", () => app.imageProp());
  watch("refresh", () => app.refresh());
  watch("review", () => app.review.request(app.props.review));
  return app;
}

class App extends Flow {
  lowest = 520;

  constructor(element, props, trigger, call) {
    super();
    Object.assign(this, { mounted, element, props, trigger });
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
    const { stage } = this;
    super.listen(Keys);
    stage.on("image", () => this.imageChanged());
    stage.on("picture tool", () => this.matte.draw());
    stage.on("choices", () => this.setModel(this.choices.id("segmenter")));
    stage.on("selection", () => {
      if (this.review.on && this.object) this.setStep(this.object.shape.kind === "alpha" ? "alpha" : "point");
    });
    stage.on("selection objects object", () => this.sync());
    stage.on("segmented", (object) => this.bands.delete(object.id)); // another mask, another band
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

  currentTool() { return super.currentTool() ?? this.tools.smart; }
  modelTitle() { return this.choices.card("segmenter")?.title ?? ""; }
  brushTo(size) { this.tools.paint.resize(size / this.brush.size); }
  drawer() {}
  latency(entry) { this.stage.emit("latency", entry.t_drawn - entry.t_click); }

  viewChanged() {
    this.matte.draw();
    super.viewChanged();
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

  resized() {
    super.resized();
    this.matte.resize();
  }
}
