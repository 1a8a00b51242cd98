// Beside the picture: the threshold, the classes with their counts, every finding, and what keeps them.

import { count, h, say } from "../dom.js";

const MOST_ROWS = 300;

export class Panel {
  /** `each` gives every class a threshold of its own, none has one without `graded`; `act` is what the panel asks for. */
  constructor(findings, each, act, graded) {
    Object.assign(this, { findings, each, act, graded });
    this.sure = slider("How sure, at least", (value) => act.threshold(value), () => act.moved());
    this.classes = h("ul", { class: "of-classes", aria: { label: "Classes found" } });
    this.list = h("ul", { class: "of-list", role: "listbox", aria: { label: "What was found; Space takes one out or back in", multiselectable: "true" },
      onkeydown: (e) => this.#keys(e), onclick: (e) => this.#press(e),
      onmouseover: (e) => act.hover(this.#number(e)), onmouseleave: () => act.hover(null),
      onfocusin: (e) => act.hover(this.#number(e)), onfocusout: () => act.hover(null) });
    this.hint = h("p", { class: "of-hint", role: "status" });
    this.keep = h("button", { type: "button", class: "of-keep", onclick: () => act.keep() });
    this.element = h("div", { class: "of-panel" }, this.sure.element, this.hint, this.classes, this.list, this.keep);
  }

  /** Bring everything up to date; `told` is said where nothing has been looked for yet. */
  paint(told) {
    const { findings } = this, looked = told === null, any = findings.items.length > 0, reaching = findings.reaching();
    this.sure.element.hidden = !this.graded || (looked && !findings.graded);
    this.sure.show(findings.threshold);
    this.classes.hidden = this.list.hidden = !any;
    this.keep.hidden = !any;
    const kept = findings.chosen().length;
    say(this.keep, kept ? `Keep ${count(kept)}` : "Nothing to keep");
    this.keep.disabled = !kept || this.busy;
    say(this.hint, told ?? this.#said(any, reaching));
    this.hint.hidden = !this.hint.textContent;
    this.#paintClasses();
    this.#paintList(reaching);
  }

  #said(any, reaching) {
    if (!any) return "Nothing was found. Try another model, or tiles where the things are small.";
    if (reaching.length) return "";
    const best = Math.max(...this.findings.items.map((i) => i.score));
    return `Nothing is that sure. The surest of ${count(this.findings.items.length)} has ${best.toFixed(2)}: move the slider to the left.`;
  }

  #paintClasses() {
    const rows = this.findings.classes().filter((row) => this.each || row.reaching), known = this.rows ?? new Map();
    this.rows = new Map(rows.map((row) => [row.name, known.get(row.name) ?? this.#row(row)]));
    const lines = [...this.rows.values()].map((row) => row.element);
    if (lines.some((line, i) => this.classes.children[i] !== line) || this.classes.children.length !== lines.length) {
      const focused = document.activeElement;
      this.classes.replaceChildren(...lines);
      if (this.classes.contains(focused)) focused.focus({ preventScroll: true });
    }
    for (const row of rows) this.rows.get(row.name).show(row);
  }

  #row({ name }) {
    const dot = h("span", { class: "ol-dot" }), number = h("span", { class: "ol-num of-soft" });
    const button = h("button", { type: "button", class: "of-class", onclick: () => this.act.toggleClass(name) },
      dot, h("span", { class: "ol-name" }, name), number);
    const own = this.each ? slider(`How sure of ${name}, at least`, (v) => this.act.threshold(v, name), () => this.act.moved(), true) : null;
    const element = h("li", {}, button, own?.element);
    const show = (row) => {
      const on = !this.findings.off.has(name);
      dot.style.background = row.colour;
      button.setAttribute("aria-pressed", String(on));
      button.title = on ? `Leave all of “${name}” out` : `Take “${name}” in again`;
      say(number, row.kept === row.reaching ? count(row.reaching) : `${count(row.kept)} of ${count(row.reaching)}`);
      own?.show(this.findings.thresholdOf(name));
    };
    return { element, show };
  }

  #paintList(reaching) {
    const { findings } = this, at = document.activeElement?.dataset?.n, inside = this.list.contains(document.activeElement);
    const shown = reaching.slice(0, MOST_ROWS), key = shown.join();
    if (key !== this.key || findings.items !== this.items) {
      this.key = key;
      this.items = findings.items;
      this.list.replaceChildren(...shown.map((n) => this.#line(n)),
        ...(reaching.length > shown.length ? [h("li", { class: "of-soft", role: "presentation" }, `… and ${count(reaching.length - shown.length)} more`)] : []));
    }
    for (const line of this.list.querySelectorAll("[data-n]")) line.setAttribute("aria-selected", String(findings.kept(Number(line.dataset.n))));
    const current = this.#line_of(inside ? at : this.list.querySelector("[tabindex='0']")?.dataset.n) ?? this.list.querySelector("[data-n]");
    this.#enter(current, inside);
  }

  #line(n) {
    const { name, score } = this.findings.items[n], dot = h("span", { class: "ol-dot" });
    dot.style.background = this.findings.colour(n);
    return h("li", { role: "option", tabIndex: -1, data: { n }, title: "Click to take it out, or back in" }, dot,
      h("span", { class: "ol-name" }, name), this.findings.graded ? h("span", { class: "ol-num of-soft" }, score.toFixed(2)) : null);
  }

  #line_of(n) { return n === undefined ? null : this.list.querySelector(`[data-n="${n}"]`); }

  #enter(line, focus) {
    for (const other of this.list.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    if (!line) return;
    line.tabIndex = 0;
    if (focus) line.focus({ preventScroll: false });
  }

  #number(event) {
    const line = event.target.closest?.("[data-n]");
    return line ? Number(line.dataset.n) : null;
  }

  #press(event) {
    const n = this.#number(event);
    if (n !== null) this.act.toggle(n);
  }

  #keys(event) {
    const line = event.target.closest("[data-n]"), lines = [...this.list.querySelectorAll("[data-n]")], i = lines.indexOf(line);
    const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (to !== undefined) this.#enter(lines[Math.min(Math.max(to, 0), lines.length - 1)], true);
    else if ([" ", "Enter", "Delete", "Backspace"].includes(event.key) && line) this.act.toggle(Number(line.dataset.n));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Mark the line of what the pointer is over in the picture. */
  hovered(n) {
    for (const line of this.list.querySelectorAll(".of-hovered")) line.classList.remove("of-hovered");
    this.#line_of(n ?? undefined)?.classList.add("of-hovered");
  }
}

function slider(label, oninput, onchange, bare = false) {
  const out = h("output", { class: "ol-num" });
  const input = h("input", { type: "range", class: "ol-range", min: "0", max: "1", step: "0.01", aria: { label },
    oninput: () => { say(out, Number(input.value).toFixed(2)); oninput(Number(input.value)); }, onchange });
  return {
    element: h("label", { class: "of-sure" }, bare ? null : h("span", {}, label), input, out),
    show(value) {
      if (Number(input.value) !== value) input.value = String(value);
      say(out, value.toFixed(2));
    },
  };
}
