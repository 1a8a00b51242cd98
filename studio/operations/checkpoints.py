"""Checkpoint files of one's own: added and removed by whoever runs the studio."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from studio.access import LOCAL
from studio.adapters import Card
from studio.errors import Conflict, NotAllowed, NotFound
from studio.studio import Studio

TRIES = 3


class Kept(Protocol):
    """Where added models are kept."""

    def remove(self, model_id: str) -> None: ...

    def offer(self) -> None: ...


def may_change(studio: Studio, person: str) -> bool:
    """Say whether somebody may add and remove checkpoints: only in a studio whose people are all the same one.

    Visitors of a shared studio are known by a cookie, which says nothing of who runs it; there it is done at the
    command line.
    """
    return studio.settings.people == "one" and person == LOCAL


def add(
    studio: Studio,
    person: str,
    path: Path,
    *,
    name: str = "",
    title: str = "",
    progress: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
) -> Card:
    """Take a checkpoint file in and return its card. Raises NotAllowed, and what ``Checkpoints.add`` does."""
    check_may_change(studio, person)
    return studio.checkpoints.add(path, name, title, progress, cancel.is_set if cancel else None)


def remove(studio: Studio, person: str, model_id: str) -> str:
    """Delete an added checkpoint, out of the memory too, and return its title. Raises Conflict while it is in use."""
    check_may_change(studio, person)
    if model_id not in [key for _, key in added(studio)]:
        raise NotFound("This checkpoint is not here any more, or comes with the studio.")
    return take_out(studio, model_id, studio.checkpoints)


def take_out(studio: Studio, model_id: str, kept: Kept) -> str:
    """Take an added model out of the memory, the registry and where it is ``kept``, and return its title.

    Raises Conflict while it is in use.
    """
    card = studio.registry.card(model_id)
    for _ in range(TRIES):
        if _loaded(studio, model_id):
            studio.pool.unload(model_id)
        studio.registry.discard(model_id)
        if not _loaded(studio, model_id):
            break
        studio.registry.add(card)  # somebody began with it in between
    else:
        raise Conflict(f"{card.title} is in use. Remove it when that is finished.")
    studio.embeddings.discard_where(lambda key: isinstance(key, tuple) and key[0] == model_id)
    try:
        kept.remove(model_id)
    except BaseException:
        kept.offer()  # where it is still there, so is the model
        raise
    return card.title


def added(studio: Studio) -> list[tuple[str, str]]:
    """Return title and id of the added checkpoints, the latest first."""
    return [(each.title, each.id) for each in studio.checkpoints.read()]


def _loaded(studio: Studio, model_id: str) -> bool:
    return any(model.id == model_id for model in studio.pool.loaded())


def check_may_change(studio: Studio, person: str) -> None:
    if not may_change(studio, person):
        raise NotAllowed(
            "Models are added and removed by whoever runs this studio, at the command line: studio add-model."
        )
