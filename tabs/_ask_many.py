"""The part of the Ask tab that asks about many images, and writes the answers into tags or a column."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from studio.errors import BadInput, Cancelled
from studio.failures import sentence
from studio.gallery.gallery import job_list
from studio.operations import ask, ask_jobs
from studio.operations.ask import ANSWER, MOST_TAGS, MOST_TAGS_EVER, Query
from studio.operations.ask_jobs import Foretold
from studio.operations.jobs import PREVIEWED
from studio.studio import Studio
from tabs._ask_models import AskModels
from tabs._finding.many import STYLE, to_see
from tabs._finding.page import Place, page_of
from tabs._finding.which import Which
from tabs._pictures import block
from tabs._work import LONG, QUIET, Progress, Work, stopping, time_left, trouble

INTO = [("A column", "column"), ("A tag", "tag")]
AGAIN = [
    ("Ask only where there is no answer", "fill"),
    ("Ask all again; what people wrote stays", "replace"),
]
SHORT = 300  # characters of an answer in the preview


@dataclass
class Ahead:
    """What a preview was told so far, of how many images, and how long one takes."""

    total: int
    seen: list[Foretold] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


class AskMany:
    """A question, where its answers go, which images, a preview, a button that begins, and the list of jobs."""

    def __init__(self, studio: Studio, place: Place, models: AskModels) -> None:
        self._studio, self._models = studio, models
        self.here: Any = None
        self.question = gr.Textbox(
            "", label="Question", lines=1, max_lines=4, elem_id=place.id("many-question"),
            placeholder="Such as: Is anything damaged? Empty for a caption",
        )  # fmt: skip
        with gr.Row():
            self._into = gr.Radio(INTO, value="column", label="Write answers into", elem_id=place.id("into"))
            self._column = gr.Dropdown(
                [], value=None, label="Column", allow_custom_value=True, min_width=180, elem_id=place.id("column"),
                info="One of the project, or a new one.",
            )  # fmt: skip
            self._template = gr.Textbox(
                ANSWER, label="Tag", max_lines=1, min_width=180, visible=False, elem_id=place.id("template"),
                info=f"{ANSWER} stands for the answer, as in “ripe: {ANSWER}”.",
            )  # fmt: skip
            self._most = gr.Number(
                MOST_TAGS, label="Different tags, at most", minimum=1, maximum=MOST_TAGS_EVER, precision=0,
                min_width=120, visible=False, elem_id=place.id("most"),
            )  # fmt: skip
        with gr.Row():
            self._choices = gr.Textbox(
                "", label="Answers that count", placeholder="any; or some, with commas: yes, no", max_lines=1,
                min_width=220, elem_id=place.id("choices"),
            )  # fmt: skip
            self._again = gr.Dropdown(
                AGAIN, value="fill", label="Where there is an answer already", min_width=220,
                elem_id=place.id("again"),
            )  # fmt: skip
        self._which = Which(studio, place)
        with gr.Row():
            self._preview = gr.Button(
                "Preview", size="sm", scale=0, min_width=120, elem_id=place.id("preview")
            )
            self._run = gr.Button(
                "Ask them all", variant="primary", size="sm", scale=0, min_width=150, elem_id=place.id("run")
            )
            self._stop = gr.Button("Cancel", visible=False, size="sm", scale=0, min_width=100)
        self._told = gr.HTML(
            "", padding=False, visible=False, elem_id=place.id("many-told"), elem_classes=["finding-flat"]
        )
        self._table = gr.HTML(
            "", css_template=STYLE + "th, td { text-align: left; } td { overflow-wrap: anywhere; }",
            apply_default_css=False, padding=False, visible=False, elem_id=place.id("preview-table"),
        )  # fmt: skip
        gr.Markdown("#### Jobs")
        self._jobs_id = place.id("jobs")
        self.jobs = job_list(studio, elem_id=self._jobs_id, kind=ask_jobs.KIND, makes="answer")
        self._work = gr.State(None)
        self.inputs = [
            self.question, self._into, self._column, self._template, self._most, self._choices, self._again,
            *self._which.inputs,
        ]  # fmt: skip

    def connect(self, inputs: Sequence[Any], js: str, project: Any) -> Any:
        """Wire the buttons; returns the event after which a job was begun."""
        self._into.input(
            lambda into: (gr.Dropdown(visible=into == "column"), *[gr.update(visible=into == "tag")] * 2),
            self._into, [self._column, self._template, self._most], **QUIET,
        )  # fmt: skip
        self._project = project
        asked = {*inputs, *self.inputs, project}
        outputs = [self._told, self._table, self._preview, self._stop, self._work]
        self._preview.click(self._previewed, asked, outputs, js=js, **LONG)
        self._stop.click(stopping, self._work, self._stop, queue=False, **QUIET)
        begun = self._run.click(
            self._begun, asked, [self._told, self._table, self.jobs, self._column], js=js, **QUIET
        )
        self._which.connect(self.here, project, js, self.jobs.ended)
        return begun.then(None, None, None, js=to_see(self._jobs_id))

    @property
    def outputs(self) -> list[Any]:
        """What ``show`` updates."""
        return [*self._which.outputs, self._column, self.jobs]

    def show(self, values: Mapping[Any, Any], project: str, person: str) -> tuple[Any, ...]:
        """Return the updates for a project: its classes, how many images, its columns and its jobs."""
        chosen = self._which.show(values, page_of(values[self.here]), project, person)
        if not project:
            return *chosen, gr.Dropdown([], value=None), gr.HTML(project="", tick=0)
        return *chosen, self._columns(project), shown_anew(project)

    def _columns(self, project: str) -> Any:
        return gr.Dropdown([c.name for c in self._studio.store.columns(project)])

    def _query(self, values: Mapping[Any, Any]) -> Query:
        more: dict[str, Any] = {
            "into": values[self._into],
            "template": values[self._template] or ANSWER,
            "choices": values[self._choices] or "",
            "most": values[self._most] or MOST_TAGS,
            "again": values[self._again],
        }
        return self._models.query(values, page_of(values[self.here]), values[self.question] or "", **more)

    # ---- looking ahead ----

    async def _previewed(self, values: dict[Any, Any], request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Yield how far the preview is and the table as it grows: told, table, button, cancel and the work."""
        same, idle = gr.skip(), (gr.Button(interactive=True), gr.Button(visible=False), None)
        try:
            _, ids = self._which.wanted(values, request)
            query = self._query(values)
            ask.check(self._studio, query)
            ask.ready(self._studio, query)
            grown = Ahead(len(ids))
            work = self._looking_ahead(query, ids, grown)
        except Exception as error:
            yield block(trouble(sentence(error))), block(""), *idle
            return
        busy = gr.Button(interactive=False), gr.Button("Cancel", visible=True, interactive=True)
        yield block(work.bar()), block(""), *busy, work
        known = 0
        async for bar in work.watch():
            rows = block(_table(grown)) if len(grown.seen) > known else same
            known = len(grown.seen)
            yield bar, rows, same, same, same
        told = "" if work.error is None or isinstance(work.error, Cancelled) else work.failure()
        yield block(told or ""), block(_table(grown)), *idle

    def _looking_ahead(self, query: Query, ids: list[str], grown: Ahead) -> Work:
        def run(progress: Progress, cancel: threading.Event) -> None:
            wanted = self._which.evenly(ids, PREVIEWED)
            progress(0, len(wanted), "")
            began = time.monotonic()
            for done in ask_jobs.preview(self._studio, query, wanted, stopped=cancel.is_set):
                grown.seen.append(done)
                grown.times.append(time.monotonic() - began)
                began = time.monotonic()
                progress(len(grown.seen), len(wanted), done.image.name)
            if cancel.is_set():
                raise Cancelled("Stopped.")

        return Work("Asking about a few; nothing is written", run)

    # ---- running ----

    def _begun(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, Any, Any, Any]:
        try:
            project, ids = self._which.wanted(values, request)
            query, name = self._query(values), str(values[self._column] or "")
            if query.into == "column" and not name.strip():
                raise BadInput(
                    "Say which column the answers go into: choose one, or write the name of a new one."
                )
            ask_jobs.begin(self._studio, self._studio.person(request), project, query, ids, column_name=name)
        except Exception as error:
            return block(trouble(sentence(error))), gr.skip(), gr.skip(), gr.skip()
        return block(""), block(""), shown_anew(project), self._columns(project)


