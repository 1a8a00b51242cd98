// A grid of any number of thumbnails: only what is in sight, and a row beyond, is in the document.

import { el, icon, ICONS } from '../dom.js';

const GAP = 10;
const PAD = 10;
const CAPTION = 26;
const SETTLES = 90; // ms after a leap until pictures are asked for

export const SIZES = { small: 96, medium: 148, large: 220 };

/**
 * `dress(tile, row, place)` puts on a tile what its row is; `address(row)` is its picture. `onmark(row, right)` is told
 * of the two buttons on a tile, `onopen(place)` of a click, `onchosen()` when the choice changed, `onseen(rows)` of what
 * came to rest in sight.
 */
export function makeGrid({ address, dress, onopen, onchosen, onmark, onseen, onkey }) {
  const sheet = el('div.sheet');
  const root = el('div.reel', {
    role: 'listbox', tabindex: '0', 'aria-multiselectable': 'true', 'aria-label': 'Images',
  }, sheet);
  const tiles = new Map(); // place in the list → tile
  const spare = [];
  const chosen = new Set(); // rows
  let list = new Uint32Array(0);
  let least = SIZES.medium;
  let shape = { columns: 1, width: least, height: least };
  let at = 0;
  let anchor = 0;
  let frame = 0;
  let feeding = 0;
  let last = 0;
  let tall = 0; // of the reel; read when it changes, for reading it in between would lay out the page again

  function build() {
    const button = (kind, title, path) => el(`button.${kind}`, { type: 'button', tabindex: '-1', title, 'aria-label': title }, icon(path, 14));
    return el('div.tile', { role: 'option' },
      el('div.picture', {}, el('img', { alt: '', draggable: 'false', decoding: 'async' })),
      el('span.check', { 'aria-hidden': 'true' }, icon(ICONS.check, 14)),
      el('span.marking', {}, button('yes', 'Right (Y)', ICONS.check), button('no', 'Wrong (N)', ICONS.close)),
      el('span.badge'), el('div.caption', {}, el('b'), el('span.name')));
  }

  function measure() {
    tall = root.clientHeight;
    const width = root.clientWidth - 2 * PAD;
    if (width <= 0) return;
    const columns = Math.max(1, Math.floor((width + GAP) / (Math.min(least, width) + GAP)));
    const side = Math.floor((width - GAP * (columns - 1)) / columns);
    shape = { columns, width: side, height: Math.round(side * 0.75) + CAPTION };
    sheet.style.height = `${PAD * 2 + Math.ceil(list.length / columns) * (shape.height + GAP)}px`;
  }

  const line = () => shape.height + GAP;
  const later = () => { frame ||= requestAnimationFrame(() => { frame = 0; render(); }); };

  function render() {
    if (!tall) return;
    const { scrollTop } = root;
    const first = Math.max(0, Math.floor((scrollTop - PAD) / line()) - 1) * shape.columns;
    const end = Math.min(list.length, (Math.ceil((scrollTop + tall) / line()) + 1) * shape.columns);
    for (const [place, tile] of tiles) {
      if (place >= first && place < end) continue;
      tiles.delete(place);
      spare.push(tile);
      tile.hidden = true;
      tile.querySelector('img').removeAttribute('src'); // what has not come yet need not come any more
    }
    for (let place = first; place < end; place += 1) if (!tiles.has(place)) fill(place);
    const leap = Math.abs(scrollTop - last) > tall;
    last = scrollTop;
    clearTimeout(feeding);
    if (leap) feeding = setTimeout(feed, SETTLES);
    else feed();
  }

  function fill(place) {
    const tile = spare.pop() ?? sheet.appendChild(build());
    const row = list[place];
    tiles.set(place, tile);
    tile.hidden = false;
    tile.id = `reel-${place}`;
    tile.dataset.place = place;
    tile.dataset.row = row;
    tile.style.width = `${shape.width}px`;
    tile.style.height = `${shape.height}px`;
    tile.style.transform = `translate(${PAD + (place % shape.columns) * (shape.width + GAP)}px, ${PAD + Math.floor(place / shape.columns) * line()}px)`;
    tile.setAttribute('aria-posinset', place + 1);
    tile.setAttribute('aria-setsize', list.length);
    paint(tile, place);
  }

  function paint(tile, place) {
    const row = list[place];
    const on = chosen.has(row);
    if (tile.classList.contains('chosen') !== on) tile.classList.toggle('chosen', on);
    if (tile.classList.contains('at') !== (place === at)) tile.classList.toggle('at', place === at);
    if (tile.ariaSelected !== String(on)) tile.ariaSelected = on;
    dress(tile, row, place);
  }

  function feed() {
    const rows = [];
    for (const [place, tile] of tiles) {
      const img = tile.querySelector('img');
      const wanted = address(list[place]);
      if (img.getAttribute('src') !== wanted) img.setAttribute('src', wanted);
      rows.push(list[place]);
    }
    if (rows.length) onseen(rows);
  }

  function repaint() {
    root.classList.toggle('choosing', chosen.size > 0);
    for (const [place, tile] of tiles) paint(tile, place);
    const now = tiles.get(at);
    if (now) root.setAttribute('aria-activedescendant', now.id);
    else root.removeAttribute('aria-activedescendant');
  }

  function again() {
    for (const tile of tiles.values()) { tile.hidden = true; spare.push(tile); }
    tiles.clear();
    measure();
    render();
    repaint();
  }

  function reveal(place) {
    const top = PAD + Math.floor(place / shape.columns) * line();
    if (top < root.scrollTop) root.scrollTop = top - PAD;
    else if (top + shape.height > root.scrollTop + tall) root.scrollTop = top + shape.height + PAD - tall;
  }

  function go(place, { extend = false } = {}) {
    if (!list.length) return;
    at = Math.min(Math.max(0, place), list.length - 1);
    if (extend) range(at);
    else anchor = at;
    reveal(at);
    render();
    repaint();
  }

  function toggle(place) {
    if (!chosen.delete(list[place])) chosen.add(list[place]);
    anchor = place;
    changed();
  }

  function range(place) {
    const [from, to] = anchor < place ? [anchor, place] : [place, anchor];
    for (let i = from; i <= to; i += 1) chosen.add(list[i]);
    changed();
  }

  function changed() {
    repaint();
    onchosen();
  }

  root.addEventListener('click', (event) => {
    const tile = event.target.closest('.tile');
    if (!tile) return;
    const place = Number(tile.dataset.place);
    at = place;
    const marking = event.target.closest('.marking button');
    if (marking) onmark(list[place], marking.classList.contains('yes'));
    else if (event.shiftKey) range(place);
    else if (event.ctrlKey || event.metaKey || chosen.size || event.target.closest('.check')) toggle(place);
    else onopen(place);
    repaint();
  });
  root.addEventListener('mousedown', (event) => { if (event.shiftKey) event.preventDefault(); });
  root.addEventListener('scroll', later, { passive: true });

  const page = () => Math.max(1, Math.floor(tall / line())) * shape.columns;
  const steps = {
    ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: () => -shape.columns, ArrowDown: () => shape.columns,
    PageUp: () => -page(), PageDown: () => page(), Home: () => -list.length, End: () => list.length,
  };

  root.addEventListener('keydown', (event) => {
    if (!list.length || event.altKey) return;
    const command = event.ctrlKey || event.metaKey;
    const { key } = event;
    if (steps[key]) {
      const step = steps[key]();
      if (key !== 'ArrowUp' || at + step >= 0) go(at + step, { extend: event.shiftKey });
    } else if (key === ' ' || key === 'Enter') onopen(at);
    else if (key === 'x' && !command) toggle(at);
    else if (key === 'Escape' && chosen.size) clear();
    else if (command && key.toLowerCase() === 'a') all();
    else if (command || !onkey(event, list[at], at)) return;
    event.preventDefault();
    event.stopPropagation();
  });

  function clear() { chosen.clear(); changed(); }
  function all() {
    for (const row of list) chosen.add(row);
    changed();
  }

  new ResizeObserver(() => {
    const before = shape;
    measure();
    if (before.columns === shape.columns && before.width === shape.width) later();
    else { again(); reveal(at); }
  }).observe(root);

  return {
    root, chosen, clear, all, go, repaint,
    get list() { return list; },
    get at() { return at; },
    get row() { return list.length ? list[at] : -1; },
    focus: () => root.focus({ preventScroll: true }),
    size(name) { least = SIZES[name] ?? SIZES.medium; again(); reveal(at); },
    /** Shows another list of rows; the top comes into sight unless `stay`. */
    show(rows, { stay = false } = {}) {
      const here = stay && list.length ? list[at] : -1;
      list = rows;
      if (stay) at = Math.max(0, list.indexOf(here) >= 0 ? list.indexOf(here) : Math.min(at, list.length - 1));
      else { at = anchor = 0; root.scrollTop = last = 0; }
      again();
    },
  };
}
