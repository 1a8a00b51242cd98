// Help with the threshold: a handful marked right or wrong, and it is set for the precision or recall wished for.

import { el } from '../dom.js';

/**
 * `marks` maps rows to whether they are right; whoever changes it calls `paint()`. `advise({wish, at})` asks the server
 * and resolves to its advice, `suggest()` shows those worth marking next.
 */
export function makeMarks({ marks, advise, suggest, cleared, complain }) {
  const tally = el('span.tally', { role: 'status' });
  const clear = el('button.link', { type: 'button', onclick: cleared }, 'Clear');
  const show = el('button.quiet', { type: 'button', onclick: suggest }, 'Show me which to mark');
  const wish = el('select', { 'aria-label': 'What the threshold is to reach' },
    el('option', { value: 'precision' }, 'of what is kept, right'), el('option', { value: 'recall' }, 'of what is right, kept'));
  const at = el('select', { 'aria-label': 'How much of it' },
    ...[99, 95, 90, 80, 70, 50].map((p) => el('option', { value: p / 100 }, `${p} %`)));
  at.value = '0.9';
  const set = el('button.act', { type: 'button', onclick: ask }, 'Set the threshold');
  const told = el('div.advice', { hidden: true, role: 'status' });
  const root = el('div.marks', {},
    el('p.hint', {}, 'Mark a few pictures as right (✓, Y) or wrong (✗, N), best near the line. Then say what you need.'),
    el('div.line', {}, show, el('span.tallies', {}, tally, clear)),
    el('div.wish', {}, 'At least ', at, wish), set, told);

  async function ask() {
    set.disabled = true;
    try {
      report(await advise({ wish: wish.value, at: Number(at.value) }));
    } catch (error) {
      complain(error);
    } finally {
      paint();
    }
  }

  function report(advice) {
    const gauge = (label, [expected, low, high]) => el('div.gauge', {},
      el('span', {}, label), el('b', {}, percent(expected)),
      el('span.scale', { 'aria-hidden': 'true' },
        el('i.extent', { style: `left: ${100 * low}%; width: ${Math.max(1, 100 * (high - low))}%` }), el('i.point', { style: `left: ${100 * expected}%` })),
      el('span.n', { title: '90 % interval' }, `${percent(low, '')}–${percent(high)}`));
    told.replaceChildren(el('p', {}, advice.sentence),
      ...(advice.precision ? [gauge('Right among the kept', advice.precision), gauge('Kept among the right', advice.recall)] : []));
    told.classList.toggle('unsure', !advice.sure);
    told.classList.remove('stale');
    told.hidden = false;
  }

  function paint() {
    let right = 0;
    for (const value of marks.values()) right += value ? 1 : 0;
    tally.textContent = marks.size ? `${right} right, ${marks.size - right} wrong` : 'Nothing marked yet';
    clear.hidden = !marks.size;
    set.disabled = marks.size < 2;
    set.title = marks.size < 2 ? 'Mark at least two pictures first' : '';
  }

  paint();
  return {
    root, paint,
    /** The line was moved by hand: what was expected speaks of another place. */
    stale() { told.classList.add('stale'); },
    forget() { told.hidden = true; paint(); },
    told: () => (told.hidden ? '' : told.textContent),
  };
}

const percent = (share, unit = ' %') => `${Math.round(100 * share)}${unit}`;

