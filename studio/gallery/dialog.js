// One question, asked in the middle of the page. The browser's own dialog keeps the focus inside it.

import { el } from './dom.js';

/**
 * Resolves to false when the person steps back, otherwise to what `answer` returns (true without one).
 * `body` is a sentence or an element.
 */
export function confirm(host, { title, body, action, danger = true, answer = () => true }) {
  return new Promise((resolve) => {
    const back = document.activeElement;
    const yes = el('button.act', { type: 'submit', value: 'yes' }, action);
    const no = el('button.quiet', { type: 'button', onclick: () => dialog.close('') }, 'Cancel');
    if (danger) yes.classList.add('danger');
    const dialog = el('dialog.ask', { 'aria-labelledby': 'ask-title' },
      el('form', { method: 'dialog' },
        el('h3', { id: 'ask-title' }, title),
        el('div.body', {}, body),
        el('div.buttons', {}, no, yes)));
    dialog.addEventListener('close', () => {
      const result = dialog.returnValue === 'yes' ? answer() : false;
      dialog.remove();
      if (back && back.isConnected) back.focus({ preventScroll: true });
      resolve(result);
    });
    dialog.addEventListener('keydown', (event) => event.stopPropagation());
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(''); });
    host.append(dialog);
    dialog.showModal();
    yes.focus();
  });
}
