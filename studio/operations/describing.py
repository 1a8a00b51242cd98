"""What models say of an image without being asked for anything, and the phrases of a caption, to be looked for.

"Caption, then ground" is two steps: a describer writes what is there, and a detector looks for each thing it names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from studio.adapters import Card, Detection, Place, Reading, Task
from studio.annotations import Box
from studio.errors import BadInput, unknown
from studio.operations.words import plain_name

Span = tuple[int, int]
GROUNDED: Task = "grounded caption"
PLAIN: tuple[Task, ...] = ("caption", "detailed caption", "long caption")  # of which nothing can be drawn
LONGEST_CAPTION = 2000
MOST_PHRASES = 60  # of one caption; a network that repeats itself writes more
NOWHERE: Span = (0, 0)

# Where one thing ends in a caption and the next begins.
_BETWEEN = re.compile(
    r"[.,;:!?()\"“”]|\b(?:(?:on|in|at)(?: the)? (?:top|bottom|front|back|side|middle|corner) of|close-?ups?|groups?|"
    r"sides|himself|herself|itself|themselves|and|or|but|while|as|with|without|of|on|onto|in|into|inside|at|by|for|from|"
    r"to|toward|towards|over|under|above|below|beneath|behind|beside|besides|between|among|around|near|next|against|"
    r"across|along|through|up|down|off|out|about|is|are|was|were|be|been|being|has|have|having|there|that|which|who|whose|it|"
    r"its|they|their|them|he|she|his|her|this|these|those|some|several|many|various|other|another|each|both|all|image|"
    r"picture|photo|photograph|view|shows?|showing|depicts?|features?|\w{3,}ing)\b",
    re.IGNORECASE,
)
_THINGS_IN_ING = (
    "building ceiling clothing evening painting railing string wing ring king swing lightning morning"
)
_COUNTS = re.compile(
    r"^(?:(?P<many>two|three|four|five|six|seven|eight|nine|ten|\d+|a (?:few|couple|pair|bunch|group|lot))|one|an?|the)"
    r"\s+",
    re.IGNORECASE,
)
_ONE_OF = (
    ("leaves", "leaf"),
    ("knives", "knife"),
    ("loaves", "loaf"),
    ("people", "person"),
    ("children", "child"),
)


@dataclass(frozen=True)
class Told:
    """What a model said of an image. ``spans`` has for each finding where the text speaks of it, in its order."""

    text: str
    spans: tuple[Span, ...] = ()


def check_describer(card: Card) -> None:
    """Raise BadInput where a model writes no captions."""
    if "describer" not in card.roles:
        raise BadInput(f"{card.title} describes no images. Choose a model that does for the caption.")


def check_task(card: Card, task: str) -> None:
    """Raise BadInput where a model cannot describe images in this way, NotFound where nobody knows it."""
    if task not in get_args(Task):
        raise unknown("way of describing images", task, get_args(Task))
    if "describer" not in card.roles:
        raise BadInput(f"{card.title} describes no images. Choose a model that does.")
    if task not in card.tasks:
        able = ", ".join(card.tasks) or "nothing of the kind"
        raise BadInput(f"{card.title} cannot do “{task}”; it can do {able}.")


def caption_of(card: Card, model: Any, picture: np.ndarray, own: str = "") -> Reading:
    """Return a caption, by the model itself tied to its phrases where it does that; ``own`` is a person's caption."""
    if own:
        return Reading(own)
    if GROUNDED in card.tasks:
        reading = model.describe(picture, GROUNDED)
        if reading.places:
            return reading
        if reading.text:
            return Reading(reading.text)
    return Reading(model.describe(picture, "caption").text)


def phrases_of(reading: Reading) -> dict[str, Span]:
    """Return what a caption names and where it does so: the phrases that are tied to places, or else its things."""
    found: dict[str, Span] = {}
    for place in reading.places:
        if name := plain_name(place.phrase):
            found.setdefault(name, place.span)
    for span in () if found else _between(reading.text):
        if name := _thing(reading.text[slice(*span)]):
            found.setdefault(name, span)
    return dict(list(found.items())[:MOST_PHRASES])


def placed(reading: Reading, height: int, width: int) -> list[tuple[Detection, Span]]:
    """Return the places that a text speaks of, named by their phrases, each with where it does so.

    An outline counts by the box around it. A network gives these no score: all have 1.
    """
    found = []
    for place in reading.places:
        box, name = _box(place, height, width), plain_name(place.phrase)
        if box is not None and name:
            found.append((Detection(name, 1.0, box), place.span))
    return found


def _box(place: Place, height: int, width: int) -> Box | None:
    box = place.box
    if box is None and len(place.outline) >= 3:
        xs, ys = zip(*place.outline, strict=True)
        box = Box(min(xs), min(ys), max(xs), max(ys))
    box = box and box.clipped(width, height)
    return box if box is not None and box.area > 0 else None


def _between(text: str) -> list[Span]:
    """Return the spans of a caption that may name things."""
    spans, at = [], 0
    for end in [*_BETWEEN.finditer(text), None]:
        if end is not None and end[0].lower() in _THINGS_IN_ING.split():
            continue
        stop = end.start() if end is not None else len(text)
        piece = text[at:stop]
        start = at + len(piece) - len(piece.lstrip())
        if piece.strip():
            spans.append((start, at + len(piece.rstrip())))
        at = end.end() if end is not None else stop
    return spans


def _thing(piece: str) -> str:
    """Return one of what a piece of a caption names, as detectors are best asked: “two red apples” → “red apple”."""
    if not re.search(r"[^\W\d_]{2}", piece) or piece.lower() in ("an", "the"):
        return ""
    counted = _COUNTS.match(piece)
    words = plain_name(piece[counted.end() :] if counted else piece)
    if not counted and (len(words.split()) > 3 or words != words.lower()):
        return ""  # no article, no number, and no plain noun: rather something that is said of a thing
    return _single(words) if counted and counted["many"] else words


def _single(words: str) -> str:
    for many, one in _ONE_OF:
        if words.endswith(many):
            return words.removesuffix(many) + one
    for end, one in (
        ("ches", "ch"),
        ("shes", "sh"),
        ("sses", "ss"),
        ("xes", "x"),
        ("oes", "o"),
        ("ies", "y"),
    ):
        if words.endswith(end):
            return words.removesuffix(end) + one
    return words[:-1] if words.endswith("s") and not words.endswith("ss") else words


def renamed(pairs: Sequence[tuple[Detection, Span]], called: Any) -> list[tuple[Detection, Span]]:
    """Return pairs with what ``called`` makes of each name; those that it leaves out are missing."""
    named = [(d, span, called(d.name)) for d, span in pairs]
    return [(replace(d, name=name), span) for d, span, name in named if name is not None]
