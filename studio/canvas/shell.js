// What every stage is inside the element that Gradio gives: mounted once, drawn anew when something changes, sized,
// themed, and taken down again.

import { Pointer } from "./pointer.js";

/** Take down the stage that an element carries already, and those whose element is gone; `mounted`: element → stage. */
export function unmountOld(mounted, element) {
  for (const [old, app] of mounted) if (old === element || !old.isConnected) app.dispose();
}

/**
 * The base of a stage. Who extends it sets `mounted`, `element`, `props`, `gone`, `stage`, `view`, `wire`, `tools`, `host`,
 * `root`, `ring`, `layers`, `session`, `panel` and `bottom`, then calls `listen`.
 */
export class Shell {
  lowest = 420; // pixels that the stage is high at least

  /** Follow the stage and the window; `Keys` is the class that listens to the keyboard. */
  listen(Keys) {
    const { stage, layers, gone: { signal } } = this;
    this.pointer = new Pointer(this, signal);
    this.keys = new Keys(this, signal);
    stage.on("loading", (on) => this.root.classList.toggle("ol-loading", on));
    stage.on("picture", () => layers.draw("base"));
    stage.on("objects classes settings", () => layers.draw("back", "top"));
    stage.on("changed", (objects) => layers.draw("top", ...(objects.some((o) => o.id !== stage.active) ? ["back"] : [])));
    stage.on("prompts segmented hover", () => layers.draw("top"));
    stage.on("selection", ({ activeChanged, before }) => {
      if (before && before !== stage.active) layers.settle(stage.objects.get(before));
      if (activeChanged && layers.inRest.has(stage.active)) layers.draw("back");
      layers.draw("top");
    });
    stage.on("tool", ({ before }) => {
      this.tools[before]?.leave?.();
      this.toolChanged();
      layers.tool = this.currentTool();
      layers.draw("top");
      this.cursorChanged();
    });
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this.element);
    this.sizes.observe(this.host);
    this.around = new ResizeObserver(() => requestAnimationFrame(() => this.measure())); // what stands above may open or close
    for (const above of [document.body, this.element.closest(".tabitem")]) if (above) this.around.observe(above);
    window.addEventListener("keydown", (e) => { if (e.key === "Tab" || stage.cursor) this.root.classList.add("ol-keys"); }, { signal, capture: true });
    this.root.addEventListener("pointerdown", () => this.root.classList.remove("ol-keys"), { signal, capture: true });
    window.addEventListener("resize", () => this.measure(), { signal });
    window.addEventListener("online", () => this.wire.retryNow(), { signal });
    window.addEventListener("beforeunload", (e) => { if (this.wire.pending) e.preventDefault(); }, { signal });
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.visible() && !this.wire.pending) this.session.poll(); }, { signal });
    this.classes = new MutationObserver(() => this.theme());
    for (const node of [document.body, document.documentElement]) this.classes.observe(node, { attributes: true, attributeFilter: ["class"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.theme(), { signal });
  }

  // ---- what the parts ask of each other ---------------------------------------------------------------

  currentTool() { return this.tools[this.stage.tool]; }
  toolChanged() {}
  visible() { return this.host.isConnected && this.host.clientWidth > 0 && this.host.clientHeight > 0; }
  addClass(name) { return this.session.addClass(name); }
  reload(image) { return this.session.reload(image); }
  resync() { return this.session.poll(); }
  brushBy(factor) { this.do.brushBy(factor); }

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

  // ---- what Python sets -------------------------------------------------------------------------------

  imageProp() {
    const [id, again] = (this.props.image || "").split("#");
    if (id !== (this.stage.image?.id ?? "") && !(id && !again && this.session.echo(id))) this.session.open(id);
  }

  // ---- the window -------------------------------------------------------------------------------------

  measure() {
    if (!this.element.isConnected) return this.wire.pending ? null : this.dispose();
    const top = this.element.getBoundingClientRect().top + window.scrollY;
    const own = this.props.height || `${Math.max(this.lowest, Math.round(window.innerHeight - Math.min(top, window.innerHeight * 0.4) - 12))}px`;
    if (this.own !== own) this.root.style.setProperty("--ol-height", this.own = own);
    if (this.view.resize(this.host.clientWidth, this.host.clientHeight, window.devicePixelRatio || 1)) {
      this.resized();
      this.stage.emit("view");
    }
  }

  resized() { this.layers.resize(); }

  theme() {
    const gradio = document.querySelector("gradio-app, .gradio-container");
    const dark = gradio ? !!document.querySelector("body.dark, html.dark, .gradio-container.dark") : matchMedia("(prefers-color-scheme: dark)").matches;
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
    for (const [element, app] of this.mounted) if (app === this) this.mounted.delete(element);
  }
}
