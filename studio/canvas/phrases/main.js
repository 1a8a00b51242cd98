// Phrases to look for as chips: typed, pasted, changed, tied to classes, each with its threshold and its count of hits.
// It lives in the page: the server reads what stands here when a button is pressed, and this browser remembers it.

import { count, h, say, stylesheet } from "../dom.js";
import { named, Phrases } from "./state.js";

const KEPT = "onelabel.phrases", PROJECTS = 12;
const mounted = new Map();

export async function mount({ element, props, trigger, watch }) {
  for (const [old, chips] of mounted) if (old === element || !old.isConnected) chips.dispose();
  await stylesheet("phrases.css", import.meta.url);
  const chips = new Chips(element, props, trigger);
  mounted.set(element, chips);
  watch("project", () => chips.show());
  return chips;
}

class Chips {
  constructor(element, props, trigger) {
    Object.assign(this, { element, props, trigger });
    this.phrases = new Phrases();
    this.gone = new AbortController();
    this.counts = {};
    this.open = null; // number of the chip that is being changed
    this.#build();
    const { signal } = this.gone;
    document.addEventListener("onelabel:counted", (e) => this.counted(e), { signal });
    document.addEventListener("onelabel:own-threshold", (e) => this.movedElsewhere(e), { signal });
    this.show();
  }

  #build() {
    this.list = h("ul", { class: "op-chips", aria: { label: "Phrases to look for" } });
    this.field = h("input", { type: "text", class: "op-field", maxLength: 20000, autocomplete: "off", spellcheck: false,
      placeholder: "red apple, mug …", aria: { label: "What to look for; Enter or a comma adds it" },
      onkeydown: (e) => this.#key(e), oninput: () => this.#typed(), onblur: () => this.#add(), onpaste: (e) => this.#paste(e) });
    this.editor = h("div", { class: "op-editor", hidden: true });
    this.about = h("p", { class: "op-about", role: "status" });
    this.all = h("button", { type: "button", class: "op-link", onclick: () => this.#allClasses() });
    this.clear = h("button", { type: "button", class: "op-link", onclick: () => this.#change(() => this.phrases.clear()) }, "Clear");
    this.names = h("datalist", { id: `${this.element.id || "phrases"}-classes` });
    this.root = h("div", { class: "op-phrases", role: "group", aria: { label: "What to look for" } },
      h("div", { class: "op-head" }, h("b", {}, "What to look for"), this.all, this.clear),
      h("div", { class: "op-box", onclick: (e) => { if (e.target === e.currentTarget || e.target === this.list) this.field.focus(); } }, this.list, this.field),
      this.editor, this.about, this.names);
    this.element.replaceChildren(this.root);
  }

  // ---- what Python sets ----

  /** Show the phrases of a project, with its classes: [[name, colour], …]. */
  show() {
    let told = {};
    try { told = JSON.parse(this.props.project || "{}"); } catch { /* no project then */ }
    this.classes = new Map(told.classes ?? []);
    if (told.id !== this.project) {
      this.project = told.id;
      this.open = null;
      this.counts = {};
      this.phrases.load(kept()[this.project]);
    }
    this.names.replaceChildren(...[...this.classes.keys()].map((name) => h("option", { value: name })));
    this.paint();
    this.#keep();
    this.#tellPicture();
  }

  // ---- what a person does ----

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      this.#add();
    } else if (event.key === "Backspace" && !this.field.value && this.phrases.words.length) {
      this.#change(() => this.phrases.remove(this.phrases.words.length - 1));
    } else if (event.key === "Escape") this.field.value = "";
  }

  #typed() {
    if (/[,;\n]/.test(this.field.value)) this.#add();
    else this.#keep();
  }

  #paste(event) {
    const text = event.clipboardData?.getData("text") ?? "";
    if (!/[,;\n\t]/.test(text)) return;
    event.preventDefault();
    this.#add(`${this.field.value}${text}`); // the field would swallow the line breaks
  }

  #add(text = this.field.value) {
    this.field.value = "";
    if (!text.trim()) return;
    this.#change(() => this.phrases.add(text));
  }

  #allClasses() { this.#change(() => this.phrases.addClasses([...this.classes.keys()])); }

