// Above the picture: the three steps, the hand, undo and zoom, and the way from image to image.

import { h, icon, iconButton, say } from "../dom.js";
import { CTRL } from "../keys.js";

export const STEPS = [["point", "Point out"], ["band", "Band"], ["alpha", "Alpha"]];

export function bar(app) {
  const { stage } = app;
  const steps = STEPS.map(([name, label], i) => h("button", { type: "button", class: "om-step", onclick: () => { app.setStep(name); app.host.focus({ preventScroll: true }); } },
    h("b", {}, String(i + 1)), h("span", {}, label)));
  const zoom = h("button", { type: "button", class: "ol-button ol-zoom", title: "100 % (Shift+0)", onclick: () => app.do.actual(), aria: { label: "Zoom to 100 %" } }, "100%");
  const previous = iconButton("previous", "Previous image", "←", () => app.do.go(-1)), next = iconButton("next", "Next image", "→", () => app.do.go(1));
  const pan = iconButton("pan", "Move the picture", "H", () => app.do.tool(stage.tool === "pan" ? app.stepTool() : "pan"), { aria: { pressed: "false" } });
  const place = h("span", { class: "ol-place" });
  const group = (label, ...children) => h("div", { class: "ol-group", role: "group", aria: { label } }, ...children);
  const element = h("div", { class: "ol-bar om-bar", role: "toolbar", aria: { label: "Matting" } },
    h("div", { class: "om-steps", role: "group", aria: { label: "Steps" } }, ...steps),
    h("div", { class: "ol-scroll" },
      group("Tools", pan),
      group("History", iconButton("undo", "Undo", `${CTRL}+Z`, () => app.do.undo()), iconButton("redo", "Redo", "Y", () => app.do.redo())),
      group("Zoom", iconButton("minus", "Zoom out", "−", () => app.do.zoom(0.8)), zoom, iconButton("plus", "Zoom in", "+", () => app.do.zoom(1.25)),
        iconButton("fit", "Fit", "0", () => app.do.fit())),
      group("Window", iconButton("full", "Full screen", "F", () => app.do.fullscreen()), iconButton("help", "All keys", "?", () => app.do.help()))),
    h("div", { class: "ol-nav" }, group("Images", previous, place, next)));
  const update = () => {
    const { image } = stage, object = stage.object?.shape;
    steps.forEach((button, i) => {
      const on = app.step === STEPS[i][0];
      button.setAttribute("aria-current", on ? "step" : "false");
      button.disabled = i > 0 && !object;
      button.title = i > 0 && !object ? "Point out an object first" : "";
      button.classList.toggle("om-made", i === 2 && object?.kind === "alpha");
    });
    pan.setAttribute("aria-pressed", String(stage.tool === "pan"));
    say(place, image ? `${image.position + 1} / ${image.total}` : "–");
    previous.disabled = !image?.previous;
    next.disabled = !image?.next;
  };
  stage.on("step image selection objects object segmented tool settings", update);
  stage.on("view", () => say(zoom, `${Math.round(app.view.scale * 100)}%`));
  update();
  return element;
}

/** The strip at the lower edge of the picture: what comes next. */
export function strip(app) {
  const { stage, task } = app;
  const button = (label, key, onclick, more = {}) => h("button", { type: "button", class: "ol-act", onclick: () => { onclick(); app.host.focus({ preventScroll: true }); }, ...more }, h("span", {}, label), key ? h("kbd", {}, key) : null);
  const add = h("button", { type: "button", class: "ol-act ol-plus", title: "A click adds to the object", aria: { label: "Add" }, onclick: () => stage.set({ adding: true }) }, icon("plus"), h("span", {}, "Add"));
  const take = h("button", { type: "button", class: "ol-act ol-minus", title: "A click takes away", aria: { label: "Take away" }, onclick: () => stage.set({ adding: false }) }, icon("minus"), h("span", {}, "Take away"));
  const sign = h("div", { class: "ol-switch", role: "group", aria: { label: "What a click does" } }, add, take);
  const say_ = h("span", { class: "ol-say" });
  const on = button("Band", "Enter", () => app.forward());
  const make = button("Make the alpha", "M", () => app.make(), { class: "ol-act ol-primary om-make" });
  const open = button("See the alpha", "Enter", () => app.setStep("alpha"), { class: "ol-act ol-primary" });
  const accept = button("Accept", "Enter", () => app.accept(), { class: "ol-act ol-primary" });
  const back = button("Back", "Esc", () => app.backward());
  const fill = h("i"), far = h("div", { class: "ol-progress om-progress", role: "progressbar", aria: { label: "Progress" } }, fill);
  const stop = button("Cancel", "Esc", () => task.stop());
  const element = h("div", { class: "ol-acts om-acts", role: "group", aria: { label: "What comes next" } }, sign, say_, far, stop, back, on, open, make, accept);
  const DOING = { matte: "Making the alpha …", alone: "Looking for what stands out …", words: "Looking for the words …" };
  const update = () => {
    const object = stage.object?.shape, made = object?.kind === "alpha", { step } = app, busy = task.running;
    element.hidden = !stage.image || (app.review?.on && !busy);
    sign.hidden = busy || step !== "point";
    far.hidden = stop.hidden = !busy;
    fill.style.width = `${Math.round(100 * (task.share ?? 0.04))}%`;
    far.classList.toggle("ol-busy", busy && task.share === null);
    stop.disabled = task.stopping;
    say(stop.firstChild, task.stopping ? "Stopping …" : "Cancel");
    back.hidden = busy || step === "point";
    on.hidden = busy || step !== "point" || !object || made;
    open.hidden = busy || step !== "point" || !made;
    make.hidden = busy || !object || (step === "point" && made);
    say(make.firstChild, made ? "Make it again" : "Make the alpha");
    make.classList.toggle("ol-primary", !(step === "alpha" && made));
    accept.hidden = busy || step !== "alpha" || !made;
    say(accept.firstChild, stage.object?.draft ? "Accept" : "Done");
    add.setAttribute("aria-pressed", String(stage.adding));
    take.setAttribute("aria-pressed", String(!stage.adding));
    const waits = step === "alpha" && made && !app.matte.cutout, share = task.share === null ? "" : ` ${Math.round(100 * task.share)} %`;
    const text = busy ? `${DOING[task.op] ?? "Working …"}${share}` : waits ? "Finding the object's own colours …"
      : step === "point" && !object ? "Click an object. Right-click takes away, drag draws a box." : "";
    say(say_, text);
    say_.hidden = !text;
  };
  stage.on("step task image selection objects object segmented changed settings loading shown", update);
  update();
  return element;
}
