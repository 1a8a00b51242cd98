// Step one, beside the picture: who answers clicks, a word, or no prompt at all.

import { h } from "../dom.js";

export function pointPanel(app) {
  const { stage, choices, task } = app;
  const word = h("input", { type: "text", class: "ol-input", placeholder: "feather, glass", maxLength: 300, aria: { label: "Words to look for, with commas between them" },
    onkeydown: (e) => { e.stopPropagation(); if (e.key === "Enter") find(); } });
  const find = () => {
    if (word.value.trim()) app.host.focus({ preventScroll: true }); // so that keys go on from there
    app.findWords(word.value);
  };
  const seek = h("button", { type: "button", class: "ol-act om-side", onclick: find }, "Find");
  const alone = h("button", { type: "button", class: "ol-act om-side", title: "Cut out what stands out, without a prompt", onclick: () => app.alone() }, "Cut out what stands out");
  const fold = (title, ...children) => h("details", { class: "om-fold" }, h("summary", {}, title), ...children);
  const element = h("section", { class: "om-section", aria: { label: "Point out" } },
    choices.field("segmenter", "Clicks are answered by"),
    fold("By a word", h("div", { class: "om-line" }, word, seek), choices.field("detector", "Words are found by")),
    fold("Automatic: no prompt", alone, choices.field("cutter", "What stands out is found by")));
  const update = () => {
    element.hidden = app.step !== "point";
    seek.disabled = alone.disabled = task.running || !stage.image;
  };
  stage.on("step task image", update);
  update();
  return element;
}