  #change(act) {
    const before = this.phrases.words.length;
    act();
    if (this.phrases.words.length < before || !this.phrases.words[this.open]) this.open = null;
    this.paint();
    this.#keep();
    this.#tellPicture();
  }

  #edit(n) {
    this.open = this.open === n ? null : n;
    this.paint();
    if (this.open !== null) this.editor.querySelector("input").focus();
  }

  // ---- thresholds and counts, together with the picture ----

  get picture() { return document.querySelector(`#${this.props.looking} .of-looking`); }

  #tellPicture() { this.picture?.dispatchEvent(new CustomEvent("onelabel:threshold", { detail: { own: this.#own() } })); }

  /** The threshold of each phrase that is looked for, null for that of all. */
  #own() { return Object.fromEntries(this.phrases.words.filter((w) => !w.negative).map((w) => [w.phrase, w.threshold])); }

  counted(event) {
    if (!event.target.closest?.(`#${this.props.looking}`)) return null;
    const { own, counts } = event.detail;
    // A picture that has just been shown does not know yet what stands here.
    const other = Object.entries(this.#own()).some(([phrase, value]) => (own[phrase] ?? null) !== value);
    if (other) return this.#tellPicture();
    this.counts = counts;
    return this.#paintCounts();
  }

  movedElsewhere(event) {
    if (!event.target.closest?.(`#${this.props.looking}`)) return;
    this.phrases.threshold(event.detail.name, event.detail.value);
    this.#keep();
    if (this.open !== null) this.#paintEditor();
  }

  // ---- the window ----

  paint() {
    const { words } = this.phrases;
    this.list.replaceChildren(...words.map((word, n) => this.#chip(word, n)));
    const missing = [...this.classes.keys()].filter((name) => !words.some((w) => named(w).toLowerCase() === name.toLowerCase() || w.phrase.toLowerCase() === name.toLowerCase()));
    this.all.hidden = !missing.length;
    say(this.all, words.length ? `Add the other ${missing.length === 1 ? "class" : `${count(missing.length)} classes`}` : "All classes as phrases");
    this.clear.hidden = !words.length;
    say(this.about, words.length ? "" : "Write what to look for and press Enter; several may stand for one class. Without any, a caption is written first, and what it names is looked for.");
    this.about.hidden = Boolean(words.length);
    this.#paintEditor();
    this.#paintCounts();
  }

  #chip(word, n) {
    const dot = h("span", { class: "op-dot" }), into = named(word);
    dot.style.background = word.negative ? "transparent" : this.classes.get(into) ?? "var(--body-text-color-subdued)";
    const name = h("button", { type: "button", class: "op-name", title: "Change it", aria: { expanded: String(this.open === n) }, onclick: () => this.#edit(n) },
      dot, word.negative ? h("i", {}, "not") : null, h("span", {}, word.phrase),
      !word.negative && into !== named({ ...word, class_name: "" }) ? h("small", {}, `→ ${into}`) : null, h("output", { class: "op-count" }));
    const away = h("button", { type: "button", class: "op-away", title: "Take it away", aria: { label: `Take “${word.phrase}” away` },
      onclick: () => this.#change(() => this.phrases.remove(n)) }, "✕");
    return h("li", { class: word.negative ? "op-chip op-not" : "op-chip", data: { phrase: word.phrase } }, name, away);
  }

  #paintCounts() {
    for (const line of this.list.children) {
      const hits = this.counts[line.dataset.phrase];
      say(line.querySelector(".op-count"), hits === undefined ? "" : count(hits));
    }
  }

  #paintEditor() {
    const word = this.phrases.words[this.open];
    this.editor.hidden = !word;
    if (!word) return this.editor.replaceChildren();
    const n = this.open, set = (changes) => this.#change(() => this.phrases.change(n, changes));
    const into = h("input", { type: "text", value: word.class_name, placeholder: named({ ...word, class_name: "" }), maxLength: 100, list: this.names.id, onchange: () => set({ class_name: into.value }) });
    const phrase = h("input", { type: "text", value: word.phrase, maxLength: 100, onchange: () => set({ phrase: phrase.value }) });
    const not = h("input", { type: "checkbox", checked: word.negative, onchange: () => set({ negative: not.checked }) });
    const out = h("output", {}, word.threshold === null ? "as all" : word.threshold.toFixed(2));
    const limit = h("input", { type: "range", min: "0", max: "1", step: "0.01", value: String(word.threshold ?? this.picture?.dataset.threshold ?? 0.3),
      aria: { label: `How sure of ${word.phrase}, at least` }, oninput: () => {
        this.phrases.threshold(word.phrase, Number(limit.value));
        say(out, Number(limit.value).toFixed(2));
        like.hidden = false;
        this.#keep();
        this.#tellPicture();
      } });
    const label = (text, ...parts) => h("label", {}, h("span", {}, text), ...parts);
    const like = h("button", { type: "button", class: "op-link", hidden: word.threshold === null, onclick: () => set({ threshold: null }) }, "as all");
    this.editor.replaceChildren(label("Phrase", phrase), ...(word.negative ? [] : [label("Class", into), label("How sure", limit, out), like]),
      h("label", { class: "op-tick" }, not, h("span", {}, "Not meant: what it finds takes less sure findings away")),
      h("button", { type: "button", class: "op-link op-done", onclick: () => this.#edit(n) }, "Done"));
    return null;
  }

  /** Say what stands here to whoever reads the page, and keep it in this browser. */
  #keep() {
    const typing = new Phrases(); // what is in the field counts, though it has not been added yet
    typing.load(this.phrases.words);
    typing.add(this.field.value);
    this.root.dataset.words = JSON.stringify(typing.words);
    const empty = !typing.words.length;
    if (empty !== this.empty && this.empty !== undefined) this.trigger("emptied", {});
    this.empty = empty;
    if (!this.project) return;
    try {
      const { [this.project]: old, ...others } = kept();
      const rest = Object.fromEntries(Object.entries(others).slice(-PROJECTS + 1));
      localStorage.setItem(KEPT, JSON.stringify({ ...rest, [this.project]: this.phrases.words }));
    } catch { /* a private window */ }
  }

  dispose() {
    this.gone.abort();
    for (const [element, chips] of mounted) if (chips === this) mounted.delete(element);
  }
}

function kept() {
  try { return JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {}; } catch { return {}; }
}
