// One page of thumbnails. Only the page in sight is in the document, however large the collection is.

import { el, icon, ICONS, count } from './dom.js';

export function spoken(item) {
  const parts = [item.name];
  parts.push(item.count ? count(item.count, 'object') : 'nothing labelled');
  if (item.drafts) parts.push(count(item.drafts, 'draft'));
  if (item.status === 'done') parts.push('done');
  return parts.join(', ');
}

export function makeTiles(grid, address) {
  let items = [];
  let tiles = [];

  function build(item) {
    const img = el('img', { loading: 'lazy', decoding: 'async', alt: '', draggable: 'false', src: address(item.id) });
    const tile = el('div.tile', { role: 'option', tabindex: '-1', 'aria-selected': 'false', 'data-id': item.id },
      el('div.picture', {}, icon(ICONS.picture, 28), img),
      el('span.check', { 'aria-hidden': 'true' }, icon(ICONS.check, 14)),
      el('span.done', { 'aria-hidden': 'true', title: 'Done' }, icon(ICONS.check, 13)),
      el('span.badges', { 'aria-hidden': 'true' }, el('span.drafts'), el('span.count')),
      el('div.name', { 'aria-hidden': 'true' }));
    img.addEventListener('error', () => tile.classList.add('broken'), { once: true });
    dress(tile, item);
    return tile;
  }

  function dress(tile, item) {
    const name = tile.querySelector('.name');
    name.textContent = item.name;
    tile.title = `${item.name} · ${item.width} × ${item.height}`;
    tile.setAttribute('aria-label', spoken(item));
    tile.classList.toggle('is-done', item.status === 'done');
    tile.querySelector('.count').textContent = item.count || '';
    tile.querySelector('.drafts').textContent = item.drafts ? count(item.drafts, 'draft') : '';
  }

  return {
    get items() { return items; },
    get tiles() { return tiles; },
    /** Shows a page; where it holds the same images as before, only their badges change. Says if it was rebuilt. */
    show(page, offset, total) {
      const same = page.length === items.length && page.every((item, i) => item.id === items[i].id);
      items = page;
      if (same) items.forEach((item, i) => dress(tiles[i], item));
      else {
        tiles = items.map(build);
        grid.replaceChildren(...tiles);
        grid.scrollTop = 0;
      }
      tiles.forEach((tile, i) => {
        tile.setAttribute('aria-posinset', offset + i + 1);
        tile.setAttribute('aria-setsize', total);
      });
      return !same;
    },
    indexOf(target) {
      const tile = target.closest?.('.tile');
      return tile ? tiles.indexOf(tile) : -1;
    },
    columns() {
      return getComputedStyle(grid).gridTemplateColumns.split(' ').length || 1;
    },
  };
}
