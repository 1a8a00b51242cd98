"""Fetch a model's files with progress, and stop fetching when nobody waits for them any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from studio.adapters import Card
from studio.studio import Studio


def fetch(studio: Studio, card: Card, every: float = 0.3) -> Iterator[tuple[int, int]]:
    """Yield (bytes done, bytes in all) until the files are here; closing the iterator cancels.

    Raises what the hub says. What came before a cancel is kept, and the next try goes on from there.
    """
    state = [0, card.download.bytes if card.download else 0]
    stop, finished = threading.Event(), threading.Event()
    failure: list[BaseException] = []

    def progress(done: int, total: int) -> None:
        state[:] = done, total

    def work() -> None:
        try:
            studio.hub.download(card, progress, stop.is_set, studio.registry.instead_of(card))
        except BaseException as error:  # raised again below, where the person is
            failure.append(error)
        finally:
            finished.set()

    threading.Thread(target=work, daemon=True).start()
    try:
        while not finished.wait(every):
            yield state[0], state[1]
    finally:
        stop.set()
    if failure:
        raise failure[0]
    yield state[1], state[1]
