"""Kosmos-2's texts: phrases in tags, followed by boxes as pairs of cells of a grid (Peng et al., Kosmos-2, 2023)."""

from __future__ import annotations

import re

from models._answers.tags import Plain, box_of
from studio.adapters import Place, Reading
from studio.annotations import Box

GRID = 32  # cells a side
TOKEN = re.compile(
    r"<phrase>(?P<phrase>[^<]*)</phrase>|<object>(?P<object>(?:<patch_index_\d{1,9}>|</delimiter_of_multi_objects/>)*)"
    r"</object>|(?P<tag></?[a-z_][a-z_0-9]{0,39}/?>)"
)
CELL = re.compile(r"<patch_index_(\d{1,9})>")


def read(text: str, height: int, width: int) -> Reading:
    """Return a text as people read it, each box tied to the phrase before it."""
    text = text.rpartition("</image>")[2]
    plain, at = Plain(), 0
    phrase, span = "", (0, 0)
    for token in TOKEN.finditer(text):
        if token.start() > at:
            plain.add(text[at : token.start()])
            phrase, span = "", (plain.at, plain.at)  # words in between part a box from a phrase further back
        at = token.end()
        if token["phrase"] is not None:
            span = plain.add(token["phrase"])
            phrase = token["phrase"].strip()
        elif token["object"] is not None:
            for pair in token["object"].split("</delimiter_of_multi_objects/>"):
                cells = [int(cell) for cell in CELL.findall(pair)]
                box = box_between(*cells, height, width) if len(cells) == 2 else None
                if box is not None:
                    plain.place(Place(phrase, box, span=span))
            phrase, span = "", (plain.at, plain.at)
    plain.add(text[at:])
    return plain.reading()


def box_between(first: int, last: int, height: int, width: int) -> Box | None:
    """Return the box of its upper left and its lower right cell in pixels; None where they make none."""
    return box_of(_shares(first, last), height, width)


def _shares(first: int, last: int) -> tuple[float, ...]:
    """Return the box of its upper left and its lower right cell: from middle to middle, or whole cells in a line."""
    if max(first, last) >= GRID * GRID:
        return ()
    x0, y0, x1, y1 = first % GRID, first // GRID, last % GRID, last // GRID
    start, end = (0.0, 1.0) if x0 == x1 or y0 == y1 else (0.5, 0.5)
    return tuple(v / GRID for v in (x0 + start, y0 + start, x1 + end, y1 + end))
