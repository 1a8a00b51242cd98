"""The part of the Matting tab that works on one image: the stage, and the models it needs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.canvas.matting import matting_stage
from studio.canvas.matting_server import ROLES, matting_function
from studio.studio import Studio
from tabs._finding.fetching import Fetching
from tabs._finding.page import Place
from tabs._work import QUIET


class OneMatte:
    """The stage, and above it the downloads that what was chosen on it needs."""

    def __init__(self, studio: Studio, place: Place) -> None:
        self._studio = studio
        self._chosen = gr.State(())  # ids of the models chosen on the stage
        self.fetching = Fetching(studio, Place(place.id("one")))
        self.fetching.cards = self._absent
        self.stage = matting_stage(matting_function(studio), elem_id=place.id("stage"))
        outputs = [self._chosen, *self.fetching.outputs]
        self.stage.chose(self._chose, None, outputs, trigger_mode="always_last", **QUIET)
        needed = self.stage.need_model(self._needed, None, outputs, **QUIET)
        fetched = self.fetching.connect([self._chosen], "(...inputs) => inputs", after=[needed])
        for each in fetched:
            # A new value makes the stage ask again which models are here, and read the image by them.
            each.then(self._fetched, {self._chosen}, [*self.fetching.outputs, self.stage], **QUIET)

    def _absent(self, values: Mapping[Any, Any]) -> Sequence[Card]:
        """Return what is still to be downloaded of what was chosen: the stage tells of the others itself."""
        known = {card.id: card for card in self._studio.registry.cards()}
        cards = [known[each] for each in values[self._chosen] if each in known]
        return [card for card in cards if self._studio.hub.state(card) == "absent"]

    def _chose(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        data = event._data if isinstance(event._data, dict) else {}
        return self._told(tuple(str(data.get(kind) or "") for kind in ROLES), request)

    def _needed(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        data = event._data if isinstance(event._data, dict) else {}
        return self._told((str(data.get("model") or ""),), request)

    def _told(self, ids: tuple[str, ...], request: gr.Request) -> tuple[Any, ...]:
        return ids, *self.fetching.told(self._absent({self._chosen: ids}), request)

    def _fetched(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        told = self.fetching.told(self._absent(values), request)
        return *told, gr.HTML(refresh=time.time_ns())
