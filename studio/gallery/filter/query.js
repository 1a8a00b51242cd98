// What is looked for: phrases and pictures, each wanted or not and of a weight, all of them or any.

import { el, icon, ICONS } from '../dom.js';
import { droppable } from '../sending.js';
import { asSent } from './picture.js';

const WEIGHTS = ['0.5', '1', '2', '3', '5'];
const IDEAS = ['a photo of a person', 'blurry image', 'at night', 'text or writing'];

/**
 * `onquery(query)` is told what is looked for whenever that changes. `read(text)` makes terms of what was typed, and
 * `uploaded(picture)` a term of a picture; both ask the server.
 */
export function makeQuery({ onquery, read, uploaded, complain, address, wordings }) {
  const query = { terms: [], how: 'all', templates: wordings[0][0] };
  const box = el('input', {
    type: 'search', placeholder: 'What do you look for? “lions”, “blurry image”, “contains a person” …',
    'aria-label': 'What to look for', maxlength: '500', autocomplete: 'off', enterkeyhint: 'search',
  });
  const file = el('input', { type: 'file', accept: 'image/*', hidden: true, 'aria-label': 'A picture to look for', onchange: () => take([...file.files]) });
  const button = (kind, label, title, act, path) => el(kind, { type: 'button', title, onclick: act }, path ? icon(path, 16) : null, label);
  const and = button('button.quiet', 'And', 'Look for this as well (Shift+Enter)', () => typed('and'), ICONS.plus);
  const without = button('button.quiet', 'Without', 'Look for pictures that do not show this', () => typed('without'));
  const form = el('form.asking', { onsubmit: (event) => { event.preventDefault(); typed('new'); } },
    el('label.search', {}, icon(ICONS.search, 18), box),
    el('button.act', { type: 'submit' }, 'Search'), and, without,
    button('button.quiet', 'Picture', 'Look for what is like a picture: choose one, or drop it here', () => file.click(), ICONS.picture), file);
  const how = el('select', { 'aria-label': 'How phrases go together', onchange: () => change({ how: how.value }) },
    el('option', { value: 'all' }, 'all of these'), el('option', { value: 'any' }, 'any of these'));
  const wording = el('select', {
    'aria-label': 'Wording', title: 'A phrase is put into sentences such as “a photo of …”, whose vectors are averaged',
    onchange: () => change({ templates: wording.value }),
  }, ...wordings.map(([id, label]) => el('option', { value: id }, label)));
  const clear = button('button.quiet.square', '', 'Clear the search', () => change({ terms: [] }), ICONS.close);
  clear.setAttribute('aria-label', 'Clear the search');
  const chips = el('div.terms', { role: 'list', 'aria-label': 'What is looked for' });
  const ideas = el('div.ideas', {}, el('span.hint', {}, 'For example'), ...IDEAS.map((idea) => el('button.chip', {
    type: 'button', onclick: () => { box.value = idea; typed('new'); } }, idea)));
  const line = el('div.termline', { hidden: true }, chips, el('span.hows', {}, how, wording, clear));
  const root = el('div.query', {}, form, ideas, line);
  let busy = false;

  function change(part) {
    Object.assign(query, part);
    paint();
    onquery(query);
  }

  async function typed(way) {
    const text = box.value.trim();
    if (!text) return void box.focus();
    if (busy) return;
    busy = true;
    try {
      const found = await read(text);
      const terms = way === 'without' ? found.terms.map((t) => ({ ...t, exclude: true })) : found.terms;
      if (way === 'new') {
        change({ terms, how: found.how });
        box.select(); // what is typed next takes its place
      } else {
        change({ terms: [...query.terms, ...terms] });
        box.value = '';
        box.focus();
      }
    } catch (error) {
      complain(error);
    } finally {
      busy = false;
    }
  }

  async function take(files) {
    const picture = files.map((f) => f.file ?? f)[0];
    file.value = '';
    if (!picture) return;
    root.classList.add('busy');
    try {
      const term = await uploaded(picture.name, await asSent(picture));
      change({ terms: [...query.terms.filter((t) => !t.vector), { ...term, thumb: URL.createObjectURL(picture) }] });
    } catch (error) {
      complain(error);
    } finally {
      root.classList.remove('busy');
    }
  }

  function chip(term, i) {
    const replace = (part) => change({ terms: query.terms.map((t, k) => (k === i ? { ...t, ...part } : t)) });
    const name = term.name || term.text || 'picture';
    const sign = el('button.sign', {
      type: 'button', title: term.exclude ? 'Left out. Click to look for it' : 'Looked for. Click to leave it out',
      'aria-label': `${name}: ${term.exclude ? 'left out' : 'looked for'}`, onclick: () => replace({ exclude: !term.exclude }),
    }, term.exclude ? '−' : '+');
    const weight = el('select', { title: 'Weight', 'aria-label': `Weight of ${name}`, onchange: () => replace({ weight: Number(weight.value) }) },
      ...[...new Set([...WEIGHTS, String(term.weight)])].sort((a, b) => a - b).map((w) => el('option', { value: w }, `× ${w}`)));
    weight.value = String(term.weight);
    const thumb = term.image ? address(term.image) : term.thumb;
    return el('span.term', { role: 'listitem', 'data-exclude': term.exclude || null }, sign,
      thumb ? el('img', { src: thumb, alt: '' }) : null, el('span.text', { title: name }, name),
      query.terms.length > 1 ? weight : null,
      el('button.off', { type: 'button', title: 'Remove', 'aria-label': `Remove ${name}`, onclick: () => change({ terms: query.terms.filter((_, k) => k !== i) }) }, icon(ICONS.close, 13)));
  }

  function paint() {
    const any = query.terms.length > 0;
    chips.replaceChildren(...query.terms.map(chip));
    how.value = query.how;
    wording.value = query.templates;
    how.hidden = query.terms.filter((t) => !t.exclude).length < 2;
    wording.hidden = !query.terms.some((t) => t.text);
    line.hidden = !any;
    ideas.hidden = any;
    and.hidden = without.hidden = !any;
  }

  box.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === 'Enter' && event.shiftKey) {
      event.preventDefault();
      typed(query.terms.length ? 'and' : 'new');
    }
  });
  droppable(root, take);
  paint();
  return {
    root, form, query, box,
    set(next) { change(next); },
    /** Puts a query back without looking for it again. */
    put(next) {
      Object.assign(query, next);
      box.value = '';
      paint();
    },
    like(id, name, exclude = false) {
      change({ terms: [{ text: '', image: id, vector: '', name, weight: 1, exclude }], how: 'all' });
    },
  };
}
