"""The part of the Matting tab that works on many images: what is cut out, by which models, and the jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from studio.adapters import Card, Role
from studio.errors import BadInput
from studio.operations.matting import jobs
from studio.operations.matting.trimaps import NARROWEST, SEE_THROUGH, WIDEST, Band
from studio.operations.predict import FIRST_THRESHOLD, Recipe
from studio.operations.words import read_words
from studio.studio import Studio
from tabs._finding.fetching import Fetching
from tabs._finding.many import Dataset
from tabs._finding.page import Place
from tabs._work import QUIET

Values = Mapping[Any, Any]
TAKES = [
    ("What words name", "words"),
    ("What a detector finds", "detector"),
    ("What is labelled", "labels"),
    ("What stands out", "alone"),
]
POLICIES = [
    ("Add mattes that are not there yet", "merge"),
    ("Add everything, even twice", "append"),
    ("Replace the matte drafts there", "replace-drafts"),
    ("Leave images with mattes alone", "skip"),
]
NO_CUTTER = ("The segmenter's best guess", "")
FINDERS: dict[str, Role] = {"words": "text-detector", "detector": "detector"}


class ManyMattes:
    """Settings on the left, which images and what becomes of them on the right.

    ``dataset`` is the part with the jobs, and the button that leads to their drafts.
    """

    def __init__(self, studio: Studio, place: Place, here: Any, project: Any) -> None:
        self._studio, self._here, self._project = studio, here, project
        own = Place(place.id("many"))
        with gr.Row(elem_classes=["finding-main"]):
            with gr.Column(scale=3, min_width=300, elem_classes=["finding-settings"]):
                self._build(own)
            with gr.Column(scale=8, min_width=340):
                self.dataset = Dataset(studio, own, verbs=jobs, policies=POLICIES, same=jobs.SAME)
        self.dataset.asked, self.dataset.here = self._recipe, here
        self.dataset.drafts.leads = True  # to the stage
        self._settings = [
            self._take, self._words, self._finder, self._threshold, self._segmenter, self._classes, self._class_name,
            self._cutter, self._matter, self._width, self._through,
        ]  # fmt: skip
        self.inputs = [here, project, *self._settings, *self.dataset.inputs]
        self._shown = [*self._settings[:9], *self.fetching.outputs]
        self._wire(own)

    def _build(self, place: Place) -> None:
        self._take = gr.Radio(TAKES, value="words", label="What to cut out", elem_id=place.id("take"))
        self._words = gr.Textbox(
            "", label="Words", placeholder="feather, apple", max_lines=1, elem_id=place.id("words"),
            info="With commas between them; each becomes the class of what it finds.",
        )  # fmt: skip
        self._finder = gr.Dropdown([], label="Found by", elem_id=place.id("finder"))
        self._threshold = gr.Slider(0, 1, FIRST_THRESHOLD, step=0.01, label="How sure, at least")
        self._segmenter = gr.Dropdown([], label="Masks by", elem_id=place.id("masks"))
        self._classes = gr.Dropdown(
            [], value=[], label="Of the classes", info="None means all.", multiselect=True, visible=False
        )
        self._class_name = gr.Textbox("object", label="Class", max_lines=1, visible=False)
        self._cutter = gr.Dropdown(
            [NO_CUTTER], value="", label="Found and cut out by", visible=False, elem_id=place.id("cutter")
        )
        self._matter = gr.Dropdown([], label="Alphas by", elem_id=place.id("matter"))
        self.fetching = Fetching(self._studio, place)
        self.fetching.cards = self._cards
        with gr.Accordion("Unknown band", open=False):
            self._width = gr.Slider(
                NARROWEST, WIDEST, 1, step=0.05, label="Width", info="Of what adapts to each object."
            )
            self._through = gr.Textbox(
                "", label="See-through things", placeholder=", ".join(SEE_THROUGH[:3]), max_lines=1,
                info="What these words find on an object is unknown as a whole.",
            )  # fmt: skip

    def _wire(self, place: Place) -> None:
        inputs, told = set(self.inputs), {**QUIET, "js": place.here}
        self._take.input(self._chosen, inputs, self._shown, **told)
        for part in (self._finder, self._segmenter, self._cutter, self._matter):
            part.input(self._told, inputs, self.fetching.outputs, **told)
        self.fetching.connect(self.inputs, place.here)
        self.dataset.connect(self.inputs, place.here, self._project)

    @property
    def outputs(self) -> list[Any]:
        """What ``show`` updates."""
        return [*self._shown, *self.dataset.outputs]

    def show(self, values: Values, project: str, person: str, request: gr.Request) -> tuple[Any, ...]:
        """Return the updates for a project; what was chosen stays."""
        values = {**values, self._project: project}
        return *self._chosen(values, request), *self.dataset.show(values, project, person)

    # ---- what is chosen ----

    def _recipe(self, values: Values) -> jobs.MatteRecipe:
        take = values[self._take]
        band = Band(float(values[self._width]), see_through=tuple(_words(values[self._through])))
        if take == "alone":
            name = values[self._class_name] or ""
            return jobs.MatteRecipe(values[self._cutter] or "", "alone", class_name=name)
        if not values[self._matter]:
            raise BadInput("Choose what makes the alphas first.")
        segmenter = values[self._segmenter] or ""
        if take == "labels":
            classes = tuple(values[self._classes] or ())
            return jobs.MatteRecipe(
                values[self._matter], "labels", segmenter=segmenter, classes=classes, band=band
            )
        words = _words(values[self._words]) if take == "words" else []
        if take == "words" and not words:
            raise BadInput("Write what to look for first, such as “feather”.")
        if not values[self._finder]:
            raise BadInput("Choose what finds things first.")
        find = Recipe(
            (values[self._finder],),
            segmenter=segmenter,
            threshold=float(values[self._threshold]),
            words=read_words(words),
        )
        return jobs.MatteRecipe(values[self._matter], "found", find=find, band=band)

    def _cards(self, values: Values) -> list[Card]:
        known = {card.id: card for card in self._studio.registry.cards()}
        parts = {
            "alone": [self._cutter],
            "labels": [self._segmenter, self._matter],
        }.get(values[self._take], [self._finder, self._segmenter, self._matter])
        return [known[values[part]] for part in parts if values[part] in known]

    # ---- what the page shows of it ----

    def _chosen(self, values: Values, request: gr.Request) -> tuple[Any, ...]:
        take, project = values[self._take], values[self._project]
        found, values = take in FINDERS, dict(values)
        finder = self._offered(values, self._finder, FINDERS.get(take, "text-detector"), project, found)
        segmenter = self._offered(values, self._segmenter, "segmenter", project, take != "alone")
        matter = self._offered(values, self._matter, "matter", project, take != "alone")
        cutters = self._studio.registry.cards("cutter")
        names = [c.name for c in self._studio.store.classes(project)] if project else []
        kept = [name for name in values[self._classes] or () if name in names]
        return (
            gr.Radio(),
            gr.Textbox(visible=take == "words"),
            finder,
            gr.Slider(visible=found),
            segmenter,
            gr.Dropdown(names, value=kept, visible=take == "labels"),
            gr.Textbox(visible=take == "alone"),
            gr.Dropdown([NO_CUTTER, *((c.title, c.id) for c in cutters)], visible=take == "alone"),
            matter,
            *self._told(values, request),
        )

    def _offered(
        self, values: dict[Any, Any], part: gr.Dropdown, role: Role, project: str, visible: bool
    ) -> Any:
        """Return the update that offers the models of a role; the choice stays where it is one of them."""
        cards = self._studio.registry.cards(role)
        if values[part] not in [card.id for card in cards]:
            values[part] = self._studio.default_model(role, project).id if cards else None
        return gr.Dropdown([(c.title, c.id) for c in cards], value=values[part], visible=visible)

    def _told(self, values: Values, request: gr.Request) -> tuple[Any, ...]:
        return self.fetching.told(self._cards(values), request)


def _words(text: str | None) -> Sequence[str]:
    return [each.strip() for each in re.split(r"[,;\n]", text or "") if each.strip()]
