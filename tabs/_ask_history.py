"""An answer, the questions asked before, and some to begin with, as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from studio.adapters import Reading
from studio.annotations import Box
from studio.operations.ask import Answer, Query
from studio.operations.ask_text import one_line
from tabs._finding import spoken

SHORT = 140  # characters of an earlier answer
# What one types over is in dots.
QUESTIONS = (
    ("How many … are there?", ""),
    ("Point to all …", "Molmo 2 answers with points, which a segmenter makes masks of"),
    ("Is there a …?", ""),
    ("Is anything damaged?", ""),
    ("What colour is the …?", ""),
)
STYLE = (
    spoken.STYLE
    + """
.chips { display: flex; flex-wrap: wrap; gap: 6px; }
button { font: inherit; font-size: 13px; color: var(--body-text-color); cursor: pointer; border-radius: 999px;
  border: 1px solid var(--border-color-primary); background: none; padding: 3px 11px; min-height: 28px; }
button:hover { border-color: var(--color-accent); }
button:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 1px; }
.card { border: 1px solid var(--border-color-primary); border-radius: 10px; padding: 10px 14px;
  background: var(--background-fill-secondary); }
.card > small, .card > .asked { color: var(--body-text-color-subdued); font-size: 13px; }
.card > .asked { margin: 0 0 4px; overflow-wrap: anywhere; }
.card > small { display: block; margin-top: 4px; }
.card { min-height: 88px; box-sizing: border-box; }
p.said { max-height: 26vh; }
.going p.said::after { content: "▍"; color: var(--color-accent); animation: blink 1s steps(2) infinite; }
@keyframes blink { to { opacity: 0; } }
@media (prefers-reduced-motion: reduce) { .going p.said::after { animation: none; } }
h4 { margin: 4px 0 6px; font-size: 13px; font-weight: 500; color: var(--body-text-color-subdued); }
ol { list-style: none; margin: 0; padding: 0; max-height: 240px; overflow-y: auto; scrollbar-width: thin; }
li { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: 2px 10px; align-items: baseline; padding: 4px 0; }
li > button { justify-self: start; max-width: 46ch; text-align: left; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
li > span { font-size: 13.5px; color: var(--body-text-color-subdued); overflow-wrap: anywhere; }
@media (max-width: 640px) { li { grid-template-columns: 1fr; } }
"""
)
WAITING = (
    '<div class="card"><p class="asked">Ask something: the answer is written here, word by word.</p></div>'
)
PRESSED = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-n]');
  if (button) trigger('press', {n: button.dataset.n});
});
"""
# A question to begin with is put into the field, with what is to be typed over chosen; nobody is asked yet.
SUGGESTED = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-text]'), field = document.querySelector('#%s :is(textarea, input)');
  if (!button || !field) return;
  field.value = button.dataset.text;
  field.dispatchEvent(new Event('input', {bubbles: true}));
  field.focus();
  const dots = field.value.indexOf('…');
  if (dots >= 0) field.setSelectionRange(dots, dots + 1);
});
"""


def suggestions() -> str:
    """Return buttons that each put a question into the field."""
    shown = [(html.escape(text), html.escape(title)) for text, title in QUESTIONS]
    buttons = "".join(
        f'<button type="button" data-text="{text}" title="{title}">{text}</button>' for text, title in shown
    )
    return f'<div class="chips" role="group" aria-label="Questions to begin with">{buttons}</div>'


def answered(
    query: Query,
    reading: Reading,
    numbers: Sequence[Sequence[int]],
    region: Box | None,
    model: str,
    *,
    seconds: float = 0.0,
    whole: bool = True,
    going: bool = False,
) -> str:
    """Return a question and its answer; ``going`` says that it grows still, and ``whole`` that nobody stopped it."""
    asked = html.escape(_asked(query.question, region))
    told = spoken.spoken(reading, numbers or [()] * len(reading.places))
    if not going and not reading.text.strip():
        told = '<p class="said"><i>The model gave no answer in words.</i></p>'
    parts = [model, f"{seconds:.1f} s"] + ([] if whole else ["stopped"])
    foot = "" if going else f"<small>{html.escape(' · '.join(parts))}</small>"
    kind = "card going" if going else "card"
    return f'<div class="{kind}" aria-live="polite"><p class="asked">{asked}</p>{told}{foot}</div>'


def listed(before: Sequence[Answer]) -> str:
    """Return the questions asked on an image, the latest first, each of which is asked again by a press."""
    if not before:
        return ""
    lines = "".join(_line(n, before[n]) for n in reversed(range(len(before))))
    return f'<h4>Asked about this image</h4><ol aria-label="Asked about this image">{lines}</ol>'


def _line(number: int, answer: Answer) -> str:
    asked = html.escape(_asked(answer.query.question, answer.region))
    button = f'<button type="button" data-n="{number}" title="Ask again">{asked}</button>'
    return f"<li>{button}<span>{html.escape(_short(answer.said.reading.text))}</span></li>"


def _asked(question: str, region: Box | None) -> str:
    return f"{question or 'A caption'}{' (of a part)' if region else ''}"


def _short(text: str) -> str:
    text = one_line(text)
    return f"{text[: SHORT - 1]}…" if len(text) > SHORT else text
