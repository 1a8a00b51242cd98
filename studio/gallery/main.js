// The gallery: a page of thumbnails, what is chosen among them, and what can be done with it.

import { ask, el, icon, ICONS, count, number } from './dom.js';
import { confirm } from './dialog.js';
import { makeTiles } from './tiles.js';
import { makeSelection } from './selection.js';
import { makeScrubber, makeToolbar } from './toolbar.js';
import { chooser, droppable, makeSending } from './sending.js';

const PART = 500; // ids sent at once, so that a long deletion shows how far it is

export function mount({ element, props, trigger, server, upload, watch }) {
  const view = { text: '', show: 'all', class: '', answer: '', order: 'added', offset: 0, limit: 60 };
  let seq = 0;
  let total = 0;
  let everything = 0; // images in the project, whatever the filters
  let loadedAt = 0;

  const grid = el('div.grid', {
    role: 'listbox', 'aria-multiselectable': 'true', 'aria-label': 'Images', tabindex: '-1',
  });
  const empty = el('div.empty', { hidden: true });
  const trouble = el('div.trouble', { role: 'alert', hidden: true });
  const live = el('div.unseen', { role: 'status', 'aria-live': 'polite' });
  const sending = makeSending(upload);
  const chosenBar = el('div.chosen-bar', { role: 'toolbar', 'aria-label': 'Chosen images', hidden: true });
  const veil = el('div.veil', { 'aria-hidden': 'true' }, icon(ICONS.upload, 34), 'Drop to add them');
  const toolbar = makeToolbar(view, () => load({ fresh: true }));
  const scrubber = makeScrubber(view, () => load());
  const keys = el('div.keys', {},
    'Arrows move · Enter opens · Space chooses · Shift for a range · D marks as done · Delete deletes');
  const root = el('div.gallery', {}, toolbar.root,
    el('div.frame', {}, grid, empty, trouble, chosenBar, veil), sending.root, scrubber.root, keys, live);
  element.replaceChildren(root);

  const tiles = makeTiles(grid, (id) => new URL(`media/thumb/${id}`, document.baseURI).href);
  const selection = makeSelection({
    grid,
    tiles,
    onchange: paintChosen,
    onopen: (item) => trigger('open', { image: item.id }),
    ondelete: remove,
    ondone: (items) => mark(items),
    onpage: (step, where) => scrubber.turn(step) && (pendingFocus = where),
  });
  let pendingFocus = null;

  const request = (op, more = {}) => ask(server.gallery, { op, seq: (seq += 1), project: props.project, ...more });
  const filters = () => ({ text: view.text, show: view.show, class: view.class, ...(view.answer ? JSON.parse(view.answer) : {}) });

  async function load({ fresh = false } = {}) {
    if (!props.project) return showNothing();
    const mine = seq + 1;
    if (fresh) pendingFocus = null;
    const slow = setTimeout(() => root.classList.add('waiting'), 250);
    try {
      const { order, offset, limit } = view;
      const answer = await request('page', { ...filters(), order, offset, limit, summary: true });
      if (mine !== seq) return; // a later question is on its way
      trouble.hidden = true;
      show(answer);
    } catch (error) {
      if (mine === seq) complain(error, load);
    } finally {
      clearTimeout(slow);
      root.classList.remove('waiting');
    }
  }

  function show(answer) {
    total = answer.total;
    view.offset = answer.offset;
    summarise(answer);
    tiles.show(answer.items, answer.offset, total);
    scrubber.show(total);
    const where = pendingFocus;
    pendingFocus = null;
    selection.shown(where);
    loadedAt = performance.now();
    live.textContent = total ? `${count(total, 'image')}, page ${Math.floor(view.offset / view.limit) + 1}` : 'No images';
    paintEmpty();
  }

  function summarise(answer) {
    everything = answer.summary.all + answer.summary.hidden;
    toolbar.summary(answer.summary, answer.classes, answer.columns);
  }

  function paintEmpty() {
    empty.hidden = total > 0;
    grid.hidden = total === 0;
    root.classList.toggle('bare', !everything);
    if (total) return;
    if (everything) {
      const all = () => { toolbar.reset(); load({ fresh: true }); };
      empty.replaceChildren(el('div.title', {}, 'No image is like that'),
        el('div.hint', {}, `None of the ${count(everything, 'image')} fits this search and these filters.`),
        el('button.quiet', { type: 'button', onclick: all }, 'Show all images'));
    } else {
      empty.replaceChildren(icon(ICONS.picture, 44), el('div.title', {}, 'Drop photographs here'),
        el('div.hint', {}, 'Files, folders or a zip, straight from your computer. They stay in this studio.'),
        el('div.choosers', {},
          chooser('Choose photographs', { className: 'act', onfiles: take }),
          chooser('Choose a folder', { folder: true, onfiles: take })));
    }
  }

  function showNothing() {
    seq += 1;
    total = everything = 0;
    tiles.show([], 0, 0);
    selection.clear();
    scrubber.show(0);
    paintEmpty();
  }

  function complain(error, retry) {
    trouble.replaceChildren(el('span', {}, error.message),
      retry ? el('button.quiet', { type: 'button', onclick: () => { trouble.hidden = true; retry(); } }, 'Try again') : null,
      el('button.quiet.square', { type: 'button', title: 'Close', 'aria-label': 'Close', onclick: () => { trouble.hidden = true; } }, icon(ICONS.close, 16)));
    trouble.hidden = false;
  }

  function paintChosen(chosen) {
    element.dataset.chosen = [...chosen.keys()].join(' '); // read where objects are carried on to these images
    chosenBar.hidden = !chosen.size;
    if (!chosen.size) return;
    const rest = total > chosen.size && selection.pageChosen()
      ? el('button.quiet', { type: 'button', onclick: chooseAll }, `Choose all ${number(total)}`) : null;
    const button = (label, act, path) => el('button.quiet', { type: 'button', onclick: act }, path ? icon(path, 16) : null, label);
    chosenBar.replaceChildren(el('b', {}, `${number(chosen.size)} chosen`), ...[rest].filter(Boolean),
      button('Done', () => mark(null, 'done'), ICONS.check), button('To do', () => mark(null, 'todo')),
      ...(view.show === 'hidden' ? [button('Show again', unhide)] : []),
      button('Delete', remove, ICONS.trash),
      el('button.quiet.square', { type: 'button', title: 'Clear the choice', 'aria-label': 'Clear the choice', onclick: unchoose }, icon(ICONS.close, 16)));
  }

  function unchoose() {
    selection.clear();
    selection.focus();
  }

  async function chooseAll() {
    try {
      selection.add((await request('ids', filters())).ids);
      selection.focus(); // the button that was pressed is gone
    } catch (error) {
      complain(error, chooseAll);
    }
  }

  /** Runs an operation over many ids in parts; what was finished stays finished. */
  async function inParts(op, ids, more, doing) {
    for (let i = 0; i < ids.length; i += PART) {
      if (ids.length > PART) live.textContent = chosenBar.firstChild.textContent = `${doing} ${number(i)} of ${number(ids.length)} …`;
      summarise(await request(op, { ids: ids.slice(i, i + PART), ...more }));
    }
  }

  async function remove() {
    const ids = [...selection.chosen.keys()];
    if (!ids.length) return;
    const known = [...selection.chosen.values()];
    const objects = known.includes(null) ? null : known.reduce((a, b) => a + b, 0);
    const what = count(ids.length, 'image');
    const losses = objects === null ? 'All annotations on them go too.'
      : objects ? `${count(objects, 'annotation')} on ${ids.length === 1 ? 'it' : 'them'} ${objects === 1 ? 'goes' : 'go'} too.`
        : `${ids.length === 1 ? 'It has' : 'They have'} no annotations.`;
    const sure = await confirm(root, { title: `Delete ${what}?`, body: `${losses} This cannot be undone.`, action: `Delete ${what}` });
    if (!sure) return;
    try {
      await inParts('delete', ids, {}, 'Deleted');
      selection.clear();
      live.textContent = `${what} deleted`;
    } catch (error) {
      complain(error);
    }
    await load();
    selection.focus();
    trigger('changed', {});
  }

  async function unhide() {
    const ids = [...selection.chosen.keys()];
    try {
      await inParts('show', ids, {}, 'Shown');
      selection.clear();
      live.textContent = `${count(ids.length, 'image')} in view again`;
    } catch (error) {
      complain(error);
    }
    await load();
    trigger('changed', {});
  }

  async function mark(items, status) {
    const ids = items ? items.map((item) => item.id) : [...selection.chosen.keys()];
    const here = tiles.items.filter((item) => ids.includes(item.id));
    const target = status ?? (here.length && here.every((item) => item.status === 'done') ? 'todo' : 'done');
    try {
      await inParts('status', ids, { status: target }, 'Marked');
      live.textContent = `${count(ids.length, 'image')} marked as ${target === 'done' ? 'done' : 'to do'}`;
      if (!items) selection.clear();
    } catch (error) {
      complain(error);
    }
    await load();
    if (!items) selection.focus();
    trigger('changed', {});
  }

  async function take(files) {
    const sent = await sending.send(files);
    if (sent && (sent.files.length || sent.failed.length)) trigger('dropped', sent);
  }

  droppable(root, take);
  root.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && selection.chosen.size && !event.target.closest('dialog')) unchoose();
    if (event.key === '/' && !event.target.closest('input, select, dialog')) {
      event.preventDefault();
      toolbar.search.focus();
    }
  });
  watch('project', () => { toolbar.reset(); selection.clear(); load({ fresh: true }); });
  watch('tick', () => load());
  // Whoever comes back from labelling sees what changed there.
  new IntersectionObserver(([entry]) => {
    if (entry.isIntersecting && loadedAt && performance.now() - loadedAt > 1000) load();
  }).observe(root);
  // Other tabs choose images here: where "those chosen in Data" are asked for, these are meant.
  document.addEventListener('onelabel:choose', (event) => {
    if (!root.isConnected) return;
    selection.chosen.clear();
    selection.add(event.detail);
  });
  document.addEventListener('onelabel:classes', () => { if (root.isConnected) load(); });
  load();
}
