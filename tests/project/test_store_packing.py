"""Geometry comes back from its few bytes as it went in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.annotations import Alpha, Box, Keypoints, Label, Mask, Point, Polygon, Prompt
from studio.project.packing import pack, unpack

SHAPES = [
    Box(0.1, 2, 3.3, 1e6),
    Polygon((((0, 0), (1.25, 0), (1, 1)), ((5, 5), (6, 5), (6, 6)))),
    Keypoints(((1.5, 2, 2), (0, 0, 0))),
    Alpha(3, 4, "ab" * 32, "cd" * 32),
    Label(),
    Mask(2, 3, np.array([6])),
    Mask(2, 3, np.array([0, 6])),
    Mask(70_000, 70_000, np.array([0, 4_000_000_000, 900_000_000])),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: type(s).__name__)
def test_a_shape_comes_back_as_it_was(shape):
    back, prompt = unpack(pack(shape, None))
    assert prompt is None
    if isinstance(shape, Mask):
        assert (back.height, back.width) == (shape.height, shape.width)
        assert back.counts.tolist() == shape.counts.tolist()
    else:
        assert back == shape


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=60))
def test_any_run_lengths_come_back(counts):
    total = sum(counts)
    if total == 0:
        return
    mask = Mask(1, total, np.array(counts, dtype=np.int64))
    assert unpack(pack(mask, None))[0].counts.tolist() == counts


def test_a_prompt_comes_back_with_its_clicks_box_text_and_mask():
    start = Mask.from_array(np.eye(5, dtype=bool))
    prompt = Prompt((Point(1.5, 2, False), Point(0, 0)), Box(1, 2, 3, 4), start, "a café")
    assert unpack(pack(Label(), prompt))[1] == prompt


def test_an_empty_prompt_is_not_taken_for_none():
    assert unpack(pack(Label(), Prompt()))[1] == Prompt()


def test_a_mask_of_a_thousand_runs_takes_less_than_two_kilobytes():
    rows, columns = np.mgrid[:1000, :1000]
    wobbly = Mask.from_array((rows - 500) ** 2 + (columns - 500) ** 2 < (400 + 30 * np.sin(columns / 9)) ** 2)
    assert wobbly.counts.size > 800
    assert len(pack(wobbly, None)) < 2000
