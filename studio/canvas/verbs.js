// What a key or a button can do, by name. A verb that returns false leaves the key to the page.

import { clamp } from "./geometry.js";

export function verbs(app) {
  const { stage, view, labelling } = app;
  const chosen = (id) => stage.objects.get(id ?? stage.selected);
  const toggle = (set, id) => (set.has(id) ? set.delete(id) : set.add(id));
  const zoom = (factor) => {
    view.zoomAt(view.width / 2, view.height / 2, factor);
    app.viewChanged();
  };
  return {
    tool: (name) => stage.setTool(name),
    undo: () => labelling.undo(),
    redo: () => labelling.redo(),
    go: (step) => app.session.go(step),
    accept: () => labelling.accept(),
    acceptAll: () => labelling.acceptAll(),
    begin: () => stage.select(null),
    aside: () => labelling.putAside(),
    candidate: () => (stage.tool === "smart" && stage.activeObject?.candidates ? labelling.choose(stage.activeObject.choice + 1) : false),
    delete: () => (stage.selected ? labelling.remove([stage.selected]) : false),
    hotkey(key) {
      const found = stage.classes.find((c) => c.hotkey === key);
      if (!found) return false;
      labelling.setClass(found.name);
    },
    reopen(id) {
      if (!["mask", "alpha"].includes(stage.objects.get(id)?.shape?.kind)) return false;
      stage.setTool("smart");
      labelling.reopen(id);
    },
    hide(id) {
      const object = chosen(id);
      if (!object) return false;
      toggle(stage.hidden, object.id);
      if (stage.active === object.id) stage.select(object.id);
      stage.emit("changed", [object]);
    },
    lock(id) {
      const object = chosen(id);
      if (!object) return false;
      toggle(stage.locked, object.id);
      if (stage.active === object.id) stage.select(object.id);
      stage.emit("changed", [object]);
    },
    hideAll: () => stage.set({ hideAll: !stage.hideAll }),
    brushBy: (factor) => app.tools.brush.resize(factor),
    zoom,
    fit() { view.fit(); app.viewChanged(); },
    actual: () => zoom(1 / view.dpr / view.scale),
    zoomSelected() {
      const box = chosen()?.figure?.box;
      if (!box) return false;
      view.show(box);
      app.viewChanged();
    },
    fullscreen() {
      if (document.fullscreenElement) document.exitFullscreen();
      else app.root.requestFullscreen?.().catch(() => app.say("This browser does not allow full screen here."));
    },
    async done() {
      if (!stage.image) return;
      if (stage.active) labelling.accept();
      app.session.setDone(stage.image.status !== "done");
    },
    help: () => app.legend.open || app.legend.showModal(),
    space: (held) => app.spaceHeld(held),
    drawer: (open = !app.root.classList.contains("ol-drawn")) => app.drawer(open),
    review: () => (app.review.on ? app.review.close() : app.review.open()),
    focusList: () => { app.drawer(true); app.panel.focus(); },
    ...crosshair(app),
  };
}

/** The cross-hair moved by the arrow keys, for whoever has no pointer. */
export function crosshair(app) {
  const { stage, view, labelling } = app;
  return {
    keyboard() {
      if (!stage.image) return false;
      const [x, y] = view.toImage(view.width / 2, view.height / 2);
      stage.cursor = stage.cursor ? null
        : { x: clamp(Math.floor(x), 0, stage.image.width - 1), y: clamp(Math.floor(y), 0, stage.image.height - 1) };
      app.host.focus();
      app.announce(stage.cursor ? `Cross-hair at ${stage.cursor.x}, ${stage.cursor.y}. Arrows move it, Space clicks, X takes away, A accepts.` : "Cross-hair off.");
      stage.emit("settings", {});
    },
    moveCursor(dx, dy) {
      const { cursor, image } = stage;
      cursor.x = clamp(cursor.x + dx, 0, image.width - 1);
      cursor.y = clamp(cursor.y + dy, 0, image.height - 1);
      const before = view.version;
      view.reveal(cursor.x, cursor.y);
      if (view.version !== before) app.viewChanged();
      app.layers.draw("top");
      stage.emit("pointer", cursor);
      app.announce(`${cursor.x}, ${cursor.y}`);
    },
    clickAtCursor(positive) {
      const { x, y } = stage.cursor;
      if (stage.tool === "smart") labelling.click(x + 0.5, y + 0.5, positive);
      else if (positive) app.press(x + 0.5, y + 0.5);
    },
  };
}
