"""Colours of cut-outs, in tiles and whole, over colours and pictures; and what is guessed to stand out."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from models.grabcut import GrabCut
from studio import cutouts
from studio.cutouts import colour_of, composed, cutout_of, encoded, foreground_of
from studio.errors import BadInput
from studio.operations.matting.salient import most_salient
from tests.matting.pictures import soft_disc


def test_the_image_itself_where_it_is_opaque_and_its_own_colours_at_the_edge():
    image, alpha = soft_disc(softness=10)
    made = foreground_of(image, alpha)
    assert np.array_equal(made[alpha == 1], image[alpha == 1])
    edge = (alpha > 0.2) & (alpha < 0.6)
    wrong = [np.abs(picture[edge].astype(int) - (230, 120, 30)).mean() for picture in (made, image)]
    assert wrong[0] < 0.5 * wrong[1]


def test_tiles_give_what_the_whole_gives(monkeypatch):
    image, alpha = soft_disc(240, 320, softness=12)
    whole = foreground_of(image, alpha).astype(int)
    monkeypatch.setattr(cutouts, "TILE", 128)
    monkeypatch.setattr(cutouts, "OVERLAP", 32)
    seen = alpha > 0.1  # below that nothing of the colour is left to see
    assert np.abs(foreground_of(image, alpha).astype(int) - whole)[seen].mean() < 3


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_alpha_of_nothing_or_everything_leaves_the_image(value):
    image, _ = soft_disc(20, 30)
    assert np.array_equal(foreground_of(image, np.full((20, 30), value, np.float32)), image)


def test_a_picture_behind_fills_all_of_it_and_is_not_squeezed():
    image, alpha = soft_disc()
    rgba = cutout_of(image, np.zeros_like(alpha))
    behind = np.zeros((300, 200, 3), np.uint8)
    behind[:, 100:] = 255
    made = composed(rgba, behind)
    assert made.shape == image.shape and made[:, :70].max() == 0 and made[:, 90:].min() == 255


def test_webp_keeps_every_pixel_of_a_cutout():
    image, alpha = soft_disc()
    rgba = cutout_of(image, alpha)
    back = np.array(Image.open(io.BytesIO(encoded(rgba, "webp"))))
    assert np.array_equal(back[..., 3], rgba[..., 3]) and np.array_equal(
        back[alpha > 0.01], rgba[alpha > 0.01]
    )


def test_colours_are_read_and_others_refused():
    assert colour_of("#0080ff") == (0, 128, 255)
    for wrong in ("red", "#12", "#gggggg", ""):
        with pytest.raises(BadInput, match="no colour"):
            colour_of(wrong)


def test_what_stands_out_is_found_by_the_segmenter_that_needs_no_download():
    image, alpha = soft_disc(softness=2)
    mask, prompt = most_salient(GrabCut(), image)
    truth = alpha >= 0.5
    found = mask.to_array()
    assert (found & truth).sum() / (found | truth).sum() > 0.9 and not prompt.empty


def test_where_nothing_stands_out_that_is_said():
    with pytest.raises(BadInput, match="Nothing stands out"):
        most_salient(GrabCut(), np.full((90, 120, 3), 128, np.uint8))
