"""What is there already, when labels come to an image that has some."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from studio.annotations import Annotation, Box, Mask, Shape
from studio.operations.merging import merge
from studio.project import ImageRecord

IMAGE = ImageRecord(
    "i", "p", "d", "a.jpg", 100, 80, version=1, status="todo", count=0, drafts=0, added=datetime.now(UTC)
)


def disc(x: float = 40, radius: float = 20) -> Mask:
    ys, xs = np.mgrid[:80, :100]
    return Mask.from_array((xs - x) ** 2 + (ys - 40) ** 2 <= radius**2)


def thing(shape: Shape, name: str = "mug") -> Annotation:
    return Annotation(name, shape)


@pytest.mark.parametrize(
    ("there", "found", "same"),
    [
        (disc(), disc().box, True),  # a box says no more of a disc than where it ends
        (disc().box, disc(), True),
        (disc(), disc(41), True),
        (disc(), disc(52), False),
        (disc(), disc(52).box, False),
        (Box(10, 10, 30, 30), Box(10, 10, 30, 31), True),
        (Box(10, 10, 30, 30), Box(12, 12, 34, 34), False),
    ],
)
def test_what_is_there_is_known_by_its_outline_or_where_there_is_none_by_its_box(there, found, same):
    merged = merge(IMAGE, [thing(there)], [thing(found)], "merge", 0.9)
    assert (len(merged.kept), len(merged.dropped)) == ((0, 1) if same else (1, 0))
    assert not merged.gone
    assert len(merge(IMAGE, [thing(there)], [thing(found, "spoon")], "merge", 0.9).kept) == 1
