"""The part of the Ask tab that asks about one image: the answer as it grows, and what it points at."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from studio.adapters import Reading
from studio.annotations import Box
from studio.canvas.findings import chosen_of, findings_view, shown
from studio.errors import BadInput, Cancelled
from studio.failures import sentence
from studio.operations import ask, ask_places
from studio.operations.ask import Answer, Query, Said
from studio.project import ImageRecord
from studio.studio import Studio
from tabs._ask_history import PRESSED, STYLE, SUGGESTED, WAITING, answered, listed, suggestions
from tabs._ask_models import AskModels
from tabs._finding.one import Kept
from tabs._finding.page import Page, Place, page_of
from tabs._finding.picking import Picking
from tabs._finding.spoken import linked
from tabs._pictures import block
from tabs._work import LONG, QUIET, Progress, Work, many, report, stopping, trouble

EVERY = 0.12  # seconds between two looks at what has been written
REMEMBERED = 30  # questions of an image
OWN_WORDS = ("its own words", "")
HINT = "What an answer points at is drawn here, to be kept or left out."
NO_PLACES = "This answer points at nothing in the picture."

Asking = dict[str, list[Answer]]  # by image's id, the latest last


@dataclass
class Growing:
    """An answer on its way. ``left`` says that another image is looked at by now."""

    image: str
    said: Said = field(default_factory=Said)
    work: Work | None = None
    left: bool = False


@dataclass(frozen=True)
class Asked:
    """An answer that is shown, and the token by which the page speaks of what it points at."""

    answer: Answer
    token: str


class AskOne:
    """An image, a question, its answer, what that points at, and the questions asked before."""

    def __init__(self, studio: Studio, place: Place, models: AskModels) -> None:
        self._studio, self._models = studio, models
        self.here: Any = None
        with gr.Row(elem_id=place.id("image-bar"), elem_classes=["finding-bar"], equal_height=True):
            self._picking = Picking(studio, place, HINT)
        with gr.Row(elem_classes=["finding-bar"], equal_height=True):
            self.question = gr.Textbox(
                "", label="Question", show_label=False, container=False, lines=1, max_lines=4, scale=6, min_width=220,
                placeholder="Ask about this image, or of a part that you draw; empty for a caption",
                elem_id=place.id("question"),
            )  # fmt: skip
            self._ask = gr.Button(
                "Ask", variant="primary", size="sm", scale=0, min_width=110, elem_id=place.id("ask")
            )
            self._stop = gr.Button(
                "Stop", size="sm", scale=0, min_width=90, visible=False, elem_id=place.id("stop")
            )
        gr.HTML(
            suggestions(), css_template=STYLE, js_on_load=SUGGESTED % place.id("question"),
            apply_default_css=False, padding=False, elem_id=place.id("suggestions"), elem_classes=["finding-flat"],
        )  # fmt: skip
        self._answer = gr.HTML(
            WAITING, css_template=STYLE, js_on_load=linked(place), apply_default_css=False, padding=False,
            elem_id=place.id("answer"), elem_classes=["finding-flat"],
        )  # fmt: skip
        self.view = findings_view(elem_id=place.id("findings"), graded=False)
        self._told = gr.HTML(
            "", padding=False, visible=False, elem_id=place.id("told"), elem_classes=["finding-flat"]
        )
        with gr.Row(visible=False, elem_id=place.id("kept")) as self._after:
            self._undo = gr.Button("Undo", size="sm", scale=0, min_width=100)
            self.open = gr.Button("Open in Segment", size="sm", scale=0, min_width=160)
        self.named = gr.Dropdown(
            [OWN_WORDS], value="", label="Keep what it points at as", allow_custom_value=True, visible=False,
            elem_id=place.id("class"), info="Its own words, a class of the project, or a new one.",
        )  # fmt: skip
        self._history = gr.HTML(
            "", css_template=STYLE, js_on_load=PRESSED, apply_default_css=False, padding=False,
            elem_id=place.id("history"), elem_classes=["finding-flat"],
        )  # fmt: skip
        self.asked, self.kept, self._growing = gr.State(None), gr.State(None), gr.State(None)
        self._before = gr.State({})
        self.inputs = [self.question, self._before]

    def connect(self, inputs: list[Any], js: str) -> None:
        self._picking.connect(self.view, self.outputs, self.show)
        self._outputs = [
            self._answer, self.view, self._told, self._after, self.named, self._ask, self._stop,
            self._growing, self.asked, self._before, self._history,
        ]  # fmt: skip
        asked = {*inputs, *self.inputs}
        for begins in (self._ask.click, self.question.submit):
            begins(self._asking, asked, self._outputs, js=js, **LONG)
        self._history.press(self._again, asked, [self.question, *self._outputs], js=js, **LONG)
        self._stop.click(
            lambda growing: stopping(growing and growing.work),
            self._growing,
            self._stop,
            queue=False,
            **QUIET,
        )
        there = [self._picking.picker, self._growing, self._before]
        self._picking.picker.change(self._moved, there, self._history, **QUIET)
        self.view.keep(
            self._keep, [self.asked, self.named], [self._told, self._after, self.kept, self.view], **QUIET
        )
        self._undo.click(self._undone, self.kept, [self._told, self._after, self.kept], **QUIET)

    @property
    def outputs(self) -> list[Any]:
        """What ``show`` updates."""
        return [
            *self._picking.outputs(self.view),
            self._answer,
            self._told,
            self._after,
            self.named,
            self.asked,
        ]

    def show(self, project: str, image_id: str, person: str) -> tuple[Any, ...]:
        """Return the updates that show an image of a project, its first one where that is not there."""
        quiet = gr.HTML(WAITING), block(""), gr.Row(visible=False), gr.Dropdown(visible=False), None
        return *self._picking.show(project, image_id, person), *quiet

    def _moved(self, image_id: str, growing: Growing | None, before: Asking) -> str:
        """Leave the answer of another image alone, and show what was asked about this one."""
        if growing is not None and growing.image != image_id:
            growing.left = True
            if growing.work is not None:
                growing.work.stop()
        return listed(before.get(image_id or "", ()))

    # ---- asking ----

    async def _asking(self, values: dict[Any, Any], request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        page = page_of(values[self.here])
        async for shown_ in self._heard(values, page, values[self.question] or "", page.region, request):
            yield shown_

    async def _again(
        self, values: dict[Any, Any], event: gr.EventData, request: gr.Request
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Ask a question once more, about the same part of the image, of the model that is chosen now."""
        page, data = page_of(values[self.here]), event._data if isinstance(event._data, dict) else {}
        try:
            earlier = values[self._before].get(page.image, ())[int(data["n"])]
        except (KeyError, TypeError, ValueError, IndexError):
            return
        question = earlier.query.question
        async for shown_ in self._heard(values, page, question, earlier.region, request):
            yield question, *shown_

    async def _heard(
        self, values: Mapping[Any, Any], page: Page, question: str, region: Box | None, request: gr.Request
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Yield the updates of the outputs as an answer grows, and then of what it points at."""
        same, quiet = gr.skip(), gr.Row(visible=False)
        idle = gr.Button(interactive=True), gr.Button(visible=False), None
        try:
            if not page.image:
                raise BadInput("No image is open. Add photographs in Data first.")
            image = self._studio.image_for(page.image, self._studio.person(request))
            query = self._models.query(values, page, question)
            ask.check(self._studio, query)
            ask.ready(self._studio, query)
            growing = Growing(image.id)
            growing.work = self._begin(image, query, region, values[self._models.segmenter] or "", growing)
        except Exception as error:
            yield same, same, block(trouble(sentence(error))), quiet, *[same] * 7
            return
        title = self._studio.registry.card(query.model).title
        empty = gr.HTML(shown=shown(image, None, hint=HINT))
        busy = gr.Button(interactive=False), gr.Button("Stop", visible=True, interactive=True), growing
        waiting = answered(query, Reading(""), (), region, title, going=True)
        bar = block(growing.work.bar())
        yield waiting, empty, bar, quiet, gr.Dropdown(visible=False), *busy, None, same, same
        told: tuple[Any, ...] = ()
        async for bar in growing.work.watch(EVERY):
            said, cutting = growing.said, growing.work.total > 0
            now = (said.text, bar if cutting or not said.text else "")
            if growing.left or now == told:  # an update disturbs whoever is about to press a button
                continue
            text = answered(query, said.reading, (), region, title, going=not cutting)
            yield text if said.text else same, same, block(now[1]), *[same] * 8
            told = now
        if growing.left:
            yield *[same] * 5, *idle, *[same] * 3
            return
        answer, problem = growing.work.result or (None, None)
        if answer is None:
            yield same, same, block(growing.work.failure()), quiet, same, *idle, None, same, same
            return
        before: Asking = dict(values[self._before])
        before[image.id] = [*before.get(image.id, ()), answer][-REMEMBERED:]
        asked = Asked(answer, f"{time.time_ns():x}")
        text = answered(
            query, answer.said.reading, ask_places.numbers(answer), region, title,
            seconds=answer.seconds, whole=answer.whole,
        )  # fmt: skip
        pointed, drawn = self._drawn(asked)
        line = block(trouble(problem) if problem else "")
        history = listed(before[image.id])
        yield text, drawn, line, quiet, self._naming(image, pointed), *idle, asked, before, history

    def _begin(
        self, image: ImageRecord, query: Query, region: Box | None, segmenter: str, growing: Growing
    ) -> Work:
        def run(progress: Progress, cancel: threading.Event) -> tuple[Answer, str]:
            def told(said: Said) -> None:
                growing.said = said

            found = ask.answer(self._studio, image, query, region=region, told=told, stopped=cancel.is_set)
            if not segmenter or cancel.is_set():
                return found, ""

            def cut(done: int, total: int) -> None:
                progress(done, total, "cut out")
                if cancel.is_set():
                    raise Cancelled

            try:
                if ask_places.shapes(found):
                    progress(
                        0,
                        1,
                        f"Cutting out what it points at, by {self._studio.registry.card(segmenter).title}",
                    )
                return ask_places.cut(self._studio, found, segmenter, told=cut), ""
            except Cancelled:
                return found, ""
            except Exception as error:  # the answer is there all the same
                return found, f"No masks were made. {sentence(error)}"

        return Work(f"Asking {self._studio.registry.card(query.model).title}", run)

    def _drawn(self, asked: Asked) -> tuple[bool, Any]:
        """Return whether an answer points at anything, and the update that draws it."""
        answer, found = asked.answer, ask_places.drawn(asked.answer)
        classes = self._studio.store.classes(answer.image.project_id)
        told = shown(answer.image, found or None, classes, token=asked.token, hint=NO_PLACES)
        return bool(found), gr.HTML(shown=told)

    def _naming(self, image: ImageRecord, pointed: bool) -> Any:
        names = [c.name for c in self._studio.store.classes(image.project_id)]
        return gr.Dropdown([OWN_WORDS, *names], visible=pointed)

    # ---- keeping ----

    def _keep(
        self, asked: Asked | None, named: str | None, event: gr.EventData, request: gr.Request
    ) -> tuple[Any, Any, Any, Any]:
        dealt = gr.HTML(kept=time.time_ns())
        try:
            wanted = chosen_of(event)
            if asked is None or asked.token != wanted.token:
                raise BadInput("This answer is not here any more. Ask again.")
            person, image = self._studio.person(request), asked.answer.image
            self._studio.image_for(image.id, person)
            applied = ask_places.keep(self._studio, person, asked.answer, wanted.numbers, named or "")
        except Exception as error:
            return block(trouble(sentence(error))), gr.Row(visible=False), None, dealt
        if applied is None:
            text = f"All {len(wanted.numbers):,} are labelled on {image.name} already; nothing was saved."
            return block(report(text)), gr.Row(visible=False), None, dealt
        text = f"{many(len(applied.put), 'draft')} saved on {image.name}. "
        text += "Look through them in Segment, or take them back."
        told = block(report(text, applied.conflicts, heading="Notes"))
        return told, gr.Row(visible=True), Kept(image.id, applied.version), dealt

    def _undone(self, kept: Kept | None, request: gr.Request) -> tuple[Any, Any, Any]:
        try:
            if kept is None:
                raise BadInput("There is nothing to take back here.")
            person = self._studio.person(request)
            image = self._studio.image_for(kept.image, person)
            if image.version != kept.version:
                raise BadInput(f"{image.name} was changed since. Open it in Segment and undo there, by Z.")
            self._studio.store.undo(image.id, person)
        except Exception as error:
            return block(trouble(sentence(error))), gr.Row(visible=kept is not None), kept
        return block(report(f"Taken back on {image.name}.")), gr.Row(visible=False), None
