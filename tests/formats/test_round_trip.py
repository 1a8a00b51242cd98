"""read(write(x)) == x, up to what each format can hold."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from studio.annotations import Annotation, Box, Mask, Point, Polygon, Prompt
from studio.formats import Dataset, Format, Imported, all_formats, detect, format_of
from studio.formats.base import DatasetImage, file_names
from studio.geometry import box_iou, iou, shape_area, shape_box, shape_mask
from tests.formats.samples import (
    bare,
    boxes,
    datasets,
    keypoints,
    masks,
    matted,
    one_image,
    polygons,
    sizes_of,
)

QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SQUARE = Polygon((((2, 2), (20, 2), (20, 20), (2, 20)),))


def there_and_back(format: Format, dataset: Dataset) -> Imported:
    with TemporaryDirectory() as folder:
        written = format.write(dataset, Path(folder, "out"))
        assert all(file.is_file() for file in written.files)
        if not dataset.images:
            return Imported({}, [], [])
        if any(image.annotations for image in dataset.images):
            assert detect(Path(folder, "out")).read is format.read
        return format.read(Path(folder, "out"), sizes_of(dataset))


def test_every_format_is_found_with_its_ways_to_be_written():
    assert list(all_formats()) == [
        "matting", "matting-webp", "matting-alphas", "matting-alphas16", "coco", "labelme", "voc", "yolo",
        "yolo-boxes", "yolo-segments", "masks", "masks-instances", "masks-objects",
    ]  # fmt: skip


@QUICK
@given(
    datasets(
        lambda w, h: st.one_of(boxes(w, h), masks(w, h), polygons(w, h), keypoints(w, h)),
        source=st.sampled_from(["person", "model", "import"]),
        draft=st.booleans(),
        model=st.sampled_from([None, "sam2.1-tiny"]),
        model_version=st.sampled_from([None, "1"]),
        score=st.one_of(st.none(), st.floats(0, 1)),
        prompt=st.sampled_from([None, Prompt((Point(3, 4), Point(1, 2, False)), Box(0, 0, 5, 5))]),
    )
)
def test_coco_gives_back_everything(dataset):
    read = there_and_back(format_of("coco"), dataset)
    assert not read.problems
    for image in dataset.images:
        found, written = read.annotations[image.name], image.annotations
        assert [bare(_rounded(a)) for a in found] == [bare(_rounded(a)) for a in written]
    assert read.classes == dataset.all_classes() or not dataset.images


def _rounded(annotation: Annotation) -> Annotation:
    """COCO holds a box's width, and start + width is not always its end to the last bit."""
    if not isinstance(annotation.shape, Box):
        return annotation
    return annotation.with_(shape=Box(*(round(v, 9) for v in annotation.shape.xyxy)))


@QUICK
@given(datasets(boxes))
def test_yolo_gives_back_boxes(dataset):
    read = there_and_back(format_of("yolo"), dataset)
    assert not read.problems
    _same_classes_and_boxes(dataset, read, 1e-6)
    assert read.classes == dataset.all_classes() or not dataset.images


@QUICK
@given(datasets(polygons))
def test_yolo_gives_back_outlines_of_several_parts(dataset):
    read = there_and_back(format_of("yolo-segments"), dataset)
    assert not read.problems
    for image in dataset.images:
        for theirs, ours in zip(read.annotations[image.name], image.annotations, strict=True):
            assert theirs.class_name == ours.class_name
            assert len(theirs.shape.rings) == len(ours.shape.rings)
            assert _corners(theirs.shape) == _corners(ours.shape)


@settings(QUICK, max_examples=6)
@given(datasets(masks))
def test_yolo_gives_back_what_a_mask_covers(dataset):
    read = there_and_back(format_of("yolo"), dataset)
    for image in dataset.images:
        for theirs, ours in zip(read.annotations[image.name], image.annotations, strict=True):
            assert iou(theirs.shape, ours.shape, image.height, image.width) >= 0.95


@QUICK
@given(datasets(lambda w, h: boxes(w, h, whole=True)))
def test_voc_gives_back_boxes_of_whole_pixels(dataset):
    read = there_and_back(format_of("voc"), dataset)
    assert not read.problems
    _same_classes_and_boxes(dataset, read, 0)


@QUICK
@given(datasets(boxes))
def test_voc_rounds_other_boxes_to_the_nearest_pixel(dataset):
    _same_classes_and_boxes(dataset, there_and_back(format_of("voc"), dataset), 1.0)


@QUICK
@given(datasets(lambda w, h: st.one_of(boxes(w, h), masks(w, h), polygons(w, h, 1))))
def test_labelme_gives_back_boxes_masks_and_outlines(dataset):
    read = there_and_back(format_of("labelme"), dataset)
    assert not read.problems
    for image in dataset.images:
        assert [bare(a) for a in read.annotations[image.name]] == [bare(a) for a in image.annotations]


