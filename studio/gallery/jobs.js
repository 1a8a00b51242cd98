// The list of jobs: how far each is, and what one may do with it. It asks the server again and again while one
// runs, and not at all while none does.

import { ask, el, count, number, settled } from './dom.js';
import { confirm } from './dialog.js';

const EVERY = 1000; // ms between two questions while a job runs
const STATES = { running: 'Running', paused: 'Paused', done: 'Done', cancelled: 'Cancelled', failed: 'Stopped by an error' };

/** `makes` is what the jobs make of an image: a "draft", or whatever else it is called. */
export function mount({ element, props, trigger, server, watch, makes = 'draft' }) {
  const lines = new Map(); // job id → its line, so that a line is changed in place and keeps the focus
  let timer = 0;
  let seq = 0;
  let busy = 0;
  let asked = 0;

  const list = el('ul.joblist', { 'aria-label': 'Jobs, the newest first' });
  const hint = el('p.hint', {}, `No job yet. Choose what to ${makes === 'draft' ? 'find' : 'ask'} and on which images, then Run.`);
  const trouble = el('div.trouble', { role: 'alert', hidden: true });
  const root = el('div.jobs', {}, trouble, hint, list);
  element.replaceChildren(root);

  async function request(op, more = {}) {
    const mine = (seq += 1);
    busy += 1;
    try {
      const answer = await ask(server.jobs, { op, seq: mine, project: props.project, ...more });
      trouble.hidden = true;
      if (answer.jobs && mine === seq) show(answer.jobs);
      return answer;
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
      return null;
    } finally {
      busy -= 1;
      later();
    }
  }

  function load() {
    clearTimeout(timer);
    asked = performance.now();
    if (props.project) return request('show');
    seq += 1;
    return show([]);
  }

  const running = () => [...lines.values()].some((line) => line.job.state === 'running');

  function later() {
    clearTimeout(timer);
    if (!element.isConnected || busy || !running()) return;
    timer = setTimeout(() => (document.hidden ? later() : load()), EVERY);
  }

  function show(jobs) {
    const before = running();
    const kept = jobs.map((job) => {
      const line = lines.get(job.id) ?? makeLine(job);
      lines.set(job.id, line);
      line.paint(job);
      return line.root;
    });
    for (const id of [...lines.keys()]) if (!jobs.some((job) => job.id === id)) lines.delete(id);
    if (kept.length !== list.children.length || kept.some((line, i) => list.children[i] !== line)) list.replaceChildren(...kept);
    hint.hidden = kept.length > 0;
    list.hidden = !kept.length;
    if (before && !running()) trigger('ended', {});
    later();
  }

  async function act(op, job, line) {
    if (op === 'report') return line.report();
    if (op === 'forget' || op === 'undo') {
      const asks = op === 'undo'
        ? { title: `Take back all that “${job.title}” did?`, body: `Its ${makes}s go from every image, and what it replaced comes back. What people accepted or changed since stays.`, action: 'Take it back' }
        : { title: `Remove “${job.title}” from the list?`, body: makes === 'draft' ? 'The drafts it made stay; they can then be undone image by image only.' : `The ${makes}s it wrote stay, and can then not be taken back together.`, action: 'Remove' };
      if (!(await confirm(root, asks))) return null;
    }
    line.wait(true);
    const answer = await request(op, { job: job.id });
    line.wait(false);
    if (answer && (op === 'pause' || op === 'cancel')) line.ends(op === 'pause' ? 'Pausing …' : 'Cancelling …');
    if (answer && op === 'undo') trigger('ended', {});
    if (answer?.told && lines.has(job.id)) line.say(answer.told);
    return answer;
  }

  function makeLine(job) {
    const title = el('b.name');
    const state = el('span.state');
    const fill = el('span.fill');
    const bar = el('span.track', { role: 'progressbar', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-label': `Progress of ${job.title}` }, fill);
    const far = el('span.far', { role: 'status' });
    const note = el('p.note', { hidden: true });
    const said = el('p.note', { hidden: true, role: 'status' });
    const detail = el('div.detail', { hidden: true });
    const button = (op, label, kind = 'button.quiet') => el(kind, { type: 'button', 'data-act': op, onclick: () => act(op, line.job, line) }, label);
    const buttons = {
      pause: button('pause', 'Pause'), go_on: button('go_on', 'Go on', 'button.act'), cancel: button('cancel', 'Cancel'),
      undo: button('undo', 'Undo'), report: button('report', 'Report'), forget: button('forget', 'Remove'),
    };
    let ending = ''; // what it says until the batch in hand is through
    const line = { job, paint, report, wait, say, ends, root: el('li.job', { 'data-id': job.id },
      el('div.head', {}, title, state), bar, el('div.foot', {}, far, el('span.acts', {}, ...Object.values(buttons))), note, said, detail) };

    function paint(next) {
      const was = line.job.state;
      line.job = next;
      title.textContent = next.title;
      title.title = `Begun ${new Date(next.began).toLocaleString()}`;
      if (next.state !== 'running') ending = '';
      state.textContent = ending || (STATES[next.state] ?? next.state);
      line.root.dataset.state = next.state;
      const share = next.total ? Math.round((100 * (next.done + next.failed)) / next.total) : 100;
      fill.style.width = `${share}%`;
      bar.setAttribute('aria-valuenow', share);
      far.textContent = spoken(next);
      note.textContent = next.problem ?? (next.state === 'running' && !next.here ? 'Another process of the studio works on it.' : '');
      note.hidden = !note.textContent;
      const open = next.state === 'running';
      const left = next.done + next.failed < next.total || next.failed > 0;
      buttons.pause.hidden = !open || ending;
      buttons.go_on.hidden = open || !left;
      buttons.go_on.textContent = next.done + next.failed < next.total ? 'Go on' : 'Try the failed ones again';
      buttons.cancel.hidden = ending || (!open && next.state !== 'paused');
      buttons.undo.hidden = open || !next.done;
      buttons.forget.hidden = open;
      buttons.report.hidden = !next.done && !next.failed;
      if (!detail.hidden && was !== next.state) refresh();
    }

    function wait(on) { for (const b of Object.values(buttons)) b.disabled = on; }
    function ends(text) {
      ending = text;
      paint(line.job);
    }

    function say(text) { said.textContent = text; said.hidden = !text; }

    const refresh = settled(async () => {
      const answer = await request('report', { job: line.job.id });
      if (answer) detail.replaceChildren(...reported(answer.report));
    }, 50);

    function report() {
      detail.hidden = !detail.hidden;
      buttons.report.setAttribute('aria-expanded', !detail.hidden);
      if (!detail.hidden) { detail.replaceChildren('Reading …'); refresh(); }
    }
    return line;
  }

  function reported(r) {
    const parts = [`${count(r.added, makes)} ${makes === 'draft' ? 'added' : 'written'}`];
    if (r.merged) parts.push(`${number(r.merged)} found that were there already`);
    if (r.dropped) parts.push(`${number(r.dropped)} deleted first`);
    const head = el('p', {}, `${parts.join(', ')}, on ${count(r.done, 'image')} of ${number(r.total)}.`);
    const said = (r.answers ?? []).map(([text, images]) => el('li', {}, text.length > 120 ? `${text.slice(0, 119)}…` : text, el('span.n', {}, ` ${number(images)}`)));
    if (r.different > said.length) said.push(el('li', {}, `… ${number(r.different)} different ones`));
    const heard = said.length ? [el('ul.said', {}, ...said)] : [];
    if (!r.failed) return [head, ...heard, el('p', {}, 'No image failed.')];
    const items = r.problems.map((p) => el('li', {},
      el('button.link', { type: 'button', onclick: () => trigger('open', { image: p.image }) }, p.name), ` ${p.why}`));
    const more = r.failed > r.problems.length ? [el('li', {}, `… and ${number(r.failed - r.problems.length)} more`)] : [];
    return [head, ...heard, el('p', {}, `${count(r.failed, 'image')} could not be done:`), el('ul.problems', {}, ...items, ...more)];
  }

  watch('project', () => { lines.clear(); load(); });
  watch('tick', load);
  // Whoever comes back sees how far the jobs are by now.
  new IntersectionObserver(([entry]) => { if (entry.isIntersecting && performance.now() - asked > 1000) load(); }).observe(root);
  load();
}

/** "120 of 500 images, 2 failed · about 3 min left" */
function spoken(job) {
  const parts = [`${number(job.done + job.failed)} of ${count(job.total, 'image')}${job.failed ? `, ${number(job.failed)} failed` : ''}`];
  if (job.state === 'running' && job.left !== null) {
    const s = job.left;
    parts.push(`about ${s < 90 ? `${Math.max(1, Math.round(s))} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`} left`);
  }
  if (job.state === 'running' && job.now) parts.push(job.now);
  return parts.join(' · ');
}
