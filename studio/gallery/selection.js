// Which images are chosen, and what mouse and keyboard do to the page of tiles.

export function makeSelection({ grid, tiles, onchange, onopen, ondelete, ondone, onpage }) {
  const chosen = new Map(); // id → number of annotations on it, or null where that is not known
  let focus = 0;
  let anchor = 0;

  function paint() {
    tiles.tiles.forEach((tile, i) => {
      const on = chosen.has(tiles.items[i].id);
      tile.classList.toggle('chosen', on);
      tile.setAttribute('aria-selected', on);
      tile.tabIndex = i === focus ? 0 : -1;
    });
    grid.classList.toggle('choosing', chosen.size > 0);
    onchange(chosen);
  }

  const choose = (item) => chosen.set(item.id, item.count + item.drafts);

  function toggle(i) {
    const item = tiles.items[i];
    if (!chosen.delete(item.id)) choose(item);
    anchor = i;
    paint();
  }

  function range(i) {
    const [from, to] = anchor < i ? [anchor, i] : [i, anchor];
    for (let k = from; k <= to; k += 1) if (tiles.items[k]) choose(tiles.items[k]);
    paint();
  }

  function move(i, { extend = false } = {}) {
    if (!tiles.items.length) return;
    if (i < 0) return void onpage(-1, 'end');
    if (i >= tiles.items.length) return void onpage(1, 'start');
    focus = i;
    if (extend) range(i);
    else { anchor = i; paint(); }
    tiles.tiles[i].focus();
  }

  grid.addEventListener('click', (event) => {
    const i = tiles.indexOf(event.target);
    if (i < 0) return;
    focus = i;
    if (event.shiftKey) range(i);
    else if (event.ctrlKey || event.metaKey || chosen.size || event.target.closest('.check')) toggle(i);
    else onopen(tiles.items[i]);
  });
  grid.addEventListener('mousedown', (event) => { if (event.shiftKey) event.preventDefault(); });
  grid.addEventListener('focusin', (event) => {
    const i = tiles.indexOf(event.target);
    if (i >= 0 && i !== focus) { focus = i; paint(); }
  });

  const steps = {
    ArrowLeft: () => -1,
    ArrowRight: () => 1,
    ArrowUp: () => -tiles.columns(),
    ArrowDown: () => tiles.columns(),
  };

  function vertical(key, i) {
    const size = tiles.items.length;
    const lastRow = Math.floor((size - 1) / tiles.columns()) * tiles.columns();
    return key === 'ArrowDown' && i >= size && focus < lastRow ? size - 1 : i;
  }

  grid.addEventListener('keydown', (event) => {
    if (!tiles.items.length || event.altKey) return;
    const command = event.ctrlKey || event.metaKey;
    const { key } = event;
    if (steps[key]) move(vertical(key, focus + steps[key]()), { extend: event.shiftKey });
    else if (key === 'Home') move(0, { extend: event.shiftKey });
    else if (key === 'End') move(tiles.items.length - 1, { extend: event.shiftKey });
    else if (key === 'PageUp') onpage(-1, 'start');
    else if (key === 'PageDown') onpage(1, 'start');
    else if (key === 'Enter') onopen(tiles.items[focus]);
    else if (key === ' ') toggle(focus);
    else if (key === 'Delete' || key === 'Backspace') {
      if (!chosen.size) { choose(tiles.items[focus]); paint(); }
      ondelete();
    } else if (key === 'Escape' && chosen.size) clear();
    else if (command && key.toLowerCase() === 'a') page();
    else if (!command && key.toLowerCase() === 'd') {
      if (!chosen.size) ondone([tiles.items[focus]]);
      else ondone(null);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function clear() {
    chosen.clear();
    paint();
  }

  function page() {
    tiles.items.forEach(choose);
    paint();
  }

  return {
    chosen, clear, page, paint,
    focus: () => tiles.tiles[focus]?.focus({ preventScroll: true }),
    pageChosen: () => tiles.items.length > 0 && tiles.items.every((item) => chosen.has(item.id)),
    add(ids) {
      for (const id of ids) if (!chosen.has(id)) chosen.set(id, null);
      paint();
    },
    /** After a page was shown: where the focus goes ("start", "end", or left where it was). */
    shown(where) {
      const last = Math.max(0, tiles.items.length - 1);
      focus = where === 'end' ? last : where ? 0 : Math.min(focus, last);
      anchor = Math.min(anchor, last);
      if (where) anchor = focus;
      paint();
      if (where) tiles.tiles[focus]?.focus();
    },
  };
}
