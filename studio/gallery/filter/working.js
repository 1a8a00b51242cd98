// Work of the server that takes longer than a moment: how far it is, a way to stop it, and what came of it.

import { el } from '../dom.js';

const EVERY = 300;

/** `run(op, options)` resolves to the answer, or to null where it was stopped or something newer was asked. */
export function makeWorking({ ask, complain, told = () => {} }) {
  const say = el('span.far', { role: 'status' });
  const fill = el('span.fill');
  const stop = el('button.quiet', { type: 'button' }, 'Stop');
  const root = el('div.working', { hidden: true }, say, el('span.track', {}, fill), stop);
  let latest = 0;

  async function run(op, options, title) {
    const mine = (latest += 1);
    say.textContent = `${title} …`;
    fill.style.width = '0';
    root.hidden = false;
    stop.disabled = false;
    try {
      const { token } = await ask('work', { work: op, ...options });
      stop.onclick = () => { stop.disabled = true; say.textContent = 'Stopping …'; ask('stop', { token }).catch(complain); };
      for (;;) {
        const now = await ask('look', { token });
        if (mine !== latest) { ask('stop', { token }).catch(() => {}); return null; }
        if (now.stopped) told(now.stopped);
        if (now.ended) return now.result ?? null;
        const far = Math.floor(100 * now.share);
        if (!stop.disabled) say.textContent = far ? `${title}: ${far} %` : `${title} …`;
        fill.style.width = `${far}%`;
        await new Promise((done) => setTimeout(done, EVERY));
      }
    } catch (error) {
      if (mine === latest) complain(error);
      return null;
    } finally {
      if (mine === latest) root.hidden = true;
    }
  }

  return { root, run, forget() { latest += 1; root.hidden = true; } };
}
