"""YOLO text labels in ultralytics' layout: images/, labels/*.txt and data.yaml with the class names.

A line is a class number and then, as fractions of width and height: a box (centre x, y, width, height),
a box with a confidence (6 numbers), an outline (x, y, x, y, …) or a box with keypoints. supervision's
reader needs the images' files and stops at the first unsound line, so the lines are read here.

An object has one line, so one outline. A polygon of several rings and a mask with parts or holes are joined
by bridges of no width between nearest corners, walked once each way, as ultralytics joins COCO's parts;
reading cuts at such bridges again. A polygon comes back as drawn, a mask as the polygon around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from studio.annotations import Alpha, Annotation, Box, Keypoints, Mask, Polygon, Shape
from studio.errors import BadInput
from studio.formats.base import (
    Dataset,
    DatasetImage,
    Imported,
    Notes,
    Sizes,
    Writer,
    Written,
    clean,
    clean_class,
    file_names,
    masks_for_alphas,
)
from studio.formats.files import Found, find, read_text
from studio.formats.importing import Import, text_number
from studio.formats.rings import join_polygon, split_ring
from studio.geometry import clip_ring, mask_to_polygon, shape_box

TITLE = "YOLO (txt)"
ORDER = 40
_NAME_FILES = ("classes.txt", "obj.names", "names.txt", "labels.txt")
_MOST_CLASSES = 10_000


def recognise(path: Path) -> bool:
    """Say whether a file or folder holds YOLO label files."""
    for file in _label_files(path)[:50]:
        try:
            lines = read_text(file, 64 * 1024 * 1024)[0].split("\n", 20)
        except BadInput:
            continue
        if any(_looks_like_label(line) for line in lines[:20]):
            return True
    return False


def _looks_like_label(line: str) -> bool:
    words = line.split()
    try:
        return len(words) >= 5 and words[0].isdigit() and all(-1 <= float(w) <= 2 for w in words[1:])
    except ValueError:
        return False


def _label_files(path: Path) -> list[Found]:
    skipped = (*_NAME_FILES, "train.txt", "val.txt", "test.txt", "readme.txt", "requirements.txt")
    files = [f for f in find(path, ".txt") if PurePosixPath(f.name).name.lower() not in skipped]
    labels = [f for f in files if "labels" in f.folders]
    return labels or files


# ---- reading ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Names:
    """The class names of a dataset; ``given`` is False for a bare folder of labels."""

    by_index: dict[int, str]
    given: bool
    joints: tuple[int, int] | None = None  # keypoints an object and numbers a keypoint

    def name(self, index: int) -> str:
        name = self.by_index.get(index)
        if name is None and (self.given or index >= _MOST_CLASSES):
            raise BadInput(f"there is no class {index} among the {len(self.by_index)} that are named.")
        return name or f"class_{index}"


def read(path: Path, images: Sizes) -> Imported:
    """Read a labels folder, one label file, or a whole dataset with its data.yaml or classes.txt."""
    into = Import(images)
    names = _read_names(path, into)
    files = _label_files(path)
    if not files:
        raise BadInput(f"“{path.name}” holds no label files (labels/*.txt).")
    for index in sorted(names.by_index):
        into.add_class(names.by_index[index])
    rows = {file: _read_rows(file, into) for file in files}
    if not names.given:
        used = {int(row[1][0]) for found in rows.values() for row in found if row[1][0].is_integer()}
        top = max((i for i in used if 0 <= i < _MOST_CLASSES), default=-1)
        for index in range(top + 1):
            into.add_class(f"class_{index}")
    joints = names.joints or _guess_joints([values for found in rows.values() for _, values in found])
    for file, found in rows.items():
        _read_file(file, found, names, joints, into)
    return into.done()


def _read_rows(file: Found, into: Import) -> list[tuple[int, list[float]]]:
    try:
        text, guessed = read_text(file)
    except BadInput as error:
        into.problem(file.name, f"left out: {error}")
        return []
    if guessed:
        into.problem(file.name, guessed)
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        try:
            if words and len(words) < 5:
                raise BadInput(f"a line has {len(words)} numbers; a box has 5, an outline 7 or more.")
            if words:
                rows.append((number, [text_number(word, "it") for word in words]))
        except BadInput as error:
            into.problem(f"{file.name}, line {number}", f"left out: {error}")
    return rows


def _read_file(
    file: Found,
    rows: list[tuple[int, list[float]]],
    names: _Names,
    joints: tuple[int, int] | None,
    into: Import,
) -> None:
    label = file.name.rpartition(".")[0]
    folders = PurePosixPath(label).parts
    if "labels" in folders:
        label = "/".join(folders[len(folders) - folders[::-1].index("labels") :])
    frame = into.frame(label, None, file.name)
    if frame is None:
        into.missed(label, len(rows))
        return
    for line, values in rows:
        where = f"{file.name}, line {line}"
        try:
            if values[0] < 0 or not values[0].is_integer():
                raise BadInput(f"its class is {values[0]:g}, not a whole number from 0 on.")
            name = names.name(int(values[0]))
            shapes, score = _read_line(values[1:], (frame.width, frame.height), joints)
        except BadInput as error:
            into.problem(where, f"left out: {error}")
            continue
        for shape in shapes:
            into.add(frame, name, shape, where, score=score)


def _read_line(
    values: list[float], size: tuple[int, int], joints: tuple[int, int] | None
) -> tuple[list[Shape], float | None]:
    """Return a line's shapes and its confidence; ``size`` is (width, height)."""
    if len(values) in (4, 5):
        return [_read_box(values, size)], values[4] if len(values) == 5 else None
    if joints is not None and len(values) in (4 + joints[0] * joints[1], 5 + joints[0] * joints[1]):
        points = np.array(values[4 : 4 + joints[0] * joints[1]]).reshape(joints)
        seen = points[:, 2] if joints[1] == 3 else np.where(points.any(1), 2, 0)
        triples = [(x * size[0], y * size[1], v) for (x, y), v in zip(points[:, :2], seen, strict=True)]
        keypoints = Keypoints(tuple(triples))
        score = values[-1] if len(values) == 5 + joints[0] * joints[1] else None
        return [_read_box(values, size), *([keypoints] if keypoints.box else [])], score
    score = values.pop() if len(values) % 2 else None
    if len(values) < 6:
        raise BadInput(f"it has {len(values) + 1} numbers; a box has 5, an outline 7 or more.")
    ring = np.array(values).reshape(-1, 2) * size
    return [Polygon(split_ring(ring, size[1], size[0]))], score


