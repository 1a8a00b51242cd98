"""The part of the Ask tab that says who answers, and what cuts out what an answer points at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.errors import BadInput
from studio.operations.ask import Query
from studio.studio import Studio
from tabs._finding.fetching import Fetching
from tabs._finding.page import Page, Place
from tabs._options import changed, form, options_form

NO_MASKS = ("Nothing", "")


class AskModels:
    """A model that answers, its download and options, and a segmenter. ``query()`` reads what is chosen."""

    def __init__(self, studio: Studio, place: Place) -> None:
        self._studio = studio
        self.model = gr.Dropdown([], value=None, label="Model", elem_id=place.id("model"))
        self.segmenter = gr.Dropdown(
            [NO_MASKS], value="", label="Masks by", elem_id=place.id("masks"),
            info="Cuts out each box, and clicks each point, of an answer.",
        )  # fmt: skip
        self.fetching = Fetching(studio, place)
        self.fetching.cards = self.cards
        with gr.Accordion("Options", open=False, elem_id=place.id("options")):
            self._options = options_form(place.id("option-form"))
        self.inputs = [self.model, self.segmenter]

    @property
    def outputs(self) -> list[Any]:
        """What ``told`` updates."""
        return [*self.fetching.outputs, self._options]

    def cards(self, values: Mapping[Any, Any]) -> list[Card]:
        """Return what is chosen, the one that answers first."""
        known = {card.id: card for card in self._studio.registry.cards()}
        return [known[each] for each in (values[self.model], values[self.segmenter]) if each in known]

    def offered(self, chosen: str | None, project: str) -> tuple[Any, str | None]:
        """Return the update that offers the models, and which is chosen then: the best one where none is."""
        cards = self._studio.registry.cards("answerer")
        if chosen not in {card.id for card in cards}:
            chosen = self._studio.default_model("answerer", project).id if cards else None
        return gr.Dropdown([(c.title, c.id) for c in cards], value=chosen), chosen

    def segmenters(self) -> Any:
        cutters = [c for c in self._studio.registry.cards("segmenter") if {"box", "point"} & set(c.prompts)]
        return gr.Dropdown([NO_MASKS, *((c.title, c.id) for c in cutters)])

    def told(self, values: Mapping[Any, Any], page: Page, request: gr.Request) -> tuple[Any, ...]:
        """Return the updates that speak of what is chosen."""
        cards = self.cards(values)
        return *self.fetching.told(cards, request), gr.HTML(form(cards[:1], page.options))

    def query(self, values: Mapping[Any, Any], page: Page, question: str, **more: Any) -> Query:
        """Return a question to the model chosen. Raises BadInput where none is."""
        cards = {card.id: card for card in self._studio.registry.cards("answerer")}
        card = cards.get(values[self.model] or "")
        if card is None:
            raise BadInput("Choose a model first.")
        options = changed(card, page.options.get(card.id, {}))
        return Query.from_json({"model": card.id, "question": question, "options": options, **more})
