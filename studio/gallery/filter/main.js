// The Filter page: what is ready, the ways to look at a collection, the list they share, and what is done with it.

import { ask, el, icon, ICONS, count, number, settled } from '../dom.js';
import { makeGrid, SIZES } from './grid.js';
import { makeKeep, makeToast } from './keep.js';
import { showHidden } from './hidden.js';
import { legend } from './legend.js';
import { makeRoster } from './packing.js';
import { makePreview } from './preview.js';
import { makeReady } from './ready.js';
import { makeSearch } from './search.js';
import { makeSorting } from './sorting.js';
import { makeAlike } from './alike.js';
import { makeAlone } from './alone.js';
import { makeMap } from './map.js';
import { makeWorking } from './working.js';

const NAMES_AT_ONCE = 200;

export function mount({ element, props, trigger, server, watch }) {
  const roster = makeRoster();
  const names = new Map(); // id → what is known of an image
  const undos = [];
  let seq = 0;
  let classes = [];
  let mode = null;
  let slow = 0;

  const address = (id) => new URL(`media/thumb/${id}`, document.baseURI).href;
  const trouble = el('div.trouble', { role: 'alert', hidden: true });
  const live = el('div.unseen', { role: 'status', 'aria-live': 'polite' });
  const toast = makeToast();
  const loading = el('div.loading', { role: 'status', hidden: true });
  const empty = el('div.empty', { hidden: true });
  const tops = el('div.tops');
  const lists = el('div.listbar');
  const sides = el('div.sides');
  const frame = el('div.frame');
  const root = el('div.filter');

  // ---- what the ways have in common

  const page = {
    root, roster, address, announce: (text) => { live.textContent = text; },
    ready: () => roster.size > 0,
    model: () => props.model,
    everything: () => Uint32Array.from({ length: roster.size }, (_, i) => i),
    name: (row) => names.get(roster.id(row))?.name ?? 'this picture',
    classes: () => classes,
    previewing: () => preview.open,
    waiting,
    say: toast.say,
    ask: request,
    complain, undoable, act, work, hide, download,
    refresh, repaint, recount,
    known: () => grid.chosen,
    tick: load,
  };

  // A model that is not loaded yet takes its time, once: that is said where it shows.
  function waiting(on) {
    clearTimeout(slow);
    root.classList.toggle('waiting', on);
    loading.hidden = true;
    if (on) slow = setTimeout(() => { loading.textContent = `${props.title || 'The model'} is being loaded …`; loading.hidden = false; }, 900);
  }

  async function request(op, more = {}) {
    const { project, model } = props;
    const answer = await ask(server.filter, { op, seq: (seq += 1), project, model, stamp: roster.stamp, ...more });
    if (project !== props.project || model !== props.model) throw Object.assign(new Error(''), { gone: true });
    const sent = answer.roster ?? answer.result?.roster;
    if (sent && sent.stamp !== roster.stamp) take(sent);
    if (answer.classes) classes = answer.classes;
    return answer;
  }

  function take({ stamp, ids }) {
    const before = Array.from({ length: roster.size }, (_, row) => roster.id(row));
    roster.set(stamp, ids);
    const rows = Int32Array.from(before, roster.row); // where each row is now, -1 where it is gone
    const held = [...grid.chosen].map((row) => rows[row]).filter((row) => row >= 0);
    grid.chosen.clear();
    for (const row of held) grid.chosen.add(row);
    for (const m of modes) m.moved(rows, roster.size);
  }

  function complain(error, retry) {
    if (error.gone) return;
    trouble.replaceChildren(el('span', {}, error.message),
      retry ? el('button.quiet', { type: 'button', onclick: () => { trouble.hidden = true; retry(); } }, 'Try again') : '',
      el('button.quiet.square', { type: 'button', title: 'Close', 'aria-label': 'Close', onclick: () => { trouble.hidden = true; } }, icon(ICONS.close, 16)));
    trouble.hidden = false;
  }

  function undoable(sentence, undo) {
    if (!undo) return toast.say(sentence);
    const entry = { undo, sentence };
    undos.push(entry);
    return toast.say(sentence, { label: 'Undo', act: () => takeBack(entry) });
  }

  async function takeBack(entry = undos.at(-1)) {
    const at = undos.indexOf(entry);
    if (at < 0) return;
    undos.splice(at, 1);
    try {
      await entry.undo();
      toast.say('Taken back.');
      await changed();
    } catch (error) {
      complain(error);
    }
  }

  /** Asks for something to be done with rows; scores go with it where the list has a query. */
  function about(rows, more) {
    const { query } = mode.kept();
    return { images: roster.pack(rows), ...(query ? { query } : {}), ...more };
  }

  function act(op, rows, more = {}) { return request(op, about(rows, more)); }

  /** The same for what takes a while; resolves to null where it was stopped or failed, which is said. */
  function work(op, rows, more, title) { return working.run(op, about(rows, more), title); }

  /** Takes rows out of view; what undoes it knows them by their ids, for rows change. */
  async function hide(rows, sentence) {
    const images = roster.pack(rows);
    const done = await request('hide', { images });
    undoable(sentence(done.images), () => request('show', { images }));
    await changed();
  }

  function download(url) {
    const link = el('a', { href: new URL(url, document.baseURI).href, download: '' });
    root.append(link);
    link.click();
    link.remove();
  }

  // ---- the parts

  const grid = makeGrid({
    address: (row) => address(roster.id(row)),
    dress, onopen: (place) => { grid.go(place); preview.show(grid.list[place]); },
    onchosen: recount, onmark: (row, right) => mode.mark?.(row, right), onseen: settled(nameThem, 120), onkey: (event, row) => key(event, row),
  });
  page.grid = grid;
  const working = makeWorking({ ask: request, complain, told: toast.say });
  const ready = makeReady({
    request, complain, title: () => props.title || 'The model',
    onhidden: () => showHidden({ host: root, request, address, complain, changed: () => { toast.hide(); changed(); } }),
    onready: async () => { await load(); },
  });
  page.state = () => ready.state;
  const modes = [makeSearch(page), makeSorting(page), makeAlike(page), makeAlone(page), makeMap(page)];
  mode = modes[0];
  const tabs = modes.map((m) => el('button', { type: 'button', role: 'tab', 'data-mode': m.id, onclick: () => enter(m) }, m.title));
  const tablist = el('div.segments.ways', { role: 'tablist', 'aria-label': 'Ways to look at the collection', onkeydown: arrows }, ...tabs);
  const size = el('select', { 'aria-label': 'Size of the pictures', onchange: () => grid.size(size.value) },
    ...Object.keys(SIZES).map((name) => el('option', { value: name }, `${name[0].toUpperCase()}${name.slice(1)}`)));
  size.value = 'medium';
  const keys = el('button.quiet.square', { type: 'button', title: 'Keys (?)', 'aria-label': 'Keys', onclick: () => legend(root) }, '?');
  const keep = makeKeep({
    host: root, kept, classes: () => classes, act, work, hide, undoable, say: toast.say, complain, changed, download,
    clear: () => { grid.clear(); recount(); }, saveView: (name) => modes[0].save(name),
    choose: (rows) => document.dispatchEvent(new CustomEvent('onelabel:choose', { detail: Array.from(rows, roster.id) })),
    opened: (project) => trigger('project', { project }),
  });
  const preview = makePreview({
    host: root,
    about: (row) => {
      const id = roster.id(row);
      const { text, badge, mark } = mode.face(row);
      return {
        src: new URL(`media/image/${id}`, document.baseURI).href, thumb: address(id), name: names.get(id)?.name ?? '',
        text: [text, badge].filter(Boolean).join(' · '), mark, place: [grid.at + 1, grid.list.length],
      };
    },
    buttons,
    step: (by) => { grid.go(grid.at + by); return grid.row; },
    onkey: key,
    closed: () => grid.focus(),
  });

  function buttons(row) {
    const button = (label, fn, title) => el('button.quiet', { type: 'button', title, onclick: () => { fn(); preview.paint(); grid.repaint(); } }, label);
    return [
      ...(mode.buttons?.(row, button) ?? (mode.mark ? [button('✓ Right', () => mode.mark(row, true), 'Y'), button('✗ Wrong', () => mode.mark(row, false), 'N')] : [])),
      button('More like this', () => { preview.close(); like(row); }, 'M'),
      button(grid.chosen.has(row) ? 'Chosen' : 'Choose', () => { if (!grid.chosen.delete(row)) grid.chosen.add(row); recount(); }, 'X'),
      button('Open in Segment', () => { preview.close(); trigger('open', { image: roster.id(row) }); }, 'O'),
    ];
  }

  function like(row) {
    enter(modes[0]);
    modes[0].like(row);
  }

  function key(event, row) {
    if (row < 0) return false;
    if (event.key === 'x') { if (!grid.chosen.delete(row)) grid.chosen.add(row); recount(); }
    else if (event.key === 'o') { preview.close(); trigger('open', { image: roster.id(row) }); }
    else if (mode.key?.(event, row)) { /* taken */ }
    else if (event.key === 'm') { preview.close(); like(row); }
    else return false;
    if (preview.open) { preview.paint(); grid.repaint(); }
    return true;
  }

  // ---- showing

  /** Puts on a tile what its row is; what is on it already is not touched, for that is what takes time. */
  function dress(tile, row, place) {
    const face = mode.face(row);
    const known = names.get(roster.id(row));
    const now = [face.text, face.out, face.differs, face.mark, face.band, face.badge, face.colour, known?.name, row].join('\n');
    if (tile.dressed === now) return;
    tile.dressed = now;
    tile.classList.toggle('out', Boolean(face.out));
    tile.classList.toggle('differs', Boolean(face.differs));
    tile.dataset.mark = face.mark ?? '';
    tile.dataset.band = face.band ?? '';
    const badge = tile.querySelector('.badge');
    badge.textContent = face.badge ?? '';
    badge.style.cssText = face.colour ? `--colour: ${face.colour}; color: ${face.bright ? '#0f172a' : '#fff'}` : '';
    tile.querySelector('.caption b').textContent = face.text ?? '';
    tile.querySelector('.name').textContent = known?.name ?? '';
    tile.title = known ? `${known.name} · ${known.width} × ${known.height}` : '';
    const said = { yes: 'right', no: 'wrong' }[face.mark];
    tile.setAttribute('aria-label', [known?.name ?? `image ${place + 1}`, face.text, face.badge, said].filter(Boolean).join(', '));
  }

  async function nameThem(rows) {
    const wanted = rows.filter((row) => row < roster.size).map(roster.id).filter((id) => !names.has(id)).slice(0, NAMES_AT_ONCE);
    if (!wanted.length) return;
    try {
      const answer = await request('names', { ids: wanted });
      for (const [id, known] of Object.entries(answer.names)) names.set(id, known);
      grid.repaint();
      if (preview.open) preview.paint();
    } catch (error) {
      console.error(error); // names are a help alone
    }
  }

  function kept() {
    if (grid.chosen.size) return { ...mode.kept(), rows: Uint32Array.from(grid.chosen), what: 'chosen' };
    return { what: 'kept', ...mode.kept() };
  }

  function recount() {
    keep.paint();
    grid.repaint();
    mode.repaint?.();
    element.dataset.kept = kept().rows.length;
  }

  function repaint() { grid.repaint(); }

  function refresh({ stay = false } = {}) {
    const nothing = ready.state && !roster.size;
    const why = nothing ? unready() : mode.empty?.();
    const plain = !mode.canvas || mode.listed?.();
    fit();
    empty.hidden = !why;
    grid.root.hidden = Boolean(why) || !plain;
    if (mode.canvas) mode.canvas.hidden = Boolean(why) || plain;
    if (why) empty.replaceChildren(...explain(why));
    else if (plain) grid.show(mode.rows(), { stay });
    root.classList.toggle('bare', Boolean(nothing));
    root.classList.toggle('ranked', Boolean(mode.ranked?.()));
    recount();
  }

  /** The list ends where the window does, so that the page itself need not be scrolled. */
  function fit() {
    const narrow = root.clientWidth <= 860;
    const top = frame.getBoundingClientRect().top + scrollY;
    root.style.setProperty('--tall', narrow || !frame.clientWidth ? '' : `${Math.max(380, innerHeight - top - 26)}px`);
  }

  function unready() {
    const { total, job } = ready.state;
    if (!total) return { title: 'No images yet', hint: 'Add photographs in Data first. Then sort them here by what they show.' };
    if (job?.state === 'running') return { title: 'Getting the images ready', hint: 'You may search as soon as the first ones are; the others follow by themselves.' };
    const looking = modes[0].looking() && mode === modes[0];
    return {
      title: looking ? 'Almost there' : 'Find, sort and clean up a whole collection by words',
      hint: `${props.title || 'The model'} has to look at ${total === 1 ? 'the image' : `each of the ${count(total, 'image')}`} once. ${looking ? 'Your search then runs by itself.' : 'After that every search takes a moment.'}`,
      begin: true,
    };
  }

  function explain({ title, hint, begin, action }) {
    const go = begin ? el('button.act', { type: 'button', onclick: () => ready.act('begin') }, `Get ${count(ready.state.total, 'image')} ready`) : null;
    const more = action ? el('button.act', { type: 'button', onclick: action.act }, action.label) : null;
    return [icon(ICONS.search, 40), el('div.title', {}, title), el('div.hint', {}, hint), go, more].filter(Boolean);
  }

  function enter(next) {
    if (mode !== next) { mode.leave?.(); grid.clear(); }
    mode = next;
    tabs.forEach((tab, i) => { tab.setAttribute('aria-selected', modes[i] === mode); tab.tabIndex = modes[i] === mode ? 0 : -1; });
    for (const m of modes) {
      m.top.hidden = m !== mode;
      for (const part of [...m.side, ...(m.listbar ?? [])]) part.classList.toggle('away', m !== mode);
      if (m.canvas && m !== mode) m.canvas.hidden = true;
    }
    mode.enter();
  }

  function arrows(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (modes.indexOf(mode) + step + modes.length) % modes.length;
    tabs[next].focus();
    enter(modes[next]);
  }

  // ---- asking

  async function load() {
    if (!props.project || !props.model) return;
    try {
      await request('roster');
      modes[0].offer((await request('views')).views);
      await mode.changed();
      refresh({ stay: true });
    } catch (error) {
      complain(error, load);
    }
  }

  async function changed() {
    await ready.look();
    await load();
    trigger('changed', {});
  }

  async function begin() {
    grid.clear();
    toast.hide();
    trouble.hidden = true;
    ready.reset();
    roster.set('', '');
    names.clear();
    for (const m of modes) m.reset();
    if (!props.project || !props.model) {
      empty.replaceChildren(...explain({ title: 'No images yet', hint: 'Add photographs in Data first. Then sort them here by what they show.' }));
      empty.hidden = false;
      grid.root.hidden = true;
      return;
    }
    await ready.look();
    refresh();
  }

  root.append(
    el('div.wayline', {}, tablist, ready.root, el('span.tools', {}, size, keys)), tops,
    el('div.main', {}, el('div.left', {}, lists, frame), el('div.right', {}, sides, keep.root, working.root)), live);
  tops.append(...modes.map((m) => m.top));
  lists.append(...modes.flatMap((m) => m.listbar ?? []));
  sides.append(...modes.flatMap((m) => m.side));
  frame.append(grid.root, ...modes.map((m) => m.canvas).filter(Boolean), empty, trouble, loading, toast.root);
  element.replaceChildren(root);

  root.addEventListener('keydown', (event) => {
    if (event.target.closest('input, select, textarea, dialog') || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === '/') { enter(modes[0]); modes[0].query.box.focus(); }
    else if (event.key === '?') legend(root);
    else if (event.key === 'z') takeBack();
    else if (event.key === 'Escape' && grid.chosen.size) grid.clear();
    else return;
    event.preventDefault();
  });
  addEventListener('resize', settled(() => { if (root.isConnected) fit(); }, 100));
  new ResizeObserver(fit).observe(tops);
  const anew = settled(begin, 30); // project and model change together
  watch('project', anew);
  watch('model', anew);
  watch('tick', () => { if (ready.state) ready.look(); });
  new IntersectionObserver(([entry]) => { if (entry.isIntersecting && ready.state && !ready.running) ready.look(); }).observe(root);
  enter(mode);
  begin();
}
