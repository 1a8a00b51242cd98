// The line below the picture: what is shown, where the pointer is, how fast, and whether all is saved.

import { h, say } from "./dom.js";

export function statusBar(app) {
  const { stage } = app, cell = (name) => h("span", { class: `ol-cell ol-${name}` });
  const [name, size, at, model, latency] = ["file", "dims", "xy", "model", "lat"].map(cell);
  const saved = h("button", { type: "button", class: "ol-cell ol-saved", onclick: () => app.wire.retryNow() });
  let state = { kind: "saved", savedAt: null };
  const tell = () => {
    const ago = state.savedAt ? Math.round((Date.now() - state.savedAt) / 1000) : null;
    const text = { saving: "saving…", offline: `offline — will retry · ${state.pending} waiting`,
      saved: ago === null ? "all saved" : ago < 2 ? "saved" : `saved · ${ago < 60 ? `${ago} s` : ago < 3600 ? `${Math.round(ago / 60)} min` : "over 1 h"} ago` }[state.kind];
    say(saved, text);
    saved.dataset.state = state.kind;
    saved.disabled = state.kind !== "offline";
    saved.title = state.kind === "offline" ? "Try again now" : "";
  };
  const update = () => {
    const { image } = stage;
    say(latency, "");
    say(name, image?.name ?? "No image");
    name.title = image?.name ?? "";
    say(size, image ? `${image.width} × ${image.height}` : "");
  };
  stage.on("image", update);
  stage.on("pointer", (p) => {
    const { image } = stage;
    say(at, p && image && p.x >= 0 && p.y >= 0 && p.x < image.width && p.y < image.height ? `${Math.floor(p.x)}, ${Math.floor(p.y)}` : "");
  });
  stage.on("preparing", ({ busy, answer }) => {
    const title = app.modelTitle() || stage.model || "";
    say(model, !stage.model ? "no model chosen" : busy ? `${title} · reading the image…` : answer?.ok ? title : `${title} · not ready`);
    model.classList.toggle("ol-busy", busy);
  });
  stage.on("latency", (ms) => say(latency, `click ${Math.round(ms)} ms`));
  const timer = setInterval(tell, 1000);
  update();
  tell();
  const element = h("div", { class: "ol-status" }, name, size, at, h("span", { class: "ol-space" }), model, latency, saved);
  return { element, saved(next) { state = next; tell(); }, close: () => clearInterval(timer) };
}
