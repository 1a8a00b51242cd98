"""The Filter tab: rank, keep, exclude and sort a whole collection by what its images show."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.app import Connect, Shared
from studio.errors import NotFound
from studio.failures import sentence
from studio.gallery.filter.component import filter_page
from studio.operations.filtering import collection, embedding
from studio.studio import Studio
from tabs._finding.fetching import Fetching
from tabs._finding.page import Place
from tabs._pictures import block
from tabs._work import QUIET, trouble

TITLE = "Filter"
ORDER = 15
PLACE = Place("filter")
ANOTHER = "Any name of open_clip (ViT-B-32/laion2b_s34b_b79k), or an id on the hub (owner/name)"


def build(studio: Studio, shared: Shared) -> Connect:
    return _Page(studio, shared).connect


class _Page:
    """The choice of a model above, and below it the page on which everything else happens."""

    def __init__(self, studio: Studio, shared: Shared) -> None:
        self._studio, self._shared = studio, shared
        self._here = gr.Textbox(visible=False)
        self._mine = gr.BrowserState("", storage_key="onelabel-embedder", secret="onelabel")
        with gr.Row(elem_id="filter-bar"):
            self._model = gr.Dropdown(
                [], label="Model", show_label=False, container=False, scale=0, min_width=260,
                elem_id=PLACE.id("model"),
            )  # fmt: skip
            with gr.Column(scale=1, min_width=240, elem_classes=["filter-about"]):
                self._fetching = Fetching(studio, PLACE)
            # Who visits somebody's studio may not add models to it.
            self._more = gr.Button(
                "Another model …", size="sm", scale=0, min_width=150, visible=studio.settings.people == "one"
            )
        with gr.Row(visible=False, elem_id="filter-adding", equal_height=True) as self._adding:
            self._typed = gr.Textbox(
                "", show_label=False, container=False, placeholder=ANOTHER, max_lines=1, scale=4,
                min_width=260, elem_id=PLACE.id("typed"),
            )  # fmt: skip
            self._add = gr.Button("Add", variant="primary", size="sm", scale=0, min_width=96)
        self._told = gr.HTML("", padding=False, visible=False, elem_id=PLACE.id("told"))
        self._view = filter_page(studio, elem_id=PLACE.id("page"))
        self._fetching.cards = self._cards
        self._inputs = [self._here, self._model]
        self._wire()

    def _wire(self) -> None:
        shown = [*self._fetching.outputs, self._view]
        inputs = {*self._inputs, self._shared.project}
        self._model.input(self._picked, inputs, shown, **QUIET).then(
            lambda model: model or "", self._model, self._mine, **QUIET
        )
        self._fetching.connect(self._inputs, PLACE.here)
        self._more.click(lambda: gr.Row(visible=True), None, self._adding, **QUIET)
        added = [self._model, self._adding, self._told, *shown]
        gr.on(
            [self._add.click, self._typed.submit], self._added, {*inputs, self._typed}, added, **QUIET
        ).then(lambda model: model or "", self._model, self._mine, **QUIET)

    def connect(self, tab: gr.Tab, others: frozenset[str]) -> None:
        """Show what belongs to the open project whenever the tab is, and lead to the others."""
        shared = self._shared
        inputs = {*self._inputs, self._mine, shared.project}
        tab.select(self._shown, inputs, [self._model, *self._fetching.outputs, self._view], **QUIET)
        if "segment" in others:
            self._view.open(self._opened, None, [shared.image, shared.tabs], **QUIET)
        if "data" in others:
            self._view.project(self._created, None, [shared.project, shared.tabs], **QUIET)

    def _cards(self, values: Mapping[Any, Any]) -> list[Card]:
        known = {card.id: card for card in collection.models(self._studio)}
        return [known[values[self._model]]] if values[self._model] in known else []

    def _shown(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        cards = collection.models(self._studio)
        project, chosen = self._project(values, request), values[self._model] or values[self._mine]
        if cards and chosen not in [card.id for card in cards]:
            chosen = self._studio.default_model("embedder", project).id
        dropdown = gr.Dropdown([(card.title, card.id) for card in cards], value=chosen or None)
        return dropdown, *self._now({**values, self._model: chosen}, request)

    def _picked(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        return self._now(values, request)

    def _now(self, values: Mapping[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Return the updates of what is said of the model, and of the page."""
        cards = self._cards(values)
        title = cards[0].title if cards else ""
        view = gr.HTML(
            project=self._project(values, request),
            model=cards[0].id if cards else "",
            title=title,
            tick=time.time_ns() // 1_000_000,
        )
        return *self._fetching.told(cards, request), view

    def _project(self, values: Mapping[Any, Any], request: gr.Request) -> str:
        try:
            return self._studio.store.project_for(
                values[self._shared.project], self._studio.person(request)
            ).id
        except NotFound:
            return ""

    def _added(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        try:
            person, typed = self._studio.person(request), values[self._typed] or ""
            card = embedding.add_model(self._studio, person, typed.strip())
        except Exception as error:
            same = (gr.skip(),) * (len(self._fetching.outputs) + 1)
            return gr.skip(), gr.skip(), block(trouble(sentence(error))), *same
        values = {**values, self._model: card.id}
        choices = [(each.title, each.id) for each in collection.models(self._studio)]
        now = self._now(values, request)
        return gr.Dropdown(choices, value=card.id), gr.Row(visible=False), block(""), *now

    # ---- on to other tabs ----

    def _opened(self, event: gr.EventData) -> tuple[Any, Any]:
        data = event._data if isinstance(event._data, dict) else {}
        return str(data.get("image") or ""), self._shared.show("segment")

    def _created(self, event: gr.EventData) -> tuple[Any, Any]:
        data = event._data if isinstance(event._data, dict) else {}
        return str(data.get("project") or ""), self._shared.show("data")
