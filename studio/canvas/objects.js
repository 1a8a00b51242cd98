// The list of objects: a listbox whose rows can be reached by key, and what can be done with the chosen one.

import { count, h, icon, iconButton, say } from "./dom.js";
import { toPick } from "./picker.js";

const THUMB = 40; // CSS pixels

export class ObjectPanel {
  constructor(app) {
    Object.assign(this, { app, stage: app.stage, rows: new Map() });
    this.title = h("h2", { class: "ol-title" }, "Objects");
    this.acceptAll = h("button", { type: "button", class: "ol-link", title: "Accept all drafts (Shift+Enter)", hidden: true,
      onclick: () => app.labelling.acceptAll() });
    this.review = h("button", { type: "button", class: "ol-link", title: "Go through the drafts one by one (I)", hidden: true,
      onclick: () => app.do.review() }, "Review");
    this.list = h("div", { class: "ol-list", role: "listbox", tabIndex: -1, aria: { label: "Objects on this image" },
      onkeydown: (e) => this.#key(e), onpointerleave: () => app.stage.hover(null) });
    this.empty = h("p", { class: "ol-hint" }, "Nothing is labelled here yet. Click an object in the picture.");
    this.close = iconButton("close", "Close the list", "", () => app.do.drawer(false), { class: "ol-button ol-drawer-button" });
    this.element = h("aside", { class: "ol-panel", aria: { label: "Objects" } },
      h("div", { class: "ol-head" }, this.title, this.review, this.acceptAll, this.close), this.list, this.empty, this.#details());
    this.watcher = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) { target.inSight = isIntersecting; if (isIntersecting) this.#thumb(target); }
    }, { root: this.list, rootMargin: "120px" });
    const { stage } = this;
    stage.on("objects image", () => this.#all());
    stage.on("classes", () => { for (const row of this.rows.values()) this.#fill(row); this.#chosen(); });
    stage.on("picture", () => { for (const row of this.rows.values()) { row.drawn = null; if (row.inSight) this.#thumb(row); } });
    stage.on("object", (object) => this.#one(object));
    stage.on("changed", (objects) => objects.forEach((o) => this.#one(o)));
    stage.on("selection", () => this.#soon());
    stage.on("hover", () => {
      this.hot?.classList.remove("ol-hot");
      this.hot = this.rows.get(stage.hovered);
      this.hot?.classList.add("ol-hot");
    });
  }

  #details() {
    const { app } = this, object = () => this.stage.object;
    this.klass = h("button", { type: "button", class: "ol-select", aria: { haspopup: "listbox", label: "Class of the selected object" },
      onclick: () => object() && toPick(app, this.klass, object().class, (name) => app.labelling.setClass(name, object()?.id)) });
    this.redo = iconButton("smart", "Correct with clicks", "", () => { app.do.tool("smart"); app.labelling.reopen(object().id); });
    this.hide = iconButton("eye", "Hide", "O", () => app.do.hide());
    this.lock = iconButton("open", "Lock", "L", () => app.do.lock());
    this.accept = iconButton("check", "Accept", "Enter", () => app.labelling.accept());
    this.chosen = h("div", { class: "ol-chosen", role: "group", aria: { label: "Selected object" }, hidden: true },
      this.klass, this.accept, this.redo, this.hide, this.lock, iconButton("trash", "Delete", "Delete", () => app.do.delete()));
    return this.chosen;
  }

  #all() {
    const { stage } = this, objects = stage.list();
    const keep = new Set(objects.map((o) => o.id));
    for (const [id, row] of this.rows) if (!keep.has(id)) { this.watcher.unobserve(row); row.remove(); this.rows.delete(id); }
    for (const object of objects) this.#row(object);
    this.#heading();
    this.#select();
  }

  #one(object) {
    if (!object.shape || this.stage.objects.get(object.id) !== object) return;
    this.#row(object);
    this.#heading();
    if (object.id === this.stage.selected) this.#select();
  }

  #heading() {
    const objects = this.stage.list(), drafts = objects.filter((o) => o.draft).length;
    say(this.title, objects.length ? `Objects · ${count(objects.length)}` : "Objects");
    this.review.hidden = drafts < 2 || this.app.review?.on;
    this.acceptAll.hidden = drafts < 2 || this.app.review?.on;
    say(this.acceptAll, `Accept all ${count(drafts)}`);
    this.empty.hidden = objects.length > 0 || !this.stage.image;
    this.list.hidden = !objects.length;
  }

  #row(object) {
    const { stage, app } = this;
    let row = this.rows.get(object.id);
    if (!row) {
      const { id } = object, small = (name, label, onclick) => h("button", { type: "button", class: "ol-mini", tabIndex: -1, title: label,
        onclick: (e) => { e.stopPropagation(); onclick(); } }, icon(name));
      row = h("div", { class: "ol-row", role: "presentation", onpointerenter: () => stage.hover(id),
        onclick: () => { stage.select(id); this.#reveal(id); }, ondblclick: () => app.do.reopen(id) });
      row.of = id;
      row.thumb = h("canvas", { class: "ol-thumb", width: THUMB * 2, height: THUMB * 2 });
      row.name = h("button", { type: "button", class: "ol-class", tabIndex: -1, title: "Change the class",
        onclick: (e) => { e.stopPropagation(); stage.select(id); toPick(app, row.name, stage.objects.get(id).class, (name) => app.labelling.setClass(name, id)); } });
      row.note = h("span", { class: "ol-note" });
      row.option = h("div", { class: "ol-option", role: "option", id: `ol-o-${id}`, tabIndex: -1, aria: { selected: "false" } }, row.thumb);
      row.eye = small("eye", "Hide", () => app.do.hide(id));
      row.lock = small("open", "Lock", () => app.do.lock(id));
      row.append(row.option, h("div", { class: "ol-text", "aria-hidden": "true" }, row.name, row.note),
        h("div", { class: "ol-minis", "aria-hidden": "true" }, row.eye, row.lock, small("trash", "Delete", () => app.labelling.remove([id]))));
      this.rows.set(id, row);
      this.watcher.observe(row);
      this.list.append(row);
    }
    row.object = object;
    this.#fill(row);
    if (row.inSight) this.#thumb(row);
  }

  #fill(row) {
    const { stage } = this, { object } = row, colour = stage.colour(object.class);
    const made = object.model ? `${object.model}${object.score === null || object.score === undefined ? "" : ` · ${object.score.toFixed(2)}`}` : object.shape.kind;
    const hidden = stage.hidden.has(object.id) || stage.sifted.has(object.id), locked = stage.locked.has(object.id);
    row.style.setProperty("--c", colour);
    row.name.replaceChildren(h("i", { class: "ol-dot", style: { background: colour } }), h("span", {}, object.class));
    row.note.replaceChildren(object.draft ? h("b", { class: "ol-badge" }, "draft") : "",
      object.shape.kind === "alpha" ? h("b", { class: "ol-badge ol-matte" }, "alpha") : "", h("span", {}, made));
    row.classList.toggle("ol-hidden", hidden);
    row.classList.toggle("ol-locked", locked);
    row.eye.replaceChildren(icon(hidden ? "hidden" : "eye"));
    row.lock.replaceChildren(icon(locked ? "lock" : "open"));
    row.option.setAttribute("aria-label", [object.class, object.draft ? "draft" : "", object.shape.kind, made,
      object.figure?.area ? `${count(Math.round(object.figure.area))} pixels` : "", hidden ? "hidden" : "", locked ? "locked" : ""].filter(Boolean).join(", "));
  }

  #thumb(row) {
    const { stage } = this, { figure } = row.object, ctx = row.thumb.getContext("2d"), size = THUMB * 2;
    if (!stage.picture || !stage.image || (row.drawn === figure && row.ink === stage.colour(row.object.class))) return;
    row.drawn = figure;
    row.ink = stage.colour(row.object.class);
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, size, size);
    if (!figure?.box) return;
    const [x0, y0, x1, y1] = figure.box, side = Math.max(x1 - x0, y1 - y0, 8) * 1.2, k = size / side;
    const left = (x0 + x1 - side) / 2, top = (y0 + y1 - side) / 2;
    ctx.setTransform(k, 0, 0, k, -left * k, -top * k);
    stage.picture.draw(ctx, [left, top, left + side, top + side], stage.image.width, stage.image.height, k);
    ctx.fillStyle = ctx.strokeStyle = row.ink;
    ctx.globalAlpha = 0.35;
    if (figure.kind === "mask") ctx.fill(figure.path, "evenodd");
    ctx.globalAlpha = 1;
    ctx.lineWidth = 3 / k;
    ctx.stroke(figure.path);
  }

  // The list can wait until a click has been sent and drawn.
  #soon() {
    this.waiting ??= requestAnimationFrame(() => setTimeout(() => { this.waiting = null; this.#select(); }));
  }

  #select() {
    const { stage } = this, row = this.rows.get(stage.selected);
    if (this.marked && this.marked !== row) this.#mark(this.marked, false);
    this.marked = row ?? null;
    if (row) this.#mark(row, true);
    const way = row ?? this.rows.values().next().value; // one row can be reached by Tab, the arrows go on from it
    if (this.way && this.way !== way) this.way.option.tabIndex = -1;
    this.way = way;
    if (way) way.option.tabIndex = 0;
    if (row) {
      const t = row.offsetTop;
      if (t < this.list.scrollTop || t + row.offsetHeight > this.list.scrollTop + this.list.clientHeight) this.list.scrollTop = t - this.list.clientHeight / 2;
    }
    this.#chosen();
  }

  #mark(row, on) {
    row.classList.toggle("ol-on", on);
    row.option.setAttribute("aria-selected", String(on));
  }

  #chosen() {
    const { stage } = this, { object } = stage, shown = object?.shape;
    this.chosen.hidden = !shown;
    if (!shown) return;
    this.klass.replaceChildren(h("i", { class: "ol-dot", style: { background: stage.colour(object.class) } }), h("span", {}, object.class));
    this.accept.hidden = !object.draft;
    this.redo.hidden = !["mask", "alpha"].includes(object.shape.kind) || stage.active === object.id;
    this.hide.replaceChildren(icon(stage.hidden.has(object.id) ? "hidden" : "eye"));
    this.lock.replaceChildren(icon(stage.locked.has(object.id) ? "lock" : "open"));
  }

  #reveal(id) {
    const box = this.stage.objects.get(id)?.figure?.box;
    if (!box) return;
    const [x0, y0, x1, y1] = this.app.view.window();
    if (box[2] < x0 || box[3] < y0 || box[0] > x1 || box[1] > y1) { this.app.view.show(box); this.app.viewChanged(); }
  }

  #key(e) {
    const ids = [...this.rows.keys()], now = ids.indexOf(document.activeElement?.parentElement?.of);
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: ids.length - 1, PageDown: now + 8, PageUp: now - 8 }[e.key];
    if (to === undefined || !ids.length) return;
    e.preventDefault();
    e.stopPropagation();
    const id = ids[Math.min(Math.max(to, 0), ids.length - 1)];
    this.stage.select(id);
    this.#select();
    this.#reveal(id);
    this.rows.get(id).option.focus();
  }

  focus() { (this.rows.get(this.stage.selected) ?? this.rows.values().next().value)?.option.focus(); }
}
