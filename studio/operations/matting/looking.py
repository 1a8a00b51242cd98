"""What was looked at last: decoded pictures, edges, see-through things, for a slider that asks again and again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from studio import images
from studio.annotations import Mask
from studio.gate import Turn
from studio.operations.matting import trimaps
from studio.operations.matting.trimaps import SEEN_AT, Band
from studio.operations.predict import Recipe, find
from studio.operations.words import read_words
from studio.project import ImageRecord
from studio.studio import Studio

MOST_BYTES = 300_000_000  # of decoded pictures that are kept
MOST_EDGES = 8  # objects whose edge is
MOST_FOUND = 200  # images whose see-through things are


class Last:
    """The latest of something by key, as far as there is room."""

    def __init__(self, room: int, weight: Callable[[Any], int] = lambda value: 1) -> None:
        self._room, self._weight = room, weight
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > 1 and sum(map(self._weight, self._kept.values())) > self._room:
                self._kept.popitem(last=False)
        return value


_PICTURES: WeakKeyDictionary[Studio, Last] = WeakKeyDictionary()
_EDGES: WeakKeyDictionary[Studio, Last] = WeakKeyDictionary()
_FOUND: WeakKeyDictionary[Studio, Last] = WeakKeyDictionary()
_LOCK = threading.Lock()


def picture_of(studio: Studio, image: ImageRecord) -> np.ndarray:
    """Return an image's pixels, uint8 (h, w, 3), not to be written to."""
    with _LOCK:
        last = _PICTURES.setdefault(studio, Last(MOST_BYTES, lambda pixels: pixels.nbytes))
    return last.get(image.digest, lambda: images.decode(studio.store.original_path(image), image.name))


def edge_of(studio: Studio, image: ImageRecord, pixels: np.ndarray, mask: Mask) -> trimaps.Edge:
    """Return what is known of the edge of a mask, judged once for all widths of the band."""
    with _LOCK:
        last = _EDGES.setdefault(studio, Last(MOST_EDGES))
    key = image.digest, hashlib.sha256(mask.counts.tobytes()).digest()
    return last.get(key, lambda: trimaps.edge_of(pixels, mask.to_array()))


def see_through(
    studio: Studio, image: ImageRecord, pixels: np.ndarray, band: Band, turn: Turn | None
) -> np.ndarray | None:
    """Return where things are that may be seen through, bool (h, w); None where none is looked for.

    Raises BadInput where the detector reads no words, and NeedsDownload where it is not here.
    """
    if not band.see_through:
        return None
    card = studio.registry.card(band.detector) if band.detector else None
    card = card or studio.default_model("text-detector", image.project_id)
    recipe = Recipe((card.id,), threshold=SEEN_AT, words=read_words(band.see_through))

    def make() -> list[tuple[int, ...]]:
        from studio.operations.jobs import check, ready

        check(studio, recipe)
        ready(studio, recipe)
        found = find(studio, recipe, [pixels], turn=turn)[0]
        boxes = [d.box.clipped(image.width, image.height) for d in found if d.score >= SEEN_AT]
        return [tuple(round(v) for v in box.xyxy) for box in boxes]

    with _LOCK:
        last = _FOUND.setdefault(studio, Last(MOST_FOUND))
    there = np.zeros(pixels.shape[:2], bool)
    for x0, y0, x1, y1 in last.get((image.digest, band.see_through, card.id, card.version), make):
        there[y0:y1, x0:x1] = True
    return there
