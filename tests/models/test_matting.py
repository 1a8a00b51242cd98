"""Mattes by solving: sure where the trimap is, at any size, large images solved small and laid on the full size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.matting import CARDS, ClassicalMatter
from studio.adapters import NoOptions, SteadyMatter
from studio.errors import BadInput
from tests.matting.pictures import soft_disc

WAYS = ("closed_form", "shared", "nearest")


def trimap_of(alpha: np.ndarray, reach: int = 4) -> np.ndarray:
    between = cv2.dilate(((alpha > 0) & (alpha < 1)).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    return np.where(between, 128, np.where(alpha > 0.5, 255, 0)).astype(np.uint8)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_every_way_finds_a_soft_edge_without_a_file(card):
    matter = card.load(None, "cpu", NoOptions())
    assert isinstance(matter, SteadyMatter) and card.download is None
    image, alpha = soft_disc(softness=10)
    trimap = trimap_of(alpha)
    found = matter.matte(image, trimap)
    assert found.dtype == np.float32 and found.shape == alpha.shape
    assert (found[trimap == 255] == 1).all() and (found[trimap == 0] == 0).all()
    open_ = trimap == 128
    assert np.abs(found - alpha)[open_].mean() < 0.5 * np.abs((alpha >= 0.5) - alpha)[open_].mean()
    assert np.array_equal(found, matter.matte(image, trimap))


def test_closed_form_is_pymattings_own():
    from pymatting import estimate_alpha_cf

    image, alpha = soft_disc(61, 83, softness=10)
    trimap = trimap_of(alpha)
    expected = estimate_alpha_cf(image / 255.0, trimap / 255.0)
    assert np.abs(ClassicalMatter("closed_form").matte(image, trimap) - expected).max() < 0.02


def test_only_the_box_around_what_is_unknown_is_solved(monkeypatch):
    image, alpha = soft_disc(softness=6)
    large = np.zeros((900, 1100, 3), np.uint8)
    large[:120, :160], trimap = image, np.zeros((900, 1100), np.uint8)
    trimap[:120, :160] = trimap_of(alpha)
    matter, seen = ClassicalMatter("closed_form"), []
    solve = matter._solve
    monkeypatch.setattr(matter, "_solve", lambda i, t: (seen.append(t.shape), solve(i, t))[1])
    found = matter.matte(large, trimap)
    ((height, width),) = seen
    assert height < 250 and width < 250 and np.abs(found[:120, :160] - alpha).mean() < 0.01


@pytest.mark.parametrize("way", WAYS)
def test_a_large_image_solved_small_is_nearly_as_good(way):
    image, alpha = soft_disc(301, 403, softness=14)
    trimap = trimap_of(alpha)
    *shares, small = ClassicalMatter(way, most=20_000).matte_in_steps(image, trimap)
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    whole = ClassicalMatter(way).matte(image, trimap)
    open_ = trimap == 128
    errors = [np.abs(found - alpha)[open_].mean() for found in (small, whole)]
    assert errors[0] < max(1.5 * errors[1], 0.06)
    assert (small[trimap == 255] == 1).all() and (small[trimap == 0] == 0).all()


def test_hairs_that_the_small_image_does_not_resolve_are_told_apart_again():
    rng = np.random.default_rng(0)
    alpha = np.zeros((400, 400), np.float32)
    alpha[250:] = 1
    for x in rng.integers(5, 395, 60):
        cv2.line(alpha, (int(x), 255), (int(x) + int(rng.integers(-20, 20)), 90), 1.0, 1, cv2.LINE_AA)
    image = (alpha[..., None] * (220, 200, 180) + (1 - alpha[..., None]) * (30, 60, 40)).astype(np.uint8)
    trimap = np.full(alpha.shape, 128, np.uint8)
    trimap[270:], trimap[:70] = 255, 0
    found = ClassicalMatter("shared", most=12_000).matte(image, trimap)
    flat = cv2.resize(cv2.resize(alpha, (110, 110), interpolation=cv2.INTER_AREA), (400, 400))
    open_ = trimap == 128
    assert np.abs(found - alpha)[open_].mean() < 0.6 * np.abs(flat - alpha)[open_].mean()


@pytest.mark.parametrize(
    ("trimap", "words"),
    [
        (np.full((40, 50), 128, np.uint8), "no sure foreground"),
        (np.where(np.arange(50) < 9, 255, np.full((40, 50), 128)).astype(np.uint8), "no sure background"),
        (np.zeros((40, 51), np.uint8), "image's size"),
        (np.zeros((40, 50), np.float32), "uint8"),
    ],
)
def test_what_cannot_be_solved_gets_a_sentence(trimap, words):
    with pytest.raises(BadInput, match=words):
        ClassicalMatter("closed_form").matte(np.zeros((40, 50, 3), np.uint8), trimap)


def test_a_trimap_that_leaves_nothing_open_is_the_alpha():
    trimap = np.zeros((40, 50), np.uint8)
    trimap[:9] = 255
    found = ClassicalMatter("shared").matte(np.zeros((40, 50, 3), np.uint8), trimap)
    assert np.array_equal(found, trimap / 255)
