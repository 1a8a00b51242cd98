"""Molmo's texts: points inside of tags.

Molmo 1 (Deitke et al., 2024) writes ``x="…" y="…"``, numbered where there are several, in hundredths of the sides.
Molmo 2 writes ``coords="image number x y number x y …"`` in thousandths.
"""

from __future__ import annotations

import re

from models._answers.tags import Plain, point_of
from studio.adapters import Place, Reading

TAG = re.compile(r"<(?P<name>points?|tracks?)\b(?P<facts>[^<>]{0,60000})>(?:(?P<label>[^<]*)</(?P=name)>)?")
FACT = re.compile(
    r"\b(?P<name>x|y|alt|coords)(?P<number>\d{0,5})\s*=\s*(?:\"(?P<value>[^\"]*)\"|'(?P<other>[^']*)')"
)
NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6})?")


def read(text: str, height: int, width: int) -> Reading:
    """Return a text as people read it, and of each tag its points, in their order."""
    plain, at = Plain(), 0
    for tag in TAG.finditer(text):
        plain.add(text[at : tag.start()])
        at = tag.end()
        facts = list(FACT.finditer(tag["facts"]))
        alt = next((_value(f) for f in facts if f["name"] == "alt"), "")
        label = (tag["label"] or "").strip() or alt.strip()
        span = plain.add(tag["label"] if (tag["label"] or "").strip() else label)
        shares = [p for f in facts if f["name"] == "coords" for p in _thousandths(_value(f))] or _hundredths(
            facts
        )
        points = [p for share in shares if (p := point_of(*share, height, width)) is not None]
        if points:
            plain.place(Place(label, points=tuple(points), span=span))
    plain.add(text[at:])
    return plain.reading()


def _value(fact: re.Match[str]) -> str:
    return fact["value"] if fact["value"] is not None else fact["other"]


def _hundredths(facts: list[re.Match[str]]) -> list[tuple[float, float]]:
    """Return the points of x and y of one number, in the order in which they are written."""
    sides: dict[str, dict[str, float]] = {}
    for fact in facts:
        value = _value(fact).strip()
        if fact["name"] in ("x", "y") and NUMBER.fullmatch(value):
            sides.setdefault(fact["number"], {}).setdefault(fact["name"], float(value) / 100)
    return [(pair["x"], pair["y"]) for pair in sides.values() if len(pair) == 2]


def _thousandths(text: str) -> list[tuple[float, float]]:
    """Return the points of a list: for each image its number, then for each point a number of its own, x and y."""
    points = []
    for part in re.split(r"[;:,\t]", text):
        numbers = [float(n) for n in NUMBER.findall(part)]
        if len(numbers) % 3 == 1:
            numbers = numbers[1:]  # the image's
        points += [(x / 1000, y / 1000) for x, y in zip(numbers[1::3], numbers[2::3], strict=False)]
    return points
