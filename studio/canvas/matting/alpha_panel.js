// Step three, beside the picture: what lies behind, before and after, a brush inside of the band, and files to take along.

import { h, say } from "../dom.js";
import { size } from "./band_panel.js";
import { GROUNDS } from "./grounds.js";
import { FILES } from "./keep.js";

export function alphaPanel(app) {
  const { stage, ground } = app, back = () => app.host.focus({ preventScroll: true });
  const press = (label, key, title, onclick, more = {}) => h("button", { type: "button", class: "ol-act om-level", title: key ? `${title} (${key})` : title, aria: { pressed: "false" },
    onclick: () => { onclick(); back(); }, ...more }, label, key ? h("kbd", {}, key) : null);
  const grounds = GROUNDS.map(([kind, label]) => press(label, "", `Show the cut-out over ${label.toLowerCase()}`, () => app.showOn(kind)));
  const colour = h("input", { type: "color", class: "om-colour", value: ground.colour, aria: { label: "Colour behind the cut-out" }, oninput: () => app.showOn("colour", { colour: colour.value }) });
  const file = h("input", { type: "file", accept: "image/*", hidden: true, onchange: () => { if (file.files[0]) app.takePicture({ name: file.files[0].name, file: file.files[0] }); file.value = ""; } });
  const upload = h("button", { type: "button", class: "ol-act om-side", onclick: () => file.click() }, "Choose a file …");
  const strip = h("div", { class: "om-strip", role: "group", aria: { label: "Pictures of this project" } });
  const picture = h("div", { class: "om-pictures", hidden: true }, file, upload, strip);
  const compare = press("Before / after", "C", "Drag the line over the picture", () => app.setCompare(!app.compare));
  const clean = press("Clean colours", "E", "The object's own colours, without a fringe of what was behind it", () => app.setClean(!app.clean));
  const more = press("More", "A", "Paint: more of the object here, inside of the band", () => app.setRefine(1));
  const less = press("Less", "S", "Paint: less of the object here, inside of the band", () => app.setRefine(0));
  const strength = slider("Strength", 5, 100, app.refining.strength * 100, "%", (v) => { app.refining.strength = v / 100; });
  const softness = slider("Soft edge", 0, 60, app.refining.softness, "px", (v) => { app.refining.softness = v; });
  const brush = h("div", { class: "om-refine", hidden: true }, size(app), strength, softness);
  const what = h("select", { class: "om-select", aria: { label: "What to download" } }, ...FILES.map((f, i) => h("option", { value: String(i) }, f.title)));
  const get = h("button", { type: "button", class: "ol-act om-side", onclick: () => app.download(FILES[Number(what.value)]) }, "Download");
  const shown = h("div", { class: "om-shown" },
    h("h3", {}, "Shown on"), h("div", { class: "om-levels", role: "group", aria: { label: "What lies behind" } }, ...grounds, colour), picture,
    h("div", { class: "om-levels" }, compare, clean),
    h("h3", {}, "Refine inside of the band"), h("div", { class: "om-levels", role: "group", aria: { label: "Refine" } }, more, less), brush,
    h("h3", {}, "Take it along"), h("div", { class: "om-line" }, what, get));
  const none = h("p", { class: "om-about" }, "No alpha has been made of this object yet. Choose by what, and press “Make the alpha”.");
  const element = h("section", { class: "om-section", hidden: true, aria: { label: "Alpha" } }, app.choices.field("matter", "Alpha is made by"), none, shown);
  const update = () => {
    element.hidden = app.step !== "alpha";
    if (element.hidden) return;
    const made = stage.object?.shape?.kind === "alpha";
    none.hidden = made;
    shown.hidden = !made;
    grounds.forEach((button, i) => button.setAttribute("aria-pressed", String(ground.kind === GROUNDS[i][0])));
    colour.hidden = ground.kind !== "colour";
    picture.hidden = ground.kind !== "picture";
    if (!picture.hidden) app.readPictures();
    compare.setAttribute("aria-pressed", String(app.compare));
    clean.setAttribute("aria-pressed", String(app.clean));
    clean.disabled = ground.kind === "grey";
    const refining = stage.tool === "refine";
    more.setAttribute("aria-pressed", String(refining && app.refining.to === 1));
    less.setAttribute("aria-pressed", String(refining && app.refining.to === 0));
    brush.hidden = !refining;
    get.disabled = app.downloading;
    say(get, app.downloading ? "Preparing …" : "Download");
  };
  const pictures = (all) => strip.replaceChildren(...all.map((p) => h("button", { type: "button", class: "om-thumb", title: p.name, aria: { label: `Lay ${p.name} behind` },
    onclick: () => { app.takePicture({ name: p.name, image: p.id, url: p.url }); back(); } }, h("img", { src: p.thumb, alt: "", loading: "lazy" }))));
  stage.on("step settings selection objects object tool shown", update);
  stage.on("pictures", pictures);
  return element;
}

function slider(label, min, max, value, unit, changed) {
  const out = h("span", { class: "ol-num" }, `${Math.round(value)} ${unit}`);
  const input = h("input", { type: "range", class: "ol-range", min: String(min), max: String(max), step: "1", value: String(value), aria: { label },
    oninput: () => { say(out, `${input.value} ${unit}`); changed(Number(input.value)); } });
  return h("label", { class: "om-slide" }, h("span", {}, label), out, h("div", {}, input));
}
