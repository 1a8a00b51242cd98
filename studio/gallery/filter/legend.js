// What the keys do, behind "?".

import { el } from '../dom.js';

const KEYS = [
  ['/', 'search'], ['Arrows, Page, Home, End', 'move'], ['Space, Enter', 'look at it large'], ['X', 'choose it'],
  ['Shift + arrows, Shift + click', 'choose several'], ['Ctrl + A, Escape', 'choose all, none'],
  ['Y, N, U', 'mark as right, wrong, not at all'], ['T', 'put the threshold at this picture'], ['B', 'go to the threshold'],
  ['M', 'more like this'], ['1 – 9, 0', 'in Classes: give it this class, none'], ['O', 'open it in Segment'], ['Z', 'undo'],
];

export function legend(host) {
  const dialog = el('dialog.ask.legend', { 'aria-label': 'Keys' }, el('h3', {}, 'Keys'),
    el('dl', {}, ...KEYS.flatMap(([keys, what]) => [el('dt', {}, keys), el('dd', {}, what)])),
    el('form', { method: 'dialog' }, el('div.buttons', {}, el('button.quiet', { type: 'submit' }, 'Close'))));
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('keydown', (event) => event.stopPropagation());
  host.append(dialog);
  dialog.showModal();
}
