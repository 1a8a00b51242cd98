from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from studio.annotations import Annotation, Box, Keypoints, Label, Mask, Polygon
from studio.formats import Dataset, DatasetImage, format_of
from tests.formats.conftest import SIZES, shapes

BOX = {"id": 7, "bbox": [10, 20, 30, 40]}
SQUARE = [10, 10, 50, 10, 50, 50, 10, 50]


def pixels(height: int, width: int) -> np.ndarray:
    array = np.zeros((height, width), np.uint8)
    array[height // 4 : height // 2, width // 4 : width // 2] = 1
    return array


def test_boxes_polygons_and_keypoints_are_read(coco):
    found = coco(
        BOX | {"score": 0.5},
        {"id": 2, "segmentation": [SQUARE], "bbox": [10, 10, 40, 40]},
        {"id": 3, "keypoints": [1, 2, 2, 0, 0, 0, 5, 6, 1], "num_keypoints": 2},
        {"id": 4, "keypoints": [0] * 9, "bbox": [1, 1, 2, 2]},
        {"id": 5, "segmentation": SQUARE},
    )
    square = Polygon((((10, 10), (50, 10), (50, 50), (10, 50)),))
    points = Keypoints(((1, 2, 2), (0, 0, 0), (5, 6, 1)))
    assert shapes(found) == [Box(10, 20, 40, 60), square, points, Box(1, 1, 3, 3), square]
    assert found.annotations["a.jpg"][0].score == 0.5
    assert found.annotations["a.jpg"][0].source == "import"
    assert not found.problems


def test_keypoints_beside_an_outline_become_two_annotations(coco):
    found = shapes(coco({"segmentation": [SQUARE], "keypoints": [1, 2, 2], "bbox": [10, 10, 40, 40]}))
    assert [type(shape) for shape in found] == [Keypoints, Polygon]


@pytest.mark.parametrize("packed", [True, False])
def test_run_lengths_are_read_packed_and_plain(coco, packed):
    array = pixels(480, 640)
    rle = coco_mask.encode(np.asfortranarray(array))
    counts = rle["counts"].decode() if packed else Mask.from_array(array).counts.tolist()
    found = coco({"segmentation": {"size": [480, 640], "counts": counts}, "iscrowd": 1})
    assert shapes(found) == [Mask.from_array(array)]
    assert "crowd" in found.problems[0]


def test_run_lengths_of_another_size_are_scaled(coco):
    half = Mask.from_array(pixels(240, 320))
    found = coco({"segmentation": {"size": [240, 320], "counts": half.counts.tolist()}})
    assert shapes(found) == [Mask.from_array(pixels(480, 640))]


def test_everything_is_scaled_where_the_file_says_another_size_of_the_same_shape(coco):
    half = Mask.from_array(pixels(240, 320))
    found = coco(
        BOX,
        {"segmentation": [SQUARE]},
        {"keypoints": [1, 2, 2]},
        {"segmentation": {"size": [240, 320], "counts": half.counts.tolist()}},
        images=[{"id": 1, "file_name": "a.jpg", "width": 320, "height": 240}],
    )
    box, polygon, points, mask = shapes(found)
    assert box == Box(20, 40, 80, 120) and points == Keypoints(((2, 4, 2),))
    assert polygon.box == Box(20, 20, 100, 100)
    assert mask == Mask.from_array(pixels(480, 640))
    assert not found.problems


def test_an_image_of_another_shape_is_named_with_both_sizes(coco):
    found = coco(BOX, images=[{"id": 1, "file_name": "a.jpg", "width": 480, "height": 640}])
    assert not found.annotations
    assert "480 × 640 pixels, the image has 640 × 480" in found.problems[0]
    assert "upright" in found.problems[0] and len(found.problems) == 1


def test_a_box_over_the_edge_is_cut_and_one_outside_is_left_out_by_name(coco):
    found = coco(BOX | {"bbox": [600, 400, 100, 100]}, BOX | {"id": 8, "bbox": [700, 10, 20, 20]})
    assert shapes(found) == [Box(600, 400, 640, 480)]
    cut, left = found.problems
    assert cut.startswith("file.json, annotation 7 (entry 0)") and "was cut" in cut
    assert left.startswith("file.json, annotation 8 (entry 1)") and "outside the image" in left


def test_a_pixel_over_the_edge_is_cut_without_a_word(coco):
    found = coco(BOX | {"bbox": [-0.5, 10, 641, 20]})
    assert shapes(found) == [Box(0, 10, 640, 30)] and not found.problems


def test_a_polygon_over_the_edge_is_cut(coco):
    found = coco({"segmentation": [[600, 10, 700, 10, 700, 50, 600, 50]]})
    assert shapes(found)[0].box == Box(600, 10, 640, 50)
    assert "was cut" in found.problems[0]


BAD = [
    ({"bbox": [1, 2, -3, 4]}, "negative size"),
    ({"bbox": [1, 2, 0, 4]}, "no area"),
    ({"bbox": [1, 2, 3]}, "4 numbers"),
    ({"bbox": [1, 2, float("nan"), 4]}, "not finite"),
    ({"bbox": [1, 2, float("inf"), 4]}, "not finite"),
    ({"bbox": [1, 2, 10**400, 4]}, "beyond any image"),
    ({"bbox": [1, 2, 1e200, 4]}, "beyond any image"),
    ({"bbox": [1, 2, "3", 4]}, "not a number"),
    ({"bbox": [1, 2, True, 4]}, "not a number"),
    ({"bbox": {"x": 1}}, "not a list"),
    ({"bbox": [[1], 2, 3, 4]}, "not a number"),
    ({}, "neither an outline, a box nor keypoints"),
    ({"segmentation": [[1, 2, 3, 4]]}, "at least 6"),
    ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "7 numbers"),
    ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "not finite"),
    ({"segmentation": "x"}, "neither polygons nor run lengths"),
    ({"segmentation": 3}, "neither polygons nor run lengths"),
    ({"segmentation": [[1, 1, 1, 1, 1, 1]]}, "no area"),
    ({"segmentation": [[900, 900, 950, 900, 950, 950]]}, "outside the image"),
    ({"segmentation": {"size": [480, 640], "counts": "PPPPP"}}, "cut short"),
    ({"segmentation": {"size": [480, 640], "counts": "0"}}, "add up to 0"),
    ({"segmentation": {"size": [480, 640], "counts": [1, -2]}}, "run lengths"),
    ({"segmentation": {"size": [480, 640], "counts": [1.5]}}, "whole numbers"),
    ({"segmentation": {"size": [480, 640], "counts": [480 * 640]}}, "empty"),
    ({"segmentation": {"size": [10**9, 10**9], "counts": [10**18]}}, "pixels"),
    ({"segmentation": {"size": [640, 480], "counts": [100, 640 * 480 - 100]}}, "another size"),
    ({"segmentation": {"counts": [1]}}, "2 numbers"),
    ({"keypoints": [1, 2]}, "three for each point"),
    ({"keypoints": [1, 2, 7]}, "visibility"),
    ({"keypoints": [900, 900, 2]}, "none of its keypoints"),
    ({"bbox": [1, 2, 3, 4], "category_id": 99}, "no category with the id 99"),
    ({"bbox": [1, 2, 3, 4], "category_id": None}, "category_id is missing"),
    ({"bbox": [1, 2, 3, 4], "category_id": [1]}, "category_id is neither"),
    ({"bbox": [1, 2, 3, 4], "image_id": 99}, "no image with the id 99"),
    ({"bbox": [1, 2, 3, 4], "image_id": {}}, "image_id is neither"),
    ("text", "not an object"),
    (None, "not an object"),
    ([1, 2], "not an object"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_an_unsound_annotation_is_named_and_the_sound_one_kept(coco, bad, reason):
    found = coco({"id": 9} | bad if isinstance(bad, dict) else bad, BOX)
    assert shapes(found) == [Box(10, 20, 40, 60)]
    assert len(found.problems) == 1 and reason in found.problems[0]
    assert "file.json" in found.problems[0] and "entry 0" in found.problems[0]


def test_an_unsound_outline_falls_back_to_the_box_and_says_so(coco):
    found = coco(BOX | {"segmentation": [[1, 2]]})
    assert shapes(found) == [Box(10, 20, 40, 60)]
    assert "box was taken instead" in found.problems[0]


def test_an_unsound_ring_leaves_the_others(coco):
    found = coco({"segmentation": [SQUARE, [1, 2]]})
    assert len(shapes(found)[0].rings) == 1 and "polygon 2 left out" in found.problems[0]


def test_an_unsound_score_or_prompt_leaves_the_annotation(coco):
    found = coco(
        BOX | {"score": "high"}, BOX | {"onelabel": {"prompt": {"points": [[10**400, 1, 1]]}, "model": 3}}
    )
    assert len(shapes(found)) == 2 and len(found.problems) == 2


@pytest.mark.parametrize("key", ["images", "categories", "annotations"])
@pytest.mark.parametrize(
    "value", [None, 3, "x", {}, [None], [3], [{"id": {}}], [{"id": 1, "name": 3, "file_name": 3}]]
)
def test_a_part_of_the_wrong_type_is_no_traceback(coco, key, value):
    found = coco(BOX, **{key: value})
    assert sum(map(len, found.annotations.values())) <= 1


def test_images_and_categories_that_repeat_an_id_are_named(coco):
    image = {"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}
    category = {"id": 1, "name": "cat"}
    found = coco(BOX, images=[image, image], categories=[category, {"id": 1, "name": "dog"}])
    assert [a.class_name for a in found.annotations["a.jpg"]] == ["cat"]
    assert len(found.problems) == 2


def test_an_absurd_image_size_is_not_believed(coco):
    found = coco(BOX, images=[{"id": 1, "file_name": "a.jpg", "width": -5, "height": 0}])
    assert shapes(found) == [Box(10, 20, 40, 60)] and "own size" in found.problems[0]


def test_missing_images_are_named_with_what_they_had(coco):
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "gone.jpg"}]
    found = coco(BOX, *({"image_id": 2, "bbox": [1, 2, 3, 4]} for _ in range(3)), images=images)
    assert shapes(found) == [Box(10, 20, 40, 60)]
    assert found.problems == ["Image “gone.jpg” is not in this project; 3 annotations left out."]


