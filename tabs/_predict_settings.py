"""The settings of a prediction that are folded away: options, tiles, several models, class names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.errors import BadInput
from studio.operations.fusion import Fusion
from studio.operations.predict import Recipe
from studio.operations.tiling import Tiling
from tabs._classmap import ADD, DROP, class_table, mapping, rule_of, said, table
from tabs._options import changed, form, options_form
from tabs._predict_models import ModelChoice
from tabs._predict_page import CLASSES, Page

RULES = [("Add them to the project", ADD), ("Leave them out", DROP)]
TOGETHER = [("The surer one stays", "nms"), ("They are joined", "nmm"), ("Both stay", "none")]
WAYS = [
    ("Mean of their boxes (WBF)", "wbf"),
    ("The surer one stays (NMS)", "nms"),
    ("Weaken what overlaps (soft-NMS)", "soft-nms"),
]
UNKNOWN_YET = (
    "<p>What the models know is shown here once they are loaded: press “Find”, or open this again.</p>"
)


class Settings:
    """Accordions below the models. ``inputs`` and the page are what ``recipe()`` is read from."""

    def __init__(self) -> None:
        with gr.Accordion("Options", open=False, elem_id="predict-options"):
            self.options = options_form("predict-option-form")
        with gr.Accordion("Small objects (tiles)", open=False, elem_id="predict-tiles") as self.tiles:
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
            "Several models", open=False, visible=False, elem_id="predict-fusion"
        ) as self.fusion:
            self.way = gr.Dropdown(WAYS, value="wbf", label="How their findings become one")
            self.same_model = gr.Slider(
                0.05, 1, 0.55, step=0.05, label="Overlap (IoU) from which two are one"
            )
            self.weights = gr.Textbox(
                "", label="Weights", placeholder="all the same", max_lines=1,
                info="A number for each model, in the order above, such as 2, 1.",
            )  # fmt: skip
        with gr.Accordion("Classes", open=False, elem_id="predict-classes") as self.classes:
            self.rule = gr.Radio(RULES, value=ADD, label="Classes that are new here")
            self.table = class_table(CLASSES)
        self.inputs = [
            self.tiled, self.side, self.overlap, self.together, self.same_tile, self.way, self.same_model,
            self.weights, self.rule,
        ]  # fmt: skip
        self.tiled.input(
            lambda on: gr.Column(visible=on), self.tiled, tiling, show_progress="hidden",
            api_visibility="private",
        )  # fmt: skip

    # ---- what the page shows ----

    def shown(self, kind: str, cards: Sequence[Card], finders: int, page: Page) -> tuple[Any, Any, Any]:
        """Return the updates of the options, of the tiles, and of the several models."""
        return (
            gr.HTML(form(cards, page.options)),
            gr.Accordion(visible=kind == "detector"),
            gr.Accordion(visible=finders > 1),
        )

    def names(
        self, names: Sequence[str], own: Sequence[str], mapped: Mapping[str, str | None], rule: str
    ) -> str:
        return table(names, own, mapped, rule_of(rule), CLASSES) if names else UNKNOWN_YET

    def mapped(
        self, page: Page, rule: str, own: Collection[str], remembered: Mapping[str, str | None]
    ) -> dict[str, str | None]:
        """Return what classes are called: as the table says, and where it has not been filled, as remembered."""
        rest = {name: called for name, called in remembered.items() if name not in page.classes}
        return {**rest, **said(page.classes, rule_of(rule), own)}

    # ---- what a recipe is made of ----

    def recipe(
        self,
        values: Mapping[Any, Any],
        choice: ModelChoice,
        page: Page,
        own: Collection[str],
        remembered: Mapping[str, str | None],
    ) -> Recipe:
        """Return what the page asks for. Raises BadInput where a setting cannot be followed."""
        things, rule = values[choice.kind] == "detector", rule_of(values[self.rule])
        models = tuple(values[choice.models] or ())
        if not models:
            raise BadInput("Choose a model first.")
        options = {
            card.id: found
            for card in choice.cards(dict(values))
            if (found := changed(card, page.options.get(card.id, {})))
        }
        recipe = Recipe(
            models,
            threshold=float(values[choice.threshold]),
            options=options,
            classes=mapping(self.mapped(page, rule, own, remembered), rule, own),
            unknown=rule,
        )
        if not things:
            return recipe
        return replace(
            recipe,
            segmenter=values[choice.segmenter] or "",
            pose=values[choice.pose] or "",
            tiling=self._tiling(values),
            fusion=self._fusion(values, len(models)),
        )

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
