// The keyboard of the matting stage: one table, from which both the keys and the legend behind “?” come.

import { CTRL } from "../keys.js";

export const LEGEND = [
  ["Steps", [
    [["Enter"], "on to the next step; accept the alpha"], [["Esc"], "one step back, put aside, stop"], [["M"], "make the alpha, from any step"],
    [["N"], "begin another object"]]],
  ["1 Point out", [
    [["Click"], "add to the object"], [["Right-click", "Shift+Click"], "take away"], [["Drag"], "draw a box"], [["Click a point"], "remove it; drag to move"],
    [["Tab"], "next candidate"], [["1 … 9"], "class"], [["Double-click"], "correct a mask"]]],
  ["2 Band", [
    [[",", "."], "narrower, wider"], [["U"], "paint unknown"], [["O"], "paint object"], [["G"], "paint background"], [["Right-drag"], "the other way round"],
    [["[", "]"], "brush size (Alt+Wheel)"]]],
  ["3 Alpha", [
    [["V"], "shown on squares, a colour, a picture, in grey"], [["C"], "before and after"], [["E"], "clean colours"], [["A"], "paint more"], [["S"], "paint less"],
    [["Q"], "look around"]]],
  ["Objects", [
    [["Z", `${CTRL}+Z`], "undo"], [["Y", "Shift+Z"], "redo"], [["Delete"], "delete the selected"], [["I"], "review the drafts"]]],
  ["Review of drafts", [
    [["←", "→"], "previous, next draft"], [["Enter"], "accept, go on"], [["Delete", "Backspace"], "reject, go on"], [["Shift+Enter"], "accept all"], [["Esc"], "end"]]],
  ["View and images", [
    [["Wheel", "+", "−"], "zoom"], [["Space", "H"], "move the picture"], [["0"], "fit"], [["Shift+0"], "100 %"], [["W"], "zoom to the object"],
    [["F"], "full screen"], [["←", "→"], "previous, next image"]]],
  ["Keyboard only", [[["K"], "cross-hair on or off"], [["Arrows"], "move it; Shift: by 10"], [["Space"], "click"], [["X"], "take away"]]],
];

const HELD = new Set(["[", "]", "+", "=", "-", ",", ".", "z", "y"]); // keys that may be held down

export class Keys {
  /** `app` offers do (verbs by name), step, stage, task, host, root, review, visible(). */
  constructor(app, signal) {
    this.app = app;
    window.addEventListener("keydown", (e) => this.#pressed(e), { signal });
    window.addEventListener("keyup", (e) => { if (e.key === " ") app.do.space(false); }, { signal });
    window.addEventListener("blur", () => app.do.space(false), { signal });
  }

  // Keys are taken only where they cannot be meant for something else on the page.
  #mine(e) {
    const { app } = this, at = document.activeElement;
    if (e.defaultPrevented || e.isComposing || e.altKey || !app.visible()) return null;
    if (at && at !== document.body && at !== document.documentElement && !app.root.contains(at)) return null;
    if (at?.closest?.("input:not([type=range]), select, textarea, dialog, summary, .ol-picker")) return null;
    return at === app.host || !at || at === document.body ? "stage" : at.closest("[role=listbox]") ? "list" : "control";
  }

  #pressed(e) {
    const where = this.#mine(e);
    if (!where) return;
    const action = this.#action(e, where);
    if (!action) return;
    const [name, ...args] = action;
    if (this.app.review.key(name, args, e) || this.app.do[name]?.(...args) !== false) { e.preventDefault(); e.stopPropagation(); }
  }

  #action(e, where) {
    const key = e.key.length === 1 ? e.key.toLowerCase() : e.key, ctrl = e.ctrlKey || e.metaKey, { app } = this;
    if (ctrl) return key === "z" ? [e.shiftKey ? "redo" : "undo"] : key === "y" ? ["redo"] : null;
    if (app.stage.cursor && where === "stage") {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
      if (step) return ["moveCursor", ...step.map((v) => v * (e.shiftKey ? 10 : 1))];
      if (key === " ") return ["clickAtCursor", true];
      if (key === "x") return ["clickAtCursor", false];
      if (key === "a") return ["accept"];
    }
    const range = document.activeElement?.type === "range";
    if (/^Arrow(Left|Right)$/.test(key)) return range || where === "list" ? null : ["go", key === "ArrowLeft" ? -1 : 1];
    if (where !== "control") {
      if (key === " ") return ["space", true];
      if (key === "Enter") return [e.shiftKey ? "acceptAll" : "accept"];
    }
    if (key === "Tab") return where === "stage" && !e.shiftKey && app.stage.activeObject?.candidates ? ["candidate"] : null;
    if (e.code === "Digit0") return [e.shiftKey ? "actual" : "fit"];
    if (/^[1-9]$/.test(key)) return ["hotkey", key];
    if (e.repeat && !HELD.has(key)) return null;
    const plain = {
      z: [e.shiftKey ? "redo" : "undo"], y: ["redo"], n: ["begin"], m: ["make"], Escape: ["aside"], Delete: ["delete"], Backspace: ["delete"],
      ",": ["widen", 1 / 1.15], ".": ["widen", 1.15], u: ["level", "unknown"], o: ["level", "foreground"], g: ["level", "background"],
      v: ["ground"], c: ["compare"], e: ["clean"], a: ["refine", 1], s: ["refine", 0], q: ["look"],
      "[": ["brushBy", 1 / 1.2], "]": ["brushBy", 1.2], "+": ["zoom", 1.25], "=": ["zoom", 1.25], "-": ["zoom", 0.8], _: ["zoom", 0.8],
      "?": ["help"], h: ["tool", "pan"], w: ["zoomSelected"], f: ["fullscreen"], i: ["review"], k: ["keyboard"],
    };
    return plain[key] ?? null;
  }
}
