"""The part of the Predict tab that says what to find, and by which models."""

from __future__ import annotations

import html
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import gradio as gr

from studio.adapters import Card
from studio.devices import size_text
from studio.operations.fusion import MOST_MODELS
from studio.operations.predict import FIRST_THRESHOLD
from studio.studio import Studio
from tabs._downloads import STATES
from tabs._gated import Access
from tabs._work import Progress, Work

Kind = Literal["detector", "semantic", "classifier"]
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

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.kind = gr.Radio(KINDS, value="detector", label="What to find", elem_id="predict-kind")
        self.models = gr.Dropdown(
            [], value=[], label="Model", info="Two to five together make an ensemble.", multiselect=True,
            max_choices=MOST_MODELS, elem_id="predict-models",
        )  # fmt: skip
        self.about = gr.HTML("", padding=False, elem_id="predict-about")
        with gr.Row(visible=False, elem_id="predict-fetching") as self.fetching:
            self.fetch = gr.Button("Download", variant="primary", size="sm", min_width=150)
            self.stop = gr.Button("Cancel", visible=False, size="sm", scale=0, min_width=90)
        self.access = Access(studio, "predict-gated")
        self.segmenter = gr.Dropdown([NO_MASKS], value="", label="Masks by", elem_id="predict-masks")
        self.pose = gr.Dropdown([NO_POSE], value="", label="Keypoints by", elem_id="predict-pose")
        self.threshold = gr.Slider(
            0, 1, FIRST_THRESHOLD, step=0.01, label="How sure, at least", elem_id="predict-sure"
        )
        self.inputs = [self.kind, self.models, self.segmenter, self.pose, self.threshold]

    # ---- what is chosen ----

    def ids(self, values: dict[Any, Any]) -> tuple[str, ...]:
        """Return the ids of all models chosen, those that make masks and keypoints last."""
        finders = tuple(values[self.models] or ())
        if values[self.kind] != "detector":
            return finders
        return *finders, *(each for each in (values[self.segmenter], values[self.pose]) if each)

    def cards(self, values: dict[Any, Any]) -> list[Card]:
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
        info = "Two to five together make an ensemble." if kind == "detector" else "One at a time."
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

    def one_at_a_time(self, kind: Kind, chosen: Sequence[str]) -> list[str]:
        """Return what stays chosen: of models that work alone, the one chosen last."""
        return list(chosen or ()) if kind == "detector" else list(chosen or ())[-1:]

    def told(self, cards: Sequence[Card], request: gr.Request) -> tuple[Any, ...]:
        """Return the updates of ``told_outputs`` for what is chosen."""
        absent = self._absent(cards)
        gated = next((c for c in absent if c.download and c.download.gated), None)
        label = _download_label(absent) if absent else "Download"
        return (
            gr.HTML(_about(self._studio, cards)),
            gr.Row(visible=bool(absent)),
            gr.Button(label, visible=bool(absent), interactive=True),
            gr.Button(visible=False),
            *self.access.look(gated.id if gated else "", request),
        )

    @property
    def told_outputs(self) -> list[Any]:
        return [self.about, self.fetching, self.fetch, self.stop, *self.access.outputs]

    def _absent(self, cards: Sequence[Card]) -> list[Card]:
        return [c for c in {c.id: c for c in cards}.values() if self._studio.hub.state(c) == "absent"]

    def look_again(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Return the updates that speak of a gated model where one is still missing."""
        gated = [c for c in self._absent(self.cards(values)) if c.download and c.download.gated]
        return self.access.look(gated[0].id if gated else "", request)

    # ---- downloads ----

    async def download(self, cards: Sequence[Card], request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Fetch what is missing, one after the other; yield the updates of about, row, button, cancel and the work."""
        same, person = gr.skip(), self._studio.person(request)
        absent = self._absent(cards)
        if not absent:
            return
        work = self._fetching(absent, person)
        yield gr.HTML(work.bar()), same, gr.Button(visible=False), gr.Button(visible=True), work
        async for bar in work.watch():
            yield gr.HTML(bar), same, same, same, same
        about = work.failure() or _about(self._studio, cards)
        left = self._absent(cards)
        again = gr.Button(_download_label(left), visible=bool(left)) if left else gr.Button(visible=False)
        yield gr.HTML(about), gr.Row(visible=bool(left)), again, gr.Button(visible=False), None

    def _fetching(self, absent: Sequence[Card], person: str) -> Work:
        studio, whole = self._studio, sum(c.download.bytes for c in absent if c.download)

        def run(progress: Progress, cancel: threading.Event) -> None:
            before = 0
            for card in absent:

                def told(done: int, total: int, before: int = before, title: str = card.title) -> None:
                    far, of = before + done, max(whole, before + total)
                    progress(far // 1_000_000, max(of // 1_000_000, 1), title)

                instead = studio.registry.instead_of(card)
                studio.hub.download(card, told, cancel.is_set, instead, person)
                before += card.download.bytes if card.download else 0

        return Work(f"Downloading {' and '.join(c.title for c in absent)}, in MB", run)


def _download_label(cards: Sequence[Card]) -> str:
    size = size_text(sum(c.download.bytes for c in cards if c.download))
    return f"Download {size}" if len(cards) == 1 else f"Download {len(cards)} models, {size}"


def _about(studio: Studio, cards: Sequence[Card]) -> str:
    """Return as HTML a line on each model: whether it is here, its licence, and what it is good for."""
    lines, said = [], set()
    for card in cards:
        parts = [STATES[studio.hub.state(card)], card.licence]
        if not card.commercial:
            parts.append("not for commercial use")
        if card.note and card.note not in said:  # the demos all say the same
            parts.append(card.note)
            said.add(card.note)
        text = html.escape(" · ".join(parts))
        lines.append(f'<div class="predict-about"><b>{html.escape(card.title)}</b> {text}</div>')
    return "".join(lines)
