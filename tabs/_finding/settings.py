"""The settings of models that find things, folded away: options, tiles, and how several go together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.errors import BadInput
from studio.operations.fusion import Fusion
from studio.operations.predict import Recipe
from studio.operations.tiling import Tiling
from tabs._finding.page import Page, Place
from tabs._options import changed, form, options_form
from tabs._work import QUIET

TOGETHER = [("The surer one stays", "nms"), ("They are joined", "nmm"), ("Both stay", "none")]
WAYS = [
    ("Mean of their boxes (WBF)", "wbf"),
    ("The surer one stays (NMS)", "nms"),
    ("Weaken what overlaps (soft-NMS)", "soft-nms"),
]


class Settings:
    """Accordions below the models. ``inputs`` and the page are what ``applied()`` is read from."""

    def __init__(self, place: Place) -> None:
        with gr.Accordion("Options", open=False, elem_id=place.id("options")):
            self.options = options_form(place.id("option-form"))
        with gr.Accordion("Small objects (tiles)", open=False, elem_id=place.id("tiles")) as self.tiles:
            self.tiled = gr.Checkbox(
                False, label="Look at each image in overlapping tiles",
                info="Finds small things in large photographs; takes as many times longer as there are tiles.",
            )  # fmt: skip
            with gr.Column(visible=False) as tiling:
                self.side = gr.Slider(160, 2048, 640, step=32, label="Side of a tile, pixels")
                self.overlap = gr.Slider(
                    0, 1024, 128, step=16, label="Overlap, pixels", info="At least as much as a small thing."
                )
                self.together = gr.Dropdown(TOGETHER, value="nms", label="Found in two tiles")
                self.same_tile = gr.Slider(
                    0.05, 1, 0.5, step=0.05, label="Overlap (IoU) from which two are one"
                )
        with gr.Accordion(
            "Several models", open=False, visible=False, elem_id=place.id("fusion")
        ) as self.fusion:
            self.way = gr.Dropdown(WAYS, value="wbf", label="How their findings become one")
            self.same_model = gr.Slider(
                0.05, 1, 0.55, step=0.05, label="Overlap (IoU) from which two are one"
            )
            self.weights = gr.Textbox(
                "", label="Weights", placeholder="all the same", max_lines=1,
                info="A number for each model, in the order above, such as 2, 1.",
            )  # fmt: skip
        self.inputs = [
            self.tiled, self.side, self.overlap, self.together, self.same_tile, self.way, self.same_model,
            self.weights,
        ]  # fmt: skip
        self.tiled.input(lambda on: gr.Column(visible=on), self.tiled, tiling, **QUIET)

    @property
    def outputs(self) -> list[Any]:
        """What ``shown`` updates."""
        return [self.options, self.tiles, self.fusion]

    def shown(self, cards: Sequence[Card], page: Page, *, boxes: bool, finders: int) -> tuple[Any, Any, Any]:
        """Return the updates for the cards chosen, of which so many find things; ``boxes`` where these are boxes."""
        return (
            gr.HTML(form(cards, page.options)),
            gr.Accordion(visible=boxes),
            gr.Accordion(visible=boxes and finders > 1),
        )

    def applied(
        self, recipe: Recipe, values: Mapping[Any, Any], cards: Sequence[Card], page: Page, *, boxes: bool
    ) -> Recipe:
        """Return a recipe with what is set here. Raises BadInput where a setting cannot be followed."""
        options = {
            card.id: found for card in cards if (found := changed(card, page.options.get(card.id, {})))
        }
        recipe = replace(recipe, options=options)
        if not boxes:
            return recipe
        return replace(recipe, tiling=self._tiling(values), fusion=self._fusion(values, len(recipe.models)))

    def _tiling(self, values: Mapping[Any, Any]) -> Tiling | None:
        if not values[self.tiled]:
            return None
        return Tiling(
            int(values[self.side]), int(values[self.overlap]), values[self.together], float(values[self.same_tile])
        )  # fmt: skip

    def _fusion(self, values: Mapping[Any, Any], models: int) -> Fusion:
        if models < 2:
            return Fusion()
        return Fusion(
            values[self.way], float(values[self.same_model]), weights=weights_of(values[self.weights], models)
        )  # fmt: skip


def weights_of(text: str, models: int) -> tuple[float, ...]:
    """Read a weight for each model, none for equal ones. Raises BadInput."""
    parts = [part for part in re.split(r"[;,\s]+", (text or "").strip()) if part]
    if not parts:
        return ()
    try:
        weights = tuple(float(part) for part in parts)
    except ValueError:
        raise BadInput(
            f"Weights are numbers with commas between them, such as 2, 1; “{text}” is not."
        ) from None
    if len(weights) != models:
        raise BadInput(
            f"There are {models} models and {len(weights)} weights. Give each model one, or none at all."
        )
    if min(weights) < 0 or not any(weights):
        raise BadInput("Weights are 0 or more, and not all of them 0.")
    return weights
