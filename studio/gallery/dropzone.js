// A place to drop files on, with buttons for those who would rather choose them.

import { el } from './dom.js';
import { chooser, droppable, makeSending } from './sending.js';

export function mount({ element, props, trigger, upload }) {
  const sending = makeSending(upload);
  const take = async (files) => {
    root.classList.add('busy');
    const sent = await sending.send(files);
    root.classList.remove('busy');
    if (sent && (sent.files.length || sent.failed.length)) trigger('dropped', sent);
  };
  const buttons = [chooser(props.files_label, { accept: props.accept || null, onfiles: take })];
  if (props.folder) buttons.push(chooser('Choose a folder', { folder: true, onfiles: take }));
  const root = el('div.dropzone', { role: 'group', 'aria-label': props.title },
    el('div.title', {}, props.title), el('div.hint', {}, props.hint),
    el('div.choosers', {}, ...buttons), sending.root);
  droppable(root, take);
  element.replaceChildren(root);
}
