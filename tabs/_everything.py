"""The panel of the Segment tab that looks for everything in the open image."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.errors import StudioError
from studio.failures import sentence
from studio.operations import everything
from studio.operations.everything import Found, Options
from studio.project import ImageRecord
from studio.studio import Studio
from tabs._stage import PLACE, place_of
from tabs._work import LONG, QUIET, Progress, Work, many, report, time_left, trouble

FIRST_CLASS = "object"  # where a project has no class yet, as the canvas calls it
AS_CHOSEN = ("The one chosen above the picture", "")
GRIDS = [
    ("As fits this machine", 0),
    ("Coarse: 8 points a side", 8),
    ("Middling: 16 points", 16),
    ("Fine: 32 points", 32),
    ("Very fine: 64 points", 64),
]
CROPS = [("The whole image", False), ("Four quarters, too: for small objects, five times as long", True)]


@dataclass
class Search:
    """One search of one person, and what it needs to be kept or dropped when it was stopped."""

    work: Work
    image: ImageRecord
    person: str
    model_id: str
    class_name: str
    again: bool


class EverythingPanel:
    """A button in the bar that begins, one that opens the options, and below the bar how far it is and what was found.

    Built in two steps, since it stands above the canvas that it tells of what was found: ``connect`` is the second.
    """

    def __init__(self, studio: Studio, model: gr.Dropdown, bar: gr.Row) -> None:
        self._studio = studio
        self._model = model
        with bar:
            self._begin = gr.Button(
                "Everything in this image", scale=0, min_width=190, size="sm", elem_id="everything"
            )
            self._how = gr.Button("Its options", scale=0, min_width=90, size="sm", elem_id="everything-how")
        self._place = gr.Textbox(visible=False)
        with gr.Column(visible=False, variant="panel", elem_id="everything-settings") as self._settings:
            with gr.Row():
                self._class = gr.Dropdown(
                    [AS_CHOSEN],
                    value="",
                    label="Class of what is found",
                    allow_custom_value=True,
                    min_width=170,
                )
                grid = gr.Dropdown(GRIDS, value=0, label="How fine to look", min_width=170)
                crops = gr.Dropdown(CROPS, value=False, label="What to look at", min_width=170)
            with gr.Row():
                smallest = gr.Slider(
                    0, 5, Options.smallest * 100, step=0.01, label="Smallest object, % of the image"
                )
                largest = gr.Slider(
                    1, 100, Options.largest * 100, step=1, label="Largest object, % of the image"
                )
                sure = gr.Slider(
                    0, 1, Options.sure, step=0.01, label="How sure: the quality the model expects"
                )
            with gr.Row():
                stable = gr.Slider(
                    0, 1, Options.stable, step=0.01, label="How stable: outlines that do not waver"
                )
                same = gr.Slider(
                    0.1, 0.95, Options.same, step=0.05, label="Overlap from which two are the same"
                )
                with gr.Column(min_width=160):
                    tidy = gr.Checkbox(Options.tidy, label="Remove tiny islands and holes")
                    again = gr.Checkbox(Options.again, label="Propose labelled objects again")
        self._chosen = [grid, crops, smallest, largest, sure, stable, same, tidy, again]
        with gr.Row(visible=False, elem_id="everything-row") as self._row:
            self._told = gr.HTML("", padding=False, elem_id="everything-told")
            self._stop = gr.Button("Stop", size="sm", scale=0, min_width=110)
            self._keep = gr.Button(
                "Keep", size="sm", scale=0, min_width=110, variant="primary", visible=False
            )
            self._discard = gr.Button("Discard", size="sm", scale=0, min_width=110, visible=False)
        self._search = gr.State(None)

    def connect(self, canvas: gr.HTML) -> None:
        shown = gr.State(False)
        self._how.click(
            self._opened, [self._place, shown], [self._settings, self._class, shown], js=PLACE, **QUIET
        )
        outputs = [self._row, self._told, self._stop, self._keep, self._discard, self._search]
        self._begin.click(
            self._find,
            [self._place, self._model, self._class, *self._chosen],
            [*outputs, self._settings, shown, self._begin, canvas],
            js=PLACE,
            **LONG,
        )
        self._stop.click(_stopped, self._search, self._stop, queue=False, **QUIET)
        self._keep.click(self._kept, self._search, [*outputs, canvas], **QUIET)
        self._discard.click(lambda: _told(""), None, outputs, **QUIET)
        # What was found on another image need not stand here for ever.
        canvas.opened(lambda search: [gr.skip()] * 6 if search else _told(""), self._search, outputs, **QUIET)

    # ---- what the buttons do --------------------------------------------------------------------

    def _opened(self, place: str, shown: bool, request: gr.Request) -> tuple[Any, ...]:
        """Open or close the settings, with the classes that the project has by now."""
        if shown:
            return gr.Column(visible=False), gr.skip(), False
        try:
            image, _ = self._where(place, request)
            names = [c.name for c in self._studio.store.classes(image.project_id)]
        except StudioError:
            names = []
        choices = [AS_CHOSEN, *((name, name) for name in names)]
        return gr.Column(visible=True), gr.Dropdown(choices=choices), True

    async def _find(
        self, place: str, model_id: str, class_name: str, request: gr.Request, *chosen: Any
    ) -> AsyncIterator[Any]:
        """Yield how far the search is, and at its end what there is to do."""
        same = gr.skip()
        try:
            image, in_hand = self._where(place, request)
            everything.clickable(self._studio, model_id or "")
            options = options_of(*chosen)
            person, name = self._studio.person(request), (class_name or in_hand or FIRST_CLASS).strip()
            run = self._order(image, person, model_id, name, options)
            work = Work(f"Looking for everything in {image.name}", run)
        except Exception as error:
            yield *_told(trouble(sentence(error))), *[same] * 4
            return
        search = Search(work, image, person, model_id, name, options.again)
        stop, off = gr.Button("Stop", visible=True, interactive=True), gr.Button(visible=False)
        busy = gr.Row(visible=True), gr.HTML(work.bar()), stop, off, off, search
        yield *busy, gr.Column(visible=False), False, gr.Button(interactive=False), same
        async for bar in work.watch():
            yield same, gr.HTML(bar), *[same] * 8
        yield *_ended(search), same, same, gr.Button(interactive=True), _review(search)

    def _order(self, image: ImageRecord, person: str, model_id: str, name: str, options: Options) -> Any:
        def run(progress: Progress, cancel: threading.Event) -> Found:
            pace = Pace()

            def told(asked: int, points: int, found: int) -> None:
                progress(asked, points, pace.told(asked, points, found))

            found = everything.find(self._studio, image, model_id, options, told, cancel.is_set)
            if found.complete and found.objects:  # here, so that it is kept when the page is closed meanwhile
                everything.save(
                    self._studio, image, person, model_id, found.objects, name, again=options.again
                )
            return found

        return run

    def _kept(self, search: Search | None, request: gr.Request) -> tuple[Any, ...]:
        """Save what a stopped search had found."""
        if search is None:
            return *_told(""), gr.skip()
        try:
            objects = search.work.result.objects
            image = self._studio.image_for(search.image.id, self._studio.person(request))
            saved = everything.save(
                self._studio,
                image,
                search.person,
                search.model_id,
                objects,
                search.class_name,
                again=search.again,
            )
        except Exception as error:
            return *_told(trouble(sentence(error))), gr.skip()
        text = report(f"{many(len(saved.put), 'object')} kept as drafts. {HOW_TO_GO_ON}")
        return *_told(text), _begin_review(image.id)

    def _where(self, place: str, request: gr.Request) -> tuple[ImageRecord, str]:
        """Return the image that is open in the picture, and the class chosen there. Raises NotFound without one."""
        there = place_of(place)
        return self._studio.image_for(there.image, self._studio.person(request)), there.class_name


HOW_TO_GO_ON = "← and → step through them, Enter accepts, Delete rejects, Z takes them all back."


def options_of(
    grid: int, crops: bool, smallest: float, largest: float, sure: float, stable: float, same: float, tidy: bool,
    again: bool,
) -> Options:  # fmt: skip
    """Return the settings as the operation takes them: sizes are percent on the page."""
    return Options(
        int(grid) or None, bool(crops), smallest / 100, largest / 100, sure, stable, same, tidy, again
    )


class Pace:
    """Says how many objects there are by now, and about how long the rest will take."""

    def __init__(self) -> None:
        self._began: float | None = None

    def told(self, asked: int, points: int, found: int) -> str:
        if not asked:
            return "Getting the model and the image ready …"
        now = time.monotonic()
        if self._began is None:
            self._began, self._from = now, asked
        objects = f"{many(found, 'object')} so far"
        done = asked - self._from
        if done < 8 or asked >= points:
            return objects
        left = (now - self._began) / done * (points - asked)
        return f"{objects} · {time_left(left)}"


def _outcome(search: Search, found: Found) -> str:
    """Return what a search came to, as HTML: a headline, and below it what else there is to know."""
    name, labelled, objects = search.image.name, found.labelled, many(len(found.objects), "object")
    notes = []
    if found.objects and labelled:
        notes.append(f"{labelled:,} more were found that are labelled already.")
    if found.left_out:
        notes.append(f"{found.left_out:,} less sure than these were left out.")
    if found.alone and found.complete:
        notes.append(
            f"This model answers one click at a time and cannot say how stable a mask is: {many(found.points, 'click')}"
            " were made, and what two of them agreed on was taken. “How fine to look” asks more."
        )
    if not found.complete:
        far = f"Stopped after {found.asked:,} of {many(found.points, 'click')}"
        text = (
            f"{far}: {objects} found, nothing saved yet."
            if found.objects
            else f"{far}: nothing new was found by then."
        )
    elif found.objects:
        text = f"{objects} found in {name}, saved as drafts. {HOW_TO_GO_ON}"
    elif labelled:
        text = f"Nothing new in {name}: {many(labelled, 'object')} found, all labelled already."
    else:
        text = (
            f"Nothing was found in {name}. Under “Its options” look finer, add the quarters for small objects, or ask "
            "for less: how sure, how stable, smallest object."
        )
    more = (
        f'<div class="work-what" style="white-space: normal">{html.escape(" ".join(notes))}</div>'
        if notes
        else ""
    )
    return f'<div class="work-report" role="status"><b>{html.escape(text)}</b>{more}</div>'


def _told(text: str) -> tuple[Any, ...]:
    """Return the updates of row, text, stop, keep, discard and search where there is nothing more to decide."""
    off = gr.Button(visible=False)
    return gr.Row(visible=bool(text)), gr.HTML(text), off, off, off, None


def _ended(search: Search) -> tuple[Any, ...]:
    """Return the same updates for the end of a search: one that was stopped asks whether to keep what it found."""
    failure, found = search.work.failure(), search.work.result
    if failure is not None:
        return _told(failure)
    row, text, off, *_ = _told(_outcome(search, found))
    if found.complete or not found.objects:
        return row, text, off, off, off, None
    keep = gr.Button(f"Keep {len(found.objects):,}", visible=True)
    return row, text, off, keep, gr.Button("Discard", visible=True), search


def _review(search: Search) -> Any:
    if search.work.error is not None or not search.work.result.complete or not search.work.result.objects:
        return gr.skip()
    return _begin_review(search.image.id)


def _begin_review(image_id: str) -> Any:
    now = time.time_ns()
    return gr.HTML(refresh=now, review=f"{image_id}#{now}")


def _stopped(search: Search | None) -> Any:
    if search is not None:
        search.work.stop()
    return gr.Button("Stopping …", interactive=False)
