"""The panel of the Segment tab that carries objects on to other pictures, as drafts to accept."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import gradio as gr

from studio.adapters import Card, Role
from studio.annotations import Annotation
from studio.devices import size_text
from studio.errors import BadInput
from studio.failures import sentence
from studio.operations import propagate
from studio.operations.propagate import Proposed
from studio.project import ImageRecord
from studio.studio import Studio
from tabs._pictures import block
from tabs._reviewing import PRESSED, STYLE, Review, listed, outcome, paced, settled
from tabs._stage import PLACE, Place, place_of
from tabs._work import LONG, QUIET, Progress, Work, many, report, trouble

EVERY = 1.5  # seconds between two lists sent to the page while it grows

WHICH = [
    ("The selected object", "one"),
    ("All of its class", "class"),
    ("All objects of this picture", "all"),
]
WAYS = [
    ("It moves a little from picture to picture", "follow"),
    ("Other pictures of the same kind of thing", "alike"),
]
WHERE = [("The next pictures", "next"), ("Those chosen in Data", "chosen")]
OWN_SHAPES = ("The detector's own masks or boxes", "")


class PropagatePanel:
    """A button in the bar, and below the bar what it opens: what, where to and how, then what was proposed.

    Built in two steps, since it stands above the canvas that it tells of changes: ``connect`` is the second.
    ``opened`` remembers the image that is open.
    """

    def __init__(self, studio: Studio, bar: gr.Row, opened: gr.BrowserState) -> None:
        self._studio = studio
        self._opened_image = opened
        with bar:
            self._button = gr.Button(
                "To other pictures", scale=0, min_width=130, size="sm", elem_id="propagate"
            )
        with gr.Column(visible=False, variant="panel", elem_id="propagate-panel") as self._panel:
            self._place = gr.Textbox(visible=False)
            with gr.Row():
                self._which = gr.Radio(WHICH, value="one", label="What is carried on", scale=3, min_width=300)
                self._where = gr.Radio(WHERE, value="next", label="Where to", scale=2, min_width=240)
                self._count = gr.Number(
                    10, label="How many", precision=0, minimum=1, maximum=propagate.MOST_IMAGES, min_width=90
                )
            with gr.Row():
                self._way = gr.Radio(
                    WAYS, value="follow", label="What the pictures show", scale=2, min_width=300
                )
                self._follower = gr.Dropdown([], label="Model that follows", min_width=220)
                self._finder = gr.Dropdown(
                    [], label="Model that finds by example", min_width=190, visible=False
                )
                self._cutter = gr.Dropdown([], label="Masks by", min_width=190, visible=False)
                self._floor = gr.Slider(
                    0.05, 0.95, 0.3, step=0.05, label="How alike, at least", min_width=190, visible=False
                )
            self._about = gr.HTML("", padding=False)
            with gr.Row():
                self._begin = gr.Button(
                    "Propose drafts",
                    variant="primary",
                    size="sm",
                    scale=0,
                    min_width=150,
                    elem_id="propagate-begin",
                )
                self._stop = gr.Button("Cancel", visible=False, size="sm", scale=0, min_width=90)
            self._told = gr.HTML("", padding=False, visible=False, elem_id="propagate-told")
            self._list = gr.HTML(
                "",
                css_template=STYLE,
                js_on_load=PRESSED,
                apply_default_css=False,
                padding=False,
                visible=False,
                elem_id="propagate-list",
            )
            with gr.Row(visible=False) as self._all:
                self._accept = gr.Button("Accept all", size="sm", scale=0, min_width=110, variant="primary")
                self._reject = gr.Button("Reject all", size="sm", scale=0, min_width=110)
                self._back = gr.Button("Take it all back", size="sm", scale=0, min_width=130)
        self._shown = gr.State(False)
        self._work = gr.State(None)
        self._review = gr.State(None)

    def connect(self, canvas: gr.HTML) -> None:
        choices = [self._follower, self._finder, self._cutter, self._floor, self._about]
        self._button.click(
            self._opened,
            [self._place, self._shown],
            [self._panel, self._way, *choices, self._shown],
            js=PLACE,
            **QUIET,
        )
        self._way.input(self._way_changed, self._way, choices, **QUIET)
        self._where.input(lambda where: gr.Number(visible=where == "next"), self._where, self._count, **QUIET)
        asked = [self._place, self._which, self._way, self._where, self._count]
        asked += [self._follower, self._finder, self._cutter, self._floor]
        outputs = [self._told, self._list, self._all, self._begin, self._stop, self._work, self._review]
        self._begin.click(self._carried, asked, outputs, js=PLACE, **LONG)
        self._stop.click(_stopped, self._work, None, queue=False, **QUIET)
        judged = [self._told, self._list, self._all, self._review, canvas]
        self._list.judge(self._judged, self._review, [*judged, self._opened_image], **QUIET)
        self._accept.click(self._accepted, self._review, judged, **QUIET)
        self._reject.click(self._rejected, self._review, judged, **QUIET)
        self._back.click(self._taken_back, self._review, judged, **QUIET)

    # ---- choosing -------------------------------------------------------------------------------

    def _opened(self, place: str, shown: bool, request: gr.Request) -> tuple[Any, ...]:
        """Open or close the panel, with the models that are there by now."""
        if shown:
            return gr.Column(visible=False), *[gr.skip()] * 6, False
        project = ""
        there = place_of(place)
        if there.image:
            try:
                project = self._studio.image_for(there.image, self._studio.person(request)).project_id
            except Exception as error:
                gr.Warning(sentence(error))
        followers, _ = self._models("follower")
        way = "follow" if followers else "alike"
        return gr.Column(visible=True), gr.Radio(value=way), *self._settings(way, project), True

    def _way_changed(self, way: str) -> tuple[Any, ...]:
        return self._settings(way)

    def _settings(self, way: str, project: str | None = None) -> tuple[Any, ...]:
        """Return what there is to set one way: dropdowns, the slider, and which models are missing."""
        follow = way == "follow"
        followers, far_followers = self._models("follower")
        finders, far_finders = self._models("example-detector")
        cutters = [card for card in self._models("segmenter")[0] if "box" in card.prompts]
        if project is not None and self._studio.is_sample(project):
            finders.sort(key=lambda card: not card.demo)
            cutters.sort(key=lambda card: not card.demo)
        missing = _missing(follow, followers if follow else finders, far_followers if follow else far_finders)
        first = project is not None
        return (
            _dropdown(followers, first, visible=follow and bool(followers)),
            _dropdown(finders, first, visible=not follow and bool(finders)),
            _dropdown(cutters, first, visible=not follow and bool(finders), more=OWN_SHAPES),
            gr.Slider(visible=not follow and bool(finders)),
            missing,
        )

    def _models(self, role: Role) -> tuple[list[Card], list[Card]]:
        """Return the models of a role that are here, and those to download."""
        cards = self._studio.registry.cards(role)
        if role == "example-detector":
            cards = [card for card in cards if card.examples_travel]
        absent = [card for card in cards if self._studio.hub.state(card) == "absent"]
        return [card for card in cards if card not in absent], absent

    # ---- carrying on ----------------------------------------------------------------------------

    async def _carried(
        self,
        place: str,
        which: propagate.Which,
        way: str,
        where: str,
        count: float,
        follower: str | None,
        finder: str | None,
        cutter: str | None,
        floor: float,
        request: gr.Request,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Yield how far it is, the list as it grows, the buttons, the work and the review."""
        same, review = gr.skip(), Review()
        try:
            person = self._studio.person(request)
            image, sources, targets = self._order(place_of(place), which, where, count, person)
            models = (follower,) if way == "follow" else (finder, cutter, floor)
            if not models[0]:
                raise BadInput("No model that can do this is here yet. See above which to download.")
            run = partial(self._run, review, image, person, models, sources, targets)
            title = f"Carrying {_these(sources)} on to {many(len(targets), 'picture')}"
            work = Work(title, run)
            busy = gr.Button(interactive=False), gr.Button(visible=True)
            yield block(work.bar()), block(""), gr.Row(visible=False), *busy, work, None
            shown, last = 0, time.monotonic()
            async for bar in work.watch():
                grown = same
                if len(review.proposed) > shown and time.monotonic() - last > EVERY:
                    shown, last, grown = (
                        len(review.proposed),
                        time.monotonic(),
                        listed(review, judging=False),
                    )
                yield bar, grown, same, same, same, same, same
            told = work.failure() or outcome(review)
        except Exception as error:
            told = trouble(sentence(error))
        yield (
            block(told),
            block(listed(review)),
            gr.Row(visible=bool(review.open)),
            gr.Button(interactive=True),
            gr.Button(visible=False),
            None,
            review,
        )

    def _order(
        self, place: Place, which: propagate.Which, where: str, count: float, person: str
    ) -> tuple[ImageRecord, list[Annotation], list[ImageRecord]]:
        """Return the image on the stage, the objects to carry on, and the images to carry them to."""
        if not place.image:
            raise BadInput("No picture is open. Open one and label an object.")
        image = self._studio.image_for(place.image, person)
        sources = propagate.objects(self._studio, image, place.object, which)
        if where == "chosen":
            return image, sources, propagate.chosen(self._studio, image, person, place.chosen)
        return image, sources, propagate.following(self._studio, image, int(count or 0))

    def _run(
        self,
        review: Review,
        image: ImageRecord,
        person: str,
        models: tuple[Any, ...],
        sources: Sequence[Annotation],
        targets: Sequence[ImageRecord],
        progress: Progress,
        cancel: threading.Event,
    ) -> None:
        told = {"progress": paced(progress), "cancelled": cancel.is_set, "told": review.proposed.append}
        if len(models) == 1:
            review.outcome = propagate.follow(
                self._studio, image, person, models[0], sources, targets, **told
            )
        else:
            finder, cutter, floor = models
            review.outcome = propagate.find_alike(
                self._studio, image, person, finder, cutter or "", sources, targets, floor=floor, **told
            )

    # ---- judging --------------------------------------------------------------------------------

    def _judged(self, review: Review | None, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """Accept, reject or open one proposal."""
        data = event._data if isinstance(event._data, dict) else {}
        found = [p for p in (review.proposed if review else ()) if p.annotation.id == data.get("id")]
        if not found:
            return *_gone(), gr.skip()
        if data.get("act") == "open":
            image = found[0].image.id
            return *[gr.skip()] * 4, gr.HTML(image=f"{image}#{time.time_ns()}"), image
        return *self._settle(review, str(data.get("act")), found, request), gr.skip()

    def _accepted(self, review: Review | None, request: gr.Request) -> tuple[Any, ...]:
        return self._all_judged("accept", review, request)

    def _rejected(self, review: Review | None, request: gr.Request) -> tuple[Any, ...]:
        return self._all_judged("reject", review, request)

    def _taken_back(self, review: Review | None, request: gr.Request) -> tuple[Any, ...]:
        return self._all_judged("back", review, request)

    def _all_judged(self, act: str, review: Review | None, request: gr.Request) -> tuple[Any, ...]:
        if review is None:
            return _gone()
        return self._settle(review, act, review.open, request)

    def _settle(
        self, review: Review, act: str, proposed: Sequence[Proposed], request: gr.Request
    ) -> tuple[Any, ...]:
        try:
            person = self._studio.person(request)
            if act == "back":
                told = self._take_back(review, person)
            else:
                judge = propagate.accept if act == "accept" else propagate.reject
                done, troubles = judge(self._studio, person, proposed)
                review.settled |= done
                told = settled(review, troubles)
        except Exception as error:
            told = trouble(sentence(error))
        shown = block(listed(review)), gr.Row(visible=bool(review.open))
        return block(told), *shown, review, gr.HTML(refresh=time.time_ns())

    def _take_back(self, review: Review, person: str) -> str:
        if review.outcome is None:  # it broke off: what there is goes one by one
            done, troubles = propagate.reject(self._studio, person, review.open)
            review.settled |= done
            return settled(review, troubles)
        count = propagate.take_back(self._studio, person, review.outcome)
        review.settled |= {p.annotation.id: "taken back" for p in review.open}
        return report(f"Taken back on {many(count, 'picture')}. What was accepted stays.")


# ---- what the person reads ------------------------------------------------------------------------


def _dropdown(cards: Sequence[Card], first: bool, visible: bool, more: tuple[str, str] | None = None) -> Any:
    choices = [(card.title, card.id) for card in cards] + ([more] if more else [])
    if first:
        return gr.Dropdown(choices=choices, value=choices[0][1] if choices else None, visible=visible)
    return gr.Dropdown(choices=choices, visible=visible)


def _missing(follow: bool, here: Sequence[Card], far: Sequence[Card]) -> str:
    """Return which models are needed and not here, as HTML."""
    what = "follow an object by its memory" if follow else "find by example"
    names = ", ".join(html.escape(f"{c.title} ({size_text(c.download.bytes)})") for c in far)
    other = " Until then, choose “Other pictures of the same kind of thing”." if follow else ""
    if here:
        note = f"More that can {what}, to download first: {names}." if far else ""
    elif far:
        how = "Choose it in the list above the picture to download it." if follow else ""
        note = f"No model on this machine can {what} yet. These can: {names}. {how}{other}"
    else:
        note = f"No model that can {what} is installed.{other}"
    return f'<span class="segment-note">{note}</span>' if note else ""


def _these(sources: Sequence[Annotation]) -> str:
    return f"“{sources[0].class_name}”" if len(sources) == 1 else many(len(sources), "object")


def _gone() -> tuple[Any, ...]:
    told = trouble("This list is not here any more. What was proposed waits as drafts on its pictures.")
    return block(told), block(""), gr.Row(visible=False), None, gr.skip()


def _stopped(work: Work | None) -> None:
    if work is not None:
        work.stop()
