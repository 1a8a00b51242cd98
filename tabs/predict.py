"""The Predict tab: models on one image, on a region of it, or on a whole dataset."""

from __future__ import annotations

import html
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from studio.app import Connect, Shared
from studio.errors import BadInput
from studio.failures import sentence
from studio.operations import jobs, predict
from studio.operations.predict import Recipe
from studio.studio import Studio
from tabs._classmap import ADD, DROP
from tabs._finding.many import Dataset
from tabs._finding.one import OneImage
from tabs._finding.opening import lead_to_segment, open_project
from tabs._finding.page import Page, Place, page_of
from tabs._finding.settings import Settings
from tabs._predict_classes import ClassNames
from tabs._predict_models import ModelChoice
from tabs._work import LONG, QUIET, Progress, Work

TITLE = "Predict"
ORDER = 30
PLACE = Place("predict")


def build(studio: Studio, shared: Shared) -> Connect:
    return _Page(studio, shared).connect


class _Page:
    """The parts of the tab put together: what is chosen on the left, what comes of it on the right."""

    def __init__(self, studio: Studio, shared: Shared) -> None:
        self._studio, self._shared = studio, shared
        self._known: dict[str, tuple[str, ...]] = {}  # the classes of each model that has told them
        self._here = gr.Textbox(visible=False)  # the first of all inputs, where HERE puts what the page knows
        # What this person chose, not what was taken for want of a choice.
        self._mine = gr.BrowserState([], storage_key="onelabel-predictors", secret="onelabel")
        self._project = gr.State("")
        self._seen = gr.State("")  # the image that was open in Segment when this tab was last shown
        self._called = gr.State({})  # what the models' classes were called in this project before
        with gr.Row(elem_classes=["finding-main"]):
            with gr.Column(scale=3, min_width=300, elem_classes=["finding-settings"]):
                self._choice = ModelChoice(studio, PLACE)
                self._settings = Settings(PLACE)
                self._classes = ClassNames(PLACE)
            with gr.Column(scale=8, min_width=340):
                with gr.Tabs(elem_classes=["finding-tabs"]):
                    with gr.Tab("One image", id=PLACE.id("one")):
                        self._one = OneImage(studio, PLACE)
                    with gr.Tab("Many images", id=PLACE.id("many")):
                        self._dataset = Dataset(studio, PLACE)
        choice, settings, classes = self._choice, self._settings, self._classes
        self._inputs = [
            self._here, self._project, self._called, *choice.inputs, *settings.inputs, classes.rule
        ]  # fmt: skip
        self._told = [*choice.fetching.outputs, *settings.outputs]
        self._chosen_outputs = [
            choice.models, choice.segmenter, choice.pose, choice.threshold, classes.rule, classes.table,
            self._called, *self._told,
        ]  # fmt: skip
        for part in (self._one, self._dataset):
            part.asked, part.here = self._recipe, self._here
        self._wire()

    def _wire(self) -> None:
        choice, classes, inputs = self._choice, self._classes, set(self._inputs)
        told: dict[str, Any] = {**QUIET, "js": PLACE.here}
        choice.kind.input(self._of_kind, inputs, self._chosen_outputs, **told)
        typed = [choice.typed, *self._chosen_outputs]
        for chosen in (
            choice.models.input(self._picked, inputs, self._chosen_outputs, **told),
            choice.typed.submit(self._typed, {*inputs, choice.typed}, typed, **told),
        ):
            chosen.then(lambda ids: ids or [], choice.models, self._mine, **QUIET)
        for helper in (choice.segmenter, choice.pose):
            helper.input(self._helped, inputs, self._told, **told)
        choice.fetching.connect(self._inputs, PLACE.here)
        # Neither asks the server anything.
        choice.threshold.input(None, choice.threshold, None, js=PLACE.to_picture)
        self._one.view.moved(None, choice.threshold, choice.threshold, js=PLACE.from_picture)
        classes.accordion.expand(self._tell, inputs, classes.table, js=PLACE.here, **LONG)
        classes.rule.input(self._ruled, inputs, classes.table, **told)
        found = self._one.connect(self._inputs, PLACE.here)
        found.then(self._table, inputs, classes.table, **told)
        self._dataset.connect(self._inputs, PLACE.here, self._project)

    def connect(self, tab: gr.Tab, others: frozenset[str]) -> None:
        """Show what belongs to the open project whenever the tab is, and lead to the Segment tab."""
        shared, outputs = self._shared, [self._project, self._seen, *self._chosen_outputs]
        inputs = {*self._inputs, *self._dataset.inputs, self._seen, self._mine, shared.project, shared.image}
        outputs += [*self._one.outputs, *self._dataset.outputs]
        # What the page opened with was made before this tab, so those two come before the hidden textbox.
        tab.select(self._shown, inputs, outputs, js=PLACE.here_at(2), **QUIET)
        lead_to_segment(shared, others, self._one, self._dataset)

    # ---- what is chosen ----

    def _recipe(self, values: Mapping[Any, Any]) -> Recipe:
        page, choice = page_of(values[self._here]), self._choice
        models, things = tuple(values[choice.models] or ()), values[choice.kind] == "detector"
        if not models:
            raise BadInput("Choose a model first.")
        recipe = Recipe(
            models,
            segmenter=(values[choice.segmenter] or "") if things else "",
            pose=(values[choice.pose] or "") if things else "",
            threshold=float(values[choice.threshold]),
            **self._classes.said(values, page, self._own(values), values[self._called]),
        )
        return self._settings.applied(recipe, values, choice.cards(values), page, boxes=things)

    def _shown(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Show the open project; what is being looked at stays, unless another project or image was opened."""
        person, opened = self._studio.person(request), values[self._shared.image] or ""
        project = open_project(self._studio, self._shared, values, person)
        again = bool(project) and project == values[self._project]
        if not again:
            values = {**values, self._project: project, self._called: {}}
        if not values[self._choice.models]:
            values = {**values, self._choice.models: list(values[self._mine] or [])}
        if again and opened == values[self._seen]:
            image = [gr.skip()] * len(self._one.outputs)
        else:
            image = self._one.show(project, opened, person)
        chosen = self._choice_shown(values, request, offer=True, anew=not again)
        return project, opened, *chosen, *image, *self._dataset.show(values, project, person)

    def _of_kind(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        return self._choice_shown(values, request, offer=True)

    def _picked(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        return self._choice_shown(values, request)

    def _typed(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Choose a model of the hub by its id; what was refused stays, to be mended."""
        choice = self._choice
        try:
            kind, person = values[choice.kind], self._studio.person(request)
            found = choice.of_the_hub(kind, values[choice.typed] or "", person)
        except Exception as error:
            gr.Warning(sentence(error))
            return gr.skip(), *[gr.skip()] * len(self._chosen_outputs)
        return "", *self._choice_shown({**values, choice.models: [found]}, request)

    def _choice_shown(
        self, values: dict[Any, Any], request: gr.Request, *, offer: bool = False, anew: bool = False
    ) -> tuple[Any, ...]:
        """Return the updates of all that hangs on the choice of models.

        With ``offer`` one is chosen where none is. With ``anew`` what the table says belongs to another project.
        """
        choice, classes, kind = self._choice, self._classes, values[self._choice.kind]
        asked = choice.one_at_a_time(kind, values[choice.models])
        dropdown, ids = choice.offered(kind, asked, values[self._project], offer=offer)
        values = {**values, choice.models: ids}
        page = page_of(values[self._here])
        if anew:
            page = replace(page, classes={})
        rule, remembered = self._remembered(values[self._project], ids)
        if page.classes:
            rule = values[classes.rule]
        own = self._own(values)
        called = {**remembered, **classes.mapped(page, rule, own, values[self._called])}
        table = classes.names(self._names(ids), own, called, rule)
        told = self._told_now(values, page, request)
        return dropdown, *choice.helpers(kind), choice.sure(kind), rule, table, called, *told

    def _helped(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        return self._told_now(values, page_of(values[self._here]), request)

    def _told_now(self, values: dict[Any, Any], page: Page, request: gr.Request) -> tuple[Any, ...]:
        choice, cards = self._choice, self._choice.cards(values)
        boxes, finders = values[choice.kind] == "detector", len(values[choice.models] or ())
        shown = self._settings.shown(cards, page, boxes=boxes, finders=finders)
        return *choice.fetching.told(cards, request), *shown

    # ---- what the models' classes are called ----

    def _remembered(self, project: str, ids: Sequence[str]) -> tuple[str, dict[str, str | None]]:
        """Return the rule and the names used last with some models in a project."""
        rule, names = predict.Recipe(()).unknown, {}
        for model_id in reversed(ids if project else ()):
            known, last = jobs.remembered(self._studio, project, model_id)
            names |= known
            rule = last
        return rule, names

    def _own(self, values: Mapping[Any, Any]) -> list[str]:
        project = values[self._project]
        return [c.name for c in self._studio.store.classes(project)] if project else []

    def _names(self, ids: Sequence[str]) -> list[str]:
        """Return what some models know, as far as they have told."""
        return list(dict.fromkeys(name for each in ids for name in self._known.get(each, ())))

    def _table(self, values: dict[Any, Any]) -> Any:
        """Fill the table once the models have told their classes; what stands there already stays."""
        ids, page = list(values[self._choice.models] or ()), page_of(values[self._here])
        self._ask(ids, values)
        names = self._names(ids)
        if not names or set(names) == set(page.classes):
            return gr.skip()
        rule, own = values[self._classes.rule], self._own(values)
        called = self._classes.mapped(page, rule, own, values[self._called])
        return self._classes.names(names, own, called, rule)

    async def _tell(self, values: dict[Any, Any]) -> AsyncIterator[Any]:
        """Load the models, where they are here, and fill the table."""
        ids = [each for each in values[self._choice.models] or () if each not in self._known]
        cards = [self._studio.registry.card(each) for each in ids]
        absent = [card.title for card in cards if self._studio.hub.state(card) == "absent"]
        if absent:
            yield f"<p>Download {html.escape(' and '.join(absent))} first; what it knows is shown here then.</p>"
            return
        if cards:
            work = Work(f"Asking {' and '.join(c.title for c in cards)}", partial(self._asking, ids, values))
            async for bar in work.watch():
                yield bar
            if work.error is not None:
                yield work.failure()
                return
        yield self._table(values)

    def _asking(
        self, ids: Sequence[str], values: dict[Any, Any], progress: Progress, cancel: threading.Event
    ) -> None:
        recipe = self._recipe(values)
        for model_id in ids:
            options = predict.options_of(self._studio.registry.card(model_id), recipe)
            self._known[model_id] = self._studio.pool.run(model_id, lambda m: tuple(m.names), options=options)

    def _ask(self, ids: Sequence[str], values: dict[Any, Any]) -> None:
        """Ask those models that are loaded anyway."""
        loaded = {each.id for each in self._studio.pool.loaded()}
        missing = [each for each in ids if each not in self._known and each in loaded]
        if missing:
            self._asking(missing, values, lambda *_: None, threading.Event())

    def _ruled(self, values: dict[Any, Any]) -> Any:
        """Fill the table by the other rule; what was named or left out one by one stays so."""
        rule, page = values[self._classes.rule], page_of(values[self._here])
        names = self._names(values[self._choice.models] or ())
        before, own = DROP if rule == ADD else ADD, self._own(values)
        called = self._classes.mapped(page, before, own, values[self._called])
        return self._classes.names(names, own, called, rule)
