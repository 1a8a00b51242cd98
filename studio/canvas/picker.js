// A small list of classes to choose from, with a field to narrow it down.

import { h } from "./dom.js";

/** Open the list beside `anchor`; `chosen(name)` is called with the class taken. */
export function toPick(app, anchor, current, chosen) {
  document.querySelector(".ol-picker")?.remove();
  const filter = h("input", { class: "ol-input", type: "text", placeholder: "Find or add a class", aria: { label: "Find or add a class", controls: "ol-picks" } });
  const list = h("div", { class: "ol-picks", id: "ol-picks", role: "listbox", aria: { label: "Classes" } });
  const picker = h("div", { class: "ol-picker" }, filter, list);
  let at = 0, names = [];
  const close = (back = true) => {
    picker.remove();
    document.removeEventListener("pointerdown", outside, true);
    if (back) (anchor.tabIndex >= 0 && anchor.isConnected ? anchor : app.host).focus({ preventScroll: true });
  };
  const outside = (e) => { if (!picker.contains(e.target)) close(false); };
  const take = (name) => {
    if (!app.stage.classes.some((c) => c.name === name)) app.addClass(name);
    close();
    chosen(name);
  };
  const show = () => {
    const text = filter.value.trim().toLowerCase();
    const found = app.stage.classes.filter((c) => c.name.toLowerCase().includes(text));
    names = found.map((c) => c.name);
    if (text && !app.stage.classes.some((c) => c.name.toLowerCase() === text)) names.push(filter.value.trim());
    at = Math.min(Math.max(at, 0), names.length - 1);
    list.replaceChildren(...names.map((name, i) => {
      const known = found.find((c) => c.name === name);
      return h("div", { class: `ol-pick${i === at ? " ol-on" : ""}`, role: "option", aria: { selected: String(name === current) }, onclick: () => take(name) },
        h("i", { class: "ol-dot", style: { background: known?.colour ?? "transparent" } }), h("span", { class: "ol-name" }, known ? name : `Add “${name}”`),
        known?.hotkey ? h("kbd", {}, known.hotkey) : null);
    }));
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  filter.addEventListener("input", () => { at = 0; show(); });
  filter.addEventListener("keydown", (e) => {
    e.stopPropagation();
    if (e.key === "Escape") close();
    else if (e.key === "Enter" && names[at]) take(names[at]);
    else if (e.key === "ArrowDown" || e.key === "ArrowUp") { e.preventDefault(); at += e.key === "ArrowDown" ? 1 : -1; show(); }
    else if (e.key === "Tab") close(false);
  });
  at = Math.max(0, app.stage.classes.findIndex((c) => c.name === current));
  app.root.append(picker);
  show();
  const a = anchor.getBoundingClientRect(), r = app.root.getBoundingClientRect();
  const left = Math.min(Math.max(a.left - r.left, 8), r.width - picker.offsetWidth - 8);
  const below = a.bottom - r.top + 4, room = r.height - below - 8;
  picker.style.left = `${left}px`;
  picker.style.top = `${room > picker.offsetHeight ? below : Math.max(8, a.top - r.top - picker.offsetHeight - 4)}px`;
  setTimeout(() => document.addEventListener("pointerdown", outside, true));
  filter.focus();
}
