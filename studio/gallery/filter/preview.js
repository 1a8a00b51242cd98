// One image large, over the page: for looking closely and deciding without leaving the list.

import { el, icon, ICONS, number } from '../dom.js';

/**
 * `about(row)` gives {src, name, text, note}; `buttons(row)` the elements below the picture; `step(by)` moves in the
 * list and returns the row there; `onkey(event, row)` takes the other keys and says if it used one.
 */
export function makePreview({ host, about, buttons, step, onkey, closed }) {
  const img = el('img', { alt: '', draggable: 'false' });
  const name = el('b');
  const note = el('span.note');
  const acts = el('div.acts');
  const turn = (label, path, by) => el(`button.turn.${by < 0 ? 'back' : 'forth'}`, { type: 'button', 'aria-label': label, title: label, onclick: () => go(by) }, icon(path, 26));
  const dialog = el('dialog.large', { 'aria-label': 'Image', tabindex: '-1' },
    el('div.stage', {}, img, turn('Previous image', ICONS.left, -1), turn('Next image', ICONS.right, 1),
      el('button.quiet.square.off', { type: 'button', title: 'Close', 'aria-label': 'Close', onclick: () => dialog.close() }, icon(ICONS.close))),
    el('div.foot', {}, el('div.said', {}, name, note), acts));
  let row = -1;
  let from = null;

  function show(next) {
    if (next < 0) return;
    row = next;
    const { src, thumb } = about(row);
    img.src = thumb; // at once, until the whole picture is there
    const whole = new Image();
    whole.onload = () => { if (about(row).src === src && dialog.open) img.src = src; };
    whole.src = src;
    paint();
  }

  function paint() {
    if (row < 0) return;
    const now = about(row);
    name.textContent = now.name;
    note.textContent = [now.place && `${number(now.place[0])} of ${number(now.place[1])}`, now.text].filter(Boolean).join(' · ');
    acts.replaceChildren(...buttons(row));
    dialog.dataset.mark = now.mark ?? '';
  }

  function go(by) { show(step(by)); }

  dialog.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'ArrowRight' || event.key === 'ArrowDown') go(1);
    else if (event.key === 'ArrowLeft' || event.key === 'ArrowUp') go(-1);
    else if (event.key === ' ') dialog.close();
    else if (!onkey(event, row)) return;
    event.preventDefault();
  });
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('pointerdown', (event) => { from = event.pointerType === 'touch' ? event.clientX : null; });
  dialog.addEventListener('pointerup', (event) => {
    if (from !== null && Math.abs(event.clientX - from) > 60) go(event.clientX < from ? 1 : -1);
    from = null;
  });
  dialog.addEventListener('close', () => { row = -1; closed(); });
  host.append(dialog);

  return {
    paint, go,
    get open() { return dialog.open; },
    get row() { return row; },
    show(next) {
      show(next);
      if (!dialog.open) dialog.showModal();
      dialog.focus();
    },
    close: () => dialog.close(),
  };
}
