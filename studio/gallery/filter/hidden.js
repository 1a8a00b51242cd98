// The images out of view: shown in a dialog, and brought back one by one or all at once.

import { el, count, number } from '../dom.js';
import { packed } from './packing.js';

export async function showHidden({ host, request, address, complain, changed }) {
  const body = el('div.hidden-list');
  const all = el('button.act', { type: 'button', onclick: () => show(null) }, 'Show all again');
  const close = el('button.quiet', { type: 'button', onclick: () => dialog.close() }, 'Close');
  const title = el('h3', {}, 'Hidden images');
  const hint = el('p.hint', {}, 'They are out of view, not deleted. Click one to bring it back.');
  const dialog = el('dialog.ask.wide', { 'aria-label': 'Hidden images' }, title, hint, body, el('div.buttons', {}, all, close));
  let moved = false;
  dialog.addEventListener('keydown', (event) => event.stopPropagation());
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => { dialog.remove(); if (moved) changed(); });
  host.append(dialog);

  async function load() {
    const { images, total } = await request('hidden');
    if (!total) return dialog.close();
    title.textContent = count(total, 'hidden image');
    body.replaceChildren(...images.map(({ id, name }) => el('button.thumb', {
      type: 'button', title: `Bring ${name} back`, 'aria-label': `Bring ${name} back`, onclick: () => show([id]),
    }, el('img', { src: address(id), alt: '', loading: 'lazy' }))),
    total > images.length ? el('span.hint', {}, `… and ${number(total - images.length)} more`) : '');
    if (!dialog.open) dialog.showModal();
    return undefined;
  }

  async function show(ids) {
    all.disabled = true;
    try {
      const images = ids ? packed(Uint8Array.from(ids.flatMap((id) => id.match(/../g).map((pair) => parseInt(pair, 16))))) : '';
      await request('show', { images, all: !ids });
      moved = true;
      await load();
    } catch (error) {
      complain(error);
      dialog.close();
    } finally {
      all.disabled = false;
    }
  }

  try { await load(); } catch (error) { complain(error); dialog.remove(); }
}