@QUICK
@given(datasets(lambda w, h: polygons(w, h, 3)))
def test_labelme_gives_back_objects_of_several_parts(dataset):
    read = there_and_back(format_of("labelme"), dataset)
    for image in dataset.images:
        found = {(a.class_name, a.shape) for a in read.annotations[image.name]}
        assert found == {(a.class_name, a.shape) for a in image.annotations}


@QUICK
@given(datasets(masks))
def test_a_picture_an_object_gives_back_every_mask(dataset):
    read = there_and_back(format_of("masks-objects"), dataset)
    for image in dataset.images:
        found = read.annotations.get(image.name, [])
        assert [bare(a) for a in found] == [bare(a) for a in image.annotations]


@pytest.mark.parametrize("name", ["masks", "masks-instances"])
@QUICK
@given(data=st.data())
def test_index_pictures_give_back_what_is_on_top(name, data):
    dataset = data.draw(datasets(masks))
    read = there_and_back(format_of(name), dataset)
    assert not read.problems
    for image in dataset.images:
        top = {}
        for index, annotation in enumerate(image.annotations):
            key = (annotation.class_name, index if name == "masks-instances" else 0)
            pixels = shape_mask(annotation.shape, image.height, image.width).to_array()
            top = {k: seen & ~pixels for k, seen in top.items()}
            top[key] = top.get(key, False) | pixels
        wanted = sorted((k[0], Mask.from_array(v).counts.tolist()) for k, v in top.items() if v.any())
        found = [(a.class_name, a.shape.counts.tolist()) for a in read.annotations[image.name]]
        assert sorted(found) == wanted


@pytest.mark.parametrize("name", sorted(all_formats()))
def test_two_images_of_one_stem_both_come_back(name):
    first, second = (Annotation(c, SQUARE, source="import") for c in ("cat", "dog"))
    images = (DatasetImage("a.jpg", 40, 30, (first,)), DatasetImage("a.png", 40, 30, (second,)))
    read = there_and_back(format_of(name), matted(name, Dataset("test", (), images)))
    assert {k: [a.class_name for a in v] for k, v in read.annotations.items()} == {
        "a.jpg": ["cat"],
        "a.png": ["dog"],
    }


@pytest.mark.parametrize("name", sorted(all_formats()))
def test_images_in_folders_come_back(name):
    annotation = Annotation("cat", SQUARE)
    images = (DatasetImage("x/a.jpg", 40, 30, (annotation,)), DatasetImage("y/a.jpg", 40, 30, ()))
    read = there_and_back(format_of(name), matted(name, Dataset("test", (), images)))
    assert [len(read.annotations.get(k, ())) for k in ("x/a.jpg", "y/a.jpg")] == [1, 0]


@pytest.mark.parametrize("name", sorted(all_formats()))
def test_the_same_dataset_gives_the_same_bytes(name, tmp_path):
    dataset = matted(name, one_image(Annotation("cat", SQUARE), Annotation("dog", Box(1, 1, 9, 9))))
    format_of(name).write(dataset, tmp_path / "a")
    format_of(name).write(dataset, tmp_path / "b")
    files = [{f.relative_to(tmp_path / d): f.read_bytes() for f in (tmp_path / d).rglob("*") if f.is_file()}
             for d in "ab"]  # fmt: skip
    assert files[0] == files[1] and files[0]


def test_names_that_no_file_system_takes_are_made_safe():
    names = ["../../etc/passwd", "C:\\temp\\a.jpg", "a.jpg", "A.png", "", "con<>.jpg", "a.jpg.jpg"]
    found = file_names(names)
    assert len({str(Path(n).with_suffix("")).casefold() for n in found.values()}) == len(names)
    assert all(".." not in n.split("/") and not n.startswith("/") and n for n in found.values())


def _same_classes_and_boxes(dataset: Dataset, read: Imported, within: float) -> None:
    for image in dataset.images:
        for theirs, ours in zip(read.annotations[image.name], image.annotations, strict=True):
            assert theirs.class_name == ours.class_name
            pairs = zip(theirs.shape.xyxy, ours.shape.xyxy, strict=True)
            assert all(abs(a - b) <= within for a, b in pairs)


def _corners(polygon: Polygon) -> set:
    return {frozenset((round(x, 4), round(y, 4)) for x, y in ring) for ring in polygon.rings}


def test_shapes_a_format_cannot_hold_are_counted_in_its_notes(tmp_path):
    dataset = one_image(Annotation("cat", SQUARE), Annotation("dog", Box(1, 1, 9.5, 9)))
    notes = format_of("voc").write(dataset, tmp_path).notes
    assert any("outline" in n for n in notes) and any("rounded" in n for n in notes)
    assert box_iou([shape_box(SQUARE)], [Box(2, 2, 20, 20)])[0, 0] == 1 and shape_area(SQUARE) == 18 * 18
