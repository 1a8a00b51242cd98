// Step two, beside the picture: how wide the unknown band is, a brush for it, and what may be seen through.

import { h, say } from "../dom.js";
import { placeOf, widthAt } from "./band.js";
import { INKS } from "./drawing.js";

export const LEVELS = [["unknown", "Unknown", "U", "Hair, fur, whatever is half see-through: the alpha is worked out here"],
  ["foreground", "Object", "O", "Surely the object"], ["background", "Background", "G", "Surely not the object"]];

export function bandPanel(app) {
  const { stage, choices } = app, back = () => app.host.focus({ preventScroll: true });
  const width = h("input", { type: "range", class: "ol-range", min: "0", max: "100", step: "1", value: "50", aria: { label: "Width of the unknown band" },
    title: "Narrower or wider (, and .)", oninput: () => app.setBand({ width: widthAt(Number(width.value)), pixels: null }, "width") });
  const times = h("output", { class: "ol-num" });
  const pixels = h("input", { type: "number", class: "ol-input om-number", min: "0.5", max: "500", step: "0.5", placeholder: "adapts", aria: { label: "Pixels to each side" },
    onkeydown: (e) => e.stopPropagation(), onchange: () => app.setBand({ pixels: pixels.value ? Math.min(500, Math.max(0.5, Number(pixels.value))) : null }) });
  const levels = LEVELS.map(([name, label, key, title]) => h("button", { type: "button", class: "ol-act om-level", title: `${title} (${key})`, aria: { pressed: "false", keyshortcuts: key },
    onclick: () => { app.setLevel(name); back(); } }, h("i", { class: "ol-dot", style: { background: INKS[name] } }), label, h("kbd", {}, key)));
  const wipe = h("button", { type: "button", class: "ol-link", onclick: () => app.clearBand() }, "Take the painting away");
  const words = h("input", { type: "text", class: "ol-input", placeholder: "glass, veil", maxLength: 200, aria: { label: "See-through things, with commas between them" },
    onkeydown: (e) => { e.stopPropagation(); if (e.key === "Enter") look(); } });
  const look = () => { app.setBand({ see_through: words.value.split(",").map((w) => w.trim()).filter(Boolean) }); back(); };
  const chips = h("div", { class: "om-chips" });
  const seen = h("p", { class: "om-about" });
  const element = h("section", { class: "om-section", hidden: true, aria: { label: "Band" } },
    h("label", { class: "om-slide" }, h("span", {}, "Unknown band"), times, h("div", {}, h("small", {}, "narrower"), width, h("small", {}, "wider"))),
    h("label", { class: "om-line" }, h("span", {}, "Pixels to each side"), pixels), seen,
    h("div", { class: "om-levels", role: "group", aria: { label: "What the brush paints" } }, ...levels), size(app), wipe,
    h("details", { class: "om-fold" }, h("summary", {}, "See-through things"), h("p", { class: "om-about" }, "What these words find on the object is unknown as a whole."), chips,
      h("div", { class: "om-line" }, words, h("button", { type: "button", class: "ol-act om-side", onclick: look }, "Look for")), choices.field("detector", "Words are found by")));
  const update = () => {
    element.hidden = app.step !== "band";
    const now = app.band?.now;
    if (element.hidden || !now) return;
    width.value = String(placeOf(now.width));
    say(times, now.pixels ? `${now.pixels} px` : `× ${now.width.toFixed(2)}`);
    if (document.activeElement !== pixels) pixels.value = now.pixels ?? "";
    if (document.activeElement !== words) words.value = now.see_through.join(", ");
    levels.forEach((button, i) => button.setAttribute("aria-pressed", String(app.level === LEVELS[i][0])));
    wipe.hidden = !app.band.painted;
    say(seen, app.unknownShare === null ? "" : `${(app.unknownShare * 100).toPrecision(2)} % of the picture is to be worked out.`);
    chips.replaceChildren(...choices.see_through.map((word) => h("button", { type: "button", class: "ol-chip", aria: { pressed: String(now.see_through.includes(word)) },
      onclick: () => app.setBand({ see_through: now.see_through.includes(word) ? now.see_through.filter((w) => w !== word) : [...now.see_through, word] }) }, word)));
  };
  stage.on("step band settings choices selection", update);
  return element;
}

/** The slider for the brush's size. */
export function size(app) {
  const pixels = h("span", { class: "ol-num" });
  const range = h("input", { type: "range", class: "ol-range", min: "0", max: "100", step: "1", aria: { label: "Brush size" }, title: "Brush size ([ and ], Alt+Wheel)",
    oninput: (e) => app.brushTo(Math.round(Math.exp((e.target.value / 100) * Math.log(600)))) });
  const update = () => {
    range.value = String(Math.round((Math.log(app.brush.size) / Math.log(600)) * 100));
    say(pixels, `${app.brush.size} px`);
  };
  app.stage.on("settings step", update);
  return h("label", { class: "om-slide" }, h("span", {}, "Brush"), pixels, h("div", {}, range));
}
