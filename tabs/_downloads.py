"""What the page says of a model's files, and their download as work that can be watched and stopped."""

from __future__ import annotations

import html
import threading

from studio.adapters import Card
from studio.devices import size_text
from studio.studio import Studio
from tabs._work import Progress, Work

STATES = {"ready": "downloaded", "absent": "not downloaded yet", "no download": "needs no download"}


def about_model(studio: Studio, card: Card) -> str:
    """Return as HTML whether a model is here, under which licence, and what it is good for."""
    parts = [STATES[studio.hub.state(card)], card.licence]
    if not card.commercial:
        parts.append("not for commercial use")
    if card.note:
        parts.append(card.note)
    text = html.escape(" · ".join(parts))
    return f'<span class="segment-note" title="{text}">{text}</span>'  # the bar has room for two lines of it


def download_label(card: Card) -> str:
    return f"Download {size_text(card.download.bytes)}" if card.download else "Download"


def downloading(studio: Studio, card: Card, person: str) -> Work:
    """Begin to download a model; a gated one with the person's own token, where there is one."""

    def run(progress: Progress, cancel: threading.Event) -> None:
        def told(done: int, total: int) -> None:
            progress(done // 1_000_000, max(total // 1_000_000, 1), "")

        studio.hub.download(card, told, cancel.is_set, studio.registry.instead_of(card), person)

    return Work(f"Downloading {card.title} ({card.licence}), in MB", run)
