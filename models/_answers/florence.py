"""Florence-2's texts: words, and places behind them as ``<loc_0>`` to ``<loc_999>`` (Xiao et al., Florence-2, 2024).

Four of them are a box, eight the corners of written words, and inside of ``<poly>`` any number are outlines.
"""

from __future__ import annotations

import re
from typing import Literal

from models._answers.tags import Plain, box_of, point_of
from studio.adapters import Place, Reading

Form = Literal["text", "boxes", "corners", "outlines"]
BINS = 1000
ENDS = re.compile(r"</?s>|<pad>|<ground>|<obj>")
LOCS = re.compile(r"(?:<loc_\d{1,6}>|</?poly>|<sep>|<and>)+")
LOC = re.compile(r"<loc_(\d{1,6})>")


def read(text: str, height: int, width: int, form: Form = "boxes", *, listed: bool = False) -> Reading:
    """Return a text as people read it and its places, each tied to the words before it.

    ``listed`` is for names that follow one another with nothing but their places between: they are told with commas.
    """
    text = ENDS.sub("", text)
    plain, at = Plain(), 0
    for group in LOCS.finditer(text):
        words = text[at : group.start()]
        at = group.end()
        shown = words if not listed or not words.strip() or not plain.at else f", {words.strip()}"
        start, end = plain.add(shown)
        start += 2 if shown.startswith(", ") and listed else 0
        phrase = words.strip()
        for place in _places(group[0], phrase, (start, end), height, width, form):
            plain.place(place)
    rest = text[at:]
    plain.add(f", {rest.strip()}" if listed and plain.at and rest.strip() else rest)
    return plain.reading()


def _places(
    group: str, phrase: str, span: tuple[int, int], height: int, width: int, form: Form
) -> list[Place]:
    if form == "text":
        return []
    if form == "outlines" or "<poly>" in group:
        outlines = (_points(part, height, width) for part in re.split(r"</?poly>|<sep>|<and>", group))
        return [Place(phrase, outline=outline, span=span) for outline in outlines if len(outline) >= 3]
    numbers = [int(n) for n in LOC.findall(group)]
    if form == "corners":
        whole = [numbers[i : i + 8] for i in range(0, len(numbers) - 7, 8)]
        corners = [_pairs(each, height, width) for each in whole]
        return [Place(phrase, outline=outline, span=span) for outline in corners if len(outline) == 4]
    places = []
    for i in range(0, len(numbers) - 3, 4):
        box = box_of([(n + 0.5) / BINS for n in numbers[i : i + 4]], height, width)
        if box is not None and max(numbers[i : i + 4]) < BINS:
            places.append(Place(phrase, box, span=span))
    return places


def _points(part: str, height: int, width: int) -> tuple[tuple[float, float], ...]:
    return _pairs([int(n) for n in LOC.findall(part)], height, width)


def _pairs(numbers: list[int], height: int, width: int) -> tuple[tuple[float, float], ...]:
    pairs = zip(numbers[::2], numbers[1::2], strict=False)
    points = (point_of((x + 0.5) / BINS, (y + 0.5) / BINS, height, width) for x, y in pairs)
    return tuple(p for p in points if p is not None)
