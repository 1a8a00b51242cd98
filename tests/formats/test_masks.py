from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from studio.annotations import Annotation, Box, Keypoints, Mask
from studio.errors import BadInput
from studio.formats import Dataset, format_of
from tests.formats.conftest import shapes
from tests.formats.samples import one_image

MASKS = format_of("masks")
SIZE = {"a.jpg": (40, 30)}


def half(left: int, right: int) -> Mask:
    pixels = np.zeros((30, 40), bool)
    pixels[5:25, left:right] = True
    return Mask.from_array(pixels)


def save(path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def test_the_index_picture_has_a_palette_and_the_later_object_is_on_top(tmp_path):
    dataset = one_image(Annotation("cat", half(0, 20)), Annotation("dog", half(10, 30)))
    written = MASKS.write(dataset, tmp_path)
    with Image.open(tmp_path / "labels" / "a.png") as picture:
        assert picture.mode == "P" and picture.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
        assert np.unique(np.array(picture)[10, :30]).tolist() == [1, 2] and np.array(picture)[10, 15] == 2
    assert (tmp_path / "classes.txt").read_text() == "background\ncat\ndog\n"
    assert written.notes == ["One object covers part of another; the later one is on top."]


def test_more_classes_than_a_byte_holds_are_written_in_sixteen_bits(tmp_path):
    classes = tuple(f"c{i}" for i in range(300))
    MASKS.write(Dataset("t", classes, one_image(Annotation("c299", half(0, 9))).images), tmp_path)
    found = MASKS.read(tmp_path, SIZE)
    assert [(a.class_name, a.shape) for a in found.annotations["a.jpg"]] == [("c299", half(0, 9))]


def test_the_instance_picture_has_sixteen_bits_and_hidden_objects_are_told(tmp_path):
    dataset = one_image(*(Annotation("cat", half(i, i + 5)) for i in (0, 10, 10)))
    written = format_of("masks-instances").write(dataset, tmp_path)
    with Image.open(tmp_path / "instances" / "a.png") as picture:
        assert picture.mode.startswith("I;16")
    assert written.annotations == 2 and any("lies wholly under" in note for note in written.notes)
    assert shapes(MASKS.read(tmp_path, SIZE)) == [half(0, 5), half(10, 15)]


def test_boxes_are_filled_and_points_are_left_out_with_a_note(tmp_path):
    dataset = one_image(Annotation("cat", Box(1, 1, 9, 9)), Annotation("dog", Keypoints(((1, 1, 2),))))
    notes = MASKS.write(dataset, tmp_path).notes
    assert any("filled" in note for note in notes) and any("without an area" in note for note in notes)


def test_black_and_white_is_one_foreground(tmp_path):
    save(tmp_path / "label" / "a.png", half(3, 9).to_array().astype(np.uint8) * 255)
    found = MASKS.read(tmp_path, SIZE)
    assert [(a.class_name, a.shape) for a in found.annotations["a.jpg"]] == [("foreground", half(3, 9))]


def test_255_beside_other_numbers_is_left_out_and_said(tmp_path):
    array = half(3, 9).to_array().astype(np.uint8)
    array[0, 0] = 255
    save(tmp_path / "labels" / "a.png", array)
    found = MASKS.read(tmp_path, SIZE)
    assert [a.class_name for a in found.annotations["a.jpg"]] == ["class_1"] and "255" in found.problems[0]


def test_a_picture_an_object_without_a_table(tmp_path):
    for index, left in enumerate((0, 10)):
        save(
            tmp_path / "a" / "masks" / f"{index}.png", half(left, left + 5).to_array().astype(np.uint8) * 255
        )
    save(tmp_path / "a" / "images" / "a.png", np.zeros((30, 40, 3), np.uint8))
    found = MASKS.read(tmp_path, {"a.png": (40, 30)})
    assert shapes(found, "a.png") == [half(0, 5), half(10, 15)] and found.classes == ["object"]


def test_masks_of_another_size_are_scaled_and_of_another_shape_named(tmp_path):
    save(tmp_path / "labels" / "a.png", half(10, 20).to_array()[::2, ::2].astype(np.uint8))
    save(tmp_path / "labels" / "b.png", np.ones((9, 9), np.uint8))
    found = MASKS.read(tmp_path, SIZE | {"b.jpg": (40, 30)})
    assert shapes(found)[0].box == Box(10, 6, 20, 26)
    assert "another shape" in found.problems[0] and len(found.problems) == 1


def test_colours_broken_pictures_and_noise_are_named(tmp_path):
    save(tmp_path / "labels" / "a.png", np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8))
    save(tmp_path / "labels" / "b.png", np.arange(120_00, dtype=np.uint16).reshape(100, 120))
    (tmp_path / "labels" / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    found = MASKS.read(tmp_path, SIZE | {"b.jpg": (120, 100), "c.jpg": (9, 9)})
    assert not any(found.annotations.values())
    reasons = ("colour picture", "different numbers", "not a PNG")
    assert all(reason in problem for reason, problem in zip(reasons, found.problems, strict=True))


def test_a_table_that_does_not_fit_is_named(tmp_path):
    format_of("masks-instances").write(one_image(Annotation("cat", half(0, 5))), tmp_path)
    with (tmp_path / "instances.csv").open("a") as table:
        table.write("instances/a.png,7,a.jpg,dog\ninstances/a.png,x,a.jpg,dog\n,,,\nshort\n")
    found = MASKS.read(tmp_path, SIZE)
    assert shapes(found) == [half(0, 5)] and len(found.problems) == 4


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no mask pictures"):
        MASKS.read(tmp_path, SIZE)
