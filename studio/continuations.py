"""What a segmenter said a click ago, kept so that the next click refines it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

from studio.adapters import Candidate
from studio.annotations import Mask


class Continuations:
    """Remembers the states behind recent masks, so that the next click refines instead of starting over.

    Losing an entry costs a little quality on one click and nothing else. An entry only counts while the saved
    object still has the mask that came with the state, so an undo or a brush stroke silently retires it.
    """

    def __init__(self, most: int = 128) -> None:
        self._entries: OrderedDict[tuple[str, str], tuple[Candidate, ...]] = OrderedDict()
        self._lock = Lock()
        self._most = most

    def put(self, annotation_id: str, model_id: str, candidates: Sequence[Candidate]) -> None:
        with self._lock:
            self._entries[annotation_id, model_id] = tuple(candidates)
            self._entries.move_to_end((annotation_id, model_id))
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def state(self, annotation_id: str, model_id: str, mask: Mask) -> Any:
        with self._lock:
            candidates = self._entries.get((annotation_id, model_id), ())
        return next((c.state for c in candidates if c.state is not None and c.mask == mask), None)
