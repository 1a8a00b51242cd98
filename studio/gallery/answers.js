// The table of answers: one column at a time, sorted, filtered by what was answered, corrected by hand.

import { ask, el, icon, ICONS, count, number, settled } from './dom.js';
import { confirm } from './dialog.js';
import { makeScrubber } from './toolbar.js';

export function mount({ element, props, trigger, server, watch }) {
  const view = { column: '', way: 'all', text: '', order: 'added', down: false, offset: 0, limit: 50 };
  let seq = 0;
  let asked = 0;
  let columns = [];

  const chooser = el('select', { 'aria-label': 'Column', onchange: () => change({ column: chooser.value, way: 'all', text: '' }) });
  const search = el('input', {
    type: 'search', placeholder: 'Answer holds', 'aria-label': 'Answer holds', maxlength: '200',
    oninput: settled(() => change(search.value.trim() ? { way: 'holds', text: search.value.trim() } : { way: 'all', text: '' }), 220),
  });
  const add = el('button.quiet', { type: 'button', title: 'A column that people fill by hand', onclick: () => rename(null) }, icon(ICONS.plus, 16), 'Column');
  const better = el('button.quiet', { type: 'button', onclick: () => rename(columns.find((c) => c.id === view.column)) }, 'Rename');
  const drop = el('button.quiet', { type: 'button', onclick: remove }, icon(ICONS.trash, 16), 'Delete');
  const files = ['csv', 'jsonl'].map((kind) => el('a.quiet.file', { download: '', title: `All columns and tags, as ${kind.toUpperCase()}` }, kind.toUpperCase()));
  const about = el('p.hint');
  const chips = el('div.chips', { role: 'radiogroup', 'aria-label': 'Only images answered' });
  const heads = [['name', 'Image'], ['value', 'Answer']].map(([order, label]) => el('th', { scope: 'col', 'data-order': order },
    el('button.sort', { type: 'button', onclick: () => change({ order, down: view.order === order && !view.down }) }, label, el('span.way', { 'aria-hidden': 'true' }))));
  const body = el('tbody');
  const table = el('table.answers', {}, el('thead', {}, el('tr', {}, ...heads, el('th', { scope: 'col' }, 'By'), el('th', {}))), body);
  const scrubber = makeScrubber(view, () => load(), [25, 50, 100, 200]);
  const none = el('p.hint', {}, 'No answers yet. Ask many images, with their answers into a column; or add a column that you fill by hand.');
  const trouble = el('div.trouble', { role: 'alert', hidden: true });
  const live = el('div.unseen', { role: 'status', 'aria-live': 'polite' });
  const bar = el('div.bar', {}, chooser, search, add, better, drop, el('div.selects', {}, ...files));
  const root = el('div.gallery', {}, bar, trouble, none, about, chips, table, scrubber.root, live);
  element.replaceChildren(root);

  async function request(op, more = {}) {
    const mine = (seq += 1);
    try {
      const answer = await ask(server.answers, { op, seq: mine, project: props.project, ...more });
      trouble.hidden = true;
      return mine === seq || op !== 'show' ? answer : null;
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
      return null;
    }
  }

  function change(part) {
    Object.assign(view, part, { offset: 0 });
    if (view.way !== 'holds') search.value = '';
    load();
  }

  async function load() {
    asked = performance.now();
    if (!props.project) return show({ columns: [] });
    const { column, way, text, order, down, offset, limit } = view;
    const answer = await request('show', { column, way, text, order, down, offset, limit });
    if (answer) show(answer);
    return null;
  }

  function show(answer) {
    columns = answer.columns;
    const any = columns.length > 0;
    for (const part of [chooser, search, better, drop, about, chips, table, scrubber.root]) part.hidden = !any;
    for (const [link, kind] of files.map((each, i) => [each, ['csv', 'jsonl'][i]])) {
      link.hidden = !props.project;
      link.href = new URL(`api/v1/projects/${props.project}/answers?format=${kind}`, document.baseURI).href;
    }
    add.hidden = !props.project;
    none.hidden = any;
    if (!any) { view.column = ''; return; }
    Object.assign(view, { column: answer.column, offset: answer.offset });
    chooser.replaceChildren(...columns.map((c) => el('option', { value: c.id }, `${c.name} (${number(c.count)})`)));
    chooser.value = view.column;
    const column = columns.find((c) => c.id === view.column);
    about.textContent = column.question ? `“${column.question}”${column.model ? ` — ${column.model}` : ''}` : 'Filled by hand.';
    paintChips(answer, column);
    for (const head of heads) {
      const on = head.dataset.order === view.order;
      head.setAttribute('aria-sort', on ? (view.down ? 'descending' : 'ascending') : 'none');
      head.querySelector('.way').textContent = on ? (view.down ? ' ↓' : ' ↑') : '';
    }
    body.replaceChildren(...answer.items.map(row));
    if (!answer.items.length) body.append(el('tr', {}, el('td.hint', { colspan: 4 }, 'No image has such an answer.')));
    scrubber.show(answer.total);
  }

  function paintChips(answer, column) {
    const chip = (label, n, way, text = '') => {
      const on = view.way === way && view.text.toLowerCase() === text.toLowerCase();
      const short = label.length > 40 ? `${label.slice(0, 39)}…` : label;
      return el('button.chip', { type: 'button', role: 'radio', 'aria-checked': String(on), title: label, onclick: () => change({ way, text }) },
        el('span', {}, short), n === null ? null : el('span.n', {}, number(n)));
    };
    chips.replaceChildren(chip('All', null, 'all'), chip('Answered', column.count, 'any'), chip('No answer', null, 'none'),
      ...answer.values.map(([value, n]) => chip(value, n, 'is', value)));
    if (answer.different > answer.values.length) chips.append(el('span.hint', {}, `… ${number(answer.different)} different`));
  }

  function row(item) {
    const field = el('textarea', { rows: 1, 'aria-label': `Answer for ${item.name}`, spellcheck: 'false' });
    const by = el('td.by');
    const tr = el('tr', { 'data-id': item.id },
      el('td.shows', {}, el('img', { src: new URL(`media/thumb/${item.id}`, document.baseURI).href, alt: '', loading: 'lazy' }), el('span', {}, item.name)),
      el('td.answer', {}, field), by,
      el('td', {}, el('button.quiet', { type: 'button', onclick: () => trigger('open', { image: item.id }), 'aria-label': `Open ${item.name} in Segment` }, 'Open')));

    function paint(cell) {
      item.cell = cell;
      field.value = cell?.value ?? '';
      by.textContent = cell ? cell.model ?? 'a person' : '';
      by.title = cell?.question ? `Asked: ${cell.question}` : '';
      tr.classList.toggle('own', Boolean(cell) && cell.model === null);
      grow();
    }
    function grow() {
      field.style.height = 'auto';
      if (field.scrollHeight) field.style.height = `${Math.min(field.scrollHeight + 2, 160)}px`;
    }
    async function write() {
      const value = field.value.trim();
      if (value === (item.cell?.value ?? '')) return paint(item.cell);
      field.disabled = true;
      const answer = await request('write', { column: view.column, image: item.id, value });
      field.disabled = false;
      if (!answer) return grow(); // what was typed stays, and why it was not taken is said above
      live.textContent = `${item.name}: ${answer.item.cell ? 'saved' : 'emptied'}`;
      paint(answer.item.cell);
      return null;
    }
    field.addEventListener('input', grow);
    field.addEventListener('change', write);
    field.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); next(tr, event.target); }
      if (event.key === 'Escape') { field.value = item.cell?.value ?? ''; field.blur(); }
    });
    queueMicrotask(() => paint(item.cell));
    return tr;
  }

  /** Enter goes on to the answer below, as in a spreadsheet. */
  function next(tr, field) {
    const below = tr.nextElementSibling?.querySelector('textarea');
    if (below) { below.focus(); below.select(); } else field.blur();
  }

  async function rename(column) {
    const field = el('input', { type: 'text', value: column?.name ?? '', maxlength: '100', 'aria-label': 'Name of the column' });
    field.addEventListener('keydown', (event) => event.stopPropagation());
    setTimeout(() => field.select(), 0); // behind the dialog's own choice
    const sure = await confirm(root, { title: column ? `Rename “${column.name}”` : 'A new column', body: field, action: column ? 'Rename' : 'Add', danger: false });
    if (!sure) return;
    const answer = await request(column ? 'rename' : 'add', { column: column?.id, name: field.value });
    if (answer?.added) Object.assign(view, { column: answer.added, way: 'all', text: '' });
    if (answer) load();
  }

  async function remove() {
    const column = columns.find((c) => c.id === view.column);
    const body = `${count(column.count, 'answer')} ${column.count === 1 ? 'goes' : 'go'} with it, people's own too. This cannot be undone.`;
    if (!(await confirm(root, { title: `Delete “${column.name}”?`, body, action: 'Delete the column' }))) return;
    if (await request('delete', { column: column.id })) change({ column: '', way: 'all', text: '' });
  }

  watch('project', () => change({ column: '', way: 'all', text: '', order: 'added', down: false }));
  watch('tick', load);
  new IntersectionObserver(([entry]) => { if (entry.isIntersecting && performance.now() - asked > 1000) load(); }).observe(root);
  load();
}
