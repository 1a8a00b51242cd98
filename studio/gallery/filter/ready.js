// The line that says how many images the model has looked at, and the job that makes it look at the others.

import { el, count, number } from '../dom.js';

const EVERY = 700; // ms between two questions while the job runs

/** `request(op)` resolves to the state; `onready(state)` is told when more images are ready than before. */
export function makeReady({ request, onready, complain, title, onhidden }) {
  const say = el('span.far', { role: 'status' });
  const fill = el('span.fill');
  const track = el('span.track', { role: 'progressbar', 'aria-label': 'Getting images ready', 'aria-valuemin': '0', 'aria-valuemax': '100' }, fill);
  const button = (kind, op, label) => el(kind, { type: 'button', 'data-act': op, onclick: () => act(op) }, label);
  const begin = button('button.act', 'begin', 'Get ready');
  const buttons = { pause: button('button.quiet', 'pause', 'Pause'), go_on: button('button.act', 'go_on', 'Go on'), cancel: button('button.quiet', 'cancel', 'Cancel') };
  const away = el('button.link', { type: 'button', hidden: true, onclick: onhidden });
  const root = el('div.ready', { hidden: true }, el('div.line', {}, say, away, el('span.acts', {}, begin, ...Object.values(buttons))), track);
  let state = null;
  let timer = 0;
  let ending = '';

  async function act(op) {
    for (const b of [begin, ...Object.values(buttons)]) b.disabled = true;
    try {
      if (op === 'pause' || op === 'cancel') ending = op === 'pause' ? 'Pausing …' : 'Stopping …';
      take(await request(op));
    } catch (error) {
      ending = '';
      complain(error);
    } finally {
      for (const b of [begin, ...Object.values(buttons)]) b.disabled = false;
    }
  }

  async function look() {
    clearTimeout(timer);
    try {
      take(await request('state'));
    } catch (error) {
      complain(error, look);
    }
  }

  function take(next) {
    const before = state;
    state = next;
    if (!running()) ending = '';
    paint();
    clearTimeout(timer);
    if (running() && root.isConnected) timer = setTimeout(() => (document.hidden ? take(state) : look()), EVERY);
    if (!running() && (!before || before.embedded !== state.embedded || before.hidden !== state.hidden || before.job?.state === 'running')) onready(state);
  }

  const running = () => state?.job?.state === 'running';

  function paint() {
    const { job, total, embedded } = state;
    const missing = total - embedded;
    root.hidden = !total;
    const halted = job && ['paused', 'failed', 'cancelled'].includes(job.state) && missing > 0;
    root.dataset.state = running() ? 'running' : missing ? 'missing' : 'ready';
    away.hidden = !state.hidden;
    away.textContent = `${number(state.hidden)} hidden`;
    begin.hidden = running() || !missing || (halted && job.state !== 'cancelled');
    begin.textContent = embedded ? `Get ${missing === 1 ? 'it' : 'them'} ready` : `Get ${count(total, 'image')} ready`;
    buttons.pause.hidden = !running() || Boolean(ending);
    buttons.cancel.hidden = (!running() && !(halted && job.state === 'paused')) || Boolean(ending);
    buttons.go_on.hidden = !halted || job.state === 'cancelled';
    track.hidden = !running() && !halted;
    const share = job?.total ? Math.round((100 * (job.done + job.failed)) / job.total) : 0;
    fill.style.width = `${share}%`;
    track.setAttribute('aria-valuenow', share);
    say.textContent = spoken(state, running(), ending, title());
  }

  return {
    root, look, act,
    get state() { return state; },
    get running() { return running(); },
    /** Forgets what was known, as for another project or model. */
    reset() {
      clearTimeout(timer);
      state = null;
      root.hidden = true;
    },
  };
}

export function left(seconds) {
  const s = seconds;
  return `about ${s < 90 ? `${Math.max(1, Math.round(s))} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`} left`;
}

function spoken({ total, embedded, job }, running, ending, model) {
  if (running) {
    const parts = [ending || `${model} looks at ${number(job.done + job.failed)} of ${count(job.total, 'image')}`];
    if (!ending && job.left !== null && job.left !== undefined) parts.push(left(job.left));
    if (job.failed) parts.push(`${number(job.failed)} failed`);
    return parts.join(' · ');
  }
  const missing = total - embedded;
  if (!embedded) return `${model} has to look at each image once, then every search takes a moment.`;
  if (!missing) return `${count(total, 'image')} ready`;
  const why = job?.problem && job.state === 'failed' ? ` ${job.problem}` : '';
  const halted = job?.state === 'paused' ? 'Paused. ' : '';
  return `${halted}${number(embedded)} of ${count(total, 'image')} ready, ${number(missing)} not yet looked at.${why}`;
}
