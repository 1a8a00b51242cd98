"""Masks as PNG: the class of each pixel, the object of each pixel, or one picture an object.

- *classes*: an index PNG an image (labels/), with a palette and classes.txt, whose first line is number 0,
  the background. Reading gives one mask a class; 255 beside lower numbers is Pascal VOC's "no matter".
- *instances*: a 16-bit PNG an image (instances/), each object its own number, and instances.csv that gives
  file, value, image and class. Without the table every number is an object of the class "object".
- *objects*: NAME/masks/*.png, one picture an object, not zero inside; the same table or none.

In an index PNG each pixel is one thing: where objects overlap the later one is on top.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from pathlib import Path, PurePosixPath

import numpy as np

from studio.annotations import Annotation, Box, Mask, Polygon
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
from studio.formats.importing import Import
from studio.formats.matching import Frame
from studio.formats.pngs import palette, png_bytes, png_size, read_png
from studio.geometry import masks_of_values, shape_mask

TITLE = "Masks, a class a pixel (PNG)"
ORDER = 50
_TABLE = "instances.csv"
_COLUMNS = ("file", "value", "image", "class")
_NAME_FILES = ("classes.txt", "codes.txt", "labels.txt", "class_names.txt")
_PICTURES = {"images", "image", "imgs", "img", "jpegimages", "photos", "originals"}
_MASKS = {
    "masks",
    "mask",
    "labels",
    "label",
    "instances",
    "segmentationclass",
    "segmentationobject",
    "annotations",
}
_MOST_OBJECTS = 10_000  # in one picture; noise read as objects would have millions


def recognise(path: Path) -> bool:
    """Say whether a file or folder holds masks as PNG."""
    found = _mask_files(path)
    known = any(_MASKS & {folder.lower() for folder in file.folders} for file in found)
    sizes = [png_size(file.path) for file in found[:20]]
    plain = bool(sizes) and all(
        size is not None and size[2] in ("1", "L", "P", "I;16", "I") for size in sizes
    )
    return bool(found) and (known or plain or bool(find(path, _TABLE)))


def _mask_files(path: Path) -> list[Found]:
    files = [f for f in find(path, ".png") if not f.folders or f.folders[-1].lower() not in _PICTURES]
    return [f for f in files if _MASKS & {folder.lower() for folder in f.folders}] or files


# ---- reading ----------------------------------------------------------------------------------------


def read(path: Path, images: Sizes) -> Imported:
    """Read one mask PNG or every one below a folder that is not called images."""
    into = Import(images)
    files = _mask_files(path)
    if not files and not (path.is_dir() and find(path, _TABLE)):
        raise BadInput(f"“{path.name}” holds no mask pictures (.png outside a folder called images).")
    table = _read_table(path, into)
    names = _read_names(path, into)
    for file in files:
        image, alone = _image_of(file)
        if table is not None and file.name in table:
            image = next(iter(table[file.name].values()))[0]
        if into.frame(image, None, file.name) is None:
            into.missed(image)
            continue
        try:
            values = read_png(file.path)
            frame = into.frame(image, values.shape[::-1], file.name)
            if frame is None:
                continue
            rows = None if table is None else table.get(file.name, {})
            if rows is not None:
                _add_listed(values, rows, frame, file, into)
            elif alone:
                into.add(frame, into.add_class("object"), Mask.from_array(values), file.name)
            elif "instances" in file.folders or (names is None and values.dtype != np.uint8):
                _add_objects(values, frame, file, into)
            else:
                _add_classes(values, names, frame, file, into)
        except BadInput as error:
            into.problem(file.name, f"left out: {error}")
    return into.done()


def _image_of(file: Found) -> tuple[str, bool]:
    """Return the image a mask belongs to, and whether the mask shows one object alone (NAME/masks/x.png)."""
    if len(file.folders) > 1 and file.folders[-1].lower() in ("masks", "mask"):
        return file.folders[-2], True
    place = next((i for i, f in enumerate(file.folders) if f.lower() in _MASKS), len(file.folders) - 1)
    below = PurePosixPath(*PurePosixPath(file.name).parts[place + 1 :])
    return str(below.with_suffix("")), False


def _add_listed(
    values: np.ndarray, rows: dict[int, tuple[str, str]], frame: Frame, file: Found, into: Import
) -> None:
    present = _masks_in(values)
    for value, (_, class_name) in sorted(rows.items()):
        if value in present:
            into.add(frame, into.add_class(class_name), present[value], file.name)
        else:
            into.problem(file.name, f"object {value} of {_TABLE} has no pixel in it.", "no pixel")
    missing = sorted(set(present) - set(rows))
    if missing:
        into.problem(
            file.name, f"{len(missing)} numbers ({missing[0]} …) are not in {_TABLE} and were left out."
        )


def _add_objects(values: np.ndarray, frame: Frame, file: Found, into: Import) -> None:
    for value, mask in _masks_in(values).items():
        into.add(frame, into.add_class("object"), mask, f"{file.name}, number {value}")


def _add_classes(
    values: np.ndarray, names: dict[int, str] | None, frame: Frame, file: Found, into: Import
) -> None:
    found = _masks_in(values)
    if list(found) == [255] and not (names and 255 in names):
        class_name = names[1] if names and 1 in names else "foreground"
        into.add(frame, into.add_class(class_name), found[255], file.name)
        return
    for value, mask in found.items():
        where = f"{file.name}, number {value}"
        class_name = f"class_{value}" if names is None and value != 255 else (names or {}).get(value)
        if class_name is not None:
            into.add(frame, into.add_class(class_name), mask, where)
        elif value == 255:
            into.problem(file.name, "pixels of 255 (no matter) were left out.", "255")
        else:
            into.problem(
                where, f"left out: there is no class {value} among the {len(names or ())} that are named."
            )


def _masks_in(values: np.ndarray) -> dict[int, Mask]:
    count = np.unique(values).size
    if count > _MOST_OBJECTS:
        raise BadInput(f"it holds {count:,} different numbers; at most {_MOST_OBJECTS:,} objects are read.")
    return masks_of_values(values)


def _read_names(path: Path, into: Import) -> dict[int, str] | None:
    for file in sorted(find(path, ".txt"), key=lambda f: len(f.folders)) if path.is_dir() else []:
        if PurePosixPath(file.name).name.lower() in _NAME_FILES:
            try:
                lines = read_text(file, 4 * 1024 * 1024)[0].splitlines()
            except BadInput as error:
                into.problem(file.name, f"left out: {error}")
                continue
            names = {index: clean_class(line) for index, line in enumerate(lines) if clean_class(line)}
            for index, name in sorted(names.items()):
                if index:
                    into.add_class(name)
            return names
    return None


def _read_table(path: Path, into: Import) -> dict[str, dict[int, tuple[str, str]]] | None:
    """Return file → value → (image, class), or None where there is no table."""
    for file in find(path, ".csv") if path.is_dir() else []:
        if PurePosixPath(file.name).name != _TABLE:
            continue
        table: dict[str, dict[int, tuple[str, str]]] = {}
        base = PurePosixPath(file.name).parent
        try:
            text, guessed = read_text(file)
            if guessed:
                into.problem(file.name, guessed)
            rows = csv.DictReader(StringIO(text))
            if not rows.fieldnames or not set(_COLUMNS) <= set(rows.fieldnames):
                raise BadInput(f"its first line must name the columns {', '.join(_COLUMNS)}.")
            for line, row in enumerate(rows, 2):
                picture, value, image, name = (clean(row[column] or "", 1000) for column in _COLUMNS)
                if value.isascii() and value.isdigit() and len(value) < 10 and picture and image and name:
                    into.add_class(name)
                    table.setdefault(str(base / picture), {})[int(value)] = image, clean_class(name)
                else:
                    into.problem(
                        f"{file.name}, line {line}", "left out: it needs a file, a number, an image, a class."
                    )
            return table
        except (BadInput, csv.Error) as error:
            into.problem(file.name, f"left out: {error}")
    return None


# ---- writing ----------------------------------------------------------------------------------------


def write(dataset: Dataset, folder: Path) -> Written:
    """Write labels/*.png with the number of each pixel's class, and classes.txt."""
    notes = Notes()
    dataset = masks_for_alphas(dataset, notes)
    classes = dataset.all_classes()
    numbers = {name: index for index, name in enumerate(classes, 1)}
    names = file_names(image.name for image in dataset.images)
    folder.mkdir(parents=True, exist_ok=True)
    files, count = [folder / "classes.txt"], 0
    text = "".join(f"{clean(name) or '_'}\n" for name in ["background", *classes])
    files[0].write_text(text, encoding="utf-8")
    small = len(classes) < 255  # 255 is left free: readers take it for "no matter"
    for image in dataset.images:
        canvas = np.zeros((image.height, image.width), np.uint8 if small else np.uint16)
        for annotation, pixels in _masks(image, notes):
            number = numbers[annotation.class_name]
            _count_overlap((canvas != 0) & (canvas != number) & pixels, notes)
            canvas[pixels] = number
            count += 1
        name = PurePosixPath(names[image.name]).with_suffix("")
        file = folder / "labels" / f"{name}.png"
        files.append(_save(file, png_bytes(canvas, palette() if small else None)))
    return Written(files, count, notes.sentences())


def write_instances(dataset: Dataset, folder: Path) -> Written:
    """Write instances/*.png with the number of each pixel's object, and the table of their classes."""
    notes = Notes()
    dataset = masks_for_alphas(dataset, notes)
    names = file_names(image.name for image in dataset.images)
    files, rows = [], []
    for image in dataset.images:
        canvas = np.zeros((image.height, image.width), np.uint16)
        name = f"instances/{PurePosixPath(names[image.name]).with_suffix('')}.png"
        own = []
        for annotation, pixels in _masks(image, notes):
            if len(own) == 65535:
                notes.add(
                    "One object beyond 65,535 was left out.", "{n} objects beyond 65,535 were left out."
                )
                continue
            _count_overlap((canvas != 0) & pixels, notes)
            own.append((name, len(own) + 1, names[image.name], annotation.class_name))
            canvas[pixels] = len(own)
        left = set(np.unique(canvas).tolist())
        hidden = [row for row in own if row[1] not in left]
        if hidden:
            notes.add(
                "One object lies wholly under others.", "{n} objects lie wholly under others.", len(hidden)
            )
        rows += [row for row in own if row[1] in left]
        files.append(_save(folder / name, png_bytes(canvas)))
    return Written([_save_table(folder, rows), *files], len(rows), notes.sentences())


def write_objects(dataset: Dataset, folder: Path) -> Written:
    """Write NAME/masks/*.png, one picture an object, and the table of their classes."""
    notes = Notes()
    dataset = masks_for_alphas(dataset, notes)
    names = file_names(image.name for image in dataset.images)
    files, rows = [], []
    for image in dataset.images:
        stem = PurePosixPath(names[image.name]).with_suffix("")
        for index, (annotation, pixels) in enumerate(_masks(image, notes), 1):
            name = f"{stem}/masks/{index:04}.png"
            rows.append((name, 255, names[image.name], annotation.class_name))
            files.append(_save(folder / name, png_bytes(pixels.astype(np.uint8) * 255)))
    return Written([_save_table(folder, rows), *files], len(rows), notes.sentences())


WRITERS = (
    Writer("instances", "Masks, an object a number (16-bit PNG)", write_instances),
    Writer("objects", "Masks, a picture an object (PNG)", write_objects, images="{stem}/images/{name}"),
)


def _masks(image: DatasetImage, notes: Notes) -> Iterable[tuple[Annotation, np.ndarray]]:
    for annotation in image.annotations:
        if not isinstance(annotation.shape, (Box, Mask, Polygon)):
            notes.add(
                "One annotation without an area was left out.", "{n} annotations without an area left out."
            )
            continue
        pixels = shape_mask(annotation.shape, image.height, image.width)
        if not pixels.area:
            notes.add(
                "One object smaller than a pixel left out.", "{n} objects smaller than a pixel left out."
            )
            continue
        if isinstance(annotation.shape, Box):
            notes.add("One box was filled as a rectangle.", "{n} boxes were filled as rectangles.")
        yield annotation, pixels.to_array()


def _count_overlap(overlap: np.ndarray, notes: Notes) -> None:
    if overlap.any():
        notes.add(
            "One object covers part of another; the later one is on top.",
            "{n} objects cover parts of others; the later ones are on top.",
        )


def _save(file: Path, data: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def _save_table(folder: Path, rows: list[tuple[str, int, str, str]]) -> Path:
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    table.writerows(rows)
    return _save(folder / _TABLE, text.getvalue().encode())
