// What floats over the picture: what can be done now, candidates, notices, and the model that is missing.

import { bytes, h, icon, say } from "./dom.js";
import { figureOf } from "./figure.js";

const STAYS = { info: 4000, warning: 9000, error: 9000 }; // ms

/** Notices at the lower edge; `say(text, kind)` shows one. Errors are read out at once. */
export function notices(root, host) {
  const polite = h("div", { class: "ol-sr", role: "status", aria: { live: "polite" } });
  const box = h("div", { class: "ol-toasts", role: "alert" });
  root.append(polite);
  host.append(box);
  let timer = 0;
  return {
    announce(text) { // a pause, so that what is said while keys are held is the last of it
      clearTimeout(timer);
      timer = setTimeout(() => { polite.textContent = text; }, 120);
    },
    say(text, kind = "info") {
      if (!text) return;
      const same = [...box.children].find((t) => t.firstChild.textContent === text);
      same?.remove();
      while (box.children.length > 2) box.firstChild.remove();
      const toast = h("div", { class: `ol-toast ol-${kind}` }, h("span", {}, text),
        h("button", { type: "button", class: "ol-mini", title: "Close", aria: { label: "Close" }, onclick: () => toast.remove() }, icon("close")));
      box.append(toast);
      setTimeout(() => toast.remove(), STAYS[kind]);
    },
  };
}

/** The strip of actions that belong to the tool held, at the lower edge of the picture. */
export function actions(app) {
  const { stage } = app, key = (text) => h("kbd", {}, text);
  const button = (label, keys, onclick, more = {}) => h("button", { type: "button", class: "ol-act", onclick: () => { onclick(); app.host.focus({ preventScroll: true }); }, ...more }, label, keys ? key(keys) : null);
  const hint = h("span", { class: "ol-say" });
  const add = button([icon("plus"), h("span", {}, "Add")], "", () => stage.set({ adding: true }), { class: "ol-act ol-plus", title: "A click adds to the object", aria: { label: "Add" } });
  const take = button([icon("minus"), h("span", {}, "Take away")], "", () => stage.set({ adding: false }), { class: "ol-act ol-minus", title: "A click takes away", aria: { label: "Take away" } });
  const sign = h("div", { class: "ol-switch", role: "group", aria: { label: "What a click does" } }, add, take);
  const accept = button("Accept", "Enter", () => app.labelling.accept(), { class: "ol-act ol-primary" });
  const aside = button("Put aside", "Esc", () => app.do.aside());
  const close = button("Close", "Enter", () => app.tools.polygon.close(), { class: "ol-act ol-primary" });
  const back = button("Take back", "⌫", () => app.tools.polygon.back());
  const cancel = button("Cancel", "Esc", () => app.do.aside());
  const size = h("input", { type: "range", class: "ol-range", min: "0", max: "100", step: "1", aria: { label: "Brush size" },
    oninput: (e) => app.brushTo(Math.round(Math.exp((e.target.value / 100) * Math.log(600)))) });
  const pixels = h("span", { class: "ol-num" });
  const brush = h("label", { class: "ol-size" }, "Size", size, pixels);
  const strip = h("div", { class: "ol-acts", role: "group", aria: { label: "Actions" } }, sign, brush, hint, close, back, cancel, accept, aside);
  const HINTS = {
    smart: "Click an object. Right-click takes away, drag draws a box.", polygon: "Click along the edge of an object.",
    box: "Drag a box around an object.", select: "Click an object to select it.", pan: "Drag to move the picture.",
  };
  const update = () => {
    const { tool, activeObject: active, object } = stage, drawing = app.tools.polygon.drawing;
    const painting = tool === "brush" || tool === "eraser";
    strip.hidden = !stage.image || (app.review?.on && !active && !drawing);
    sign.hidden = tool !== "smart";
    add.setAttribute("aria-pressed", String(stage.adding));
    take.setAttribute("aria-pressed", String(!stage.adding));
    brush.hidden = !painting;
    if (painting) {
      size.value = String(Math.round((Math.log(app.brush.size) / Math.log(600)) * 100));
      say(pixels, `${app.brush.size} px`);
    }
    close.hidden = back.hidden = cancel.hidden = !drawing;
    close.disabled = (app.tools.polygon.ring?.length ?? 0) < 3;
    say(accept.lastChild, stage.cursor ? "A" : "Enter");
    accept.hidden = drawing || !(active || object?.draft);
    aside.hidden = !active || drawing;
    hint.hidden = !!active || drawing || !!object || painting || stage.list().length > 2 || !!stage.cursor;
    say(hint, HINTS[tool] ?? "");
    strip.classList.toggle("ol-none", [...strip.children].every((c) => c.hidden));
  };
  stage.on("tool selection prompts segmented objects settings image drawing changed object", update);
  update();
  return strip;
}

