"""The By example tab: a box around one thing, and everything like it is found, on one image or on many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio.app import Connect, Shared
from studio.errors import BadInput
from studio.operations.examples import first_threshold
from studio.operations.predict import Recipe
from studio.studio import Studio
from tabs._example_models import ExampleModels
from tabs._example_panel import Examples
from tabs._finding.many import Dataset
from tabs._finding.one import OneImage
from tabs._finding.opening import lead_to_segment, open_project
from tabs._finding.page import Place, page_of
from tabs._finding.settings import Settings
from tabs._work import QUIET

TITLE = "By example"
ORDER = 50
PLACE = Place("example")
HINT = "Draw a box around one thing, then press “Find”: everything like it is found."
# The picture may still be on its way when the tab is shown for the first time.
TO_PICTURE = f"""(value) => {{ const set = (left) => {{
const at = document.querySelector("#{PLACE.id("findings")} .of-looking");
if (at) at.dispatchEvent(new CustomEvent("onelabel:threshold", {{detail: value}}));
else if (left) setTimeout(() => set(left - 1), 100); }}; set(100); }}"""


def build(studio: Studio, shared: Shared) -> Connect:
    return _Page(studio, shared).connect


class _Page:
    """Left the examples and who looks for things like them, right what comes of it."""

    def __init__(self, studio: Studio, shared: Shared) -> None:
        self._studio, self._shared = studio, shared
        self._here = gr.Textbox(visible=False)  # the first of all inputs, where HERE puts what the page knows
        # What this person chose, not what was taken for want of a choice.
        self._mine = gr.BrowserState([], storage_key="onelabel-example-models", secret="onelabel")
        self._project = gr.State("")
        self._seen = gr.State("")  # the image that was open in Segment when this tab was last shown
        with gr.Row(elem_classes=["finding-main"]):
            with gr.Column(scale=3, min_width=300, elem_classes=["finding-settings"]):
                self._examples = Examples(studio, PLACE)
                self._models = ExampleModels(studio, PLACE)
                self._settings = Settings(PLACE)
            with gr.Column(scale=8, min_width=340):
                with gr.Tabs(elem_classes=["finding-tabs"]):
                    with gr.Tab("One image", id=PLACE.id("one")):
                        self._one = OneImage(studio, PLACE, pointing=True, hint=HINT)
                    with gr.Tab("Many images", id=PLACE.id("many")):
                        self._dataset = Dataset(studio, PLACE)
        examples, models, settings = self._examples, self._models, self._settings
        self._inputs = [self._here, self._project, *examples.inputs, *models.inputs, *settings.inputs]
        self._told = [*models.outputs, *settings.outputs]
        self._chosen_outputs = [models.models, models.segmenter, models.threshold, *self._told]
        for part in (self._one, self._dataset):
            part.asked, part.here = self._recipe, self._here
        self._wire()

    def _wire(self) -> None:
        models, inputs = self._models, set(self._inputs)
        told: dict[str, Any] = {**QUIET, "js": PLACE.here}
        picked = models.models.input(self._picked, inputs, self._chosen_outputs, **told)
        picked.then(lambda ids: ids or [], models.models, self._mine, **QUIET)
        picked.then(None, models.threshold, None, js=TO_PICTURE)
        models.segmenter.input(self._helped, inputs, self._told, **told)
        models.fetching.connect(self._inputs, PLACE.here)
        # Neither asks the server anything.
        models.threshold.input(None, models.threshold, None, js=PLACE.to_picture)
        self._one.view.moved(None, models.threshold, models.threshold, js=PLACE.from_picture)
        self._one.connect(self._inputs, PLACE.here)
        self._examples.connect(self._one, self._project, models.segmenter, self._inputs, PLACE.here)
        self._dataset.connect(self._inputs, PLACE.here, self._project)

    def connect(self, tab: gr.Tab, others: frozenset[str]) -> None:
        """Show what belongs to the open project whenever the tab is, and lead to the Segment tab."""
        shared, examples = self._shared, self._examples
        inputs = {*self._inputs, *self._dataset.inputs, self._seen, self._mine, examples.kept}
        outputs = [self._project, self._seen, *self._chosen_outputs, *examples.outputs]
        outputs += [*self._one.outputs, *self._dataset.outputs]
        # What the page opened with was made before this tab, so those two come before the hidden textbox.
        shown = tab.select(
            self._shown, {*inputs, shared.project, shared.image}, outputs, js=PLACE.here_at(2), **QUIET
        )
        shown.then(None, self._models.threshold, None, js=TO_PICTURE)
        lead_to_segment(shared, others, self._one, self._dataset)

    # ---- what is chosen ----

    def _recipe(self, values: Mapping[Any, Any]) -> Recipe:
        page, models = page_of(values[self._here]), self._models
        ids = tuple(values[models.models] or ())
        if not ids:
            raise BadInput("Choose a model first.")
        shown, name = self._examples.asked(values, page)
        recipe = Recipe(
            ids,
            segmenter=values[models.segmenter] or "",
            threshold=float(values[models.threshold]),
            examples=shown,
            example_class=name,
        )
        return self._settings.applied(recipe, values, models.cards(values), page, boxes=True)

    def _shown(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Show the open project; what is being looked at stays, unless another project or image was opened."""
        person, opened = self._studio.person(request), values[self._shared.image] or ""
        project = open_project(self._studio, self._shared, values, person)
        again = bool(project) and project == values[self._project]
        values = {**values, self._project: project}
        chosen = list(values[self._models.models] or ())
        if not chosen:
            values = {**values, self._models.models: list(values[self._mine] or [])}
        if again and opened == values[self._seen]:
            image = [gr.skip()] * len(self._one.outputs)
        else:
            image = self._one.show(project, opened, person)
        examples = self._examples.again(project) if again else self._examples.show(values, project)
        told = self._choice_shown(values, request, anew=not chosen)
        return project, opened, *told, *examples, *image, *self._dataset.show(values, project, person)

    def _picked(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Follow another choice of models: what is sure differs from one to the next."""
        return self._choice_shown(values, request, anew=True)

    def _choice_shown(self, values: dict[Any, Any], request: gr.Request, *, anew: bool) -> tuple[Any, ...]:
        models = self._models
        dropdown, ids = models.offered(list(values[models.models] or ()), values[self._project])
        values = {**values, models.models: ids}
        sure = first_threshold(models.finders(ids)) if anew else gr.skip()
        return dropdown, models.segmenters(), sure, *self._told_now(values, request)

    def _helped(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        return self._told_now(values, request)

    def _told_now(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        models, page = self._models, page_of(values[self._here])
        cards, finders = models.cards(values), models.finders(list(values[models.models] or ()))
        shown = self._settings.shown(cards, page, boxes=True, finders=len(finders))
        return *models.told(cards, finders, request), *shown