def _read_box(values: Sequence[float], size: tuple[int, int]) -> Box:
    x, y, width, height = values[0] * size[0], values[1] * size[1], values[2] * size[0], values[3] * size[1]
    if width < 0 or height < 0:
        raise BadInput(f"its box has a negative size ({values[2]:g} × {values[3]:g}).")
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _guess_joints(rows: list[list[float]]) -> tuple[int, int] | None:
    """Return (points, 3) where every long line is a box and points with a visibility of 0, 1 or 2.

    An outline has an even count of fractions; its every third one is never always a whole number.
    """
    lengths = {len(values) for values in rows}
    if len(lengths) != 1 or (count := lengths.pop()) < 8 or (count - 5) % 3:
        return None
    if all(v in (0, 1, 2) for values in rows for v in values[7::3]):
        return (count - 5) // 3, 3
    return None


def _read_names(path: Path, into: Import) -> _Names:
    for file in sorted(find(path, ".yaml", ".yml"), key=lambda f: len(f.folders)):
        try:
            data = yaml.safe_load(read_text(file, 4 * 1024 * 1024)[0])
        except (BadInput, yaml.YAMLError, RecursionError, ValueError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            into.problem(file.name, f"left out: it cannot be read as YAML ({clean(reason)}).")
            continue
        if isinstance(data, dict) and isinstance(data.get("names"), (list, dict)):
            return _Names(_usable(data["names"], file.name, into), True, _joints(data.get("kpt_shape")))
    for file in sorted(find(path, ".txt", ".names"), key=lambda f: len(f.folders)):
        if path.is_dir() and PurePosixPath(file.name).name.lower() in _NAME_FILES:
            try:
                lines = read_text(file, 4 * 1024 * 1024)[0].splitlines()
            except BadInput as error:
                into.problem(file.name, f"left out: {error}")
                continue
            return _Names(_usable([n for n in lines if n.strip()], file.name, into), True)
    return _Names({}, False)


def _usable(names: list | dict, file: str, into: Import) -> dict[int, str]:
    found: dict[int, str] = {}
    for key, name in list(names.items() if isinstance(names, dict) else enumerate(names))[:_MOST_CLASSES]:
        usable = clean_class(str(name)) if isinstance(name, (str, int, float)) else ""
        try:
            index = int(key)
        except (TypeError, ValueError, OverflowError):
            index = -1
        if usable and index >= 0:
            found[index] = usable
        else:
            into.problem(file, f"class {clean(str(key), 40)} left out: it has no number or no name.", "names")
    return found


def _joints(shape: Any) -> tuple[int, int] | None:
    match shape:
        case [int(count), int(each)] if 0 < count < 10_000 and each in (2, 3):
            return count, each
    return None


# ---- writing ----------------------------------------------------------------------------------------


def write(dataset: Dataset, folder: Path) -> Written:
    """Write outlines where the dataset has any, else boxes: a training run takes one kind only."""
    shapes = (annotation.shape for image in dataset.images for annotation in image.annotations)
    return _write(
        dataset, folder, outlines=any(isinstance(shape, (Alpha, Mask, Polygon)) for shape in shapes)
    )


def write_boxes(dataset: Dataset, folder: Path) -> Written:
    """Write each annotation as the box around it."""
    return _write(dataset, folder, outlines=False)


def write_segments(dataset: Dataset, folder: Path) -> Written:
    """Write each annotation as one outline; a box as its four corners."""
    return _write(dataset, folder, outlines=True)


WRITERS = (
    Writer("boxes", "YOLO, boxes only (txt)", write_boxes),
    Writer("segments", "YOLO, outlines only (txt)", write_segments),
)


def _write(dataset: Dataset, folder: Path, outlines: bool) -> Written:
    notes = Notes()
    dataset = masks_for_alphas(dataset, notes)
    classes = dataset.all_classes()
    numbers = {name: index for index, name in enumerate(classes)}
    names = file_names(image.name for image in dataset.images)
    files, count = [folder / "data.yaml"], 0
    folder.mkdir(parents=True, exist_ok=True)
    head = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(classes))}
    files[0].write_text(yaml.safe_dump(head, sort_keys=False, allow_unicode=True), encoding="utf-8")
    for image in dataset.images:
        lines = []
        for annotation in image.annotations:
            values = _line(annotation, image, outlines, notes)
            if values is not None:
                digits = " ".join(f"{value:.10g}" for value in values)
                lines.append(f"{numbers[annotation.class_name]} {digits}\n")
        file = folder / "labels" / f"{PurePosixPath(names[image.name]).with_suffix('')}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(lines), encoding="utf-8")
        files.append(file)
        count += len(lines)
    return Written(files, count, notes.sentences())


