"""The panel of the Segment tab that replays an object's clicks on other models, side by side."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.annotations import Annotation
from studio.devices import size_text
from studio.errors import BadInput
from studio.failures import sentence
from studio.operations import compare
from studio.operations.compare import Trial
from studio.project import ImageRecord
from studio.studio import Studio
from tabs._pictures import BUTTONS, block, source
from tabs._stage import PLACE, place_of
from tabs._work import LONG, QUIET, Progress, Work, many, report, trouble

PRESET = 3  # models ticked at first: each costs seconds

STYLE = (
    BUTTONS
    + """
.compare-pictures { display: flex; flex-wrap: wrap; gap: 12px; align-items: end; color: var(--body-text-color); }
.compare-pictures figure { margin: 0; width: 170px; }
.compare-pictures img { display: block; width: 170px; max-height: 240px; object-fit: contain; border-radius: 8px;
  background: var(--background-fill-secondary); margin: 0; }
.compare-pictures figcaption { font-size: 13px; margin-top: 4px; overflow-wrap: anywhere; }
.compare-none { width: 170px; height: 170px; border-radius: 8px; border: 1px dashed var(--border-color-primary);
  display: grid; place-items: center; color: var(--body-text-color-subdued); font-size: 13px; }
.compare-scroll { overflow-x: auto; margin-top: 12px; color: var(--body-text-color); }
table { border-collapse: collapse; font-size: 14px; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 10px; white-space: nowrap;
  border-bottom: 1px solid var(--border-color-primary); }
th:first-child, td:first-child { text-align: left; white-space: normal; }
th { color: var(--body-text-color-subdued); font-weight: 500; }
td.compare-why { text-align: left; white-space: normal; color: var(--body-text-color-subdued); }
td small { color: var(--body-text-color-subdued); }
button { padding: 3px 10px; }
"""
)
# The pressed button waits for its answer, so that one press saves once.
PRESSED = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-take]');
  if (!button || button.disabled) return;
  button.disabled = true;
  trigger('take', {index: Number(button.dataset.take)});
});
"""


@dataclass
class Comparison:
    """One object as it was compared, and what each model made of it."""

    image: ImageRecord
    saved: Annotation
    trials: list[Trial] = field(default_factory=list)
    picture: str = ""


