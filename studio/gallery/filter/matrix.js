// The confusion matrix as a table: each cell a button that shows its images.

import { el, number } from '../dom.js';

/** `counted[r][c]` by people's class and the model's; the last column is of images that got none. */
export function showMatrix({ names, counted, chosen, onlook }) {
  const most = Math.max(1, ...counted.flatMap((row) => [...row]));
  const columns = [...names, 'none'];
  const used = columns.map((_, c) => c < names.length || counted.some((row) => row[c] > 0));
  const head = el('tr', {}, el('td', { title: 'Down: tagged by people. Across: named by the model' }, ''),
    ...columns.map((name, c) => (used[c] ? el('th', { scope: 'col', title: name }, el('span', {}, name)) : null)));
  const body = counted.map((row, r) => el('tr', {}, el('th', { scope: 'row', title: names[r] }, names[r]),
    ...[...row].map((n, c) => (used[c] ? cell(n, r, c) : null))));

  function cell(n, r, c) {
    const model = c < names.length ? c : -1;
    const share = n / most;
    const right = r === c;
    return el('td', {}, el('button', {
      type: 'button', disabled: !n, 'aria-pressed': chosen[0] === r && chosen[1] === model,
      'aria-label': `${number(n)} tagged ${names[r]}, named ${columns[c]}`, title: `${number(n)}: tagged “${names[r]}”, named “${columns[c]}”`,
      style: n ? `--share: ${Math.round(14 + 60 * share)}%; --tone: ${right ? '#16a34a' : '#dc2626'}` : null,
      onclick: () => onlook(r, model),
    }, n ? number(n) : ''));
  }

  return el('div.matrix', {}, el('table', {}, el('thead', {}, head), el('tbody', {}, ...body)),
    el('p.hint', {}, 'Down: what people tagged. Across: what the model named. Click a number to see its images.'));
}
