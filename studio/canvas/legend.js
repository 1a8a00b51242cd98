// The legend of keys behind “?”.

import { h, icon } from "./dom.js";
import { LEGEND } from "./keys.js";

export function legend(app, groups = LEGEND) {
  const dialog = h("dialog", { class: "ol-legend", aria: { label: "Keys" } },
    h("div", { class: "ol-legend-head" }, h("h2", {}, "Keys"),
      h("button", { type: "button", class: "ol-button", title: "Close (Esc)", aria: { label: "Close" }, onclick: () => dialog.close() }, icon("close"))),
    h("div", { class: "ol-legend-body" }, groups.map(([title, rows]) => h("section", {}, h("h3", {}, title),
      h("dl", {}, rows.map(([keys, what]) => h("div", {},
        h("dt", {}, keys.flatMap((k, i) => (i ? [" ", h("kbd", {}, k)] : [h("kbd", {}, k)]))), h("dd", {}, what))))))));
  dialog.addEventListener("click", (e) => { if (e.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (e) => { e.stopPropagation(); if (e.key === "?") dialog.close(); });
  dialog.addEventListener("close", () => app.host.focus({ preventScroll: true }));
  return dialog;
}
