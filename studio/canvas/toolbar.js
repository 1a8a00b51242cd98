// The bar above the picture: tools, undo, zoom, opacity, and the way from image to image.

import { h, icon, iconButton, say } from "./dom.js";
import { CTRL } from "./keys.js";

const TOOLS = [["smart", "Smart: click or box", "S"], ["brush", "Brush", "B"], ["eraser", "Eraser", "E"],
  ["polygon", "Polygon", "P"], ["box", "Box", "R"], ["select", "Select", "V"], ["pan", "Pan", "H"]];

export function toolbar(app) {
  const { stage } = app;
  const tools = Object.fromEntries(TOOLS.map(([name, label, key]) =>
    [name, iconButton(name, label, key, () => app.do.tool(name), { aria: { pressed: "false" }, data: { tool: name } })]));
  const zoom = h("button", { type: "button", class: "ol-button ol-zoom", title: "100 % (Shift+0)", onclick: () => app.do.actual(),
    aria: { label: "Zoom to 100 %" } }, "100%");
  const opacity = h("input", { type: "range", class: "ol-range", min: "0", max: "100", step: "5", value: String(Math.round(stage.opacity * 100)),
    title: "Mask opacity", aria: { label: "Mask opacity" }, oninput: (e) => stage.set({ opacity: e.target.value / 100 }) });
  const hide = iconButton("eye", "Hide all masks", "T", () => app.do.hideAll(), { aria: { pressed: "false" } });
  const previous = iconButton("previous", "Previous image", "←", () => app.do.go(-1));
  const next = iconButton("next", "Next image", "→", () => app.do.go(1));
  const place = h("span", { class: "ol-place" });
  const done = h("button", { type: "button", class: "ol-button ol-done", title: "Mark as done and go on (D)", onclick: () => app.do.done(),
    aria: { pressed: "false", keyshortcuts: "D" } }, icon("check"), h("span", {}, "Done"));
  const list = iconButton("list", "Objects", "", () => app.do.drawer(), { class: "ol-button ol-drawer-button", aria: { expanded: "false" } });
  const group = (label, ...children) => h("div", { class: "ol-group", role: "group", aria: { label } }, ...children);
  const bar = h("div", { class: "ol-bar", role: "toolbar", aria: { label: "Labelling" } },
    h("div", { class: "ol-scroll" },
      group("Tools", ...Object.values(tools)),
      group("History", iconButton("undo", "Undo", `${CTRL}+Z`, () => app.do.undo()), iconButton("redo", "Redo", "Y", () => app.do.redo())),
      group("Zoom", iconButton("minus", "Zoom out", "−", () => app.do.zoom(0.8)), zoom,
        iconButton("plus", "Zoom in", "+", () => app.do.zoom(1.25)), iconButton("fit", "Fit", "0", () => app.do.fit())),
      group("Masks", h("label", { class: "ol-opacity" }, icon("opacity"), opacity), hide),
      group("Window", iconButton("full", "Full screen", "F", () => app.do.fullscreen()), iconButton("help", "All keys", "?", () => app.do.help()))),
    h("div", { class: "ol-nav" }, group("Images", previous, place, next), done, list));

  const update = () => {
    const { image } = stage;
    for (const [name, button] of Object.entries(tools)) button.setAttribute("aria-pressed", String(stage.tool === name));
    say(place, image ? `${image.position + 1} / ${image.total}` : "–");
    previous.disabled = !image?.previous;
    next.disabled = !image?.next;
    done.disabled = !image;
    done.setAttribute("aria-pressed", String(image?.status === "done"));
    hide.setAttribute("aria-pressed", String(stage.hideAll));
    hide.replaceChildren(icon(stage.hideAll ? "hidden" : "eye"));
    bar.classList.toggle("ol-idle", !image);
  };
  stage.on("tool image status settings", update);
  stage.on("view", () => say(zoom, `${Math.round(app.view.scale * 100)}%`));
  update();
  return bar;
}

/** The row of classes: colour, name and key; the pressed one is given to the next object. */
export function classBar(app) {
  const { stage } = app;
  const chips = h("div", { class: "ol-chips", role: "group", aria: { label: "Classes" } });
  const name = h("input", { class: "ol-input", type: "text", maxLength: 80, placeholder: "New class", hidden: true, aria: { label: "Name of the new class" } });
  const add = h("button", { type: "button", class: "ol-chip ol-add", title: "Add a class", aria: { label: "Add a class" } }, icon("plus"), h("span", {}, "Class"));
  const ask = (open) => {
    name.hidden = !open;
    add.hidden = open;
    name.value = "";
    if (open) name.focus(); else app.host.focus({ preventScroll: true });
  };
  add.addEventListener("click", () => ask(true));
  name.addEventListener("keydown", (e) => {
    e.stopPropagation();
    if (e.key === "Enter") { app.addClass(name.value); ask(false); }
    if (e.key === "Escape") ask(false);
  });
  name.addEventListener("blur", () => { if (!name.hidden && !name.value.trim()) { name.hidden = true; add.hidden = false; } });
  const update = () => {
    const object = stage.object, current = object?.class ?? stage.className;
    chips.replaceChildren(...stage.classes.map((c) => h("button", { type: "button", class: "ol-chip", title: c.hotkey ? `${c.name} (${c.hotkey})` : c.name,
      aria: { pressed: String(c.name === current), ...(c.hotkey ? { keyshortcuts: c.hotkey } : {}) },
      onclick: () => { app.labelling.setClass(c.name); app.host.focus({ preventScroll: true }); } },
    h("i", { class: "ol-dot", style: { background: c.colour } }), h("span", { class: "ol-name" }, c.name), c.hotkey ? h("kbd", {}, c.hotkey) : null)));
  };
  stage.on("classes", update);
  const press = () => {
    const current = stage.object?.class ?? stage.className;
    [...chips.children].forEach((chip, i) => chip.setAttribute("aria-pressed", String(stage.classes[i]?.name === current)));
  };
  stage.on("selection settings changed object", press);
  update();
  return h("div", { class: "ol-classes" }, chips, name, add);
}
