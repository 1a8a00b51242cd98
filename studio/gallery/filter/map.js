// A map of the collection: each image a point, what is alike near each other; a line drawn around points chooses them.

import { el, count, number } from '../dom.js';
import { floats } from './packing.js';
import { inside, makeIndex, spread } from './lasso.js';
import { moved } from './moving.js';
import { makeWorking } from './working.js';

const NEAR = 12; // pixels around the pointer in which a point is meant
const PICTURES = 140; // thumbnails drawn at most
const CLOSE = 400; // with fewer points than this in sight, pictures stand in for them

export function makeMap(page) {
  const canvas = el('canvas', { tabindex: '0', 'aria-label': 'Map of the collection. Draw a line around points to choose them', role: 'img' });
  const tip = el('div.tip', { hidden: true }, el('img', { alt: '' }), el('span'));
  const holder = el('div.map', { hidden: true }, canvas, tip);
  const working = makeWorking({ ask: page.ask, complain: page.complain });
  const way = el('select', { 'aria-label': 'How the map is drawn' },
    el('option', { value: 'tsne' }, 'groups apart (t-SNE)'), el('option', { value: 'pca' }, 'quick (PCA)'));
  const go = el('button.act', { type: 'button', onclick: find }, 'Draw the map');
  const tools = ['lasso', 'move'].map((id) => el('button', { type: 'button', role: 'radio', 'data-tool': id, onclick: () => use(id) }, id === 'lasso' ? 'Lasso' : 'Move'));
  const zooms = [['+', 1 / 1.5], ['−', 1.5]].map(([label, by]) => el('button.quiet.square', { type: 'button', 'aria-label': label === '+' ? 'Zoom in' : 'Zoom out', onclick: () => zoom(by) }, label));
  const whole = el('button.quiet', { type: 'button', onclick: () => { fit(); later(); } }, 'All');
  const list = el('button.quiet', { type: 'button', 'aria-pressed': 'false', onclick: () => { listed = !listed; show(); } }, 'As a list');
  const controls = el('span.controls', {}, el('span.segments', { role: 'radiogroup', 'aria-label': 'What dragging does' }, ...tools), ...zooms, whole, list);
  const top = el('div.bar', {}, way, go, working.root, controls);
  const told = el('p.hint');
  const side = [el('section.card', {}, el('h4', {}, 'Map'), told)];
  const pictures = new Map(); // row → Image
  let points = null;
  let index = null;
  let view = { x: 0, y: 0, size: 1, ratio: 1 };
  let tool = 'lasso';
  let line = null;
  let grip = null;
  let frame = 0;
  let listed = false;
  let over = -1;
  const fingers = new Map();

  async function find() {
    go.disabled = true;
    const found = await working.run('map', { way: way.value }, 'Drawing the map');
    go.disabled = false;
    if (!found) return;
    points = floats(found.points);
    index = makeIndex(points);
    pictures.clear();
    listed = false;
    fit();
    show();
  }

  function fit() {
    const ratio = canvas.clientHeight / (canvas.clientWidth || 1) || 0.7;
    const size = (ratio < 1 ? 1 / ratio : 1) * 1.16;
    view = { size, ratio, x: 0.5 - size / 2, y: 0.5 - (size * ratio) / 2 };
  }

  const toX = (x) => ((x - view.x) / view.size) * canvas.clientWidth;
  const toY = (y) => ((y - view.y) / view.size) * canvas.clientWidth;
  const fromX = (px) => view.x + (px / canvas.clientWidth) * view.size;
  const fromY = (py) => view.y + (py / canvas.clientWidth) * view.size;
  const later = () => { frame ||= requestAnimationFrame(() => { frame = 0; draw(); }); };

  function draw() {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !points) return;
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    view.ratio = height / width;
    const brush = canvas.getContext('2d');
    const style = getComputedStyle(canvas);
    const [accent, quiet] = ['--accent', '--quiet'].map((name) => style.getPropertyValue(name).trim());
    const chosen = page.known();
    brush.setTransform(ratio, 0, 0, ratio, 0, 0);
    brush.clearRect(0, 0, width, height);
    const dot = Math.min(9, Math.max(2.5, 3 / Math.sqrt(view.size), 60 / Math.sqrt(points.length / 2)));
    let sight = 0;
    for (const on of [false, true]) { // those chosen lie over the others
      brush.fillStyle = on ? accent : quiet;
      brush.globalAlpha = on ? 1 : 0.6;
      for (let p = 0; p < points.length / 2; p += 1) {
        if (chosen.has(p) !== on) continue;
        const x = toX(points[2 * p]);
        const y = toY(points[2 * p + 1]);
        if (x < -dot || y < -dot || x > width + dot || y > height + dot) continue;
        sight += 1;
        brush.fillRect(x - dot / 2, y - dot / 2, dot, dot);
      }
    }
    brush.globalAlpha = 1;
    if (sight <= CLOSE || view.size < 0.5) drawPictures(brush, chosen, accent);
    if (line) outline(brush, accent);
  }

  function drawPictures(brush, chosen, accent) {
    const side = Math.min(96, Math.max(44, canvas.clientWidth / 14));
    for (const p of spread(points, view, PICTURES)) {
      let img = pictures.get(p);
      if (!img) {
        img = new Image();
        img.onload = later;
        img.src = page.address(page.roster.id(p));
        pictures.set(p, img);
      }
      if (!img.complete || !img.naturalWidth) continue;
      const scale = side / Math.max(img.naturalWidth, img.naturalHeight);
      const [w, h] = [img.naturalWidth * scale, img.naturalHeight * scale];
      const [x, y] = [toX(points[2 * p]) - w / 2, toY(points[2 * p + 1]) - h / 2];
      brush.drawImage(img, x, y, w, h);
      if (!chosen.has(p)) continue;
      brush.strokeStyle = accent;
      brush.lineWidth = 3;
      brush.strokeRect(x, y, w, h);
    }
  }

  function outline(brush, accent) {
    brush.beginPath();
    line.forEach(([x, y], i) => (i ? brush.lineTo(toX(x), toY(y)) : brush.moveTo(toX(x), toY(y))));
    brush.closePath();
    brush.globalAlpha = 0.14;
    brush.fillStyle = accent;
    brush.fill();
    brush.globalAlpha = 1;
    brush.strokeStyle = accent;
    brush.lineWidth = 2;
    brush.stroke();
  }

  function zoom(by, px = canvas.clientWidth / 2, py = canvas.clientHeight / 2) {
    const size = Math.min(4, Math.max(0.01, view.size * by));
    const [x, y] = [fromX(px), fromY(py)];
    view = { ...view, size, x: x - (px / canvas.clientWidth) * size, y: y - (py / canvas.clientWidth) * size };
    later();
  }

  function use(id) {
    tool = id;
    for (const b of tools) b.setAttribute('aria-checked', b.dataset.tool === tool);
    canvas.style.cursor = tool === 'lasso' ? 'crosshair' : 'grab';
  }

  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.18 : 1 / 1.18, event.offsetX, event.offsetY);
  }, { passive: false });

  canvas.addEventListener('pointerdown', (event) => {
    if (!points || event.button > 1) return;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.offsetX, event.offsetY]);
    tip.hidden = true;
    if (fingers.size === 2) { line = null; grip = null; return; } // two fingers move and zoom
    if (tool === 'move' || event.button === 1) grip = { x: event.offsetX, y: event.offsetY, view };
    else line = [[fromX(event.offsetX), fromY(event.offsetY)]];
  });

  canvas.addEventListener('pointermove', (event) => {
    if (!points) return;
    const [px, py] = [event.offsetX, event.offsetY];
    if (fingers.size === 2 && fingers.has(event.pointerId)) return void pinch(event.pointerId, px, py);
    if (grip) {
      const scale = view.size / canvas.clientWidth;
      view = { ...view, x: grip.view.x - (px - grip.x) * scale, y: grip.view.y - (py - grip.y) * scale };
      later();
    } else if (line) {
      line.push([fromX(px), fromY(py)]);
      later();
    } else hover(px, py);
  });

  function pinch(id, px, py) {
    const [other] = [...fingers].find(([key]) => key !== id).slice(1);
    const [bx, by] = fingers.get(id);
    const before = Math.hypot(bx - other[0], by - other[1]) || 1;
    const after = Math.hypot(px - other[0], py - other[1]) || 1;
    fingers.set(id, [px, py]);
    zoom(before / after, (px + other[0]) / 2, (py + other[1]) / 2);
    const scale = view.size / canvas.clientWidth;
    view = { ...view, x: view.x - ((px - bx) / 2) * scale, y: view.y - ((py - by) / 2) * scale };
  }

  for (const kind of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(kind, (event) => {
      fingers.delete(event.pointerId);
      grip = null;
      if (!line) return;
      const drawn = line;
      line = null;
      if (kind === 'pointerup') choose(drawn, event);
      later();
    });
  }
  canvas.addEventListener('pointerleave', () => { tip.hidden = true; });
  canvas.addEventListener('keydown', (event) => {
    const step = view.size / 8;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) view = { ...view, x: view.x + moves[event.key][0], y: view.y + moves[event.key][1] };
    else if (event.key === '+' || event.key === '=') zoom(1 / 1.3);
    else if (event.key === '-') zoom(1.3);
    else return;
    event.preventDefault();
    later();
  });
  new ResizeObserver(later).observe(canvas);

  /** Chooses what lies inside of a line; without one, the point clicked. Shift adds, Alt takes away. */
  function choose(drawn, event) {
    const chosen = page.known();
    const small = drawn.length < 4;
    const found = small ? [index.nearest(...drawn[0], (NEAR / canvas.clientWidth) * view.size)].filter((p) => p >= 0) : rowsInside(drawn);
    if (small && found.length && chosen.has(found[0])) chosen.delete(found[0]);
    else {
      if (!event.shiftKey && !event.altKey) chosen.clear();
      for (const row of found) if (event.altKey) chosen.delete(row); else chosen.add(row);
    }
    page.recount();
    paint();
  }

  function rowsInside(drawn) {
    const flags = inside(points, drawn);
    const rows = [];
    flags.forEach((on, p) => { if (on) rows.push(p); });
    return rows;
  }

  function hover(px, py) {
    over = index.nearest(fromX(px), fromY(py), (NEAR / canvas.clientWidth) * view.size);
    tip.hidden = over < 0;
    if (over < 0) return;
    const src = page.address(page.roster.id(over));
    const img = tip.querySelector('img');
    if (img.getAttribute('src') !== src) img.src = src;
    tip.querySelector('span').textContent = page.name(over) === 'this picture' ? '' : page.name(over);
    tip.style.left = `${Math.min(px + 14, canvas.clientWidth - 190)}px`;
    tip.style.top = `${Math.min(py + 14, canvas.clientHeight - 160)}px`;
  }

  function paint() {
    controls.hidden = !points;
    list.setAttribute('aria-pressed', listed);
    list.disabled = !page.known().size && !listed;
    list.textContent = listed ? 'Back to the map' : 'Chosen as a list';
    for (const part of side) part.hidden = !points;
    told.textContent = page.known().size ? `${count(page.known().size, 'image')} chosen of ${number(points?.length / 2)}.`
      : 'Draw a line around points to choose them; Shift adds, Alt takes away. The wheel zooms, two fingers too.';
  }

  function show() {
    paint();
    page.refresh();
    if (points && !listed) { if (!canvas.width) fit(); later(); }
  }

  use('lasso');
  return {
    id: 'map', title: 'Map', top, side, canvas: holder,
    rows: () => Uint32Array.from(page.known()),
    listed: () => listed,
    face: () => ({}),
    kept: () => ({ rows: new Uint32Array(0), what: 'chosen', name: '' }),
    empty: () => (points ? null : { title: 'See the whole collection at once', hint: 'Each image a point, what is alike near each other. Draw a line around some to choose them.', action: { label: 'Draw the map', act: find } }),
    enter: show,
    repaint() { if (points) { paint(); later(); } },
    changed() {},
    moved(rows, size) {
      points = points && moved(points, rows, size, 2);
      index = points && makeIndex(points);
      pictures.clear();
      if (!points) listed = false;
    },
    reset() { points = null; listed = false; working.forget(); paint(); },
  };
}
