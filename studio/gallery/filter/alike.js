// Near-duplicates: groups of images that show almost the same, of which one is kept.

import { el, count, number } from '../dom.js';
import { makeWorking } from './working.js';

export function makeAlike(page) {
  let groups = null; // [{rows, likeness}], the one to keep first
  let of = new Map(); // row → its group
  const working = makeWorking({ ask: page.ask, complain: page.complain });
  const likeness = el('input', { type: 'range', min: '0.8', max: '0.999', step: '0.001', value: '0.95', 'aria-label': 'How alike', oninput: paint });
  const exact = el('output', {}, '0.950');
  const go = el('button.act', { type: 'button', onclick: find }, 'Find near-duplicates');
  const top = el('div.bar', {}, el('label.inline', {}, 'As alike as', likeness, exact), go, working.root);
  const told = el('p');
  const hide = el('button.act', { type: 'button', onclick: () => drop() }, 'Hide all but the best');
  const choose = el('button.quiet', { type: 'button', onclick: others }, 'Choose all but the best');
  const side = [el('section.card', {}, el('h4', {}, 'Near-duplicates'), told,
    el('p.hint', {}, 'The best of a group is the sharpest and largest. Another one: K on it, or “Keep this one”.'), el('div.buttons', {}, hide, choose))];

  async function find() {
    go.disabled = true;
    const found = await working.run('duplicates', { likeness: Number(likeness.value) }, 'Comparing');
    go.disabled = false;
    if (!found) return;
    groups = found.groups;
    index();
    paint();
    page.refresh();
  }

  function index() {
    of = new Map();
    groups?.forEach((group, g) => group.rows.forEach((row) => of.set(row, g)));
  }

  const rest = () => Uint32Array.from(groups?.flatMap((g) => g.rows.slice(1)) ?? []);

  async function drop() {
    hide.disabled = true;
    try {
      await page.hide(rest(), (n) => `${count(n, 'image')} hidden from view; the best of each group stay.`);
    } catch (error) {
      page.complain(error);
    } finally {
      hide.disabled = false;
    }
  }

  function others() {
    for (const row of rest()) page.grid.chosen.add(row);
    page.recount();
  }

  function best(row) {
    const group = groups?.[of.get(row)];
    if (!group) return;
    group.rows = [row, ...group.rows.filter((other) => other !== row)];
    page.recount();
  }

  function paint() {
    exact.textContent = Number(likeness.value).toFixed(3);
    for (const part of side) part.hidden = !groups?.length;
    if (!groups) return;
    const all = groups.reduce((sum, g) => sum + g.rows.length, 0);
    told.textContent = `${count(groups.length, 'group')} of ${count(all, 'image')}: ${number(all - groups.length)} more than needed.`;
  }

  return {
    id: 'alike', title: 'Near-duplicates', top, side,
    rows: () => Uint32Array.from(groups?.flatMap((g) => g.rows) ?? []),
    face(row) {
      const g = of.get(row);
      const group = groups?.[g];
      if (!group) return {};
      const first = group.rows[0] === row;
      return { text: `group ${g + 1}`, out: !first, band: g % 2, badge: first ? `Best of ${group.rows.length}` : '' };
    },
    buttons: (row, button) => [button('Keep this one', () => best(row), 'K')],
    kept: () => ({ rows: rest(), what: 'more than needed', name: 'duplicate' }),
    empty() {
      if (groups?.length) return null;
      if (groups) return { title: 'Nothing is that alike', hint: 'Lower “as alike as”, then look again.', action: { label: 'Find near-duplicates', act: find } };
      return { title: 'Bursts, copies, re-saved pictures', hint: 'Finds groups that show almost the same and proposes the best of each.', action: { label: 'Find near-duplicates', act: find } };
    },
    key(event, row) {
      if (event.key !== 'k') return false;
      best(row);
      return true;
    },
    enter() { paint(); page.refresh({ stay: true }); },
    changed() {},
    moved(rows) {
      groups = groups?.map((g) => ({ ...g, rows: g.rows.map((row) => rows[row]).filter((row) => row >= 0) })).filter((g) => g.rows.length > 1) ?? null;
      index();
    },
    reset() { groups = null; of.clear(); working.forget(); paint(); },
  };
}
