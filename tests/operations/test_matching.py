"""Examples found again by comparing windows: on drawn scenes, with an embedder that sees little but colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from studio.adapters import Example
from studio.annotations import Box
from studio.errors import BadInput
from studio.geometry import box_iou
from studio.operations import _matching
from studio.operations._matching import detect_like
from studio.scenes import still_life

BINS, CELLS = 6, 3


def colours(crops: Sequence[np.ndarray]) -> np.ndarray:
    """Embed crops as histograms of the colours in each of nine parts."""
    found = []
    for crop in crops:
        bins = (crop.astype(int) * BINS // 256) @ (BINS * BINS, BINS, 1)
        down, across = (np.arange(n) * CELLS // n for n in bins.shape)
        bins += BINS**3 * (down[:, None] * CELLS + across)
        counts = np.sqrt(np.bincount(bins.ravel(), minlength=CELLS**2 * BINS**3))
        found.append(counts / np.linalg.norm(counts))
    return np.array(found, np.float32)


def tiles(*placed: tuple[Box, tuple[int, int, int]], height: int = 240, width: int = 320) -> np.ndarray:
    """Draw coloured discs in boxes on grey noise."""
    image = np.random.default_rng(0).integers(80, 100, (height, width, 3)).astype(np.uint8)
    y, x = np.mgrid[:height, :width] + 0.5
    for box, colour in placed:
        across = (x - (box.x0 + box.x1) / 2) / (box.width / 2)
        down = (y - (box.y0 + box.y1) / 2) / (box.height / 2)
        image[across**2 + down**2 < 1] = colour
    return image


RED, ORANGE, BLUE = (200, 20, 20), (200, 120, 20), (20, 20, 200)
REDS = (Box(20, 30, 70, 80), Box(150, 40, 220, 110), Box(240, 170, 280, 205))
OTHERS = (Box(40, 150, 90, 200), Box(250, 30, 300, 80))


def scene() -> np.ndarray:
    return tiles(*((box, RED) for box in REDS), (OTHERS[0], BLUE), (OTHERS[1], ORANGE))


def overlaps(found, boxes) -> np.ndarray:
    return box_iou([d.box for d in found], list(boxes))


def test_all_that_is_like_the_example_is_found_at_other_sizes_and_nothing_else():
    image = scene()
    found = detect_like([image], [Example(image, REDS[0])], colours, floor=0.5)[0]
    assert len(found) == 3 and {d.name for d in found} == {""}
    assert (overlaps(found, REDS).max(0) > 0.6).all()
    assert overlaps(found, REDS)[0].argmax() == 0, "the example itself is not the best"
    assert found == sorted(found, key=lambda d: -d.score) and found[0].score > 0.9


def test_what_is_like_a_negative_example_is_left_out():
    image = tiles(*((box, RED) for box in REDS[:2]), (OTHERS[0], RED))
    speckled = np.random.default_rng(1).random((50, 50)) < 0.15
    image[150:200, 40:90][speckled & (image[150:200, 40:90, 0] == 200)] = ORANGE
    like, unlike = Example(image, REDS[0]), Example(image, OTHERS[0], positive=False)
    before = detect_like([image], [like], colours, floor=0.1)[0]
    after = detect_like([image], [like, unlike], colours, floor=0.1)[0]
    assert any(overlaps(before, OTHERS[:1]).ravel() > 0.2) and not any(
        overlaps(after, OTHERS[:1]).ravel() > 0
    )
    assert (overlaps(after, REDS[:2]).max(0) > 0.6).all()


def test_several_examples_find_what_is_like_any_of_them_on_other_images():
    shown = scene()
    there = (Box(30, 30, 85, 85), Box(200, 120, 260, 180))
    other = tiles((there[0], RED), (there[1], BLUE), (Box(120, 20, 180, 80), ORANGE))
    examples = [Example(shown, REDS[0]), Example(shown, OTHERS[0])]
    found, nothing = detect_like([other, tiles()], examples, colours, floor=0.6)
    assert len(found) == 2 and (overlaps(found, there).max(0) > 0.6).all() and nothing == []


@pytest.mark.parametrize("seed", [12, 24])
def test_fruit_of_a_drawn_still_life_is_found_by_one_of_its_kind(seed):
    drawn = still_life(seed, 320, 240, count=5, classes=("orange", "plum"), background="linen", size=1.1)
    first = max(drawn.things, key=lambda t: t.visible * t.box.area)
    same = [t.box for t in drawn.things if t.name == first.name and t.visible > 0.8]
    other = [t.box for t in drawn.things if t.name != first.name]
    assert len(same) > 1 and other, "the scene shows nothing"
    found = detect_like([drawn.image], [Example(drawn.image, first.box)], colours, floor=0.4)[0]
    assert (overlaps(found, same).max(0) >= 0.5).mean() >= 0.8
    assert overlaps(found, other).max() < 0.5


def test_crops_go_to_the_embedder_in_batches_of_a_bounded_number():
    sizes: list[int] = []

    def counted(crops):
        sizes.append(len(crops))
        assert all(crop.size and crop.ndim == 3 for crop in crops)
        return colours(crops)

    image = scene()
    detect_like([image], [Example(image, Box(10, 10, 36, 36))], counted)
    fitting = _matching.REFINED * len(_matching.WAYS) * len(_matching.ROUNDS)
    assert max(sizes) <= _matching.BATCH and 300 < sum(sizes) <= 2 * (_matching.WINDOWS + fitting + 2)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 90), (120, 2), (9, 9)])
def test_tiny_and_thin_images_are_searched(height, width):
    image = np.full((height, width, 3), 60, np.uint8)
    shown = scene()
    for example in (Example(image, Box(0, 0, width, height)), Example(shown, REDS[0])):
        for found in detect_like([image], [example], colours, floor=0)[0]:
            assert found.box == found.box.clipped(width, height) and 0 <= found.score <= 1


def test_an_example_too_small_for_an_image_is_said_to_be():
    image = np.zeros((3000, 4000, 3), np.uint8)
    with pytest.raises(BadInput, match="too small for this image of 4000×3000.*tiles"):
        detect_like([image], [Example(image, Box(10, 10, 20, 20))], colours)


def test_examples_that_cannot_be_are_refused_with_a_sentence():
    image = scene()
    with pytest.raises(BadInput, match="at least one"):
        detect_like([image], [Example(image, REDS[0], positive=False)], colours)
    with pytest.raises(BadInput, match="outside"):
        detect_like([image], [Example(image, Box(400, 400, 420, 420))], colours)
