// What is done with the images kept or chosen: a view, a tag, a project, out of view, other tabs, files, deletion.

import { el, icon, ICONS, count, number } from '../dom.js';
import { confirm } from '../dialog.js';

/**
 * `kept()` gives {rows, what, scored, name}: the rows, "kept" or "chosen", whether they have scores, and a name to begin
 * with. `act(op, rows, more)` asks the server; `undoable(sentence, undo)` says what was done and offers to undo it.
 */
export function makeKeep({ host, kept, classes, act, work, hide, undoable, say, complain, changed, clear, choose, download, opened, saveView }) {
  const head = el('div.head', { role: 'status' });
  const button = (label, title, fn, kind = 'button.quiet') => el(kind, { type: 'button', title, onclick: () => run(fn) }, label);
  const view = button('Save as view', 'Keep this search with its threshold, to open it again later', save);
  const buttons = [
    button('Tag …', 'Give them a tag, with the score', tag),
    button('New project …', 'Put them into a project of their own; files are not copied twice', project),
    button('Hide', 'Take them out of view. Nothing is deleted', away),
    button('Choose', 'Choose them in Data, Predict and the other tabs: “Those chosen in Data”', others),
    button('CSV', 'Ids, names and scores as a table', () => files('csv')),
    button('JSONL', 'Ids, names and scores, a line of JSON each', () => files('jsonl')),
    button('Delete …', 'Delete the images for good, after asking', remove),
  ];
  const root = el('div.keep', {}, head, el('div.buttons', {}, view, ...buttons));
  let busy = false;

  async function run(fn) {
    if (busy) return;
    busy = true;
    root.classList.add('busy');
    try {
      await fn(kept());
    } catch (error) {
      complain(error);
    } finally {
      busy = false;
      root.classList.remove('busy');
      paint();
    }
  }

  async function save(now) {
    const name = el('input', { type: 'text', value: now.name, maxlength: '100', 'aria-label': 'Name of the view' });
    const sure = await confirm(host, {
      title: 'Save as a view', body: el('label.stacked', {}, 'The search, its threshold and your marks are kept. Name', name),
      action: 'Save', danger: false, answer: () => name.value.trim(),
    });
    if (sure) await saveView(sure);
  }

  async function tag(now) {
    const list = `tags-${Math.random().toString(36).slice(2)}`;
    const name = el('input', { type: 'text', value: now.name, maxlength: '100', list, 'aria-label': 'Tag' });
    const sure = el('input', { type: 'checkbox' });
    const body = el('div.stacked', {}, el('label.stacked', {}, 'Tag', name),
      el('datalist', { id: list }, ...classes().map((c) => el('option', { value: c.name }))),
      el('label.inline', {}, sure, 'I am sure: accepted at once, not drafts to look through'));
    const asked = await confirm(host, {
      title: `Tag ${count(now.rows.length, 'image')}`, body, action: 'Tag them', danger: false,
      answer: () => name.value.trim() && { class: name.value.trim(), draft: !sure.checked },
    });
    if (!asked) return;
    const done = await work('tag', now.rows, asked, 'Tagging');
    if (!done) return;
    told(done, `${count(done.images, 'image')} tagged “${asked.class}”`);
    changed();
  }

  function told(done, sentence) {
    const rest = done.left ? `, ${number(done.left)} left as people tagged them` : '';
    const undo = done.group ? () => act('undo', [], { group: done.group }) : null;
    undoable(`${sentence}${rest}.`, undo);
  }

  async function project(now) {
    const name = el('input', { type: 'text', value: now.name, maxlength: '100', 'aria-label': 'Name of the project' });
    const labels = el('input', { type: 'checkbox', checked: true });
    const asked = await confirm(host, {
      title: `New project from ${count(now.rows.length, 'image')}`,
      body: el('div.stacked', {}, el('label.stacked', {}, 'Name', name), el('label.inline', {}, labels, 'with their labels and classes')),
      action: 'Create', danger: false, answer: () => name.value.trim() && { name: name.value.trim(), labels: labels.checked },
    });
    if (!asked) return;
    const done = await work('new_project', now.rows, asked, 'Making the project');
    if (!done) return;
    say(`“${done.name}” has ${count(done.images, 'image')} now.`, { label: 'Open it', act: () => opened(done.project) });
  }

  async function away(now) {
    clear();
    await hide(now.rows, (n) => `${count(n, 'image')} hidden from view.`);
  }

  async function others(now) {
    choose(now.rows);
    say(`${count(now.rows.length, 'image')} chosen in Data. Other tabs offer them as “Those chosen in Data”.`);
  }

  async function files(format) {
    const now = kept();
    download((await act('export', now.rows, { format })).url);
  }

  async function remove(now) {
    const what = count(now.rows.length, 'image');
    const sure = await confirm(host, {
      title: `Delete ${what}?`, body: 'Their files and all annotations on them go for good. “Hide” takes them out of view and can be undone.', action: `Delete ${what}`,
    });
    if (!sure) return;
    const done = await work('delete', now.rows, {}, 'Deleting');
    if (!done) return;
    clear();
    say(`${count(done.deleted, 'image')} deleted.`);
    changed();
  }

  function paint() {
    const now = kept();
    const chosen = now.what === 'chosen';
    if (!now.rows.length) head.replaceChildren(el('span.hint', {}, 'Nothing kept or chosen yet. Choose by the corner of a picture, or with X.'));
    else head.replaceChildren(el('span', {}, 'With the ', el('b', {}, number(now.rows.length)), ` ${now.what}`),
      ...(chosen ? [el('button.link', { type: 'button', onclick: clear }, 'Clear the choice')] : []));
    for (const b of buttons) b.disabled = !now.rows.length;
    view.hidden = !now.view;
  }

  return { root, paint };
}

/** What was said last, with a way to undo it; `z` undoes it too. */
export function makeToast() {
  const text = el('span');
  const button = el('button.quiet', { type: 'button' });
  const close = el('button.quiet.square', { type: 'button', title: 'Close', 'aria-label': 'Close', onclick: () => hide() }, icon(ICONS.close, 15));
  const root = el('div.toast', { role: 'status', hidden: true }, text, button, close);
  let timer = 0;
  const hide = () => { root.hidden = true; };

  return {
    root, hide,
    say(sentence, action = null) {
      clearTimeout(timer);
      text.textContent = sentence;
      button.hidden = !action;
      button.textContent = action?.label ?? '';
      button.onclick = () => { hide(); action?.act(); };
      root.hidden = false;
      timer = setTimeout(hide, action ? 20_000 : 6000);
    },
  };
}
