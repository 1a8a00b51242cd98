"""The Words tab: what phrases name is found, or a model says what is there, on one image or on many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from studio.adapters import Place as Mentioned
from studio.adapters import Reading
from studio.app import Connect, Shared
from studio.canvas.phrases import project_of, words_on
from studio.errors import BadInput
from studio.operations.recipe import Recipe, named_or_described
from studio.operations.words import read_words
from studio.studio import Studio
from tabs._finding.many import Dataset
from tabs._finding.one import Looked, OneImage
from tabs._finding.opening import lead_to_segment, open_project
from tabs._finding.page import Place, page_of
from tabs._finding.settings import Settings
from tabs._finding.spoken import STYLE, linked, spoken
from tabs._words_models import WordsModels, words_of
from tabs._work import QUIET

TITLE = "Words"
ORDER = 40
PHRASES = "words-phrases"
PLACE = Place("words", more=words_on(PHRASES))
HINT = "Write what to look for, then press “Find”."


def build(studio: Studio, shared: Shared) -> Connect:
    return _Page(studio, shared).connect


class _Page:
    """Left the phrases and who looks for them, right what comes of it."""

    def __init__(self, studio: Studio, shared: Shared) -> None:
        self._studio, self._shared = studio, shared
        self._here = gr.Textbox(visible=False)  # the first of all inputs, where HERE puts what the page knows
        # What this person chose, not what was taken for want of a choice.
        self._mine = gr.BrowserState([], storage_key="onelabel-word-models", secret="onelabel")
        self._project = gr.State("")
        self._seen = gr.State("")  # the image that was open in Segment when this tab was last shown
        with gr.Row(elem_classes=["finding-main"]):
            with gr.Column(scale=3, min_width=300, elem_classes=["finding-settings"]):
                self._models = WordsModels(studio, PLACE, PHRASES)
                self._settings = Settings(PLACE)
            with gr.Column(scale=8, min_width=340):
                with gr.Tabs(elem_classes=["finding-tabs"]):
                    with gr.Tab("One image", id=PLACE.id("one")):
                        self._one = OneImage(studio, PLACE, each=True, hint=HINT)
                        self._said = gr.HTML(
                            "", css_template=STYLE, js_on_load=linked(PLACE), apply_default_css=False, padding=False,
                            visible=False, elem_id=PLACE.id("said"),
                        )  # fmt: skip
                    with gr.Tab("Many images", id=PLACE.id("many")):
                        self._dataset = Dataset(studio, PLACE)
        models, settings = self._models, self._settings
        self._inputs = [self._here, self._project, *models.inputs, *settings.inputs]
        self._told = [*models.fetching.outputs, *settings.outputs]
        self._chosen_outputs = [models.phrases, *models.outputs, *self._told]
        for part in (self._one, self._dataset):
            part.asked, part.here = self._recipe, self._here
        models.here = self._here
        self._wire()

    def _wire(self) -> None:
        models, inputs = self._models, set(self._inputs)
        told: dict[str, Any] = {**QUIET, "js": PLACE.here}
        for changes in (models.mode.input, models.teller.input, models.task.input):
            changes(self._picked, inputs, self._chosen_outputs, **told)
        models.models.input(self._picked, inputs, self._chosen_outputs, **told).then(
            lambda ids: ids or [], models.models, self._mine, **QUIET
        )
        for helper in (models.segmenter, models.describer):
            helper.input(self._helped, inputs, self._told, **told)
        models.fetching.connect(self._inputs, PLACE.here)
        # Neither asks the server anything.
        models.threshold.input(None, models.threshold, None, js=PLACE.to_picture)
        self._one.view.moved(None, models.threshold, models.threshold, js=PLACE.from_picture)
        self._one.connect(self._inputs, PLACE.here).then(self._spoken, self._one.looked, self._said, **QUIET)
        self._one.picker.change(self._spoken, self._one.looked, self._said, **QUIET)
        self._dataset.connect(self._inputs, PLACE.here, self._project)
        # A class that came with what was kept is one that a phrase may be tied to.
        self._one.kept.change(self._classes, self._project, models.phrases, **QUIET)
        models.phrases.emptied(self._helped, inputs, self._told, **told)

    def connect(self, tab: gr.Tab, others: frozenset[str]) -> None:
        """Show what belongs to the open project whenever the tab is, and lead to the Segment tab."""
        shared = self._shared
        inputs = {*self._inputs, *self._dataset.inputs, self._seen, self._mine, shared.project, shared.image}
        outputs = [
            self._project,
            self._seen,
            *self._chosen_outputs,
            *self._one.outputs,
            *self._dataset.outputs,
        ]
        # What the page opened with was made before this tab, so those two come before the hidden textbox.
        tab.select(self._shown, inputs, outputs, js=PLACE.here_at(2), **QUIET)
        lead_to_segment(shared, others, self._one, self._dataset)

    # ---- what is chosen ----

    def _recipe(self, values: Mapping[Any, Any]) -> Recipe:
        page, models = page_of(values[self._here]), self._models
        segmenter, threshold = values[models.segmenter] or "", float(values[models.threshold])
        if models.free(values):
            if not values[models.teller] or not values[models.task]:
                raise BadInput("Choose a model that describes images first.")
            recipe = Recipe(
                (values[models.teller],),
                segmenter,
                task=values[models.task],
                caption=" ".join((values[models.caption] or "").split()),
                all_as=" ".join((values[models.all_as] or "").split()),
                unknown=values[models.new] or "add",
            )
            if recipe.caption and recipe.task != "grounded caption":  # the field is not in sight
                recipe = replace(recipe, caption="")
        else:
            ids = tuple(values[models.models] or ())
            if not ids:
                raise BadInput("Choose a model first.")
            recipe = Recipe(ids, segmenter, threshold=threshold, words=read_words(words_of(page)))
            if not recipe.words:
                describer = values[models.describer] or ""
                recipe = named_or_described(
                    self._studio, replace(recipe, describer=describer), values[self._project]
                )
        return self._settings.applied(
            recipe, values, models.cards(values), page, boxes=not models.free(values)
        )

    def _shown(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Show the open project; what is being looked at stays, unless another project or image was opened."""
        person, opened = self._studio.person(request), values[self._shared.image] or ""
        project = open_project(self._studio, self._shared, values, person)
        again = bool(project) and project == values[self._project]
        values = {**values, self._project: project}
        if not values[self._models.models]:
            values = {**values, self._models.models: list(values[self._mine] or [])}
        if again and opened == values[self._seen]:
            image = [gr.skip()] * len(self._one.outputs)
        else:
            image = self._one.show(project, opened, person)
        told = self._picked(values, request)
        return project, opened, *told, *image, *self._dataset.show(values, project, person)

    def _picked(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Return the updates of all that hangs on what is chosen."""
        project = values[self._project]
        values, shown = self._models.shown(values, project)
        phrases = self._classes(project, visible=not self._models.free(values))
        return phrases, *shown, *self._helped(values, request)

    def _helped(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        models, page = self._models, page_of(values[self._here])
        cards, free = models.cards(values), models.free(values)
        shown = self._settings.shown(cards, page, boxes=not free, finders=len(values[models.models] or ()))
        return *models.fetching.told(cards, request), *shown

    def _classes(self, project: str, visible: bool | None = None) -> Any:
        """Return the update that says which project's phrases are shown, and what they may be tied to."""
        classes = self._studio.store.classes(project) if project else []
        more = {} if visible is None else {"visible": visible}
        return gr.HTML(project=project_of(project, classes), **more)

    # ---- what a model said ----

    def _spoken(self, looked: Looked | None) -> Any:
        """Show a model's words, those that speak of a finding tied to it."""
        told = looked.findings.told if looked else None
        if told is None:
            return gr.HTML("", visible=False)
        places = tuple(Mentioned("", span=span) for span in told.spans)
        if not told.text:
            return gr.HTML("<p>The model wrote nothing of this image.</p>", visible=True)
        return gr.HTML(spoken(Reading(told.text, places), [[n] for n in range(len(places))]), visible=True)
