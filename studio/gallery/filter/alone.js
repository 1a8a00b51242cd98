// Outliers: the images ranked by how unlike all others they are, with a threshold as in a search.

import { el, number } from '../dom.js';
import { floats, wholes } from './packing.js';
import { countFrom, keptRows, makeRanking, thresholdFor } from './ranking.js';
import { makeHistogram } from './histogram.js';
import { moved, movedOrder } from './moving.js';
import { makeWorking } from './working.js';

const FIRST = 0.02; // of the collection is kept at first

export function makeAlone(page) {
  let ranking = null;
  let threshold = 0;
  let old = false;
  const working = makeWorking({ ask: page.ask, complain: page.complain });
  const way = el('select', { 'aria-label': 'What counts as an outlier' },
    el('option', { value: 'distance' }, 'far from everything else'), el('option', { value: 'lof' }, 'far from its own neighbours'));
  const go = el('button.act', { type: 'button', onclick: find }, 'Find outliers');
  const top = el('div.bar', {}, el('span.hint', {}, 'Images unlike all others: mistakes, strays, broken files.'), way, go, working.root);
  const histogram = makeHistogram({ onmove: (value) => { threshold = value; paint(); page.recount(); } });
  const told = el('p.hint');
  const side = [el('section.card', {}, el('h4', {}, 'How far away'), histogram.root, told)];

  async function find() {
    go.disabled = true;
    const found = await working.run('outliers', { way: way.value }, 'Looking for outliers');
    go.disabled = false;
    if (!found) return;
    old = false;
    ranking = makeRanking({ scale: 'cosine', scores: floats(found.scores), order: wholes(found.order) });
    threshold = thresholdFor(ranking.sorted, Math.max(1, Math.round(FIRST * ranking.sorted.length)));
    paint();
    page.refresh();
  }

  function paint() {
    for (const part of side) part.hidden = !ranking;
    if (!ranking) return;
    histogram.show(ranking, { threshold, keep: 'above' }, []);
    told.textContent = `${number(countFrom(ranking.sorted, threshold))} farther away than the line. Drag it.`;
  }

  return {
    id: 'alone', title: 'Outliers', top, side,
    rows: () => ranking?.order ?? new Uint32Array(0),
    face: (row) => (ranking ? { text: ranking.scores[row].toFixed(3), out: ranking.scores[row] < threshold } : {}),
    kept: () => ({ rows: ranking ? keptRows(ranking, { threshold }) : new Uint32Array(0), name: 'outlier' }),
    empty: () => (ranking ? null : { title: old ? 'The collection changed' : 'What does not belong?', hint: 'Ranks every image by how unlike the others it is.', action: { label: 'Find outliers', act: find } }),
    key(event, row) {
      if (event.key !== 't' || !ranking) return false;
      threshold = thresholdFor(ranking.sorted, countFrom(ranking.sorted, ranking.scores[row]));
      paint();
      page.recount();
      return true;
    },
    enter() { paint(); page.refresh({ stay: true }); },
    changed() {},
    moved(rows, size) {
      const scores = ranking && moved(ranking.scores, rows, size);
      old = Boolean(ranking) && !scores;
      ranking = scores && makeRanking({ scale: 'cosine', scores, order: movedOrder(ranking.order, rows) });
    },
    reset() { ranking = null; old = false; working.forget(); paint(); },
  };
}
