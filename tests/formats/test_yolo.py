from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from studio.annotations import Annotation, Box, Keypoints, Mask, Polygon
from studio.errors import BadInput
from studio.formats import Imported, format_of
from studio.geometry import polygon_to_mask
from tests.formats.conftest import SIZES, shapes
from tests.formats.samples import one_image

YOLO = format_of("yolo")
BOX_LINE = "0 0.5 0.5 0.5 0.5"
WHOLE = Box(160, 120, 480, 360)


def read(folder: Path, *lines: str, **files: str) -> Imported:
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "a.txt").write_text("\n".join(lines))
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return YOLO.read(folder, SIZES)


def test_five_numbers_are_a_box_and_more_are_an_outline(tmp_path):
    found = read(tmp_path, BOX_LINE, "1 0.1 0.1 0.5 0.1 0.5 0.5", BOX_LINE + " 0.75")
    assert shapes(found) == [WHOLE, Polygon((((64, 48), (320, 48), (320, 240)),)), WHOLE]
    assert [a.score for a in found.annotations["a.jpg"]] == [None, None, 0.75]
    assert found.classes == ["class_0", "class_1"] and not found.problems


@pytest.mark.parametrize(
    "files",
    [
        {"data_yaml": "names: [cat, dog]"},
        {"data_yaml": "names: {0: cat, 1: dog}"},
        {"data_yaml": "names: {'1': dog, '0': cat}"},
        {"classes_txt": "cat\ndog\n"},
    ],
)
def test_class_names_come_from_the_yaml_or_a_list(tmp_path, files):
    found = read(tmp_path, BOX_LINE, "1 0.5 0.5 0.1 0.1", "2 0.5 0.5 0.1 0.1", **files)
    assert [a.class_name for a in found.annotations["a.jpg"]] == ["cat", "dog"]
    assert found.problems == [
        "labels/a.txt, line 3: left out: there is no class 2 among the 2 that are named."
    ]


def test_keypoints_are_told_from_outlines_by_their_visibility(tmp_path):
    line = "0 0.5 0.5 0.5 0.5 0.5 0.5 2 0.25 0.25 1"
    found = read(tmp_path, line, line)
    points = Keypoints(((320, 240, 2), (160, 120, 1)))
    assert shapes(found) == [WHOLE, points, WHOLE, points]


def test_keypoints_without_visibility_need_the_yaml(tmp_path):
    line = "0 0.5 0.5 0.5 0.5 0.5 0.5 0.25 0.25"
    assert isinstance(shapes(read(tmp_path, line))[0], Polygon)
    found = read(tmp_path, line, data_yaml="names: [cat]\nkpt_shape: [2, 2]")
    assert shapes(found) == [WHOLE, Keypoints(((320, 240, 2), (160, 120, 2)))]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 -0.1 0.5", "negative size"),
        ("0 0.5 0.5 0 0.5", "no area"),
        ("0 0.5 nan 0.1 0.5", "not finite"),
        ("0 0.5 1e300 0.1 0.5", "beyond any image"),
        ("0 0.5 x 0.1 0.5", "not a number"),
        ("cat 0.5 0.5 0.1 0.5", "not a number"),
        ("-1 0.5 0.5 0.1 0.5", "not a whole number"),
        ("0.5 0.5 0.5 0.1 0.5", "not a whole number"),
        ("0 0.5 0.5", "3 numbers"),
        ("0 7 7 0.1 0.1", "outside the image"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3", "no area"),
        ("99999999 0.5 0.5 0.1 0.1", "no class"),
    ],
)
def test_an_unsound_line_is_named_and_the_sound_one_kept(tmp_path, line, reason):
    line = line.replace("0 0.1 0.1 0.2 0.2 0.3 0.3", "0 0.1 0.1 0.1 0.2 0.1 0.3")
    found = read(tmp_path, line, BOX_LINE)
    assert shapes(found) == [WHOLE]
    assert reason in found.problems[0] and found.problems[0].startswith("labels/a.txt, line 1")


def test_labels_of_missing_images_are_named(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "gone.txt").write_text(f"{BOX_LINE}\n{BOX_LINE}\n")
    found = read(tmp_path, BOX_LINE)
    assert shapes(found) == [WHOLE]
    assert found.problems == ["Image “labels/gone” is not in this project; 2 annotations left out."] or (
        found.problems == ["Image “gone” is not in this project; 2 annotations left out."]
    )


def test_splits_with_the_same_stems_find_their_own_images(tmp_path):
    for split in ("train", "val"):
        (tmp_path / "labels" / split).mkdir(parents=True)
        (tmp_path / "labels" / split / "a.txt").write_text(BOX_LINE)
    found = YOLO.read(tmp_path, {"train/a.jpg": (10, 10), "val/a.jpg": (20, 20)})
    assert [found.annotations[n][0].shape.x1 for n in ("train/a.jpg", "val/a.jpg")] == [7.5, 15]


@pytest.mark.parametrize(
    "text",
    ["names: [", "- " * 10_000, "names: 3", "[" * 100_000, "a: &a [*a]", "\x00", "!!python/object:os.x {}"],
)
def test_an_unsound_yaml_is_named_and_the_labels_are_read(tmp_path, text):
    found = read(tmp_path, BOX_LINE, data_yaml=text)
    assert shapes(found) == [WHOLE] and found.annotations["a.jpg"][0].class_name == "class_0"


def test_a_mask_with_a_hole_and_parts_is_one_line(tmp_path):
    pixels = np.zeros((30, 40), bool)
    pixels[2:20, 2:20] = True
    pixels[6:12, 6:12] = False
    pixels[22:28, 25:35] = True
    written = YOLO.write(one_image(Annotation("cat", Mask.from_array(pixels))), tmp_path)
    (line,) = (tmp_path / "labels" / "a.txt").read_text().splitlines()
    values = [float(word) for word in line.split()]
    assert values[0] == 0 and min(values[1:]) >= 0 and max(values[1:]) <= 1 and written.annotations == 1
    ring = np.array(values[1:]).reshape(-1, 2) * (40, 30)
    whole = polygon_to_mask(Polygon((tuple(map(tuple, ring.tolist())),)), 30, 40)
    assert np.array_equal(whole.to_array(), pixels)
    (shape,) = shapes(YOLO.read(tmp_path, {"a.jpg": (40, 30)}))
    assert len(shape.rings) == 2 and np.array_equal(polygon_to_mask(shape, 30, 40).to_array(), pixels)


def test_the_layout_is_the_one_ultralytics_reads(tmp_path):
    YOLO.write(one_image(Annotation("cat", Box(0, 0, 20, 15)), name="sub/a.jpg"), tmp_path)
    data = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert data == {"path": ".", "train": "images", "val": "images", "names": {0: "cat"}}
    assert (tmp_path / "labels" / "sub" / "a.txt").read_text() == "0 0.25 0.25 0.5 0.5\n"


def test_one_label_file_can_be_read_alone(tmp_path):
    (tmp_path / "a.txt").write_text(BOX_LINE)
    assert shapes(YOLO.read(tmp_path / "a.txt", SIZES)) == [WHOLE]


def test_a_folder_without_labels_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no label files"):
        YOLO.read(tmp_path, SIZES)
