"""The panel of the Segment tab that labels all things of a kind, named by words or pointed out in the picture."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.adapters import Card, Role
from studio.errors import BadInput, NotFound
from studio.failures import sentence
from studio.operations import concept
from studio.operations.concept import Findings, Like, Shown
from studio.project import ImageRecord
from studio.studio import Studio
from tabs._downloads import about_model, download_label, downloading
from tabs._gated import Access
from tabs._stage import PLACE, place_of
from tabs._work import LONG, QUIET, Progress, Work, many, report, trouble

WORDS, EXAMPLES = "Words", "Examples"
ROLES: dict[str, Role] = {WORDS: "text-detector", EXAMPLES: "example-detector"}
MASKS, BOXES = "Masks", "Boxes"
AS_SOUGHT = ("Named after what is looked for", "")
EMPTY = "Write what to look for, or point out an example; everything like it in this image becomes a draft."
HOW_TO_GO_ON = "Enter accepts the selected draft, Delete rejects it, Z takes them all back."


@dataclass(frozen=True)
class Order:
    """What to look for, as the panel has it."""

    by: str
    detector: str
    words: str
    likes: tuple[Like, ...]
    cutter: str  # "" for boxes
    class_name: str
    threshold: float


class ConceptPanel:
    """A button in the bar, and below the bar what it opens: what to look for, then what was found.

    Built in two steps, since it stands above the canvas that it tells of what was found: ``connect`` is the second.
    """

    def __init__(self, studio: Studio, model: gr.Dropdown, bar: gr.Row) -> None:
        self._studio = studio
        self._model = model
        with bar:
            self._button = gr.Button("All of these", scale=0, min_width=120, size="sm", elem_id="concept")
        with gr.Group(visible=False, elem_id="concept-panel") as self._panel:
            self._place = gr.Textbox(visible=False)
            with gr.Row(equal_height=True):
                self._by = gr.Radio([WORDS, EXAMPLES], value=WORDS, label="Look for it by", min_width=200)
                self._detector = gr.Dropdown(label="Found by", filterable=False, min_width=200)
                self._fetch = gr.Button("Download", visible=False, scale=0, min_width=150, variant="primary")
            self._about = gr.HTML("", padding=True)
            self._access = Access(studio, "concept-gated")
            self._words = gr.Textbox(
                label="What to look for",
                placeholder="red apple, leaf",
                info="A word or a short phrase; several with commas between them.",
                max_lines=3,
                elem_id="concept-words",
            )
            with gr.Row(visible=False, equal_height=True, elem_id="concept-examples") as self._examples:
                self._told_likes = gr.HTML("", padding=True)
                self._like = gr.Button("Like this one", size="sm", scale=0, min_width=130)
                self._unlike = gr.Button("Not like this one", size="sm", scale=0, min_width=150)
                self._clear = gr.Button("No examples", size="sm", scale=0, min_width=120)
            with gr.Row(equal_height=True):
                self._class = gr.Dropdown(
                    [AS_SOUGHT], value="", label="Class", allow_custom_value=True, min_width=160
                )
                self._give = gr.Radio(
                    [MASKS, BOXES],
                    value=MASKS,
                    label="Drafts",
                    info="Where a model finds boxes only, the one above the picture cuts them out.",
                    min_width=200,
                )
                self._sure = gr.Slider(
                    concept.FLOOR,
                    0.99,
                    0.5,
                    step=0.01,
                    label="How sure",
                    info="Can be moved afterwards, too.",
                    min_width=200,
                    elem_id="concept-sure",
                )
                self._find = gr.Button("Find all", variant="primary", scale=0, min_width=120)
            self._told = gr.HTML(report(EMPTY), padding=True, elem_id="concept-told")
            self._stop = gr.Button("Cancel", visible=False, size="sm", scale=0, min_width=110)
        self._likes = gr.State(())
        self._findings = gr.State(None)
        self._work = gr.State(None)

    def connect(self, canvas: gr.HTML) -> None:
        shown = gr.State(False)
        detector = [self._detector, self._about, self._fetch, self._sure, *self._access.outputs]
        by = self._button.click(
            self._opened,
            [self._place, shown, self._by, self._detector],
            [self._panel, self._class, self._detector, shown],
            js=PLACE,
            **QUIET,
        )
        by.then(self._chosen, self._detector, detector, **QUIET)
        self._by.input(
            self._by_what,
            [self._by, self._detector, self._likes],
            [self._words, self._examples, self._detector, self._told_likes],
            **QUIET,
        ).then(self._chosen, self._detector, detector, **QUIET)
        self._detector.input(self._chosen, self._detector, detector, **QUIET)
        likes = [self._likes, self._told_likes]
        for button, positive in ((self._like, True), (self._unlike, False)):
            button.click(self._pointed_out(positive), [self._place, self._likes], likes, js=PLACE, **QUIET)
        self._clear.click(lambda: ((), _told_likes([])), None, likes, **QUIET)

        fetched = [self._told, self._stop, self._work, self._about, self._fetch]
        self._fetch.click(self._download, self._detector, fetched, **LONG).then(
            self._chosen, self._detector, detector, **QUIET
        )
        self._access.given.then(self._download, self._access.ready, fetched, **LONG).then(
            self._chosen, self._detector, detector, **QUIET
        )
        asked = [
            self._place, self._by, self._detector, self._words, self._likes, self._give, self._model, self._class,
            self._sure,
        ]  # fmt: skip
        found = [self._told, self._stop, self._work, self._find, self._findings, canvas]
        gr.on([self._find.click, self._words.submit], self._search, asked, found, js=PLACE, **LONG)
        self._stop.click(_stopped, self._work, self._stop, queue=False, **QUIET)
        moved = [self._findings, self._sure]
        self._sure.input(_count, moved, self._told, trigger_mode="always_last", **QUIET)
        self._sure.release(
            self._moved,
            [*moved, self._class],
            [self._findings, self._told, canvas],
            trigger_mode="always_last",
            **QUIET,
        )

    # ---- what to look for -----------------------------------------------------------------------

    def _opened(
        self, place: str, shown: bool, by: str, detector: str, request: gr.Request
    ) -> tuple[Any, ...]:
        """Open or close the panel, with the classes that the project has by now."""
        if shown:
            return gr.Group(visible=False), gr.skip(), gr.skip(), False
        names: list[str] = []
        project = ""
        try:
            image = self._where(place, request)[0]
            project = image.project_id
            names = [c.name for c in self._studio.store.classes(project)]
        except NotFound:  # no image is open yet
            pass
        choices = [AS_SOUGHT, *((name, name) for name in names)]
        return gr.Group(visible=True), gr.Dropdown(choices), self._detectors(by, detector, project), True

    def _by_what(
        self, by: str, detector: str, likes: tuple[Like, ...], request: gr.Request
    ) -> tuple[Any, ...]:
        words = by == WORDS
        return (
            gr.Textbox(visible=words),
            gr.Row(visible=not words),
            self._detectors(by, detector),
            _told_likes(self._names(likes, request)),
        )

    def _detectors(self, by: str, chosen: str, project: str = "") -> Any:
        """Return the update that offers the models for words, or those for examples."""
        cards = self._studio.registry.cards(ROLES[by])
        if not cards:
            return gr.Dropdown([], value=None)
        kept = next((c for c in cards if c.id == chosen), None)
        card = kept or self._studio.default_model(ROLES[by], project)
        return gr.Dropdown([(c.title, c.id) for c in cards], value=card.id)

    def _chosen(self, detector: str, request: gr.Request) -> tuple[Any, ...]:
        """Say of the model chosen whether it is here, and how sure it should be at first."""
        card = self._card(detector)
        if card is None:
            none = '<span class="segment-note">No model here can do this. Look at the Models tab.</span>'
            return gr.skip(), none, gr.Button(visible=False), gr.skip(), *self._access.look("", request)
        absent = self._studio.hub.state(card) == "absent"
        return (
            gr.skip(),
            about_model(self._studio, card),
            gr.Button(download_label(card), visible=absent),
            concept.first_threshold(card),
            *self._access.look(detector, request),
        )

    def _pointed_out(self, positive: bool) -> Callable[..., tuple[Any, Any]]:
        def pointed_out(place: str, likes: tuple[Like, ...], request: gr.Request) -> tuple[Any, Any]:
            try:
                image, selected = self._where(place, request)
                annotation = self._studio.store.annotation(image.id, selected) if selected else None
                if annotation is None:
                    raise BadInput(
                        "Select an object in the picture first: one that is there, or a box you draw."
                    )
            except Exception as error:
                return gr.skip(), trouble(sentence(error))
            kept = [like for like in likes if like.annotation != selected]
            now = (*kept, Like(image.id, selected, positive))
            return now, _told_likes(self._names(now, request))

        return pointed_out

    def _names(self, likes: Sequence[Like], request: gr.Request) -> list[tuple[str, bool]]:
        """Return the class of each example that is still there, and whether it is one for or against."""
        person, names = self._studio.person(request), []
        for like in likes:
            try:
                image = self._studio.image_for(like.image, person)
            except NotFound:
                continue
            annotation = self._studio.store.annotation(image.id, like.annotation)
            if annotation:
                names.append((annotation.class_name, like.positive))
        return names

    # ---- finding --------------------------------------------------------------------------------

    async def _search(
        self,
        place: str,
        by: str,
        detector: str,
        words: str,
        likes: tuple[Like, ...],
        give: str,
        model: str,
        class_name: str,
        sure: float,
        request: gr.Request,
    ) -> AsyncIterator[Any]:
        """Yield how far the search is, and at its end what was found."""
        same, off = gr.skip(), gr.Button(visible=False)
        try:
            image, _ = self._where(place, request)
            cutter = (model or "") if give == MASKS else ""
            order = Order(by, detector or "", words, tuple(likes), cutter, class_name or "", float(sure))
            work = self._begin(image, self._studio.person(request), order)
        except Exception as error:
            yield trouble(sentence(error)), off, None, same, same, same
            return
        busy, idle = gr.Button(interactive=False), gr.Button(interactive=True)
        yield work.bar(), gr.Button("Cancel", visible=True, interactive=True), work, busy, None, same
        async for bar in work.watch():
            yield bar, same, same, same, same, same
        if work.error is not None:
            yield work.failure(), off, None, idle, None, same
            return
        shown: Shown = work.result
        text = outcome(shown.findings, order.threshold, image.name, shown)
        yield text, off, None, idle, shown.findings, gr.HTML(refresh=time.time_ns())

    def _begin(self, image: ImageRecord, person: str, order: Order) -> Work:
        studio, phrases = self._studio, []
        if order.by == WORDS:
            phrases = concept.phrases_of(order.words)

        def run(progress: Progress, cancel: threading.Event) -> Shown:
            options = {"cutter_id": self._cutter(order), "told": progress, "cancelled": cancel.is_set}
            if order.by == WORDS:
                found = concept.find_named(studio, image, order.detector, phrases, **options)
            else:
                found = concept.find_alike(studio, image, person, order.detector, order.likes, **options)
            # Here, so that it is kept when the page is closed meanwhile.
            return concept.show(studio, image, person, found, order.threshold, order.class_name)

        return Work(f"Looking for all of these in {image.name}", run)

    def _cutter(self, order: Order) -> str:
        """Return which model cuts out: where what finds cuts out itself, the chosen one need not be here at all."""
        card = self._card(order.detector)
        return order.detector if order.cutter and card and "segmenter" in card.roles else order.cutter

    def _moved(
        self, findings: Findings | None, sure: float, class_name: str, request: gr.Request
    ) -> tuple[Any, ...]:
        """Let the drafts be those that are as sure as the slider says now."""
        if findings is None:
            return gr.skip(), gr.skip(), gr.skip()
        try:
            person = self._studio.person(request)
            image = self._studio.image_for(findings.image, person)
            shown = concept.show(self._studio, image, person, findings, float(sure), class_name or "")
        except Exception as error:
            return gr.skip(), trouble(sentence(error)), gr.skip()
        text = outcome(shown.findings, float(sure), image.name, shown)
        return shown.findings, text, gr.HTML(refresh=time.time_ns())

    async def _download(self, detector: str, request: gr.Request) -> AsyncIterator[Any]:
        same, card = gr.skip(), self._card(detector)
        if card is None or self._studio.hub.state(card) != "absent":
            yield same, same, same, same, same
            return
        work = downloading(self._studio, card, self._studio.person(request))
        yield (
            work.bar(),
            gr.Button("Cancel", visible=True, interactive=True),
            work,
            same,
            gr.Button(visible=False),
        )
        async for bar in work.watch():
            yield bar, same, same, same, same
        text = work.failure() or report(f"{card.title} is downloaded.")
        yield text, gr.Button(visible=False), None, same, same

    def _card(self, model_id: str) -> Card | None:
        return next((c for c in self._studio.registry.cards() if c.id == model_id), None)

    def _where(self, place: str, request: gr.Request) -> tuple[ImageRecord, str]:
        """Return the image that is open in the picture, and the object selected there, "" for none."""
        there = place_of(place)
        return self._studio.image_for(there.image, self._studio.person(request)), there.object


def outcome(findings: Findings, threshold: float, name: str, shown: Shown | None = None) -> str:
    """Return as HTML what was found, and what of it is as sure as the threshold says."""
    total, sure, title = len(findings.items), findings.reaching(threshold), findings.card.title
    if not total:
        hint = "Try another word, or point out an example."
        if findings.elsewhere:
            hint = (
                "Some models, SAM 3 among them, take examples from the image itself only: point one out here."
            )
        return report(f"{title} finds nothing in {name} that is {findings.sought}. {hint}")
    if not sure:
        best = findings.items[0].score
        return report(
            f"None of the {many(total, 'finding')} reaches {threshold:.2f}; the surest has {best:.2f}. Move “How sure” "
            "to the left to see them."
        )
    notes = list(shown.conflicts) if shown else []
    if shown and shown.labelled:
        notes.append(
            f"{many(shown.labelled, 'object')} found again, labelled already and not proposed twice."
        )
    if findings.unclear:
        notes.append(f"{many(findings.unclear, 'finding')} could not be cut out, and stayed a box.")
    if findings.left_out:
        notes.append(f"{many(findings.left_out, 'finding')} less sure than the others were left out.")
    text = f"{sure:,} of {many(total, 'finding')} in {name} at {threshold:.2f} or surer."
    return report(f"{text} {HOW_TO_GO_ON}" if shown else text, notes, heading="Notes")


def _count(findings: Findings | None, sure: float) -> Any:
    """Say while the slider moves how many findings it takes in."""
    return gr.skip() if findings is None else outcome(findings, float(sure), "the image")


def _told_likes(names: Sequence[tuple[str, bool]]) -> str:
    """Return as HTML which examples there are."""
    if not names:
        return report(
            "No examples yet. Select an object in the picture, then say whether it is like this one."
        )
    likes = [name for name, positive in names if positive]
    unlikes = [name for name, positive in names if not positive]
    parts = [f"Like: {', '.join(likes)}"] if likes else ["Nothing to be like yet"]
    if unlikes:
        parts.append(f"not like: {', '.join(unlikes)}")
    return report("; ".join(parts))


def _stopped(work: Work | None) -> Any:
    if work is not None:
        work.stop()
    return gr.Button("Stopping …", interactive=False)
