from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from studio.annotations import (
    Annotation,
    Box,
    Keypoints,
    Label,
    Mask,
    Point,
    Polygon,
    Prompt,
    annotation_from_json,
    annotation_to_json,
    shape_from_json,
    shape_to_json,
)
from studio.errors import BadInput

arrays = hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@settings(max_examples=200, deadline=None)
@given(arrays)
def test_a_mask_decodes_to_what_was_encoded(array: np.ndarray):
    mask = Mask.from_array(array)
    assert np.array_equal(mask.to_array(), array)
    assert mask.area == array.sum()


@settings(max_examples=200, deadline=None)
@given(arrays)
def test_a_masks_box_is_tight(array: np.ndarray):
    box = Mask.from_array(array).box
    if not array.any():
        assert box is None
        return
    ys, xs = np.nonzero(array)
    assert box.xyxy == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


@settings(max_examples=100, deadline=None)
@given(arrays)
def test_run_lengths_are_those_of_coco(array: np.ndarray):
    mask = Mask.from_array(array)
    rle = coco.frPyObjects({"size": [mask.height, mask.width], "counts": mask.counts.tolist()}, *array.shape)
    assert np.array_equal(coco.decode(rle).astype(bool), array)


@pytest.mark.parametrize(
    "shape",
    [
        Box(1, 2, 3.5, 4),
        Polygon((((0, 0), (4, 0), (4, 4)), ((5, 5), (6, 5), (6, 6), (5, 6)))),
        Keypoints(((1, 2, 2), (0, 0, 0))),
        Label(),
        Mask.from_array(np.eye(5, dtype=bool)),
    ],
)
def test_every_shape_survives_json(shape):
    assert shape_from_json(json.loads(json.dumps(shape_to_json(shape)))) == shape


def test_an_annotation_survives_json():
    mask = Mask.from_array(np.eye(4, dtype=bool))
    prompt = Prompt((Point(1, 2), Point(3, 3, False)), Box(0, 0, 4, 4), mask)
    whole = Annotation(
        "cat", mask, source="model", draft=True, model="m", prompt=prompt, score=0.5, revision=3
    )
    again = annotation_from_json(json.loads(json.dumps(annotation_to_json(whole))))
    assert again == whole


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "blob"},
        {"kind": "box", "xyxy": [0, 0, 1]},
        {"kind": "box", "xyxy": [0, 0, float("nan"), 1]},
        {"kind": "box", "xyxy": [5, 0, 1, 1]},
        {"kind": "box", "xyxy": "abcd"},
        {"kind": "box", "xyxy": [0, 0, 1, 10**400]},
        {"kind": "mask", "size": [2, 2], "counts": [float("nan"), 4]},
        {"kind": "mask", "size": [2, 2], "counts": [1, 2]},
        {"kind": "mask", "size": [2, 2], "counts": [-1, 5]},
        {"kind": "mask", "size": [2, 2], "counts": ["a"]},
        {"kind": "mask", "size": [0, 0], "counts": []},
        {"kind": "mask", "size": [2, 2], "counts": [[1, 2], [3]]},
        {"kind": "mask", "size": [2, 2], "counts": [2**70]},
        {"kind": "mask", "size": [2, 2], "counts": [0.5, 4.5]},
        {"kind": "polygon", "rings": [[[0, 0], [1, 1]]]},
        {"kind": "polygon", "rings": 3},
        {"kind": "keypoints", "points": [[1, 2]]},
        {"kind": "keypoints", "points": [[1, 2, 7]]},
    ],
)
def test_a_shape_that_makes_no_sense_is_refused_in_words(data):
    with pytest.raises(BadInput) as refused:
        shape_from_json(data)
    assert len(str(refused.value)) > 20


def test_a_box_is_clipped_to_its_image():
    assert Box(-5, 2, 20, 30).clipped(10, 8).xyxy == (0, 2, 10, 8)
    assert Box(50, 50, 60, 60).clipped(10, 8).area == 0
