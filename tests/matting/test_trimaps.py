"""Trimaps: a band as wide as the edge is soft, some foreground and background always, and strokes that stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.annotations import Mask
from studio.errors import BadInput, NotFound
from studio.operations.matting.trimaps import Band, Stroke, levelled, painted, trimap_of
from tests.matting.pictures import soft_disc


def band(trimap: np.ndarray, mask: np.ndarray) -> float:
    """Return how many pixels wide the unknown is, along the mask's edge."""
    edge = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return float((trimap == 128).sum() / edge.sum())


def furry(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of a white ball with hairs before green, uint8 (h, w, 3), and the mask of the ball alone."""
    rng = np.random.default_rng(seed)
    picture = np.full((240, 240, 3), (40, 110, 50), np.uint8)
    mask = np.zeros((240, 240), np.uint8)
    cv2.circle(mask, (120, 120), 60, 1, -1)
    picture[mask > 0] = 235
    for angle in rng.uniform(0, 2 * np.pi, 260):
        reach = 60 + rng.uniform(4, 16)
        tip = 120 + reach * np.cos(angle), 120 + reach * np.sin(angle)
        root = 120 + 55 * np.cos(angle), 120 + 55 * np.sin(angle)
        cv2.line(picture, tuple(map(int, root)), tuple(map(int, tip)), (235, 235, 235), 1, cv2.LINE_AA)
    return picture, mask > 0


def test_hair_gets_a_wider_band_than_a_crisp_edge():
    hairy, mask = furry()
    crisp = np.where(mask[..., None], np.uint8(235), np.uint8((40, 110, 50)))
    wide, narrow = (band(trimap_of(picture, mask), mask) for picture in (hairy, crisp))
    assert wide > 2 * narrow and narrow < 8
    hairs = (hairy.min(2) > 150) & ~mask
    assert (trimap_of(hairy, mask)[hairs] == 128).mean() > 0.9


def test_a_shadow_beside_a_crisp_edge_does_not_widen_the_band():
    _, mask = furry()
    crisp = np.where(mask[..., None], np.uint8(235), np.uint8((120, 160, 130)))
    shade = np.exp(-cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) / 12)[..., None]
    shaded = np.where(mask[..., None], crisp, (crisp * (1 - 0.6 * shade)).astype(np.uint8))
    assert band(trimap_of(shaded, mask), mask) < 1.6 * band(trimap_of(crisp, mask), mask)


@pytest.mark.parametrize("factor", [0.5, 2.0, 4.0])
def test_a_width_widens_and_narrows(factor):
    picture, alpha = soft_disc()
    mask = alpha >= 0.5
    plain, other = (band(trimap_of(picture, mask, b), mask) for b in (Band(), Band(factor)))
    assert (other > plain) == (factor > 1)


def test_a_fixed_width_is_that_many_pixels_to_each_side():
    picture, alpha = soft_disc()
    mask = alpha >= 0.5
    trimap = trimap_of(picture, mask, Band(pixels=7))
    inside, outside = (cv2.distanceTransform(m.astype(np.uint8), cv2.DIST_L2, 5) for m in (mask, ~mask))
    away = np.maximum(inside, outside)
    assert (trimap[away <= 6] == 128).all() and (trimap[away > 8] != 128).all()


def test_a_thin_thing_keeps_a_line_of_foreground():
    picture = np.full((200, 300, 3), 200, np.uint8)
    picture[98:102, 20:280] = 20
    mask = picture[..., 0] < 100
    trimap = trimap_of(picture, mask, Band(4.0))
    assert (trimap == 255).any() and (trimap == 0).any()
    assert not (trimap[~mask] == 255).any()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(2, 60),
    st.integers(2, 60),
    st.sampled_from([0.25, 1.0, 4.0]),
    st.booleans(),
)
def test_any_mask_gives_all_that_a_matte_starts_from(seed, height, width, wide, fixed):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = cv2.blur(rng.random((height, width)), (5, 5)) > rng.uniform(0.3, 0.7)
    if not mask.any() or mask.all():
        return
    trimap = trimap_of(picture, mask, Band(wide, 3.0 if fixed else None))
    assert trimap.dtype == np.uint8 and set(np.unique(trimap)) <= {0, 128, 255}
    assert (trimap == 255).any() and (trimap == 0).any()
    assert not (trimap[~mask] == 255).any() and not (trimap[mask] == 0).any()


def test_strokes_and_settings_that_cannot_be_get_a_sentence():
    trimap = np.zeros((10, 20), np.uint8)
    with pytest.raises(BadInput, match="painted on 5 × 5"):
        painted(trimap, [Stroke("unknown", Mask.from_array(np.ones((5, 5), bool)))])
    with pytest.raises(NotFound, match="hair"):
        Stroke("hair", Mask.from_array(np.ones((5, 5), bool)))
    for wrong in ({"width": 9}, {"width": "x"}, {"pixels": -1}, {"see_through": 5}):
        with pytest.raises(BadInput):
            Band.from_json(wrong)
    assert Band.from_json(Band(2.0, 5.0, ("glass",), "d").to_json()) == Band(2.0, 5.0, ("glass",), "d")


def test_whatever_lies_between_black_and_white_is_unknown():
    assert levelled(np.uint8([[0, 1, 90, 128, 254, 255]])).tolist() == [[0, 0, 128, 128, 255, 255]]
