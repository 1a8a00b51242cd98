"""The part of the By example tab that says which models look, and what becomes of their boxes."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.operations.examples import ROLES, first_threshold, travels
from studio.operations.fusion import MOST_MODELS
from studio.studio import Studio
from tabs._finding.fetching import Fetching
from tabs._finding.page import Place

NO_MASKS = ("Boxes only", "")
SLOW = (
    "{0} was not made for this: it compares some 3,000 pieces of each image with the examples. That takes seconds on a "
    "graphics card and a minute or more on a processor, and its boxes are rough."
)
OWN = "{0} takes examples from the image itself: on an image without one of its own it finds nothing."


class ExampleModels:
    """Models that find by example, their downloads, a segmenter, and a threshold.

    ``inputs`` are what a recipe is read from; ``cards()`` reads what is chosen.
    """

    def __init__(self, studio: Studio, place: Place) -> None:
        self._studio = studio
        self.models = gr.Dropdown(
            [], value=[], label="Model", info="Two to five together make an ensemble.", multiselect=True,
            max_choices=MOST_MODELS, elem_id=place.id("models"),
        )  # fmt: skip
        self.fetching = Fetching(studio, place)
        self.fetching.cards = self.cards
        self._remarks = gr.HTML(
            "", padding=False, visible=False, elem_id=place.id("remarks"), elem_classes=["finding-about"]
        )
        self.segmenter = gr.Dropdown(
            [NO_MASKS], value="", label="Masks by", elem_id=place.id("masks"),
            info="Also cuts out what you click in the picture, for its box.",
        )  # fmt: skip
        self.threshold = gr.Slider(
            0, 1, first_threshold([]), step=0.01, label="How sure, at least", elem_id=place.id("sure")
        )
        self.inputs = [self.models, self.segmenter, self.threshold]

    @property
    def outputs(self) -> list[Any]:
        """What ``told`` updates."""
        return [*self.fetching.outputs, self._remarks]

    def cards(self, values: Mapping[Any, Any]) -> list[Card]:
        """Return all that is chosen, the segmenter last."""
        known = {card.id: card for card in self._studio.registry.cards()}
        ids = (*(values[self.models] or ()), values[self.segmenter])
        return [known[each] for each in ids if each in known]

    def finders(self, ids: Sequence[str]) -> list[Card]:
        return [card for card in self._choices() if card.id in ids]

    def offered(self, chosen: Sequence[str], project: str) -> tuple[Any, list[str]]:
        """Return the update that offers the models, and which are chosen then: the best one where none is."""
        cards = self._choices()
        kept = [each for each in chosen if each in {card.id for card in cards}]
        if not kept and cards:
            role = next(role for role in ROLES if self._studio.registry.cards(role))
            kept = [self._studio.default_model(role, project).id]
        return gr.Dropdown([(_title(c), c.id) for c in cards], value=kept), kept

    def segmenters(self) -> Any:
        cutters = [c for c in self._studio.registry.cards("segmenter") if "box" in c.prompts]
        return gr.Dropdown([NO_MASKS, *((c.title, c.id) for c in cutters)])

    def told(self, cards: Sequence[Card], finders: Sequence[Card], request: gr.Request) -> tuple[Any, ...]:
        """Return the updates that speak of what is chosen."""
        lines = [SLOW.format(c.title) for c in finders if ROLES[0] not in c.roles]
        lines += [OWN.format(c.title) for c in finders if not travels(c)]
        text = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
        return *self.fetching.told(cards, request), gr.HTML(text, visible=bool(text))

    def _choices(self) -> list[Card]:
        found = {card.id: card for role in ROLES for card in self._studio.registry.cards(role)}
        return list(found.values())


def _title(card: Card) -> str:
    return card.title if ROLES[0] in card.roles else f"{card.title}, by comparing"
