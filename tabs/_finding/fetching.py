"""What is said of the models chosen, and their download: licence, size, progress, and access to gated ones."""

from __future__ import annotations

import html
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.devices import size_text
from studio.studio import Studio
from tabs._downloads import STATES
from tabs._finding.page import Place
from tabs._gated import Access
from tabs._work import LONG, QUIET, Progress, Work

Values = Mapping[Any, Any]


class Fetching:
    """Lines on the models chosen, a button that downloads what is missing, and the way to gated ones.

    ``cards(values)`` gives what is chosen; it is set by who puts the tab together.
    """

    def __init__(self, studio: Studio, place: Place) -> None:
        self._studio = studio
        self.cards: Callable[[Values], Sequence[Card]] = lambda values: ()
        self._about = gr.HTML("", padding=False, elem_id=place.id("about"), elem_classes=["finding-about"])
        with gr.Row(visible=False, elem_id=place.id("fetching")) as self._row:
            self._fetch = gr.Button("Download", variant="primary", size="sm", min_width=150)
            self._stop = gr.Button("Cancel", visible=False, size="sm", scale=0, min_width=90)
        self._access = Access(studio, place.id("gated"))
        self._work = gr.State(None)

    @property
    def outputs(self) -> list[Any]:
        """What ``told`` updates."""
        return [self._about, self._row, self._fetch, self._stop, *self._access.outputs]

    def told(self, cards: Sequence[Card], request: gr.Request) -> tuple[Any, ...]:
        """Return the updates for what is chosen."""
        absent = self._absent(cards)
        gated = next((c for c in absent if c.download and c.download.gated), None)
        label = _download_label(absent) if absent else "Download"
        return (
            gr.HTML(_about(self._studio, cards)),
            gr.Row(visible=bool(absent)),
            gr.Button(label, visible=bool(absent), interactive=True),
            gr.Button(visible=False),
            *self._access.look(gated.id if gated else "", request),
        )

    def connect(self, inputs: Collection[Any], js: str, after: Sequence[Any] = ()) -> list[Any]:
        """Wire the buttons. A download begins ``after`` other events, too; returns those that end one."""
        shown = [self._about, self._row, self._fetch, self._stop, self._work]
        ended = [
            begins(self._download, set(inputs), shown, js=js, **LONG).then(
                self._look_again, set(inputs), self._access.outputs, **QUIET
            )
            for begins in (self._fetch.click, self._access.given.then, *(event.then for event in after))
        ]
        self._stop.click(
            lambda running: running.stop() if running else None, self._work, None, queue=False, **QUIET
        )
        return ended

    def _absent(self, cards: Sequence[Card]) -> list[Card]:
        return [c for c in {c.id: c for c in cards}.values() if self._studio.hub.state(c) == "absent"]

    def _look_again(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Return the updates that speak of a gated model where one is still missing."""
        gated = [c for c in self._absent(self.cards(values)) if c.download and c.download.gated]
        return self._access.look(gated[0].id if gated else "", request)

    async def _download(self, values: dict[Any, Any], request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Fetch what is missing, one after the other; yield the updates of about, row, button, cancel and the work."""
        same, person, cards = gr.skip(), self._studio.person(request), self.cards(values)
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
        lines.append(f"<div><b>{html.escape(card.title)}</b> {text}</div>")
    return "".join(lines)
