"""The part of the Predict tab that says what to find, and by which models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import gradio as gr

from studio.adapters import Card
from studio.errors import BadInput
from studio.operations import hub_models
from studio.operations.fusion import MOST_MODELS
from studio.operations.predict import FIRST_THRESHOLD
from studio.studio import Studio
from tabs._finding.fetching import Fetching
from tabs._finding.page import Place

Kind = Literal["detector", "semantic", "classifier"]
ENSEMBLE = "Two to five together make an ensemble."
KINDS: list[tuple[str, Kind]] = [
    ("Things", "detector"),
    ("Every pixel's class", "semantic"),
    ("Tags of the whole image", "classifier"),
]
NO_MASKS, NO_POSE = ("As the model gives them", ""), ("None", "")


class ModelChoice:
    """What to find, the models for it, and what may be made of their boxes: masks and keypoints.

    ``inputs`` are what a recipe is read from; ``ids()`` and ``cards()`` read them.
    """

    def __init__(self, studio: Studio, place: Place) -> None:
        self._studio = studio
        self.kind = gr.Radio(KINDS, value="detector", label="What to find", elem_id=place.id("kind"))
        self.models = gr.Dropdown(
            [], value=[], label="Model", info=ENSEMBLE, multiselect=True, max_choices=MOST_MODELS,
            elem_id=place.id("models"),
        )  # fmt: skip
        # Who visits somebody's studio may not add models to it.
        self.typed = gr.Textbox(
            "", label="A model of the Hugging Face hub", placeholder="Another of the hub: owner/name, Enter",
            show_label=False, container=False, max_lines=1, visible=studio.settings.people == "one",
            elem_id=place.id("hub"),
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )  # fmt: skip
        self.fetching = Fetching(studio, place)
        self.fetching.cards = self.cards
        self.segmenter = gr.Dropdown([NO_MASKS], value="", label="Masks by", elem_id=place.id("masks"))
        self.pose = gr.Dropdown([NO_POSE], value="", label="Keypoints by", elem_id=place.id("pose"))
        self.threshold = gr.Slider(
            0, 1, FIRST_THRESHOLD, step=0.01, label="How sure, at least", elem_id=place.id("sure")
        )
        self.inputs = [self.kind, self.models, self.segmenter, self.pose, self.threshold]

    # ---- what is chosen ----

    def ids(self, values: Mapping[Any, Any]) -> tuple[str, ...]:
        """Return the ids of all models chosen, those that make masks and keypoints last."""
        finders = tuple(values[self.models] or ())
        if values[self.kind] != "detector":
            return finders
        return *finders, *(each for each in (values[self.segmenter], values[self.pose]) if each)

    def cards(self, values: Mapping[Any, Any]) -> list[Card]:
        known = {card.id: card for card in self._studio.registry.cards()}
        return [known[each] for each in self.ids(values) if each in known]

    # ---- what the page shows of it ----

    def offered(
        self, kind: Kind, chosen: Sequence[str], project: str, *, offer: bool
    ) -> tuple[Any, list[str]]:
        """Return the update that offers the models of a kind, and which of them are chosen then.

        With ``offer`` the best one is chosen where none is.
        """
        cards = self._studio.registry.cards(kind)
        known = [card.id for card in cards]
        kept = [each for each in chosen if each in known]
        if offer and not kept and cards:
            kept = [self._studio.default_model(kind, project).id]
        info = ENSEMBLE if kind == "detector" else "One at a time."
        return gr.Dropdown([(c.title, c.id) for c in cards], value=kept, info=info), kept

    def helpers(self, kind: Kind) -> tuple[Any, Any]:
        """Return the updates of the two dropdowns that make something of boxes; their choice stays."""
        cutters = [c for c in self._studio.registry.cards("segmenter") if "box" in c.prompts]
        posers = self._studio.registry.cards("pose")
        things = kind == "detector"
        return (
            gr.Dropdown([NO_MASKS, *((c.title, c.id) for c in cutters)], visible=things),
            gr.Dropdown([NO_POSE, *((c.title, c.id) for c in posers)], visible=things and bool(posers)),
        )

    def sure(self, kind: Kind) -> Any:
        """Return the update of the threshold: a model that gives every pixel a class is equally sure of all."""
        return gr.Slider(visible=kind != "semantic")

    def of_the_hub(self, kind: Kind, typed: str, person: str) -> str:
        """Return the id here of a model of the hub, known from now on. Raises BadInput, and what the hub answers."""
        if not typed.strip():
            raise BadInput("Type the id of a model, such as facebook/detr-resnet-50.")
        gr.Info(f"Asking the hub about {typed.strip()[:100]} …", duration=4)
        card = hub_models.by_id(self._studio, person, typed)
        if kind not in card.roles:
            does = " or ".join(f"“{title}”" for title, role in KINDS if role in card.roles)
            where = f"Choose {does} under “What to find”, and then it." if does else "It is for other work."
            raise BadInput(f"{card.title} cannot do this. {where}")
        return card.id

    def one_at_a_time(self, kind: Kind, chosen: Sequence[str]) -> list[str]:
        """Return what stays chosen: of models that work alone, the one chosen last."""
        return list(chosen or ()) if kind == "detector" else list(chosen or ())[-1:]
