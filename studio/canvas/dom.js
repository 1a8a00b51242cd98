// Building the page. Text only ever lands as text: names of images and classes come from strangers.

/** Build an element: `on…` are listeners, `aria`/`data` objects, the rest properties or attributes. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "aria") for (const [k, v] of Object.entries(value)) element.setAttribute(`aria-${k}`, v);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "style") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
    else if (name in element && name !== "role" && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

/** Change an element's text only where it differs, so that nothing is laid out for nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Load a stylesheet that lies beside a module, once; resolves when it is there, or after a while without it. */
export function stylesheet(name, module) {
  const href = new URL(name, module);
  href.search = new URL(module).search;
  if (document.querySelector(`link[href="${href}"]`)) return null;
  return new Promise((resolve) => {
    const link = h("link", { rel: "stylesheet", href: href.href, onload: resolve, onerror: resolve });
    document.head.append(link);
    setTimeout(resolve, 3000);
  });
}

const SVG = "http://www.w3.org/2000/svg";

// Strokes on a 20 × 20 grid.
const ICONS = {
  smart: ["M3.5 16.5L11 9", "M13.5 2.5v4M11.5 4.5h4M16 9.5v3M14.5 11h3M7.5 4v2.5M6.2 5.2h2.6"],
  brush: ["M16.5 3.5c-3 1.5-6.5 4.5-8 7l1.5 1.5c2.5-1.5 5.5-5 6.5-8.5z", "M8.5 10.5c-2.5 0-3 2-3.2 3.5-.1 1-.8 1.7-1.8 2 2.5 1 6.5.500 6.5-4z"],
  eraser: ["M8 16.5h8.5", "M3.5 12.5l7.5-8 5.5 5-6.5 7H7z", "M7.2 8.6l5.5 5"],
  polygon: ["M10 3l7 5-2.5 8.5h-9L3 8z"],
  box: ["M3.5 5h13v10h-13z"],
  select: ["M5 3l10.5 6.5-4.7 1.2L8.5 16z"],
  pan: ["M6 10.5V6a1.2 1.2 0 0 1 2.4 0v-1.3a1.2 1.2 0 0 1 2.4 0V6a1.2 1.2 0 0 1 2.4 0v1.5a1.2 1.2 0 0 1 2.3 0V12c0 3-2 5-5 5-2.3 0-3.5-1-4.5-2.5L3.7 11.8c-.6-1.3 1-2.3 2-1.2z"],
  undo: ["M7.5 4L4 7.5 7.5 11", "M4 7.5h7.5a4.2 4.2 0 0 1 0 8.5H8"],
  redo: ["M12.5 4L16 7.5 12.5 11", "M16 7.5H8.5a4.2 4.2 0 0 0 0 8.5H12"],
  plus: ["M10 4v12M4 10h12"],
  minus: ["M4 10h12"],
  fit: ["M3.5 7V3.5H7M13 3.5h3.5V7M16.5 13v3.5H13M7 16.5H3.5V13"],
  full: ["M11.5 3.5h5v5M16.5 3.5L11 9M8.5 16.5h-5v-5M3.5 16.5L9 11"],
  eye: ["M2 10s3-5.5 8-5.5 8 5.5 8 5.5-3 5.5-8 5.5S2 10 2 10z", "M10 12.3a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6z"],
  hidden: ["M2 10s3-5.5 8-5.5 8 5.5 8 5.5-3 5.5-8 5.5S2 10 2 10z", "M3.5 3.5l13 13"],
  lock: ["M5 9h10v7.5H5z", "M7 9V6.5a3 3 0 0 1 6 0V9"],
  open: ["M5 9h10v7.5H5z", "M7 9V6.5a3 3 0 0 1 5.7-1.3"],
  trash: ["M4 5.5h12M8 5.5V3.5h4v2M5.5 5.5l.7 11h7.6l.7-11"],
  check: ["M4 10.5l4 4 8-9"],
  close: ["M5 5l10 10M15 5L5 15"],
  previous: ["M12.5 4l-6 6 6 6"],
  next: ["M7.5 4l6 6-6 6"],
  help: ["M7.3 7.5a2.7 2.7 0 1 1 4 2.4c-.9.5-1.3 1-1.3 2", "M10 15v.2"],
  list: ["M4 5.5h12M4 10h12M4 14.5h12"],
  opacity: ["M10 3a7 7 0 1 0 0 14z", "M10 3a7 7 0 0 1 0 14"],
  pencil: ["M4 16l.8-3.5L13 4.3l2.7 2.7-8.2 8.2z"],
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "ol-icon");
  for (const d of ICONS[name] ?? []) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** A button with an icon; its name and key make the tooltip and what a screen reader says. */
export function iconButton(name, label, key, onclick, more = {}) {
  const { aria, ...rest } = more;
  return h("button", { type: "button", class: "ol-button", title: key ? `${label} (${key})` : label, onclick,
    aria: { label, ...(key ? { keyshortcuts: key } : {}), ...aria }, ...rest }, icon(name));
}

/** Format a count for people. */
export const count = (n) => n.toLocaleString("en");

export function bytes(n) {
  if (!Number.isFinite(n)) return "";
  return n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : n >= 1e6 ? `${Math.round(n / 1e6)} MB` : `${Math.ceil(n / 1e3)} kB`;
}

/** Read or write a setting of this browser; where that is forbidden, nothing is kept. */
export const settings = {
  read() {
    try { return JSON.parse(localStorage.getItem("onelabel.canvas") ?? "{}") ?? {}; } catch { return {}; }
  },
  write(changes) {
    try { localStorage.setItem("onelabel.canvas", JSON.stringify({ ...this.read(), ...changes })); } catch { /* private window */ }
  },
};
