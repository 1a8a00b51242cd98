// What is shown and in which order: search, filters with their counts, class, order; and the page scrubber.

import { el, icon, ICONS, number, settled } from './dom.js';

const SHOWN = [
  ['all', 'All'], ['unlabelled', 'Unlabelled'], ['drafts', 'With drafts'], ['todo', 'To do'], ['done', 'Done'], ['hidden', 'Hidden'],
];

export function makeToolbar(view, onchange) {
  const search = el('input', {
    type: 'search', placeholder: 'Search', 'aria-label': 'Search by name', maxlength: '200',
    oninput: settled(() => change({ text: search.value.trim() }), 220),
    onkeydown: (event) => event.stopPropagation(),
  });
  const chips = SHOWN.map(([value, label]) => el('button.chip', {
    type: 'button', role: 'radio', 'aria-checked': value === view.show, 'data-show': value,
    onclick: () => change({ show: value }),
  }, el('span', {}, label), el('span.n')));
  const filters = el('div.chips', { role: 'radiogroup', 'aria-label': 'Show', onkeydown: arrows }, ...chips);
  const classes = el('select', {
    'aria-label': 'Only images with this class', onchange: () => change({ class: classes.value }),
  }, el('option', { value: '' }, 'Any class'));
  const answers = el('select', {
    'aria-label': 'Only images with this answer', hidden: true, onchange: () => change({ answer: answers.value }),
  });
  const order = el('select', { 'aria-label': 'Order', onchange: () => change({ order: order.value }) },
    el('option', { value: 'added' }, 'As added'), el('option', { value: 'name' }, 'By name'));
  const root = el('div.bar', {},
    el('label.search', {}, icon(ICONS.search, 16), search), filters, el('div.selects', {}, classes, answers, order));

  function change(part) {
    Object.assign(view, part, { offset: 0 });
    paint();
    onchange();
  }

  function paint() {
    for (const chip of chips) {
      const on = chip.dataset.show === view.show;
      chip.setAttribute('aria-checked', on);
      chip.tabIndex = on ? 0 : -1;
    }
    classes.classList.toggle('set', Boolean(view.class));
    answers.classList.toggle('set', Boolean(view.answer));
  }

  function arrows(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const there = chips.filter((chip) => !chip.hidden);
    const i = there.findIndex((chip) => chip.dataset.show === view.show);
    const next = there[(i + step + there.length) % there.length];
    next.focus();
    next.click();
  }

  paint();
  return {
    root,
    search,
    /** Everything is shown again, as for a project just opened. */
    reset() {
      Object.assign(view, { text: '', show: 'all', class: '', answer: '', offset: 0 });
      search.value = '';
      classes.value = answers.value = '';
      paint();
    },
    summary(counts, list, columns = []) {
      for (const chip of chips) {
        chip.querySelector('.n').textContent = number(counts[chip.dataset.show]);
        chip.hidden = chip.dataset.show === 'hidden' && !counts.hidden && view.show !== 'hidden';
      }
      classes.replaceChildren(el('option', { value: '' }, 'Any class'),
        ...list.map((c) => el('option', { value: c.id }, `${c.name} (${number(c.count)})`)));
      classes.value = view.class;
      if (classes.value !== view.class) { classes.value = ''; view.class = ''; }
      classes.hidden = !list.length;
      const option = (label, column, way, value = '') => el('option', { value: JSON.stringify({ column, way, value }) },
        label.length > 60 ? `${label.slice(0, 59)}…` : label);
      answers.replaceChildren(el('option', { value: '' }, 'Any answer'), ...columns.map((c) => el('optgroup', { label: c.name },
        option(`${c.name}: answered (${number(c.count)})`, c.id, 'any'), option(`${c.name}: no answer`, c.id, 'none'),
        ...c.values.map(([value, n]) => option(`${c.name}: ${value} (${number(n)})`, c.id, 'is', value)))));
      answers.value = view.answer;
      // What is filtered by may have become rare, or have gone with its column.
      if (view.answer && answers.value !== view.answer) {
        const { column, value } = JSON.parse(view.answer);
        if (columns.some((c) => c.id === column)) answers.append(option(value, column, 'is', value));
        else view.answer = '';
        answers.value = view.answer;
      }
      answers.hidden = !columns.length;
    },
  };
}

export function makeScrubber(view, onchange, sizes = [30, 60, 120, 240]) {
  let total = 0;
  const pages = () => Math.max(1, Math.ceil(total / view.limit));
  const page = () => Math.floor(view.offset / view.limit) + 1;
  const go = (n) => {
    view.offset = (Math.min(Math.max(1, n), pages()) - 1) * view.limit;
    paint();
    onchange();
  };
  const button = (name, path, target) => el('button.quiet.square', {
    type: 'button', title: name, 'aria-label': name, onclick: () => go(target()),
  }, icon(path));
  const first = button('First page', ICONS.first, () => 1);
  const back = button('Previous page', ICONS.left, () => page() - 1);
  const forth = button('Next page', ICONS.right, () => page() + 1);
  const last = button('Last page', ICONS.last, pages);
  for (const end of [first, last]) end.classList.add('end');
  const slider = el('input', { type: 'range', min: '1', step: '1', 'aria-label': 'Page' });
  const sliding = settled((n) => go(n), 120);
  slider.addEventListener('input', () => { say(Number(slider.value)); sliding(Number(slider.value)); });
  const where = el('output.where');
  const extent = el('span.extent');
  const size = el('select', {
    'aria-label': 'Images on a page',
    onchange: () => {
      view.limit = Number(size.value);
      view.offset = Math.floor(view.offset / view.limit) * view.limit;
      onchange();
    },
  }, ...sizes.map((n) => el('option', { value: n }, `${n} a page`)));
  size.value = String(view.limit);
  const turn = el('div.turn', {}, first, back, slider, forth, last, where);
  const root = el('div.foot', {}, extent, turn, size);

  const say = (n) => { where.textContent = `Page ${number(n)} of ${number(pages())}`; };

  function paint() {
    slider.max = pages();
    slider.value = page();
    say(page());
    first.disabled = back.disabled = page() <= 1;
    forth.disabled = last.disabled = page() >= pages();
    turn.hidden = pages() < 2;
    size.hidden = total <= sizes[0];
    root.hidden = !total;
    const end = Math.min(view.offset + view.limit, total);
    extent.textContent = `${number(view.offset + 1)}–${number(end)} of ${number(total)}`;
  }

  return {
    root,
    turn(step) {
      const target = page() + step;
      if (target < 1 || target > pages()) return false;
      go(target);
      return true;
    },
    show(count) { total = count; paint(); },
  };
}