def shown_anew(project: str) -> Any:
    """Return the update that makes one of our components show a project, and ask the server anew."""
    # Both at once: of a component that is not there yet, Gradio keeps the last update only.
    return gr.HTML(project=project, tick=time.time_ns() // 1_000_000)


# ---- what the person reads ------------------------------------------------------------------------


def _table(ahead: Ahead) -> str:
    """Return as HTML what some images were answered, and what would be written of it."""
    if not ahead.seen:
        return ""
    rows = "".join(_row(each) for each in ahead.seen)
    heads = "".join(f"<th>{head}</th>" for head in ("Image", "The model says", "Would be written"))
    seen, total = len(ahead.seen), ahead.total
    if seen >= total:
        text = "These are all the images. Nothing has been written yet."
    else:
        times = ahead.times[1:] or ahead.times  # the first one loads the model, which is done once
        left = time_left(sum(times) / len(times) * total).removesuffix(" left")
        text = f"All {total:,} images would take {left}: an estimate. Nothing has been written yet."
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table><p>{html.escape(text)}</p>"


def _row(told: Foretold) -> str:
    name, said = html.escape(told.image.name), html.escape(_short(told.answer.said.reading.text))
    thumb = f'<img src="media/thumb/{told.image.id}" alt="">'
    written = f"<b>{html.escape(_short(told.value))}</b>"
    if not told.value:
        written = f"<i>nothing: {html.escape(told.problem)}</i>"
    return f"<tr><td>{thumb}{name}</td><td>{said}</td><td>{written}</td></tr>"


def _short(text: str) -> str:
    return f"{text[: SHORT - 1]}…" if len(text) > SHORT else text
