"""What the readers share: texts with tags, of which people are to see the words alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from studio.adapters import Place, Reading
from studio.annotations import Box

MOST_PLACES = 1000  # of one text; a model that repeats itself writes thousands


class Plain:
    """A text as it is put together for people, with the places that stand in it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._places: list[Place] = []

    def add(self, text: str) -> tuple[int, int]:
        """Add a piece; return where its words begin and end, without the space around them."""
        start = self._length + len(text) - len(text.lstrip())
        self._parts.append(text)
        self._length += len(text)
        return min(start, self._length), max(start, self._length - (len(text) - len(text.rstrip())))

    def place(self, place: Place) -> None:
        if len(self._places) < MOST_PLACES:
            self._places.append(place)

    @property
    def at(self) -> int:
        return self._length

    def reading(self) -> Reading:
        """Return the whole, without space at its ends."""
        text = "".join(self._parts)
        cut = len(text) - len(text.lstrip())
        text = text.strip()

        def moved(place: Place) -> Place:
            start, end = (min(max(at - cut, 0), len(text)) for at in place.span)
            return Place(place.phrase, place.box, place.points, place.outline, (start, end))

        return Reading(text, tuple(moved(place) for place in self._places))


def box_of(shares: Sequence[float], height: int, width: int) -> Box | None:
    """Return the box of x0, y0, x1, y1 as shares of the sides; None where it is empty, inside out or outside."""
    if len(shares) != 4 or not all(math.isfinite(v) for v in shares):
        return None
    x0, y0, x1, y1 = (min(max(v, 0.0), 1.0) for v in shares)
    return Box(x0 * width, y0 * height, x1 * width, y1 * height) if x0 < x1 and y0 < y1 else None


def point_of(x: float, y: float, height: int, width: int) -> tuple[float, float] | None:
    """Return a point of shares of the sides in pixels; None where it lies beside the image."""
    inside = math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1
    return (x * width, y * height) if inside else None