def _line(annotation: Annotation, image: DatasetImage, outlines: bool, notes: Notes) -> list[float] | None:
    shape = annotation.shape
    box = shape_box(shape, (image.height, image.width))
    if box is None or box.area == 0 or not isinstance(shape, (Box, Mask, Polygon, Keypoints)):
        notes.add(
            "One annotation without a box was left out.", "{n} annotations without a box were left out."
        )
        return None
    if isinstance(shape, Keypoints):
        notes.add(
            "One set of keypoints was written as the box around it.",
            "{n} sets of keypoints were written as the boxes around them.",
        )
    if not outlines:
        if isinstance(shape, (Mask, Polygon)):
            notes.add(
                "One outline was written as the box around it; the format yolo-segments keeps it.",
                "{n} outlines were written as the boxes around them; the format yolo-segments keeps them.",
            )
        centre = (box.x0 + box.x1) / 2 / image.width, (box.y0 + box.y1) / 2 / image.height
        return [*centre, box.width / image.width, box.height / image.height]
    ring = _outline(shape, box, image)
    if len(ring) < 3:
        notes.add("One outline without an area was left out.", "{n} outlines without an area were left out.")
        return None
    return (ring / (image.width, image.height)).ravel().tolist()


def _outline(shape: Shape, box: Box, image: DatasetImage) -> np.ndarray:
    if isinstance(shape, Mask):
        shape = mask_to_polygon(shape) or shape
    if not isinstance(shape, Polygon):
        return np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)])
    ring = join_polygon(shape, image.height, image.width)
    return clip_ring(ring, 0.0, 0.0, float(image.width), float(image.height))
