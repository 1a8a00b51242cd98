from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from studio.annotations import Box, Keypoints, Label, Mask, Polygon
from studio.errors import BadInput
from studio.formats.rings import join_polygon, split_ring
from studio.geometry import (
    box_iou,
    clip_ring,
    counts_from_string,
    iou,
    mask_iou,
    mask_to_polygon,
    mask_to_rle,
    masks_of_values,
    polygon_to_mask,
    shape_area,
    shape_box,
    shape_mask,
)
from tests.formats.samples import masks, polygons

QUICK = settings(max_examples=40, deadline=None)


def disc(radius: float, size: int = 64) -> Mask:
    y, x = np.mgrid[:size, :size]
    return Mask.from_array((x - size / 2) ** 2 + (y - size / 2) ** 2 <= radius**2)


@QUICK
@given(masks(23, 17))
def test_compressed_run_lengths_come_back(mask):
    assert np.array_equal(counts_from_string(mask_to_rle(mask)["counts"]), mask.counts)


@pytest.mark.parametrize("text", ["", "é", "a", "o" * 50 + "0", "\x00", "zzz", " 1"])
def test_unsound_run_lengths_are_refused(text):
    with pytest.raises(BadInput):
        counts_from_string(text)


@QUICK
@given(masks(23, 17))
def test_an_outline_without_tolerance_is_exact(mask):
    assert polygon_to_mask(mask_to_polygon(mask, 0), 17, 23) == mask


@pytest.mark.parametrize("radius", [3.2, 4, 6, 10, 20, 30])
@pytest.mark.parametrize("tolerance", [0.5, 1.0, 3.0])
def test_a_straightened_outline_keeps_the_object(radius, tolerance):
    mask = disc(radius)
    assert mask.area > 30
    assert iou(mask_to_polygon(mask, tolerance), mask, 64, 64) >= 0.98


def test_a_straightened_outline_has_fewer_corners():
    exact, fewer = (mask_to_polygon(disc(30), tolerance).rings[0] for tolerance in (0, 1.5))
    assert len(fewer) < len(exact) / 2


def test_an_empty_mask_has_no_outline():
    assert mask_to_polygon(Mask(4, 5, [20])) is None


def test_a_hole_stays_open_and_parts_stay_apart():
    pixels = np.zeros((30, 40), bool)
    pixels[2:20, 2:20] = True
    pixels[6:12, 6:12] = False
    pixels[22:28, 25:35] = True
    mask = Mask.from_array(pixels)
    polygon = mask_to_polygon(mask)
    assert len(polygon.rings) == 2
    assert polygon_to_mask(polygon, 30, 40) == mask


@QUICK
@given(masks(16, 12))
def test_one_ring_for_all_parts_fills_the_same_and_splits_again(mask):
    ring = join_polygon(mask_to_polygon(mask, 0), 12, 16)
    assert polygon_to_mask(Polygon((tuple(map(tuple, ring.tolist())),)), 12, 16) == mask
    assert polygon_to_mask(Polygon(split_ring(ring, 12, 16)), 12, 16) == mask


@QUICK
@given(polygons(60, 40, rings=3))
def test_parts_that_lie_apart_come_back_as_drawn(polygon):
    rings = split_ring(join_polygon(polygon, 40, 60), 40, 60)
    assert {frozenset(ring) for ring in rings} == {frozenset(ring) for ring in polygon.rings}


def test_parts_that_overlap_do_not_cancel_out_when_joined():
    square = ((2.0, 2.0), (12.0, 2.0), (12.0, 12.0), (2.0, 12.0))
    other = tuple((x + 5, y + 5) for x, y in square)
    both = Polygon((square, other))
    ring = tuple(map(tuple, join_polygon(both, 20, 20).tolist()))
    assert iou(Polygon((ring,)), both, 20, 20) == 1


