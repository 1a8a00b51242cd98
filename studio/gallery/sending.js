// Brings files from the person's machine to the studio: by dropping or by choosing, files and whole folders.

import { el, icon, ICONS, count, number } from './dom.js';

const JUNK = /^(\..*|Thumbs\.db|desktop\.ini|__MACOSX)$/i;
const AT_ONCE = 3;

async function walk(entry, path, found) {
  if (JUNK.test(entry.name)) return;
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    found.push({ file, name: path + entry.name });
  } else if (entry.isDirectory) {
    const reader = entry.createReader();
    for (;;) { // a reader hands out about a hundred entries at a time
      const part = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!part.length) break;
      for (const child of part) await walk(child, `${path}${entry.name}/`, found);
    }
  }
}

/** The files of a drop, those in dropped folders too. */
export async function dropped(transfer) {
  const found = [];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, name: file.name }));
  for (const entry of entries) await walk(entry, '', found);
  return found;
}

const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');

/** Lets files be dropped on an element, which has the class "over" while they hover. */
export function droppable(target, onfiles) {
  let depth = 0;
  const over = (on) => target.classList.toggle('over', on);
  target.addEventListener('dragenter', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    over(true);
  });
  target.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
  });
  target.addEventListener('dragleave', () => {
    depth = Math.max(0, depth - 1);
    if (!depth) over(false);
  });
  target.addEventListener('drop', async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    depth = 0;
    over(false);
    onfiles(await dropped(event.dataTransfer));
  });
}

/** A hidden file input and the button that opens it. */
export function chooser(label, { folder = false, accept, className = 'quiet', onfiles }) {
  const input = el('input', {
    type: 'file', multiple: true, webkitdirectory: folder, accept: folder ? null : accept, hidden: true,
    'data-choose': folder ? 'folder' : 'files', 'aria-label': label,
    onchange: () => {
      const files = [...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
      input.value = '';
      const kept = files.filter(({ name }) => !name.split('/').some((part) => JUNK.test(part)));
      if (kept.length) onfiles(kept);
    },
  });
  const button = el(`button.${className}`, { type: 'button', onclick: () => input.click() },
    icon(folder ? ICONS.folder : ICONS.upload, 17), label);
  return el('span.chooser', {}, button, input);
}

/** A line that shows how far the sending is. `send` resolves to the files as the studio received them. */
export function makeSending(upload) {
  const say = el('span.say');
  const fill = el('span.fill');
  const track = el('span.track', { role: 'progressbar', 'aria-label': 'Sending', 'aria-valuemin': '0' }, fill);
  const stop = el('button.quiet', { type: 'button' }, 'Cancel');
  const root = el('div.sending', { hidden: true }, el('div.line', {}, say, stop), track);
  let busy = false;

  async function send(files) {
    if (busy || !files.length) return null;
    busy = true;
    const received = new Array(files.length);
    const failed = [];
    let next = 0;
    let done = 0;
    let stopped = false;
    stop.onclick = () => { stopped = true; say.textContent = 'Stopping after the files on their way …'; };
    const paint = () => {
      if (!stopped) say.textContent = `Sending ${number(Math.min(done + 1, files.length))} of ${count(files.length, 'file')}`;
      fill.style.width = `${(100 * done) / files.length}%`;
      track.setAttribute('aria-valuemax', files.length);
      track.setAttribute('aria-valuenow', done);
    };
    root.hidden = false;
    paint();
    async function worker() {
      while (next < files.length && !stopped) {
        const i = next;
        next += 1;
        try {
          received[i] = { path: (await upload(files[i].file)).path, name: files[i].name };
        } catch (error) {
          failed.push({ name: files[i].name, reason: error?.message ?? String(error) });
        }
        done += 1;
        paint();
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    busy = false;
    root.hidden = true;
    return { files: received.filter(Boolean), failed };
  }

  return { root, send };
}