/** Small pictures of what an ambiguous click may have meant, beside the object. */
export function candidates(app) {
  const { stage } = app, list = h("div", { class: "ol-cands" }), label = h("span", { class: "ol-num" });
  const strip = h("div", { class: "ol-strip", role: "group", hidden: true, aria: { label: "Candidates for this click" } }, list, label, h("kbd", {}, "Tab"));
  let shown = null;
  const place = () => {
    const box = stage.activeObject?.figure?.box;
    if (strip.hidden || !box) return;
    const { view } = app, [x0, y0] = view.toScreen(box[0], box[1]), [, y1] = view.toScreen(box[2], box[3]);
    const w = strip.offsetWidth || 240, hgt = strip.offsetHeight || 76;
    const fits = y1 + hgt + 12 < view.height - 56, y = fits ? y1 + 10 : Math.max(8, y0 - hgt - 10);
    strip.style.transform = `translate(${Math.round(Math.min(Math.max(x0, 8), Math.max(8, view.width - w - 8)))}px, ${Math.round(Math.min(y, view.height - hgt - 60))}px)`;
  };
  const paint = (canvas, shape, colour) => {
    const size = canvas.width, ctx = canvas.getContext("2d"), all = shown.map((f) => f.box).filter(Boolean);
    if (!all.length) return;
    const x0 = Math.min(...all.map((b) => b[0])), y0 = Math.min(...all.map((b) => b[1]));
    const side = Math.max(Math.max(...all.map((b) => b[2])) - x0, Math.max(...all.map((b) => b[3])) - y0, 8) * 1.15;
    const left = x0 - side * 0.065, top = y0 - side * 0.065, k = size / side;
    ctx.setTransform(k, 0, 0, k, -left * k, -top * k);
    stage.picture?.draw(ctx, [left, top, left + side, top + side], stage.image.width, stage.image.height, k);
    if (!shape.box) return;
    ctx.fillStyle = ctx.strokeStyle = colour;
    ctx.globalAlpha = 0.45;
    ctx.fill(shape.path, "evenodd");
    ctx.globalAlpha = 1;
    ctx.lineWidth = 2 / k;
    ctx.stroke(shape.path);
  };
  const update = () => {
    const object = stage.activeObject, all = stage.tool === "smart" ? object?.candidates : null;
    strip.hidden = !all;
    if (!all) { shown = null; return; }
    const colour = stage.colour(object.class);
    if (shown?.of !== all || shown.colour !== colour) {
      shown = all.map((c) => figureOf(c.shape));
      Object.assign(shown, { of: all, colour });
      list.replaceChildren(...all.map((c, i) => {
        const canvas = h("canvas", { width: 104, height: 104 });
        paint(canvas, shown[i], colour);
        return h("button", { type: "button", class: "ol-cand", title: `Score ${c.score?.toFixed(2) ?? "–"}`, aria: { label: `Candidate ${i + 1} of ${all.length}` },
          onclick: () => { app.labelling.choose(i); app.host.focus({ preventScroll: true }); } }, canvas);
      }));
    }
    [...list.children].forEach((c, i) => c.setAttribute("aria-pressed", String(i === object.choice)));
    say(label, `${object.choice + 1} of ${all.length}`);
    place();
  };
  stage.on("selection prompts changed object tool", update);
  stage.on("view", place);
  return strip;
}

/** The panel that stands in for a model whose files are not here. */
export function missing(app) {
  const panel = h("div", { class: "ol-need", role: "dialog", hidden: true, aria: { label: "Model" } });
  let asked = 0, timer = 0;
  const again = () => { clearTimeout(timer); timer = setTimeout(() => { if (panel.isConnected) app.session.prepare(); }, 2500); };
  const show = (answer) => {
    clearTimeout(timer);
    panel.hidden = !answer;
    if (!answer) { asked = 0; panel.replaceChildren(); return; }
    const { model, instead, progress } = answer, facts = [bytes(model.bytes), model.licence].filter(Boolean).join(" · ");
    const get = h("button", { type: "button", class: "ol-act ol-primary", onclick: () => {
      asked = Date.now();
      app.trigger("need_model", { model: model.id, action: "download" });
      show(answer);
      again();
    } }, `Download ${model.title}`);
    const use = instead && h("button", { type: "button", class: "ol-act", onclick: () => {
      app.trigger("need_model", { model: instead.id, action: "use" });
      app.setModel(instead.id);
    } }, `Use ${instead.title} now`);
    const waiting = progress || asked;
    panel.replaceChildren(h("h3", {}, model.title), facts ? h("p", { class: "ol-facts" }, facts) : "", h("p", {}, answer.error ?? ""),
      waiting ? h("div", { class: "ol-progress", role: "progressbar", aria: { label: "Download" } },
        h("i", { style: { width: progress?.total ? `${(100 * progress.done) / progress.total}%` : "8%" } })) : "",
      waiting ? h("p", { class: "ol-facts" }, progress?.total ? `${bytes(progress.done)} of ${bytes(progress.total)}` : "Asked for; this page goes on by itself.") : "",
      h("div", { class: "ol-row-acts" }, waiting ? "" : get, use ?? ""));
    if (progress || (asked && Date.now() - asked < 120000)) again();
  };
  return { panel, show };
}