@pytest.mark.parametrize("name", ["inst_coco6", "inst_facade", "inst_fruits_nuts"])
def test_filling_agrees_with_the_coco_tools(shared_data, name, capsys):
    coco = COCO(shared_data / name / "instances.json")
    capsys.readouterr()
    for entry in coco.dataset["annotations"][:: len(coco.anns) // 60 + 1]:
        if not isinstance(entry["segmentation"], list):
            continue
        image = coco.imgs[entry["image_id"]]
        rings = [tuple(zip(r[::2], r[1::2], strict=True)) for r in entry["segmentation"]]
        mask = polygon_to_mask(Polygon(tuple(rings)), image["height"], image["width"])
        assert np.array_equal(mask.to_array(), coco.annToMask(entry).astype(bool))


def test_real_objects_survive_the_way_to_an_outline_and_back(shared_data):
    data = json.loads((shared_data / "inst_fruits_nuts" / "instances.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in data["images"]}
    for entry in data["annotations"][::3]:
        rings = [tuple(zip(r[::2], r[1::2], strict=True)) for r in entry["segmentation"]]
        size = sizes[entry["image_id"]]
        mask = polygon_to_mask(Polygon(tuple(rings)), *size)
        if mask.area > 30:
            assert iou(mask_to_polygon(mask), mask, *size) >= 0.98


@pytest.mark.parametrize("far", [1e4, 1e10, 1e300])
def test_a_polygon_that_reaches_far_outside_is_filled_inside(far):
    mask = polygon_to_mask(Polygon((((-far, 5), (far, 5), (far, far), (-far, far)),)), 10, 20)
    assert mask.area == 20 * 5


def test_an_endless_outline_is_filled_without_the_memory_for_it():
    rng = np.random.default_rng(0)
    ring = tuple(map(tuple, (rng.random((6000, 2)) * 1000).tolist()))
    assert 0 < polygon_to_mask(Polygon((ring,)), 1000, 1000).area < 1_000_000


def test_the_way_round_opencv_fills_nearly_the_same(monkeypatch):
    polygon = mask_to_polygon(disc(25))
    ours = polygon_to_mask(polygon, 64, 64)
    monkeypatch.setattr("studio.geometry._LONGEST_OUTLINE", 1)
    assert iou(polygon_to_mask(polygon, 64, 64), ours, 64, 64) > 0.9


def test_a_ring_is_cut_at_the_edge_of_a_rectangle():
    ring = clip_ring(np.array([[-5.0, -5], [5, -5], [5, 5], [-5, 5]]), 0, 0, 10, 10)
    assert ring.min() == 0 and ring.max() == 5
    assert not len(clip_ring(ring + 100, 0, 0, 10, 10))


def test_boxes_areas_and_masks_of_shapes():
    square = Polygon((((2, 2), (6, 2), (6, 5), (2, 5)),))
    assert shape_box(square) == Box(2, 2, 6, 5)
    assert shape_area(square) == shape_area(square, (10, 10)) == shape_mask(square, 10, 10).area == 12
    assert shape_area(square, (10, 4)) == 6
    assert shape_mask(Box(2, 2, 6, 5), 10, 10) == shape_mask(square, 10, 10)
    assert shape_box(Label()) is None and shape_area(Label()) == 0
    assert shape_area(Keypoints(((1, 1, 2), (3, 5, 1)))) == 8
    with pytest.raises(BadInput, match="its image 10 × 10"):
        shape_mask(Mask(4, 5, [20]), 10, 10)
    with pytest.raises(BadInput, match="covers no pixels"):
        shape_mask(Label(), 10, 10)


def test_overlaps_of_boxes_and_masks():
    boxes = [Box(0, 0, 10, 10), Box(0, 0, 10, 5), Box(20, 20, 30, 30)]
    assert np.allclose(box_iou(boxes, boxes[:2]), [[1, 0.5], [0.5, 1], [0, 0]])
    found = [shape_mask(box, 40, 40) for box in boxes]
    assert np.allclose(mask_iou(found, found[:2]), [[1, 0.5], [0.5, 1], [0, 0]])
    assert box_iou([], boxes).shape == (0, 3) and mask_iou(found, []).shape == (3, 0)
    assert box_iou([Box(1, 1, 1, 1)], [Box(1, 1, 1, 1)])[0, 0] == 0
    with pytest.raises(BadInput, match="different sizes"):
        mask_iou(found, [Mask(4, 5, [20])])


@QUICK
@given(st.integers(0, 2**20), st.integers(1, 5))
def test_the_masks_of_all_numbers_are_found_at_once(seed, top):
    values = np.random.default_rng(seed).integers(0, top + 1, (9, 14)).astype(np.int32)
    values = cv2.resize(values, (28, 18), interpolation=cv2.INTER_NEAREST)
    found = masks_of_values(values)
    assert set(found) == set(np.unique(values)) - {0}
    for number, mask in found.items():
        assert mask == Mask.from_array(values == number)
