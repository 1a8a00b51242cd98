// What a key or a button can do on the matting stage, by name. A verb that returns false leaves the key to the page.

import { crosshair } from "../verbs.js";

export function verbs(app) {
  const { stage, view, labelling } = app;
  const zoom = (factor) => {
    view.zoomAt(view.width / 2, view.height / 2, factor);
    app.viewChanged();
  };
  const back = (way) => {
    if (app.step === "band" && app.band?.[way]()) return app.askTrimap();
    labelling[way]();
  };
  const toggle = (set, id) => {
    const object = stage.objects.get(id ?? stage.selected);
    if (!object) return false;
    if (!set.delete(object.id)) set.add(object.id);
    if (stage.active === object.id) stage.select(object.id);
    stage.emit("changed", [object]);
  };
  const { keyboard, ...cross } = crosshair(app);
  return {
    ...cross,
    keyboard: () => (app.step === "point" ? keyboard() : false),
    tool: (name) => stage.setTool(stage.tool === name && name === "pan" ? app.stepTool() : name),
    undo: () => back("undo"),
    redo: () => back("redo"),
    go: (step) => app.session.go(step),
    accept: () => app.forward(),
    acceptAll: () => (app.step === "point" ? labelling.acceptAll() : false),
    begin() {
      stage.select(null);
      app.setStep("point");
    },
    make: () => { app.make(); },
    aside: () => app.backward(),
    candidate: () => (stage.tool === "smart" && stage.activeObject?.candidates ? labelling.choose(stage.activeObject.choice + 1) : false),
    delete() {
      if (!stage.selected) return false;
      labelling.remove([stage.selected]);
    },
    hotkey(key) {
      const found = stage.classes.find((c) => c.hotkey === key);
      if (!found) return false;
      labelling.setClass(found.name);
    },
    /** From the list: an alpha is looked at again, anything else is corrected with clicks. */
    reopen(id) {
      const kind = stage.objects.get(id)?.shape?.kind;
      stage.select(id);
      if (kind === "alpha") return app.setStep("alpha");
      if (kind !== "mask") return app.setStep("band");
      app.setStep("point");
      labelling.reopen(id);
    },
    hide: (id) => toggle(stage.hidden, id),
    lock: (id) => toggle(stage.locked, id),
    widen: (factor) => app.widen(factor),
    level: (name) => (app.step === "band" ? app.setLevel(name) : false),
    ground: () => app.nextGround(),
    compare: () => (app.step === "alpha" ? app.setCompare(!app.compare) : false),
    clean: () => (app.step === "alpha" ? app.setClean(!app.clean) : false),
    refine: (to) => app.setRefine(to),
    look: () => (app.step === "alpha" ? stage.setTool("look") : false),
    brushBy: (factor) => (app.step === "point" ? false : app.tools.paint.resize(factor)),
    zoom,
    fit() { view.fit(); app.viewChanged(); },
    actual: () => zoom(1 / view.dpr / view.scale),
    zoomSelected() {
      const box = stage.object?.figure?.box;
      if (!box) return false;
      view.show(box);
      app.viewChanged();
    },
    fullscreen() {
      if (document.fullscreenElement) document.exitFullscreen();
      else app.root.requestFullscreen?.().catch(() => app.say("This browser does not allow full screen here."));
    },
    help: () => app.legend.open || app.legend.showModal(),
    space: (held) => app.spaceHeld(held),
    drawer: () => false,
    review() {
      if (app.review.on) return app.review.close();
      app.setStep("point");
      app.review.open();
    },
  };
}
