// The list of classes: colour, name, hotkey, use; adding, deleting and putting them in order.

import { ask, el, icon, ICONS, count, number } from './dom.js';
import { confirm } from './dialog.js';

export function mount({ element, props, trigger, server, watch }) {
  let classes = [];
  let seq = 0;
  let asked = 0;

  const list = el('ul.rows', { 'aria-label': 'Classes, in order' });
  const hint = el('div.hint', {}, 'Name what you are going to label: “car”, “leaf”, “scratch” …');
  const trouble = el('div.trouble', { role: 'alert', hidden: true });
  const name = el('input', { type: 'text', placeholder: 'New class', 'aria-label': 'Name of the new class', maxlength: '100', autocomplete: 'off' });
  const adder = el('form.adder', { onsubmit: add }, name,
    el('button.act', { type: 'submit' }, icon(ICONS.plus, 16), 'Add'));
  const root = el('div.classes', {}, hint, list, adder, trouble);
  element.replaceChildren(root);

  async function request(op, more = {}) {
    const mine = (seq += 1);
    try {
      const answer = await ask(server.classes, { op, seq: mine, project: props.project, ...more });
      trouble.hidden = true;
      if (mine === seq) show(answer.classes);
      if (op !== 'show') {
        document.dispatchEvent(new CustomEvent('onelabel:classes'));
        trigger('changed', {});
      }
      return { done: true };
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
      if (mine === seq) show(classes); // puts back what could not be saved
      return { done: false, why: error.message };
    }
  }

  function load() {
    asked = performance.now();
    adder.hidden = !props.project;
    if (props.project) return request('show');
    seq += 1;
    show([]);
    hint.textContent = 'Classes belong to a project: add photographs or create a project first.';
    hint.hidden = false;
    return null;
  }

  async function add(event) {
    event.preventDefault();
    if (!name.value.trim()) return;
    if ((await request('add', { name: name.value.trim() })).done) name.value = '';
    name.focus();
  }

  function show(next) {
    const focused = document.activeElement?.closest?.('li.row')?.dataset.id;
    const part = document.activeElement?.dataset?.part;
    classes = next;
    hint.hidden = classes.length > 0;
    if (props.project) hint.textContent = 'Name what you are going to label: “car”, “leaf”, “scratch” …';
    list.replaceChildren(...classes.map(row));
    if (focused && part) list.querySelector(`[data-id="${focused}"] [data-part="${part}"]`)?.focus();
  }

  function row(label, i) {
    const colour = el('input', {
      type: 'color', value: label.colour, 'data-part': 'colour', 'aria-label': `Colour of ${label.name}`,
      onchange: () => request('update', { id: label.id, colour: colour.value }),
    });
    const title = el('input', {
      type: 'text', value: label.name, maxlength: '100', 'data-part': 'name', 'aria-label': `Name of class ${i + 1}`, autocomplete: 'off',
      onchange: () => rename(label, title),
      onkeydown: (event) => {
        if (event.key === 'Enter') title.blur();
        if (event.key === 'Escape') { title.value = label.name; title.blur(); }
      },
    });
    const key = el('select', {
      'data-part': 'key', title: 'Hotkey', 'aria-label': `Hotkey of ${label.name}`,
      onchange: () => request('update', { id: label.id, hotkey: key.value || null }),
    }, el('option', { value: '' }, '–'), ...'123456789'.split('').map((k) => el('option', { value: k }, k)));
    key.value = label.hotkey ?? '';
    const handle = el('button.quiet.square.handle', {
      type: 'button', 'data-part': 'handle', title: 'Drag, or use the arrow keys, to change the order',
      'aria-label': `Move ${label.name}, number ${i + 1} of ${classes.length}`,
      onkeydown: (event) => {
        const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
        if (!step) return;
        event.preventDefault();
        place(label, i + step);
      },
    }, icon(ICONS.handle, 16));
    const bin = el('button.quiet.square', {
      type: 'button', 'data-part': 'bin', title: 'Delete', 'aria-label': `Delete ${label.name}`, onclick: () => remove(label),
    }, icon(ICONS.trash, 16));
    const item = el('li.row', { 'data-id': label.id }, handle, colour, title,
      el('span.n', { title: count(label.count, 'annotation') }, number(label.count)), key, bin);
    handle.addEventListener('pointerdown', (event) => drag(event, handle, item, label));
    return item;
  }

  function rename(label, title) {
    const next = title.value.trim();
    if (next && next !== label.name) request('update', { id: label.id, name: next });
    else title.value = label.name;
  }

  function place(label, position) {
    if (position < 0 || position >= classes.length) return;
    request('update', { id: label.id, position });
  }

  /** Moves a row under the pointer; the order is saved when it is let go. */
  function drag(event, handle, item, label) {
    if (event.button) return;
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    item.classList.add('dragged');
    const move = (e) => {
      const others = [...list.children].filter((other) => other !== item);
      const after = others.find((other) => {
        const box = other.getBoundingClientRect();
        return e.clientY < box.top + box.height / 2;
      });
      list.insertBefore(item, after ?? null);
    };
    const end = (e) => {
      handle.removeEventListener('pointermove', move);
      handle.removeEventListener('pointerup', end);
      handle.removeEventListener('pointercancel', end);
      item.classList.remove('dragged');
      const position = [...list.children].indexOf(item);
      if (e.type === 'pointerup' && position !== classes.indexOf(label)) place(label, position);
      else show(classes);
    };
    handle.addEventListener('pointermove', move);
    handle.addEventListener('pointerup', end);
    handle.addEventListener('pointercancel', end);
  }

  async function remove(label) {
    const title = `Delete the class “${label.name}”?`;
    const used = label.count ? `${count(label.count, 'annotation')} ${label.count === 1 ? 'has' : 'have'} this class.` : '';
    if (used) return replace(label, title, used);
    const sure = await confirm(root, { title, body: 'No accepted annotation has this class.', action: 'Delete class' });
    if (!sure) return undefined;
    const { done, why } = await request('delete', { id: label.id });
    return done ? undefined : replace(label, title, why); // drafts may have it
  }

  async function replace(label, title, why) {
    const others = classes.filter((c) => c.id !== label.id);
    if (!others.length) {
      trouble.textContent = `${why} Add another class first, which they get instead.`;
      trouble.hidden = false;
      return;
    }
    const select = el('select', { 'aria-label': 'Class they get instead' }, ...others.map((c) => el('option', { value: c.id }, c.name)));
    const body = el('label', {}, `${why} Give them instead: `, select);
    const chosen = await confirm(root, { title, body, action: 'Delete class', answer: () => select.value });
    if (chosen) request('delete', { id: label.id, replace: chosen });
  }

  watch('project', load);
  watch('tick', load);
  // Whoever comes back from labelling sees the classes and counts that changed there.
  new IntersectionObserver(([entry]) => { if (entry.isIntersecting && performance.now() - asked > 1000) load(); }).observe(root);
  load();
}
