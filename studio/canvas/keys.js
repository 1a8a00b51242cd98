// The keyboard: one table, from which both the keys and the legend behind “?” come.

const mac = /Mac|iP(hone|ad)/.test(globalThis.navigator?.platform ?? "");
export const CTRL = mac ? "⌘" : "Ctrl";

/** Return the groups of the legend: [title, [[keys, what they do], …]]. */
export const LEGEND = [
  ["Smart", [
    [["Click"], "add to the object"], [["Right-click", "Shift+Click"], "take away"], [["Drag"], "draw a box"],
    [["Click a point"], "remove it; drag to move"], [["Enter"], "accept, next object"], [["N"], "keep as draft, next"],
    [["Esc"], "put aside"], [["Tab", "C"], "next candidate"], [["Double-click"], "correct a mask"]]],
  ["Tools", [
    [["S"], "Smart"], [["B"], "Brush"], [["E"], "Eraser"], [["P"], "Polygon"], [["R"], "Box"], [["V"], "Select"],
    [["H", "Space"], "Pan (hold Space)"], [["[", "]"], "brush size (Alt+Wheel)"]]],
  ["Objects", [
    [["1 … 9"], "class"], [["Delete"], "delete the selected"], [["Z", `${CTRL}+Z`], "undo"], [["Y", "Shift+Z"], "redo"],
    [["Shift+Enter"], "accept all drafts"], [["T"], "hide or show all"], [["L"], "lock the selected"], [["O"], "hide the selected"]]],
  ["Review of drafts", [
    [["I"], "begin, one draft after the other"], [["←", "→"], "previous, next draft"], [["Enter"], "accept, go on"],
    [["Delete", "Backspace"], "reject, go on"], [["Shift+Enter"], "accept all shown"], [["Esc"], "end"]]],
  ["Polygon", [
    [["Enter", "Double-click"], "close"], [["Backspace"], "take back a vertex"], [["Drag an edge"], "put in a vertex"],
    [["Alt+Click", "Delete"], "take out a vertex"]]],
  ["View and images", [
    [["Wheel", "+", "−"], "zoom"], [["0"], "fit"], [["Shift+0"], "100 %"], [["W"], "zoom to selected"], [["F"], "full screen"],
    [["←", ","], "previous image"], [["→", "."], "next image"], [["D"], "done, go on"]]],
  ["Keyboard only", [
    [["K"], "cross-hair on or off"], [["Arrows"], "move it; Shift: by 10"], [["Space", "Enter"], "click"], [["X"], "take away"],
    [["A", `${CTRL}+Enter`], "accept"], [["G"], "go to the object list"]]],
];

const TOOLS = { s: "smart", b: "brush", e: "eraser", p: "polygon", r: "box", v: "select", h: "pan" };

export class Keys {
  /** `app` offers do (the verbs by name), stage, currentTool(), host, root, visible(). */
  constructor(app, signal) {
    this.app = app;
    window.addEventListener("keydown", (e) => this.#pressed(e), { signal });
    window.addEventListener("keyup", (e) => { if (e.key === " ") app.do.space(false); }, { signal });
    window.addEventListener("blur", () => app.do.space(false), { signal });
  }

  // Keys are taken only where they cannot be meant for something else on the page.
  #mine(e) {
    const { app } = this, at = document.activeElement;
    if (e.defaultPrevented || e.isComposing || !app.visible()) return null;
    if (at && at !== document.body && at !== document.documentElement && !app.root.contains(at)) return null;
    if (at?.closest?.("input, textarea, select, dialog, [contenteditable=true], .ol-picker")) return at.type === "range" ? "range" : null;
    return at === app.host || !at || at === document.body ? "stage" : at.closest("[role=listbox]") ? "list" : "control";
  }

  #pressed(e) {
    const where = this.#mine(e);
    if (!where) return;
    const action = this.#action(e, where);
    if (action && this.#run(action, e)) { e.preventDefault(); e.stopPropagation(); }
  }

  #run([name, ...args], e) {
    const tool = this.app.currentTool();
    if (tool.key?.(name, e) || this.app.review?.key(name, args, e)) return true;
    return this.app.do[name]?.(...args) !== false;
  }

  #action(e, where) {
    const key = e.key.length === 1 ? e.key.toLowerCase() : e.key, ctrl = e.ctrlKey || e.metaKey;
    if (ctrl) {
      if (key === "z") return [e.shiftKey ? "redo" : "undo"];
      if (key === "y") return ["redo"];
      if (key === "Enter") return ["accept"];
      return null;
    }
    if (e.altKey) return null;
    const { stage } = this.app, onStage = where === "stage";
    if (stage.cursor && onStage) {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
      if (step) return ["moveCursor", ...step.map((v) => v * (e.shiftKey ? 10 : 1))];
      if (key === " " || (key === "Enter" && !e.shiftKey)) return ["clickAtCursor", true];
      if (key === "x") return ["clickAtCursor", false];
      if (key === "a") return ["accept"];
    }
    if (where !== "range") {
      if (where !== "list" || !/^(Arrow|Page|Home|End)/.test(key)) {
        const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -1, PageDown: 1 }[key];
        if (step) return ["go", step];
      }
      if (key === " " && where !== "control") return ["space", true];
      if (key === "Enter" && where !== "control") return [e.shiftKey ? "acceptAll" : "accept"];
    }
    if (key === "Tab") return onStage && !e.shiftKey && stage.activeObject?.candidates ? ["candidate"] : null;
    if (/^Digit[0-9]$/.test(e.code)) {
      if (e.code === "Digit0") return [e.shiftKey ? "actual" : "fit"];
      if (!e.shiftKey || key === e.code[5]) return ["hotkey", e.code[5]];
    }
    if (/^[0-9]$/.test(key)) return key === "0" ? ["fit"] : ["hotkey", key];
    if (TOOLS[key]) return ["tool", TOOLS[key]];
    if (e.repeat && !["[", "]", "+", "=", "-", ",", ".", "z", "y"].includes(key)) return null;
    const plain = {
      z: [e.shiftKey ? "redo" : "undo"], y: ["redo"], n: ["begin"], c: ["candidate"], Escape: ["aside"],
      Delete: ["delete"], Backspace: ["delete"], "[": ["brushBy", 1 / 1.2], "]": ["brushBy", 1.2], "+": ["zoom", 1.25],
      "=": ["zoom", 1.25], "-": ["zoom", 0.8], _: ["zoom", 0.8], ",": ["go", -1], ".": ["go", 1], "?": ["help"], t: ["hideAll"],
      l: ["lock"], o: ["hide"], w: ["zoomSelected"], f: ["fullscreen"], d: ["done"], k: ["keyboard"], g: ["focusList"], i: ["review"],
    };
    return plain[key] ?? null;
  }
}
