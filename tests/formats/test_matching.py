from __future__ import annotations

import pytest

from studio.formats.matching import Frame, Images, frame_for

IMAGES = dict.fromkeys(
    ["a.jpg", "b.png", "deep/c.jpg", "x/d.jpg", "y/d.jpg", "e.jpg", "e.png", "IMG_1.v2.JPG"], (10, 10)
)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("a.jpg", "a.jpg"),
        ("./a.jpg", "a.jpg"),
        ("/home/somebody/a.jpg", "a.jpg"),
        ("C:\\pictures\\a.jpg", "a.jpg"),
        ("a.png", "a.jpg"),
        ("a", "a.jpg"),
        ("train/b", "b.png"),
        ("c.jpg", "deep/c.jpg"),
        ("y/d.jpg", "y/d.jpg"),
        ("y/d", "y/d.jpg"),
        ("e.png", "e.png"),
        ("A.JPG", "a.jpg"),
        ("img_1.v2", "IMG_1.v2.JPG"),
        ("IMG_1.v2.png", "IMG_1.v2.JPG"),
    ],
)
def test_an_image_is_found_by_the_strictest_way_that_fits(said, meant):
    assert Images(IMAGES).match(said) == (meant, False)


@pytest.mark.parametrize("said", ["d.jpg", "e", "e.bmp", "z/d.png"])
def test_a_name_that_fits_several_images_fits_none(said):
    assert Images(IMAGES).match(said) == (None, True)


@pytest.mark.parametrize("said", ["", ".", "/", "zzz.jpg", ".jpg", "..", "a.jpg/"])
def test_a_name_that_fits_nothing_is_no_error(said):
    assert Images(IMAGES).match(said)[0] in (None, "a.jpg")


@pytest.mark.parametrize(
    ("said", "scale"),
    [((640, 480), (2, 2)), ((1280, 960), (1, 1)), ((333, 250), (1280 / 333, 960 / 250)), (None, (1, 1))],
)
def test_sizes_of_the_same_shape_within_a_pixel_are_scaled(said, scale):
    assert frame_for("a", (1280, 960), said) == Frame("a", 1280, 960, *scale)


@pytest.mark.parametrize("said", [(960, 1280), (640, 481), (1000, 1000)])
def test_sizes_of_another_shape_are_not(said):
    assert "another shape" in frame_for("a", (1280, 960), said)
