// Zero-shot classes: every image gets the name that fits best; people correct by keys, and see where both differ.

import { el, count, number } from '../dom.js';
import { confirm } from '../dialog.js';
import { floats, shorts } from './packing.js';
import { agreement, cellRows, counts, decided, matrix, NONE } from './confusion.js';
import { showMatrix } from './matrix.js';

const FIRST = 0; // everything gets a class until somebody says how sure it has to be

export function makeSorting(page) {
  let found = null; // {names, colours, best, confidence, given}
  let predicted = new Int16Array(0);
  let least = FIRST;
  let cell = [null, null]; // people's class and the model's that are shown, null for any
  let order = 'sure';
  let typed = false;

  const box = el('input', {
    type: 'text', placeholder: 'cat, dog, horse = a horse; a pony', 'aria-label': 'Classes, with commas between them', maxlength: '4000', autocomplete: 'off',
    oninput: () => { typed = true; }, onkeydown: (event) => event.stopPropagation(),
  });
  const wording = el('select', { 'aria-label': 'Wording' },
    el('option', { value: 'photo' }, '“a photo of …”'), el('option', { value: 'as written' }, 'as written'), el('option', { value: 'many' }, 'many wordings'));
  const own = el('button.quiet', { type: 'button', title: 'Take the classes of this project', onclick: () => { typed = false; fill(); } }, 'The project’s');
  const top = el('form.bar.naming', { onsubmit: (event) => { event.preventDefault(); sort(); } },
    el('label.wide', {}, el('span.unseen', {}, 'Classes'), box), own, wording, el('button.act', { type: 'submit' }, 'Sort'));
  const sure = el('input', { type: 'range', min: '0', max: '1', step: '0.01', value: '0', 'aria-label': 'How sure, at least', oninput: () => { least = Number(sure.value); decide(); page.refresh({ stay: true }); } });
  const exact = el('output', {}, '0 %');
  const tally = el('ul.tally', { 'aria-label': 'Classes' });
  const table = el('div.confusion');
  const button = (label, title, fn, kind = 'button.quiet') => el(kind, { type: 'button', title, onclick: () => run(fn) }, label);
  const side = [
    el('section.card', {}, el('h4', {}, 'Classes'), el('label.inline', {}, 'At least', sure, exact, 'sure'), tally,
      el('div.buttons', {}, button('Write tags …', 'Give each image the tag of its class, as a draft', write, 'button.act'),
        button('Folders', 'A zip with a folder for each class', () => files('folders')), button('CSV', 'A table with the class and how sure', () => files('csv')))),
    el('details.card', {}, el('summary', {}, 'Against people’s tags'), table),
  ];
  const sorts = el('select', { 'aria-label': 'Order', onchange: () => { order = sorts.value; page.refresh(); } },
    el('option', { value: 'sure' }, 'Surest first'), el('option', { value: 'unsure' }, 'Least sure first'));
  const now = el('span.hint');
  const listbar = [el('span.chips', {}, now), sorts];

  function fill() {
    if (typed) return;
    box.value = page.classes().map((c) => c.name).join(', ');
  }

  /** "cat, horse = a horse; a pony" → names and their phrases. */
  function said() {
    const names = [];
    const phrases = {};
    for (const part of box.value.split(',')) {
      const [name, rest] = part.split('=').map((t) => t.trim());
      if (!name || names.includes(name)) continue;
      names.push(name);
      if (rest) phrases[name] = rest.split(';').map((t) => t.trim()).filter(Boolean);
    }
    return { classes: names, phrases, templates: wording.value };
  }

  async function sort() {
    const naming = said();
    if (naming.classes.length < 2) {
      page.say('Name at least two classes, with a comma between them.');
      return box.focus();
    }
    page.waiting(true);
    try {
      take(await page.ask('classify', { naming }), naming);
      page.refresh();
    } catch (error) {
      page.complain(error);
    } finally {
      page.waiting(false);
    }
    return undefined;
  }

  function take(answer, naming) {
    found = { naming, names: answer.names, colours: answer.colours, best: shorts(answer.best), confidence: floats(answer.confidence), given: shorts(answer.given) };
    if (cell.some((c) => c !== null && c >= found.names.length)) cell = [null, null];
    decide();
  }

  function decide() {
    predicted = decided(found, least);
    paint();
  }

  const label = (c) => (c < 0 ? 'none' : found.names[c]);
  const colour = (c) => (c < 0 ? 'var(--quiet)' : found.colours[c]);
  const final = (row) => (found.given[row] >= 0 ? found.given[row] : predicted[row]);

  function rows() {
    if (!found) return new Uint32Array(0);
    const chosen = Uint32Array.from(cellRows(found.given, predicted, ...cell));
    const sign = order === 'sure' ? -1 : 1;
    return chosen.sort((a, b) => sign * (found.confidence[a] - found.confidence[b]));
  }

  function look(given, model) {
    cell = [given, model];
    paint();
    page.refresh();
  }

  function paint() {
    for (const part of side) part.hidden = !found;
    for (const part of listbar) part.hidden = !found;
    if (!found) return;
    const k = found.names.length;
    exact.textContent = `${Math.round(100 * least)} %`;
    const n = counts(predicted, k);
    const line = (c, text, total, key) => el('li', {}, el('button', {
      type: 'button', 'aria-pressed': cell[0] === null && cell[1] === c, onclick: () => look(null, c),
    }, el('i', { style: c === null ? '' : `background: ${colour(c)}` }), el('span', {}, text), key ? el('kbd', {}, key) : null, el('span.n', {}, number(total))));
    tally.replaceChildren(line(null, 'All', predicted.length), ...found.names.map((name, c) => line(c, name, n[c], c < 9 ? String(c + 1) : '')),
      ...(n[k] ? [line(NONE, 'none', n[k], '0')] : []));
    const counted = matrix(found.given, predicted, k);
    const { right, all } = agreement(counted);
    table.replaceChildren(all ? el('p', {}, `${number(right)} of ${number(all)} tagged by people get the same name (${Math.round((100 * right) / all)} %).`)
      : el('p.hint', {}, 'Nobody has tagged images with these classes yet. Correct some: open one and press 1 to 9; they are compared here.'),
    all ? showMatrix({ names: found.names, counted, chosen: cell, onlook: look }) : '');
    const shown = cell[0] === null ? (cell[1] === null ? 'All images' : `Named “${label(cell[1])}”`) : `Tagged “${label(cell[0])}”, named “${label(cell[1])}”`;
    now.textContent = shown;
  }

  // ---- correction

  async function correct(row, c) {
    const before = found.given[row];
    found.given[row] = c;
    page.repaint();
    paint();
    try {
      await page.ask('correct', { image: page.roster.id(row), class: c < 0 ? null : found.names[c], classes: found.names });
      page.undoable(`${page.name(row)}: ${c < 0 ? 'no class' : `“${found.names[c]}”`}.`, async () => {
        await page.ask('undo', { image: page.roster.id(row) });
        if (found) { found.given[row] = before; paint(); page.repaint(); }
      });
    } catch (error) {
      found.given[row] = before;
      page.complain(error);
      paint();
    }
  }

  // ---- what is done with it

  async function run(fn) {
    try { await fn(); } catch (error) { page.complain(error); }
  }

  async function write() {
    const chosen = page.known();
    const rowsNow = chosen.size ? [...chosen] : cellRows(found.given, predicted, null, null);
    const tagged = rowsNow.filter((row) => predicted[row] >= 0).length;
    const sureEnough = await confirm(page.root, {
      title: `Write ${count(tagged, 'tag')}?`, action: 'Write tags', danger: false,
      body: `Each of ${chosen.size ? 'the chosen images' : 'the images'} gets its class as a draft, with how sure it is. What people tagged stays. This can be undone.`,
    });
    if (!sureEnough) return;
    const done = await page.work('write_tags', rowsNow, { naming: found.naming, least }, 'Writing tags');
    if (done) page.undoable(`${count(done.images, 'image')} tagged.`, () => page.act('undo', [], { group: done.group }));
  }

  async function files(format) {
    page.download((await page.ask('export_sorted', { naming: found.naming, least, format })).url);
  }

  return {
    id: 'sorting', title: 'Classes', top, side, listbar, rows,
    face(row) {
      if (!found) return {};
      const c = final(row);
      const person = found.given[row] >= 0;
      return {
        text: person ? '' : `${Math.round(100 * found.confidence[row])} %`, badge: `${person ? '✓ ' : ''}${label(c)}`,
        colour: colour(c), bright: bright(colour(c)), differs: person && found.given[row] !== predicted[row],
      };
    },
    buttons: (row, button) => found?.names.slice(0, 9).map((name, c) => button(`${c + 1} ${name}`, () => correct(row, c), 'This is what it is')).concat(button('0 none', () => correct(row, NONE), 'None of them')) ?? [],
    kept() {
      const c = cell[1] ?? -2;
      return { rows: found && !(cell[0] === null && cell[1] === null) ? rows() : new Uint32Array(0), what: 'shown', name: c >= 0 ? label(c) : '' };
    },
    empty: () => (found ? null : { title: 'Sort everything into classes', hint: 'Name them above, two at least: each image gets the name that fits best, without training.' }),
    key(event, row) {
      if (!found || !/^[0-9]$/.test(event.key)) return false;
      const c = Number(event.key) - 1;
      if (c >= found.names.length) return false;
      correct(row, c);
      if (!page.previewing()) page.grid.go(page.grid.at + 1);
      return true;
    },
    enter() { fill(); paint(); page.refresh({ stay: true }); },
    async changed() {
      fill();
      if (found) take(await page.ask('classify', { naming: found.naming }), found.naming);
    },
    moved() {},
    reset() { found = null; cell = [null, null]; typed = false; fill(); paint(); },
  };
}

/** Whether dark letters are read better on a colour, "#rrggbb", than white ones. */
function bright(colour) {
  const [r, g, b] = (colour.match(/[0-9a-f]{2}/gi) ?? ['0', '0', '0']).map((pair) => parseInt(pair, 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 150;
}
