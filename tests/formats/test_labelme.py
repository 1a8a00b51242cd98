from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.annotations import Annotation, Box, Label, Mask, Polygon
from studio.formats import Imported, format_of
from studio.formats.pngs import png_bytes
from studio.geometry import shape_area
from tests.formats.conftest import SIZES, shapes
from tests.formats.samples import one_image

LABELME = format_of("labelme")
SQUARE = [[10, 10], [50, 10], [50, 50], [10, 50]]
SOUND = {"label": "cat", "shape_type": "rectangle", "points": [[50, 60], [10, 20]]}


def read(folder: Path, *entries: Any, **keys: Any) -> Imported:
    data = {
        "version": "5.0",
        "imagePath": "..\\pictures\\a.jpg",
        "imageData": "AAAA",
        "shapes": list(entries),
    }
    (folder / "x.json").write_text(json.dumps(data | keys))
    return LABELME.read(folder, SIZES)


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(png_bytes(array.astype(np.uint8))).decode()


def test_polygons_rectangles_and_circles_are_read(tmp_path):
    found = read(
        tmp_path,
        {"label": "cat", "points": SQUARE},
        SOUND,
        {"label": "cat", "shape_type": "circle", "points": [[100, 100], [150, 100]]},
    )
    square, box, circle = shapes(found)
    assert square == Polygon((tuple(map(tuple, SQUARE)),)) and box == Box(10, 20, 50, 60)
    assert abs(shape_area(circle) / (np.pi * 50**2) - 1) < 0.01
    assert not found.problems


def test_a_mask_lies_where_its_corners_say(tmp_path):
    part = np.eye(4, 6) > 0
    found = read(tmp_path, {"label": "cat", "shape_type": "mask", "points": [[20, 30], [25, 33]],
                            "mask": encoded(part * 255)})  # fmt: skip
    (mask,) = shapes(found)
    assert np.array_equal(mask.to_array()[30:34, 20:26], part) and mask.area == part.sum()


def test_parts_of_one_group_are_one_object(tmp_path):
    second = [[x + 100, y] for x, y in SQUARE]
    found = read(
        tmp_path,
        {"label": "cat", "points": SQUARE, "group_id": 1},
        {"label": "cat", "points": second, "group_id": 1},
        {"label": "dog", "points": second, "group_id": 1},
    )
    assert sorted(len(shape.rings) for shape in shapes(found)) == [1, 2]


def test_flags_that_are_set_are_tags(tmp_path):
    found = read(tmp_path, SOUND, flags={"sunny": True, "blurred": False})
    assert [a.class_name for a in found.annotations["a.jpg"] if a.shape == Label()] == ["sunny"]
    written = LABELME.write(one_image(Annotation("sunny", Label())), tmp_path / "out")
    assert json.loads(written.files[0].read_text())["flags"] == {"sunny": True}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"shape_type": "point", "points": [[1, 1]]}, "a point has no area"),
        ({"shape_type": "linestrip", "points": SQUARE}, "a linestrip has no area"),
        ({"shape_type": "star", "points": SQUARE}, "shape_type is “star”"),
        ({"shape_type": [], "points": SQUARE}, "shape_type is"),
        ({"points": SQUARE[:2]}, "at least 3"),
        ({"points": "x"}, "not a list"),
        ({"points": [1, 2, 3]}, "2 numbers"),
        ({"points": [[1, 2], [3, float("nan")], [1, 2]]}, "not finite"),
        ({"points": [[900, 900], [950, 900], [950, 950]]}, "outside the image"),
        ({"shape_type": "rectangle", "points": [[1, 2]]}, "it needs 2"),
        ({"shape_type": "circle", "points": [[1, 2]]}, "1 points"),
        ({"shape_type": "circle", "points": [[5, 5], [5, 5]]}, "no area"),
        ({"shape_type": "mask", "points": SQUARE, "mask": "?"}, "not sound base64"),
        ({"shape_type": "mask", "points": SQUARE, "mask": "AAAA"}, "not a PNG"),
        ({"shape_type": "mask", "points": SQUARE, "mask": 3}, "not a text"),
        (
            {"shape_type": "mask", "points": SQUARE, "mask": encoded(np.ones((3, 3)))},
            "its corners span 41 × 41",
        ),
        ({"shape_type": "mask", "points": SQUARE, "mask": encoded(np.zeros((41, 41)))}, "empty"),
        ({"shape_type": "mask", "points": SQUARE, "mask": encoded(np.ones((9000, 9000)))}, "too many"),
        ({"points": SQUARE, "label": None}, "no name"),
        ({"points": SQUARE, "label": " \n"}, "no name"),
        (3, "not an object"),
    ],
)
def test_an_unsound_shape_is_named_and_the_sound_one_kept(tmp_path, bad, reason):
    found = read(tmp_path, {"label": "dog"} | bad if isinstance(bad, dict) else bad, SOUND)
    assert shapes(found) == [Box(10, 20, 50, 60)]
    assert len(found.problems) == 1 and reason in found.problems[0]
    assert found.problems[0].startswith("x.json, shape 1")


def test_an_image_size_said_as_a_bomb_is_not_allocated(tmp_path):
    entry = {
        "label": "cat",
        "shape_type": "mask",
        "points": [[0, 0], [1, 1]],
        "mask": encoded(np.ones((2, 2))),
    }
    found = read(tmp_path, entry, imageWidth=640_000_000, imageHeight=480_000_000)
    assert not shapes(found) and "too many" in found.problems[0]


def test_shapes_are_scaled_to_an_image_of_another_size(tmp_path):
    found = read(tmp_path, SOUND, imageWidth=320, imageHeight=240)
    assert shapes(found) == [Box(20, 40, 100, 120)]


def test_a_broken_file_gives_the_shapes_before_the_break(tmp_path):
    read(tmp_path, SOUND, SOUND)
    text = (tmp_path / "x.json").read_text()
    (tmp_path / "a.json").write_text(text[: text.rindex("label")])
    (tmp_path / "x.json").unlink()
    found = LABELME.read(tmp_path, SIZES)
    assert shapes(found) == [Box(10, 20, 50, 60)] and "not whole JSON" in found.problems[0]


def test_the_mask_written_is_a_png_of_its_box(tmp_path):
    pixels = np.zeros((30, 40), bool)
    pixels[5:9, 7:17] = True
    written = LABELME.write(one_image(Annotation("cat", Mask.from_array(pixels))), tmp_path)
    (shape,) = json.loads(written.files[0].read_text())["shapes"]
    assert shape["points"] == [[7, 5], [16, 8]] and shape["shape_type"] == "mask"