class ComparePanel:
    """A button in the bar, and below the bar what it opens: the models, then pictures and a table.

    Built in two steps, since it stands above the canvas that it tells of a mask saved: ``connect`` is the second.
    """

    def __init__(self, studio: Studio, bar: gr.Row) -> None:
        self._studio = studio
        with bar:
            self._button = gr.Button("Compare models", scale=0, min_width=130, size="sm", elem_id="compare")
        with gr.Column(visible=False, variant="panel", elem_id="compare-panel") as self._panel:
            self._place = gr.Textbox(visible=False)
            self._about = gr.HTML("", padding=False, elem_id="compare-about")
            self._models = gr.CheckboxGroup([], label="Models", elem_id="compare-models")
            with gr.Row():
                self._begin = gr.Button(
                    "Replay the clicks",
                    variant="primary",
                    size="sm",
                    scale=0,
                    min_width=170,
                    elem_id="compare-begin",
                )
                self._stop = gr.Button("Cancel", visible=False, size="sm", scale=0, min_width=90)
            self._told = gr.HTML("", padding=False, visible=False, elem_id="compare-told")
            self._result = gr.HTML(
                "",
                css_template=STYLE,
                js_on_load=PRESSED,
                apply_default_css=False,
                padding=False,
                visible=False,
                elem_id="compare-result",
            )
        self._shown = gr.State(False)
        self._work = gr.State(None)
        self._comparison = gr.State(None)

    def connect(self, canvas: gr.HTML) -> None:
        self._button.click(
            self._opened,
            [self._place, self._shown],
            [self._panel, self._about, self._models, self._shown],
            js=PLACE,
            **QUIET,
        )
        outputs = [self._told, self._result, self._begin, self._stop, self._work, self._comparison]
        self._begin.click(self._compared, [self._place, self._models], outputs, js=PLACE, **LONG)
        self._stop.click(_stopped, self._work, None, queue=False, **QUIET)
        self._result.take(
            self._taken, self._comparison, [self._told, self._result, self._comparison, canvas], **QUIET
        )

    # ---- what the buttons do --------------------------------------------------------------------

    def _opened(self, place: str, shown: bool, request: gr.Request) -> tuple[Any, ...]:
        """Open or close the panel, with the models that are there by now."""
        if shown:
            return gr.Column(visible=False), gr.skip(), gr.skip(), False
        ready, absent = compare.segmenters(self._studio)
        try:
            image, saved = self._where(place, request)
            about = _about(saved)
            ready = _ordered(self._studio, ready, image.project_id, saved.model)
        except Exception as error:
            about = trouble(sentence(error))
        choices = [(card.title, card.id) for card in ready]
        models = gr.CheckboxGroup(choices=choices, value=[card.id for card in ready[:PRESET]])
        return gr.Column(visible=True), about + _absent(absent), models, True

    async def _compared(
        self, place: str, model_ids: Sequence[str], request: gr.Request
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Yield how far the comparison is, its result as it grows, the buttons, the work and the comparison."""
        same, begin, stop = gr.skip(), gr.Button(interactive=True), gr.Button(visible=False)
        comparison = None
        try:
            image, saved = self._where(place, request)
            if not model_ids:
                raise BadInput("Tick at least one model.")
            comparison = Comparison(image, saved)
            work = Work(
                f"Replaying {_prompts(saved)} of “{saved.class_name}” on {many(len(model_ids), 'model')}",
                partial(self._run, comparison, list(model_ids)),
            )
            busy = gr.Button(interactive=False), gr.Button(visible=True)
            yield block(work.bar()), block(""), *busy, work, None
            shown = 0
            async for bar in work.watch():
                grown, shown = len(comparison.trials) > shown, len(comparison.trials)
                yield bar, block(_result(comparison)) if grown else same, same, same, same, same
            told = work.failure() or ""
            if not told and len(comparison.trials) < len(model_ids):
                told = report(f"Stopped after {many(len(comparison.trials), 'model')}.")
        except Exception as error:
            told = trouble(sentence(error))
        found = comparison if comparison and comparison.trials else None
        yield block(told), block(_result(found) if found else ""), begin, stop, None, found

    def _run(
        self, comparison: Comparison, model_ids: Sequence[str], progress: Progress, cancel: threading.Event
    ) -> None:
        comparison.picture = source(compare.saved_picture(self._studio, comparison.image, comparison.saved))
        trials: Iterator[Trial] = compare.compare(
            self._studio,
            comparison.image,
            comparison.saved,
            model_ids,
            progress=progress,
            cancelled=cancel.is_set,
        )
        for trial in trials:
            comparison.trials.append(trial)

    def _taken(
        self, comparison: Comparison | None, event: gr.EventData, request: gr.Request
    ) -> tuple[Any, Any, Any, Any]:
        """Save one model's mask for the object."""
        if comparison is None:
            told = trouble("This comparison is not here any more. Compare again.")
            return block(told), block(""), None, gr.skip()
        try:
            index = int((event._data or {}).get("index", -1))
            if not 0 <= index < len(comparison.trials):
                raise BadInput("This comparison is not here any more. Compare again.")
            person = self._studio.person(request)
            image = self._studio.image_for(comparison.image.id, person)
            trial = comparison.trials[index]
            applied = compare.use(self._studio, image, person, comparison.saved, trial)
        except Exception as error:
            return block(trouble(sentence(error))), block(_result(comparison)), comparison, gr.skip()
        saved = applied.put[0]
        again = replace(comparison, saved=saved, trials=compare.against(image, saved, comparison.trials))
        again.picture = source(trial.picture)
        told = report(
            f"“{saved.class_name}” has the mask of {trial.card.title} now. Z in the picture undoes it."
        )
        return block(told), block(_result(again)), again, gr.HTML(refresh=time.time_ns())

    def _where(self, place: str, request: gr.Request) -> tuple[ImageRecord, Annotation]:
        """Return the image on the stage and the object to compare. Raises NotFound and BadInput."""
        there = place_of(place)
        if not there.image:
            raise BadInput("No picture is open. Open one and click an object.")
        image = self._studio.image_for(there.image, self._studio.person(request))
        return image, compare.object_to_compare(self._studio, image, there.object)


# ---- what the person reads ------------------------------------------------------------------------


def _ordered(studio: Studio, cards: Sequence[Card], project: str, made_with: str | None) -> list[Card]:
    """Return the model the object was made with first, then demos where they know their way, then the others."""
    sample = studio.is_sample(project)
    return sorted(cards, key=lambda card: (card.id != made_with, not (card.demo and sample)))


def _prompts(saved: Annotation) -> str:
    parts = ["the box"] if saved.prompt.box is not None else []
    if saved.prompt.points:
        parts.append(many(len(saved.prompt.points), "click"))
    return " and ".join(parts)


def _about(saved: Annotation) -> str:
    from_mask = ", starting from the mask it had before" if saved.prompt.mask is not None else ""
    text = (
        f"Replays {_prompts(saved)} of “{saved.class_name}”{from_mask}. To compare another object, select it in the "
        "picture first."
    )
    return f'<span class="segment-note">{html.escape(text)}</span>'


def _absent(cards: Sequence[Card]) -> str:
    if not cards:
        return ""
    names = ", ".join(f"{html.escape(c.title)} ({size_text(c.download.bytes)})" for c in cards)
    return (
        '<details class="segment-note"><summary>'
        f"{many(len(cards), 'model')} to download first</summary>"
        f'<span style="opacity:.7">{names}. Choose one in the list of models above the picture to download it.</span>'
        "</details>"
    )


def _result(comparison: Comparison) -> str:
    """Return the pictures side by side and the table, as HTML."""
    figures = [_figure(comparison.picture, "Saved now")]
    figures += [_figure(source(t.picture) if t.candidate else "", t.card.title) for t in comparison.trials]
    rows = "".join(_row(n, t, comparison.saved) for n, t in enumerate(comparison.trials))
    heads = ("Model", "Encode", "A click", "Memory", "Agreement", "")
    table = f"<table><thead><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr></thead><tbody>{rows}</tbody></table>"
    note = (
        "Each model encoded the picture anew to be timed; “kept” means that it had done so before and opens it at "
        "once. A click is the median. Memory is what the model holds, and one encoded picture. Agreement is the "
        "overlap (IoU) with the mask that is saved now."
    )
    pictures = f'<div class="compare-pictures">{"".join(figures)}</div>'
    return f'{pictures}<div class="compare-scroll">{table}</div><p>{note}</p>'


def _figure(picture: str, title: str) -> str:
    title = html.escape(title)
    shown = f'<img src="{picture}" alt="{title}">' if picture else '<div class="compare-none">no mask</div>'
    return f"<figure>{shown}<figcaption>{title}</figcaption></figure>"


def _row(index: int, trial: Trial, saved: Annotation) -> str:
    title = html.escape(trial.card.title)
    if trial.candidate is None:
        return (
            f'<tr><td>{title}</td><td class="compare-why" colspan="5">{html.escape(trial.trouble)}</td></tr>'
        )
    kept = " <small>kept</small>" if trial.kept else ""
    memory = f"{size_text(trial.model_bytes)} <small>+ {size_text(trial.embedding_bytes)}</small>"
    in_use = trial.candidate.mask == saved.shape and trial.card.id == saved.model
    button = "Saved" if in_use else "Use this one"
    disabled = " disabled" if in_use else ""
    return (
        f"<tr><td>{title}</td><td>{_seconds(trial.encode_s)}{kept}</td><td>{trial.click_ms:,.0f} ms</td>"
        f"<td>{memory}</td><td>{trial.agreement:.1%}</td>"
        f'<td><button type="button" data-take="{index}" aria-label="{button}: {title}"{disabled}>{button}</button>'
        "</td></tr>"
    )


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def _stopped(work: Work | None) -> None:
    if work is not None:
        work.stop()
