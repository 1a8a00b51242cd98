"""Tiles cover the image, lie as supervision's do, and give each thing once."""

from __future__ import annotations

import numpy as np
import pytest

from studio.adapters import Detection
from studio.annotations import Box, Keypoints
from studio.errors import BadInput
from studio.operations.tiling import Tiling, detect_in_tiles
from tests.predict.squares import squares


def scattered(height=400, width=560, count=24, seed=0) -> np.ndarray:
    random = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.uint8)
    cells = random.permutation((height // 40) * (width // 40))[:count]
    for cell in cells:
        y, x = 40 * (cell // (width // 40)), 40 * (cell % (width // 40))
        y, x = y + int(random.integers(0, 28)), x + int(random.integers(0, 28))
        image[y : y + 10, x : x + 10] = 255
    return image


def many(images):
    return [squares(image) for image in images]


def corners(detections) -> list[tuple]:
    return sorted(d.box.xyxy for d in detections)


@pytest.mark.parametrize("together", ["nms", "nmm"])
def test_each_square_is_found_once_where_it_lies(together):
    image = scattered()
    found = detect_in_tiles(many, image, Tiling(128, 32, together=together, same=0.3))
    whole = squares(image)
    assert len(found) == len(whole)
    assert corners(found) == corners(whole)
    for detection in found:
        assert (detection.mask.height, detection.mask.width) == image.shape[:2]
        assert detection.mask.box == detection.box
    scores = [d.score for d in found]
    assert scores == sorted(scores, reverse=True)


def test_a_small_image_is_looked_at_once():
    calls = []

    def detect(images):
        calls.append([i.shape for i in images])
        return many(images)

    image = scattered(100, 120)
    assert corners(detect_in_tiles(detect, image, Tiling(128, 32))) == corners(squares(image))
    assert calls == [[(100, 120, 3)]]


def test_tiles_come_in_batches_and_in_order():
    shapes = []

    def detect(images):
        shapes.append(len(images))
        assert all(image.flags.c_contiguous for image in images)
        return [[] for _ in images]

    detect_in_tiles(detect, scattered(), Tiling(128, 32, batch=4))
    assert shapes[:-1] == [4] * (len(shapes) - 1)


def test_keypoints_move_with_their_tile():
    image = np.zeros((64, 128, 3), np.uint8)

    def detect(images):
        point = Keypoints(((5.0, 6.0, 2),))
        return [[Detection("x", 0.5, Box(4, 4, 8, 8), keypoints=point)] for _ in images]

    found = detect_in_tiles(detect, image, Tiling(64, 0, together="none"))
    assert sorted(d.keypoints.points[0][0] for d in found) == [5.0, 69.0]


def test_it_agrees_with_supervisions_slicer():
    supervision = pytest.importorskip("supervision")
    image = scattered(seed=3)
    jitter = np.random.default_rng(5)
    cache: dict[bytes, list[Detection]] = {}

    def look(tile):
        key = tile.tobytes()
        if key not in cache:  # the same answer to both: off by a little, with different scores
            cache[key] = [
                Detection(
                    "ab"[i % 2],
                    float(jitter.uniform(0.2, 0.9)),
                    Box(*(np.array(d.box.xyxy) + jitter.uniform(0, 0.5, 4).round(2))),
                )
                for i, d in enumerate(squares(tile))
            ]
        return cache[key]

    def theirs(tile):
        found = look(np.ascontiguousarray(tile))
        if not found:
            return supervision.Detections.empty()
        return supervision.Detections(
            xyxy=np.array([d.box.xyxy for d in found], np.float32),
            confidence=np.array([d.score for d in found], np.float32),
            class_id=np.array(["ab".index(d.name) for d in found]),
        )

    for together in ("nms", "none"):
        filter_ = {"nms": "non_max_suppression", "none": "none"}[together]
        slicer = supervision.InferenceSlicer(
            theirs, slice_wh=128, overlap_wh=48, iou_threshold=0.4, overlap_filter=filter_
        )
        expected = slicer(image)
        found = detect_in_tiles(
            lambda tiles: [look(t) for t in tiles],
            image,
            Tiling(128, 48, together=together, same=0.4, whole=False),
        )
        ours = sorted((round(d.score, 5), d.name, *np.round(d.box.xyxy, 2)) for d in found)
        other = sorted(
            (round(float(s), 5), "ab"[c], *np.round(b.astype(float), 2))
            for b, s, c in zip(expected.xyxy, expected.confidence, expected.class_id, strict=True)
        )
        assert len(ours) == len(other) > 20
        for a, b in zip(ours, other, strict=True):
            assert a[1] == b[1] and np.allclose(a[2:], b[2:], atol=0.5) and abs(a[0] - b[0]) < 1e-3


@pytest.mark.parametrize("wrong", [dict(side=8), dict(side=64, overlap=64), dict(same=0.0), dict(overlap=-1)])
def test_settings_that_make_no_sense_are_refused_in_words(wrong):
    with pytest.raises(BadInput):
        Tiling(**wrong)