def test_a_file_without_categories_numbers_its_classes(coco):
    assert coco(BOX, categories=[]).annotations["a.jpg"][0].class_name == "class_1"


def test_a_broken_file_gives_what_stands_before_the_break(coco, tmp_path):
    coco(BOX, BOX, BOX)
    text = (tmp_path / "file.json").read_text()
    (tmp_path / "file.json").write_text(text[: text.rindex("{")])
    found = format_of("coco").read(tmp_path / "file.json", SIZES)
    assert len(shapes(found)) == 2
    assert "not whole JSON" in found.problems[0] and "line 1" in found.problems[0]


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"annotations":' + "[" * 100_000, "nonsense", "[]", "3"]
)
def test_what_is_no_coco_at_all_is_named(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    found = format_of("coco").read(tmp_path / "x.json", SIZES)
    assert not found.annotations and found.problems[0].startswith("x.json: ")


def test_deep_nesting_inside_an_annotation_leaves_the_ones_before(coco, tmp_path):
    coco(BOX, BOX | {"bbox": "DEEP"})
    text = (tmp_path / "file.json").read_text().replace('"DEEP"', "[" * 100_000 + "]" * 100_000)
    (tmp_path / "file.json").write_text(text)
    found = format_of("coco").read(tmp_path / "file.json", SIZES)
    assert shapes(found) == [Box(10, 20, 40, 60)] and "nested too deeply" in found.problems[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_other_encodings_are_read(tmp_path, encoding):
    data = {
        "images": [{"id": 1, "file_name": "ä.jpg"}],
        "categories": [{"id": 1, "name": "Füße"}],
        "annotations": [BOX | {"image_id": 1, "category_id": 1}],
    }
    file = tmp_path / "x.json"
    file.write_bytes(json.dumps(data, ensure_ascii=False).encode(encoding))
    found = format_of("coco").read(tmp_path, {"ä.jpg": (640, 480)})
    assert [a.class_name for a in found.annotations["ä.jpg"]] == ["Füße"]
    assert bool(found.problems) == (encoding == "latin-1")


def test_names_lose_what_no_database_takes(coco):
    found = coco(BOX, categories=[{"id": 1, "name": "a\x00b\ud800\n" + "x" * 500}])
    (name,) = found.classes
    assert name.startswith("a b x") and len(name) == 100
    name.encode()


def test_thousands_of_bad_entries_are_counted_not_all_named(coco):
    found = coco(*[{"id": i, "bbox": [1, 2, -1, 1]} for i in range(5000)], BOX)
    assert shapes(found) == [Box(10, 20, 40, 60)]
    assert len(found.problems) == 1001 and "4,000 more" in found.problems[-1]


def test_several_files_of_a_folder_are_read_together(coco, tmp_path):
    coco(BOX)
    (tmp_path / "second.json").write_text((tmp_path / "file.json").read_text())
    (tmp_path / "other.json").write_text('{"settings": 1}')
    found = format_of("coco").read(tmp_path, SIZES)
    assert len(shapes(found)) == 2 and not found.problems


# ---- what other tools find in our files -------------------------------------------------------------


def test_pycocotools_reads_what_we_write(tmp_path, capsys):
    mask = Mask.from_array(pixels(480, 640))
    square = Polygon((((10, 10), (50, 10), (50, 50), (10, 50)),))
    images = (
        DatasetImage("a.jpg", 640, 480, (Annotation("cat", mask, score=0.25), Annotation("dog", square))),
        DatasetImage("b.jpg", 640, 480, (Annotation("cat", Box(1, 2, 11, 22)), Annotation("sky", Label()))),
    )
    written = format_of("coco").write(Dataset("test", ("dog", "cat"), images), tmp_path)
    assert written.annotations == 3 and "image tag" in written.notes[0]
    coco = COCO(written.files[0])
    capsys.readouterr()
    assert {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())} == {1: "dog", 2: "cat", 3: "sky"}
    first, second, third = coco.loadAnns(coco.getAnnIds())
    assert np.array_equal(coco.annToMask(first), pixels(480, 640))
    assert first["area"] == mask.area and first["bbox"] == [160, 120, 160, 120] and first["score"] == 0.25
    assert isinstance(first["segmentation"]["counts"], str)
    assert second["segmentation"] == [SQUARE] and second["area"] == coco.annToMask(second).sum() == 1600
    assert third["bbox"] == [1, 2, 10, 20] and third["area"] == 200 and third["segmentation"] == []
    assert all(entry["iscrowd"] == 0 for entry in (first, second, third))


def test_a_category_keeps_its_id_when_a_class_is_added(tmp_path):
    def ids(*classes: str) -> dict[str, int]:
        format_of("coco").write(Dataset("t", classes, ()), tmp_path)
        data = json.loads((tmp_path / "annotations.json").read_text())
        return {c["name"]: c["id"] for c in data["categories"]}

    before = ids("cat", "dog")
    assert before.items() <= ids("cat", "dog", "cow").items()
