"""The Ask tab: a question about an image, a part of it, or a whole dataset, and a table of the answers."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.app import Connect, Shared
from studio.gallery.gallery import answer_table
from studio.studio import Studio
from tabs._ask_many import AskMany, shown_anew
from tabs._ask_models import AskModels
from tabs._ask_one import AskOne
from tabs._finding.opening import lead_kept, lead_listed, open_project
from tabs._finding.page import Place, page_of
from tabs._work import QUIET

TITLE = "Ask"
ORDER = 55
PLACE = Place("ask")


def build(studio: Studio, shared: Shared) -> Connect:
    return _Page(studio, shared).connect


class _Page:
    """Left who answers, right what is asked and answered."""

    def __init__(self, studio: Studio, shared: Shared) -> None:
        self._studio, self._shared = studio, shared
        self._here = gr.Textbox(visible=False)  # the first of all inputs, where HERE puts what the page knows
        # What this person chose, not what was taken for want of a choice.
        self._mine = gr.BrowserState("", storage_key="onelabel-answerer", secret="onelabel")
        self._project = gr.State("")
        self._seen = gr.State("")  # the image that was open in Segment when this tab was last shown
        with gr.Row(elem_classes=["finding-main"]):
            with gr.Column(scale=3, min_width=300, elem_classes=["finding-settings"]):
                self._models = AskModels(studio, PLACE)
            with gr.Column(scale=8, min_width=340):
                with gr.Tabs(elem_classes=["finding-tabs"]):
                    with gr.Tab("One image", id=PLACE.id("one")):
                        self._one = AskOne(studio, PLACE, self._models)
                    with gr.Tab("Many images", id=PLACE.id("many")) as self._many_tab:
                        self._many = AskMany(studio, PLACE, self._models)
                    with gr.Tab("Answers", id=PLACE.id("answers")) as self._answers_tab:
                        self._answers = answer_table(studio, elem_id=PLACE.id("table"))
        models = self._models
        self._inputs = [self._here, self._project, *models.inputs]
        for part in (self._one, self._many):
            part.here = self._here
        self._chosen_outputs = [models.model, models.segmenter, *models.outputs]
        self._wire()

    def _wire(self) -> None:
        models, inputs = self._models, set(self._inputs)
        told: dict[str, Any] = {**QUIET, "js": PLACE.here}
        picked = models.model.input(self._told, inputs, models.outputs, **told)
        picked.then(lambda model: model or "", models.model, self._mine, **QUIET)
        models.segmenter.input(self._told, inputs, models.outputs, **told)
        models.fetching.connect(self._inputs, PLACE.here)
        self._one.connect(self._inputs, PLACE.here)
        self._many.connect(self._inputs, PLACE.here, self._project)
        # What was asked of one image is what one may want to ask of all.
        asked = [self._one.question, self._many.question]
        self._many_tab.select(None, asked, self._many.question, js="(one, many) => many || one")
        for comes in (self._many.jobs.ended, self._answers_tab.select):
            comes(shown_anew, self._project, self._answers, **QUIET)

    def connect(self, tab: gr.Tab, others: frozenset[str]) -> None:
        """Show what belongs to the open project whenever the tab is, and lead to the Segment tab."""
        shared = self._shared
        inputs = {*self._inputs, *self._many.inputs, self._seen, self._mine, shared.project, shared.image}
        outputs = [self._project, self._seen, *self._chosen_outputs, *self._one.outputs, *self._many.outputs]
        # What the page opened with was made before this tab, so those two come before the hidden textbox.
        tab.select(self._shown, inputs, [*outputs, self._answers], js=PLACE.here_at(2), **QUIET)
        if "segment" in others:
            lead_kept(shared, self._one.open, self._one.kept)
            lead_listed(shared, self._many.jobs, self._answers)

    def _shown(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Show the open project; what is being looked at stays, unless another project or image was opened."""
        person, opened = self._studio.person(request), values[self._shared.image] or ""
        project = open_project(self._studio, self._shared, values, person)
        again = bool(project) and project == values[self._project]
        models = self._models
        dropdown, model = models.offered(values[models.model] or values[self._mine], project)
        values = {**values, models.model: model}
        told = models.told(values, page_of(values[self._here]), request)
        if again and opened == values[self._seen]:
            image = [gr.skip()] * len(self._one.outputs)
        else:
            image = self._one.show(project, opened, person)
        many = self._many.show(values, project, person)
        return project, opened, dropdown, models.segmenters(), *told, *image, *many, shown_anew(project)

    def _told(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        return self._models.told(values, page_of(values[self._here]), request)
