// The scores as a histogram, and the threshold as a line in it that is dragged. Nothing here asks the server.

import { el, count } from '../dom.js';
import { countFrom, histogram, spoken, thresholdFor } from './ranking.js';

const HEIGHT = 104;
const FOOT = 14; // room for the marks below the bars

/** `onmove(threshold)` is called at most once a frame while the line is dragged. */
export function makeHistogram({ onmove }) {
  const canvas = el('canvas', {
    tabindex: '0', role: 'slider', 'aria-label': 'Threshold', 'aria-orientation': 'horizontal',
  });
  const low = el('span');
  const high = el('span');
  const under = el('output.under');
  const root = el('div.histogram', {}, canvas, el('div.ends', {}, low, under, high));
  let ranking = null;
  let wanted = { threshold: 0, keep: 'above' };
  let marks = [];
  let moving = 0;
  let held = false;

  let wide = 260; // read when it changes: reading it in between would lay out the page again
  let colours = null;
  const width = () => wide;
  const span = () => ranking.high - ranking.low || 1;
  const x = (score) => 6 + ((score - ranking.low) / span()) * (width() - 12);
  const score = (place) => ranking.low + ((place - 6) / (width() - 12)) * span();
  const clamp = (value) => Math.min(Math.max(value, ranking.low), thresholdFor(ranking.sorted, 0));

  function draw() {
    const ratio = devicePixelRatio || 1;
    canvas.width = width() * ratio;
    canvas.height = HEIGHT * ratio;
    if (!ranking || !ranking.sorted.length) return;
    const brush = canvas.getContext('2d');
    if (!colours) {
      const style = getComputedStyle(root);
      colours = ['--accent', '--quiet', '--body-text-color'].map((name) => style.getPropertyValue(name).trim());
      setTimeout(() => { colours = null; }, 1000); // the theme may change
    }
    const [accent, quiet, ink] = colours;
    brush.scale(ratio, ratio);
    const bins = Math.max(12, Math.min(80, Math.floor((width() - 12) / 4)));
    const bars = histogram(ranking.sorted, ranking.low, ranking.high, bins);
    const tallest = Math.sqrt(Math.max(...bars)); // roots, so that a handful among thousands is seen
    const step = (width() - 12) / bins;
    const line = x(wanted.threshold);
    bars.forEach((n, i) => {
      if (!n) return;
      const tall = Math.max(2, (Math.sqrt(n) / tallest) * (HEIGHT - FOOT - 8));
      const left = 6 + i * step;
      const on = (left + step / 2 >= line) === (wanted.keep === 'above');
      brush.globalAlpha = on ? 0.95 : 0.35;
      brush.fillStyle = on ? accent : quiet;
      brush.fillRect(left, HEIGHT - FOOT - tall, Math.max(1, step - 1), tall);
    });
    brush.globalAlpha = 1;
    for (const [at, right] of marks) {
      brush.fillStyle = right ? '#16a34a' : '#dc2626';
      brush.beginPath();
      brush.arc(x(at), HEIGHT - 6, 3.5, 0, 7);
      brush.fill();
    }
    brush.strokeStyle = brush.fillStyle = ink;
    brush.lineWidth = 2;
    brush.beginPath();
    brush.moveTo(line, 0);
    brush.lineTo(line, HEIGHT - FOOT);
    brush.stroke();
    brush.beginPath();
    brush.roundRect(line - 5, HEIGHT / 2 - 20, 10, 24, 5);
    brush.fill();
  }

  function tell() {
    if (!ranking) return;
    const passing = countFrom(ranking.sorted, wanted.threshold);
    canvas.setAttribute('aria-valuemin', ranking.low.toFixed(4));
    canvas.setAttribute('aria-valuemax', ranking.high.toFixed(4));
    canvas.setAttribute('aria-valuenow', wanted.threshold.toFixed(4));
    canvas.setAttribute('aria-valuetext', `${spoken(wanted.threshold, ranking.scale)}, ${count(passing, 'image')} above`);
    low.textContent = spoken(ranking.low, ranking.scale);
    high.textContent = spoken(ranking.high, ranking.scale);
  }

  function move(threshold) {
    wanted.threshold = clamp(threshold);
    moving ||= requestAnimationFrame(() => { moving = 0; onmove(wanted.threshold); });
  }

  canvas.addEventListener('pointerdown', (event) => {
    if (event.button || !ranking) return;
    canvas.setPointerCapture(event.pointerId);
    held = true;
    move(score(event.offsetX));
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!ranking) return;
    if (held) move(score(event.offsetX));
    const at = clamp(score(event.offsetX));
    under.textContent = `${spoken(at, ranking.scale)}: ${count(countFrom(ranking.sorted, at), 'image')} above`;
  });
  for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { held = false; });
  canvas.addEventListener('pointerleave', () => { if (!held) under.textContent = ''; });

  canvas.addEventListener('keydown', (event) => {
    if (!ranking) return;
    const passing = countFrom(ranking.sorted, wanted.threshold);
    const step = Math.max(1, Math.round(ranking.sorted.length / 20));
    const target = {
      ArrowRight: passing - 1, ArrowUp: passing - 1, ArrowLeft: passing + 1, ArrowDown: passing + 1,
      PageUp: passing - step, PageDown: passing + step, Home: ranking.sorted.length, End: 0,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move(thresholdFor(ranking.sorted, Math.min(Math.max(0, target), ranking.sorted.length)));
  });
  new ResizeObserver(([entry]) => { wide = entry.contentRect.width || wide; draw(); }).observe(canvas);

  return {
    root,
    /** Shows a ranking, what is wanted of it, and marks as [score, right]. */
    show(next, nextWanted, nextMarks) {
      ranking = next;
      wanted = { ...nextWanted };
      marks = nextMarks;
      tell();
      draw();
    },
  };
}
