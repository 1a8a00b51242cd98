// Searching: a query gives every image a score; a threshold, moved within the page, parts what is kept from the rest.

import { el, icon, ICONS, count, number, settled } from '../dom.js';
import { confirm } from '../dialog.js';
import { floats, wholes } from './packing.js';
import { countFrom, firstThreshold, keptRows, leftRows, makeRanking, ordered, spoken, thresholdFor } from './ranking.js';
import { makeHistogram } from './histogram.js';
import { makeMarks } from './marks.js';
import { makeQuery } from './query.js';

export const NOTHING = new Uint32Array(0);

export function makeSearch(page) {
  const marks = new Map(); // row → whether it is right
  let ranking = null;
  let wanted = { threshold: 0, keep: 'above', top: 0 };
  let shown = 'all';
  let suggested = null; // rows to mark, while these are shown
  let asked = 0;
  let views = [];

  const query = makeQuery({
    onquery: () => { view.value = ''; run({ fresh: true }); },
    read: async (text) => (await page.ask('read', { text })).query,
    uploaded: async (name, data) => (await page.ask('uploaded', { name, data })).term,
    complain: page.complain,
    address: page.address,
    wordings: [['photo', '“a photo of …”'], ['as written', 'as written'], ['many', 'many wordings']],
  });
  const histogram = makeHistogram({ onmove: (threshold) => set({ threshold }) });
  const help = makeMarks({ marks, advise, suggest, cleared, complain: page.complain });

  const keep = el('div.segments', { role: 'radiogroup', 'aria-label': 'Keep' }, ...[['above', 'Keep above'], ['below', 'Keep below']].map(([id, label]) => el('button', {
    type: 'button', role: 'radio', 'data-keep': id, onclick: () => set({ keep: id }) }, label)));
  const top = el('input', { type: 'number', min: '0', step: '1', inputmode: 'numeric', placeholder: 'all', 'aria-label': 'At most this many of them, the best', oninput: () => set({ top: Math.max(0, Math.floor(Number(top.value) || 0)) }) });
  const exact = el('input', { type: 'number', step: 'any', inputmode: 'decimal', 'aria-label': 'Threshold', onchange: () => exact.value !== '' && set({ threshold: Number(exact.value) }) });
  for (const input of [top, exact]) input.addEventListener('keydown', (event) => event.stopPropagation());
  const seen = [['all', 'All'], ['kept', 'Kept'], ['left', 'Left out']].map(([id, label]) => el('button.chip', {
    type: 'button', role: 'radio', 'data-shown': id, onclick: () => look(id) }, el('span', {}, label), el('span.n')));
  const edge = el('button.quiet', { type: 'button', title: 'Go to the line between kept and left out (B)', onclick: boundary }, 'Go to the line');
  const back = el('button.quiet', { type: 'button', hidden: true, onclick: () => { suggested = null; show(); } }, 'Back to all');
  const listbar = el('div.chips', { role: 'radiogroup', 'aria-label': 'Show' }, ...seen);
  const view = el('select', { 'aria-label': 'Saved views', onchange: () => open(view.value) });
  const forget = el('button.quiet.square', { type: 'button', title: 'Delete this view', 'aria-label': 'Delete this view', onclick: drop }, icon(ICONS.trash, 16));
  const viewline = el('div.views', { hidden: true }, view, forget);

  query.form.append(viewline);
  const card = (title, ...parts) => el('section.card', {}, el('h4', {}, title), ...parts);
  const side = [
    card('Threshold', histogram.root, keep,
      el('div.numbers', {}, el('label', {}, 'from a score of', exact), el('label', {}, 'at most', top))),
    el('details.card', {}, el('summary', {}, 'Help with the threshold'), help.root),
  ];

  // ---- asking

  const looking = () => query.query.terms.length > 0;
  const sent = () => ({ terms: query.query.terms.map(({ thumb, ...term }) => term), how: query.query.how, templates: query.query.templates });

  const sentMarks = () => [...marks].map(([row, right]) => ({ image: page.roster.id(row), right }));

  async function run({ fresh = false, keeping = null } = {}) {
    const mine = (asked += 1);
    if (!looking()) {
      ranking = null;
      marks.clear();
      return show();
    }
    if (!page.ready()) { ranking = null; return show(); } // it is asked once the images are ready
    page.waiting(true);
    try {
      const answer = await page.ask('rank', { query: sent() });
      if (mine !== asked) return undefined;
      const scores = floats(answer.scores);
      ranking = makeRanking({ ...answer, scores, order: ordered(scores, wholes(answer.head)) });
      if (fresh || keeping) marks.clear();
      for (const { image, right } of keeping?.marks ?? []) if (page.roster.row(image) >= 0) marks.set(page.roster.row(image), right);
      if (keeping) wanted = { threshold: keeping.threshold ?? firstThreshold(ranking), keep: keeping.keep, top: keeping.top ?? 0 };
      else if (fresh) wanted = { ...wanted, threshold: firstThreshold(ranking), top: 0 };
      if (fresh || keeping) { shown = 'all'; help.forget(); }
      suggested = null;
      top.value = wanted.top || '';
      show();
      page.announce(`${count(countFrom(ranking.sorted, wanted.threshold), 'image')} above the threshold of ${number(ranking.order.length)}`);
    } catch (error) {
      if (mine === asked) page.complain(error, run);
    } finally {
      if (mine === asked) page.waiting(false);
    }
    return undefined;
  }

  // ---- the threshold

  function set(part) {
    if (!ranking) return;
    wanted = { ...wanted, ...part };
    help.stale();
    paint();
    relist();
  }

  // While the line is dragged the list stays where it is; only what is in sight changes, and the rest once it rests.
  const rest = settled(() => page.refresh({ stay: true }), 60);
  function relist() {
    page.recount();
    if (shown !== 'all' && !suggested) rest();
  }

  function look(id) {
    shown = id;
    suggested = null;
    show();
  }

  function boundary() {
    if (!ranking) return;
    suggested = null;
    if (shown !== 'all') { shown = 'all'; show(); }
    page.grid.go(Math.max(0, countFrom(ranking.sorted, wanted.threshold) - 1));
    page.grid.focus();
  }

  // ---- marks

  async function advise(how) {
    const answer = await page.ask('advise', { query: sent(), marks: sentMarks(), ...how });
    if (answer.threshold !== null && answer.threshold !== undefined) {
      wanted = { ...wanted, threshold: answer.threshold, keep: 'above', top: 0 };
      top.value = '';
      suggested = null;
      show({ stay: true });
    }
    return answer;
  }

  async function suggest() {
    if (!ranking) return;
    try {
        suggested = Uint32Array.from((await page.ask('suggest', { query: sent(), marks: sentMarks() })).rows);
      show();
      page.grid.focus();
    } catch (error) {
      page.complain(error);
    }
  }

  function mark(row, right) {
    if (!ranking) return;
    if (right === null || marks.get(row) === right) marks.delete(row);
    else marks.set(row, right);
    help.paint();
    paint();
    page.repaint();
  }

  function cleared() {
    marks.clear();
    help.forget();
    paint();
    page.repaint();
  }

  // ---- views

  function offer(next) {
    views = next;
    const now = view.value;
    view.replaceChildren(el('option', { value: '' }, 'Saved views'), ...views.map((v) => el('option', { value: v.id }, v.name)));
    view.value = views.some((v) => v.id === now) ? now : '';
    viewline.hidden = !views.length;
    forget.hidden = !view.value;
  }

  function open(id) {
    const found = views.find((v) => v.id === id);
    forget.hidden = !found;
    if (!found) return;
    if (found.model && found.model !== page.model()) page.say(`This view was made with ${found.model}. Scores of another model differ: look at its threshold.`);
    query.put({ terms: found.query.terms, how: found.query.how, templates: found.query.templates });
    run({ keeping: found });
  }

  async function save(name) {
    const same = views.find((v) => v.name === name);
    const body = {
      id: same?.id ?? '', name, query: sent(), threshold: wanted.threshold, keep: wanted.keep, top: wanted.top || null,
      marks: sentMarks(),
    };
    const answer = await page.ask('save_view', { view: body });
    offer(answer.views);
    view.value = answer.view;
    forget.hidden = false;
    page.say(`Saved as “${name}”.`);
  }

  async function drop() {
    const found = views.find((v) => v.id === view.value);
    if (!found) return;
    const sure = await confirm(page.root, { title: `Delete the view “${found.name}”?`, body: 'The images stay as they are.', action: 'Delete view' });
    if (!sure) return;
    try {
      offer((await page.ask('delete_view', { view: found.id })).views);
    } catch (error) {
      page.complain(error);
    }
  }

  // ---- showing

  function rows() {
    if (!ranking) return looking() ? NOTHING : page.everything();
    if (suggested) return suggested;
    return shown === 'kept' ? keptRows(ranking, wanted) : shown === 'left' ? leftRows(ranking, wanted) : ranking.order;
  }

  const passes = (row) => ranking && (ranking.scores[row] >= wanted.threshold) === (wanted.keep === 'above');

  function paint() {
    for (const b of keep.children) b.setAttribute('aria-checked', b.dataset.keep === wanted.keep);
    const kept = ranking ? keptRows(ranking, wanted).length : 0;
    const totals = { all: ranking?.order.length ?? 0, kept, left: (ranking?.order.length ?? 0) - kept };
    for (const chip of seen) {
      chip.setAttribute('aria-checked', !suggested && chip.dataset.shown === shown);
      chip.querySelector('.n').textContent = number(totals[chip.dataset.shown]);
    }
    if (ranking) exact.value = wanted.threshold.toFixed(4);
    listbar.hidden = edge.hidden = !ranking;
    back.hidden = !suggested;
    for (const part of side) part.hidden = !ranking;
    if (ranking) histogram.show(ranking, wanted, [...marks].map(([row, right]) => [ranking.scores[row], right]));
  }

  function show({ stay = false } = {}) {
    help.paint();
    paint();
    page.refresh({ stay });
  }

  return {
    id: 'search', title: 'Search', top: query.root, side, listbar: [listbar, edge, back],
    query, rows, mark, offer, save, looking,
    ranked: () => Boolean(ranking),
    face: (row) => ({
      text: ranking ? spoken(ranking.scores[row], ranking.scale) : '', out: ranking && !passes(row),
      mark: marks.has(row) ? (marks.get(row) ? 'yes' : 'no') : '',
    }),
    kept() {
      const name = query.query.terms.filter((t) => !t.exclude && t.text).map((t) => t.text).join(', ').slice(0, 80);
      return { rows: ranking ? keptRows(ranking, wanted) : NOTHING, name, view: Boolean(ranking), query: ranking && sent() };
    },
    empty() {
      if (ranking || !looking()) return null;
      return page.ready() ? null : { title: 'Almost there', hint: 'The images have to be made ready for searching once. Your search then runs by itself.', begin: true };
    },
    key(event, row) {
      if (!ranking || row < 0) return false;
      if (event.key === 'y') mark(row, true);
      else if (event.key === 'n') mark(row, false);
      else if (event.key === 'u') mark(row, null);
      else if (event.key === 'm') like(row);
      else if (event.key === 'b') boundary();
      else if (event.key === 't') set({ threshold: thresholdFor(ranking.sorted, countFrom(ranking.sorted, ranking.scores[row])) });
      else return false;
      if ((event.key === 'y' || event.key === 'n') && !page.previewing()) page.grid.go(page.grid.at + 1);
      return true;
    },
    like,
    enter: () => show({ stay: true }),
    changed: () => run({ fresh: !ranking }),
    moved(rows) {
      const held = [...marks];
      marks.clear();
      for (const [row, right] of held) if (rows[row] >= 0) marks.set(rows[row], right);
      suggested = null;
    },
    reset() {
      marks.clear();
      query.put({ terms: [], how: 'all' });
      ranking = null;
      shown = 'all';
      suggested = null;
      paint();
    },
  };

  function like(row) { query.like(page.roster.id(row), page.name(row)); }
}
