"""The part of a tab that looks at one image, or a region of it, and keeps what is right."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from studio.annotations import Box
from studio.canvas.findings import chosen_of, findings_view, shown
from studio.errors import BadInput, Cancelled
from studio.failures import sentence
from studio.operations import jobs
from studio.operations.describing import PLAIN
from studio.operations.jobs import Findings
from studio.operations.predict import Recipe
from studio.project import ImageRecord
from studio.studio import Studio
from tabs._finding.page import Place, page_of
from tabs._finding.picking import Picking
from tabs._pictures import block
from tabs._work import LONG, QUIET, Progress, Work, many, report, stopping, trouble

PIECES = 3000  # of an image that an embedder compares with examples, about
SOON = 1.0  # seconds that a look may take before it can be stopped: a button that flashes up helps nobody
RUN_TO_SEE = "Press “Find” to see what is in this image."
HOW_TO_SIFT = "Move the slider for more or fewer; click a thing to leave it out; Enter keeps the rest."

Asked = Callable[[Mapping[Any, Any]], Recipe]


@dataclass(frozen=True)
class Looked:
    """What one look found, and the token by which the page speaks of it."""

    findings: Findings
    token: str


@dataclass(frozen=True)
class Kept:
    """What was saved, as long as it is the last change of its image."""

    image: str
    version: int


class OneImage:
    """A choice of the image, a button, the findings, and below them what was kept.

    ``asked(values)`` gives the recipe; it is set by who puts the tab together, like ``opened`` which opens an image
    in the Segment tab, where there is one.
    """

    def __init__(
        self,
        studio: Studio,
        place: Place,
        *,
        each: bool = False,
        pointing: bool = False,
        hint: str = RUN_TO_SEE,
    ) -> None:
        self._studio, self._pointing = studio, pointing
        self.asked: Asked = lambda values: Recipe(())
        self.here: Any = None
        with gr.Row(elem_id=place.id("image-bar"), elem_classes=["finding-bar"], equal_height=True):
            self._picking = Picking(studio, place, hint)
            self.picker = self._picking.picker
            self.find = gr.Button(
                "Find", variant="primary", size="sm", scale=0, min_width=130, elem_id=place.id("find")
            )
            self._stop = gr.Button(
                "Stop", size="sm", scale=0, min_width=90, visible=False, elem_id=place.id("stop")
            )
        self.view = findings_view(elem_id=place.id("findings"), each=each, pointing=pointing)
        self._told = gr.HTML(
            "", padding=False, visible=False, elem_id=place.id("told"), elem_classes=["finding-flat"]
        )
        with gr.Row(visible=False, elem_id=place.id("kept")) as self._after:
            self._onward = gr.Button(
                "Find in the next image", variant="primary", size="sm", scale=0, min_width=200,
                elem_id=place.id("onward"),
            )  # fmt: skip
            self._undo = gr.Button("Undo", size="sm", scale=0, min_width=100)
            self.open = gr.Button("Open in Segment", size="sm", scale=0, min_width=160)
        self._at = place
        self._work = gr.State(None)
        self.looked = gr.State(None)
        self.kept = gr.State(None)

    @property
    def outputs(self) -> list[Any]:
        """What ``show`` updates."""
        return [*self._picking.outputs(self.view), self._told, self._after, self.looked]

    def connect(self, inputs: list[Any], js: str) -> Any:
        """Wire the buttons; returns the event after which a look has ended."""
        self._picking.connect(self.view, self.outputs, self.show)
        looking = [self._told, self.view, self.looked, self.find, self._after, self._stop, self._work]
        found = self.find.click(self._look, set(inputs), looking, js=js, **LONG)
        self._stop.click(stopping, self._work, self._stop, queue=False, **QUIET)
        after = [self._after, self._onward, self._undo, self.open, self.kept]
        kept = self.view.keep(self._keep, self.looked, [self._told, *after, self.view], **QUIET)
        # One image after the other by Enter alone: it keeps what is found, and then looks at the next one.
        found.then(None, None, None, js=self._at.focus_picture)
        kept.then(None, None, None, js=self._at.focus("onward"))
        self._picking.onward(self._onward, self.outputs, self.show).then(
            None, self.picker, None, js=self._at.press_when_shown("find")
        )
        self._undo.click(self._undone, self.kept, [self._told, self._after, self.kept], **QUIET)
        return found

    # ---- which image ----

    def show(self, project: str, image_id: str, person: str) -> tuple[Any, ...]:
        """Return the updates that show an image of a project, its first one where that is not there."""
        return *self._picking.show(project, image_id, person), *_quiet(), None

    # ---- looking ----

    async def _look(self, values: dict[Any, Any], request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Yield how long it takes, and at its end what was found."""
        same, ready, over = gr.skip(), gr.Button(interactive=True), (gr.Button(visible=False), None)
        try:
            page = page_of(values[self.here])
            if not page.image:
                raise BadInput("No image is open. Add photographs in Data first.")
            image = self._studio.image_for(page.image, self._studio.person(request))
            # What is labelled already is not to be there twice, however often somebody looks and keeps.
            recipe = replace(self.asked(values), policy="merge")
            # Where things are pointed out, a box is one of them, and not the part to look at.
            work = self._begin(image, recipe, None if self._pointing else page.region)
        except Exception as error:
            yield block(trouble(sentence(error))), *[same] * 6
            return
        busy, hidden = gr.Button(interactive=False), gr.Row(visible=False)
        yield block(work.bar()), same, same, busy, hidden, same, work
        began, offered = time.monotonic(), False
        async for bar in work.watch():
            late = not offered and time.monotonic() - began > SOON
            offered = offered or late
            stop = gr.Button("Stop", visible=True, interactive=True) if late else same
            yield bar, same, same, same, same, stop, same
        if work.error is not None:
            yield block(work.failure()), same, same, ready, same, *over
            return
        looked, seconds = work.result
        yield block(_found(looked.findings, seconds)), self._drawn(looked), looked, ready, same, *over

    def _begin(self, image: ImageRecord, recipe: Recipe, region: Box | None) -> Work:
        def run(progress: Progress, cancel: threading.Event) -> tuple[Looked, float]:
            began, compared = time.monotonic(), 0

            def step(pieces: int) -> None:
                nonlocal compared
                compared += pieces
                progress(compared, max(PIECES, compared), "pieces of the image compared, about")
                _heed(cancel)

            found = jobs.look(self._studio, image, recipe, region=region, step=step)
            _heed(cancel)
            return Looked(found, f"{time.time_ns():x}"), time.monotonic() - began

        where = "a region of " if region else ""
        return Work(f"Looking at {where}{image.name}", run)

    def _drawn(self, looked: Looked) -> Any:
        findings, store = looked.findings, self._studio.store
        card = self._studio.registry.card(findings.recipe.models[0])
        classes = store.classes(findings.image.project_id)
        if findings.recipe.task in PLAIN:
            return gr.HTML(
                shown=shown(findings.image, None, hint="What the model wrote stands below the picture.")
            )
        called = {word.phrase: word.named for word in findings.recipe.words}
        return gr.HTML(
            shown=shown(
                findings.image, findings.detections, classes, token=looked.token, tags="classifier" in card.roles,
                called=called,
            )
        )  # fmt: skip

    # ---- keeping ----

    def _keep(self, looked: Looked | None, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """Save what was chosen; return what is told, the buttons after it, and what was saved."""
        answered = gr.HTML(kept=time.time_ns())
        try:
            wanted = chosen_of(event)
            if looked is None or looked.token != wanted.token:
                raise BadInput("These findings are not here any more. Press “Find” again.")
            person, findings = self._studio.person(request), looked.findings
            self._studio.image_for(findings.image.id, person)
            applied = jobs.keep(self._studio, person, findings, wanted.numbers)
        except Exception as error:
            return block(trouble(sentence(error))), *_afterwards(None, more=False), answered
        name, chosen = findings.image.name, len(wanted.numbers)
        more = self._studio.store.neighbours(findings.image.id)[1] is not None
        if applied is None:
            text = f"All {chosen:,} are labelled on {name} already; nothing was saved."
            return block(report(text)), *_afterwards(None, more=more), answered
        saved = len(applied.put)
        text = f"{many(saved, 'draft')} saved on {name}."
        if chosen > saved:
            text += f" {chosen - saved:,} of the {chosen:,} were there already."
        text += " Look through them in Segment, or take them back."
        told = block(report(text, applied.conflicts, heading="Notes"))
        return told, *_afterwards(Kept(findings.image.id, applied.version), more=more), answered

    def _undone(self, kept: Kept | None, request: gr.Request) -> tuple[Any, Any, Any]:
        hidden = gr.Row(visible=False)
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
        return block(report(f"Taken back on {image.name}.")), hidden, None


def _afterwards(kept: Kept | None, *, more: bool) -> tuple[Any, ...]:
    """Return the updates of the row of buttons, of each of them, and what was kept; ``more`` where an image follows."""
    shown = gr.Button(visible=kept is not None)
    return gr.Row(visible=more or kept is not None), gr.Button(visible=more), shown, shown, kept


def _found(findings: Findings, seconds: float) -> str:
    found = len(findings.detections)
    if findings.told is not None and findings.recipe.task in PLAIN:
        return report(f"{findings.image.name} was described in {seconds:.1f} s.")
    if not found:
        return report(f"Nothing was found in {findings.image.name}. It took {seconds:.1f} s.")
    return report(f"{many(found, 'finding')} in {seconds:.1f} s. {HOW_TO_SIFT}")


def _heed(cancel: threading.Event) -> None:
    if cancel.is_set():
        raise Cancelled("Stopped. Nothing was changed.")


def _quiet() -> tuple[Any, Any]:
    return block(""), gr.Row(visible=False)
