"""COCO JSON: boxes, polygons, run-length masks, keypoints.

supervision's reader stops at the first unsound entry and rounds outlines to whole pixels, so files are
read here, entry by entry. Beside COCO's own keys each annotation may hold ``score`` and ``onelabel``, where
we keep what COCO has no place for (source, draft, model, prompt); other readers pass over both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from studio.annotations import Box, Keypoints, Mask, Polygon, Shape, prompt_from_json
from studio.errors import BadInput
from studio.formats.base import Imported, Sizes, clean
from studio.formats.coco_writing import OURS, write
from studio.formats.files import Found, find, read_json, read_text, sniff
from studio.formats.importing import MOST_PIXELS, Import, number, numbers
from studio.formats.matching import Frame
from studio.geometry import counts_from_string

__all__ = ["ORDER", "TITLE", "read", "recognise", "write"]

TITLE = "COCO (JSON)"
ORDER = 10

_Place = tuple[str, Frame | None]


def recognise(path: Path) -> bool:
    """Say whether a file or folder holds COCO annotations."""
    return bool(_coco_files(path))


def _coco_files(path: Path) -> list[Found]:
    files = []
    for file in find(path, ".json"):
        annotations, images, categories = sniff(file, '"annotations"', '"images"', '"categories"')
        if annotations and (images or categories):
            files.append(file)
    return files


def read(path: Path, images: Sizes) -> Imported:
    """Read one JSON file, or each COCO file of a folder."""
    into = Import(images)
    files = _coco_files(path) or find(path, ".json")
    if not files:
        raise BadInput(f"“{path.name}” holds no COCO file (a .json with images, categories and annotations).")
    for file in files:
        try:
            text, guessed = read_text(file)
        except BadInput as error:
            into.problem(file.name, str(error))
            continue
        if guessed:
            into.problem(file.name, guessed)
        data, wrong = read_json(text, ("images", "categories", "annotations"))
        del text
        if wrong:
            into.problem(file.name, wrong)
        if isinstance(data, dict):
            _read_file(data, file.name, into)
        else:
            into.problem(
                file.name, "it is not COCO: a list where an object with images and annotations belongs."
            )
    return into.done()


def _read_file(data: dict[str, Any], file: str, into: Import) -> None:
    categories = _read_categories(data, file, into)
    places = _read_images(data, file, into)
    for index, entry in _entries(data, "annotations", file, into):
        where = f"{file}, annotation {_id(entry, index)}"
        try:
            _read_annotation(entry, where, categories, places, into)
        except BadInput as error:
            into.problem(where, f"left out: {error}")


def _entries(data: dict[str, Any], key: str, file: str, into: Import) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = data.get(key)
    if entries is None:
        return
    if not isinstance(entries, list):
        into.problem(file, f"“{key}” is not a list and was left out.")
        return
    for index, entry in enumerate(entries):
        if isinstance(entry, dict):
            yield index, entry
        else:
            into.problem(f"{file}, entry {index} of {key}", "left out: it is not an object.")


def _id(entry: dict[str, Any], index: int) -> str:
    ident = entry.get("id")
    if type(ident) is int and 0 <= ident < 10**15:  # the usual one, a million times
        return f"{ident} (entry {index})"
    if isinstance(ident, (int, float, str)) and not isinstance(ident, bool):
        try:
            return f"{clean(str(ident), 40)} (entry {index})"
        except ValueError:  # an int of thousands of digits
            pass
    return f"without an id (entry {index})"


def _key(value: Any, what: str) -> int | str:
    """Return an id as a key; 3, 3.0 and "3" are the same one."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        text = value[:200]
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BadInput(f"{what} is missing." if value is None else f"{what} is neither a number nor a text.")


def _read_categories(data: dict[str, Any], file: str, into: Import) -> dict[int | str, str] | None:
    names: dict[int | str, str] = {}
    for index, entry in _entries(data, "categories", file, into):
        where = f"{file}, category {_id(entry, index)}"
        try:
            key = _key(entry.get("id"), "its id")
            if key in names:
                raise BadInput("another category has the same id.")
            names[key] = into.add_class(entry.get("name"))
        except BadInput as error:
            into.problem(where, f"left out: {error}")
    if not data.get("categories"):
        into.problem(file, "it names no categories; classes are called “class_” and their number.")
        return None
    return names


def _read_images(data: dict[str, Any], file: str, into: Import) -> dict[int | str, _Place]:
    places: dict[int | str, _Place] = {}
    for index, entry in _entries(data, "images", file, into):
        where = f"{file}, image {_id(entry, index)}"
        try:
            key = _key(entry.get("id"), "its id")
            name = entry.get("file_name")
            if not isinstance(name, str) or not clean(name):
                raise BadInput("its file_name is missing or not a text.")
            if key in places:
                raise BadInput("another image has the same id.")
            size = into.size(entry.get("width"), entry.get("height"), where)
            places[key] = name, into.frame(name, size, where)
        except BadInput as error:
            into.problem(where, f"left out: {error}")
    return places


def _read_annotation(
    entry: dict[str, Any],
    where: str,
    categories: dict[int | str, str] | None,
    places: dict[int | str, _Place],
    into: Import,
) -> None:
    place = places.get(_key(entry.get("image_id"), "its image_id"))
    if place is None:
        raise BadInput(f"there is no image with the id {clean(str(entry.get('image_id')), 40)} in the file.")
    name, frame = place
    if frame is None:
        into.missed(name)
        return
    category = _key(entry.get("category_id"), "its category_id")
    class_name = f"class_{category}" if categories is None else categories.get(category)
    if class_name is None:
        raise BadInput(f"there is no category with the id {clean(str(category), 40)} in the file.")
    extra = entry.get(OURS)
    extra = extra if isinstance(extra, dict) else {}
    fields = _read_extra(extra, entry.get("score"), frame, where, into)
    shapes = list(_read_shapes(entry, extra.get("shape"), where, into))
    if not shapes:
        raise BadInput("it has neither an outline, a box nor keypoints.")
    for shape in shapes:
        into.add(frame, class_name, shape, where, **fields)
    if entry.get("iscrowd") == 1:
        into.problem(where, "a crowd region (iscrowd) became an ordinary annotation.")


def _read_shapes(entry: dict[str, Any], kind: Any, where: str, into: Import) -> Iterator[Shape]:
    """Yield the entry's shapes: keypoints, and beside them the outline, else the box.

    One entry with keypoints and an outline becomes two annotations: each is work that somebody drew.
    ``kind`` is what we wrote ourselves, where a keypoints entry's box only repeats the points.
    """
    points = entry.get("keypoints")
    if points:
        values = numbers(points, "its keypoints")
        if len(values) % 3:
            raise BadInput(f"its keypoints are {len(values)} numbers, not three for each point.")
        keypoints = Keypoints(tuple(zip(values[::3], values[1::3], values[2::3], strict=True)))
        if keypoints.box is not None:
            yield keypoints
            if kind == "keypoints":
                return
    outline = entry.get("segmentation")
    if outline and kind != "box":
        try:
            yield _read_outline(outline, where, into)
            return
        except BadInput as error:
            if entry.get("bbox") is None:
                raise
            into.problem(where, f"its box was taken instead of its outline: {error}")
    if entry.get("bbox") is not None:
        x, y, width, height = numbers(entry["bbox"], "its box", 4)
        if width < 0 or height < 0:
            raise BadInput(f"its box has a negative size ({width:g} × {height:g}).")
        yield Box(x, y, x + width, y + height)


def _read_outline(outline: Any, where: str, into: Import) -> Mask | Polygon:
    if isinstance(outline, dict):
        return _read_rle(outline)
    if not isinstance(outline, list):
        raise BadInput("its segmentation is neither polygons nor run lengths.")
    rings = []
    flat = not isinstance(outline[0], (list, dict))
    for index, ring in enumerate([outline] if flat else outline):
        try:
            values = numbers(ring, "a polygon")
            if len(values) < 6 or len(values) % 2:
                raise BadInput(
                    f"a polygon has {len(values)} numbers; it needs at least 6, two for each point."
                )
            rings.append(tuple(zip(values[::2], values[1::2], strict=True)))
        except BadInput as error:
            if len(outline) == 1 or flat:
                raise
            into.problem(where, f"polygon {index + 1} left out: {error}")
    if not rings:
        raise BadInput("none of its polygons can be read.")
    return Polygon(tuple(rings))


def _read_rle(rle: dict[str, Any]) -> Mask:
    height, width = (int(v) for v in numbers(rle.get("size"), "its mask's size", 2))
    if height < 1 or width < 1 or height * width > MOST_PIXELS:
        raise BadInput(f"its mask has {width} × {height} pixels.")
    counts = rle.get("counts")
    if isinstance(counts, str):
        return Mask(height, width, counts_from_string(counts))
    if not isinstance(counts, list):
        raise BadInput("its mask's counts are neither a text nor a list.")
    values = numbers(counts, "its mask")
    if any(v != int(v) for v in values):
        raise BadInput("its mask's run lengths are not whole numbers.")
    return Mask(height, width, np.array(values, np.int64))


def _read_extra(extra: dict[str, Any], score: Any, frame: Frame, where: str, into: Import) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if score is not None:
        try:
            fields["score"] = number(score, "its score")
        except BadInput as error:
            into.problem(where, f"score left out: {error}")
    if extra.get("source") in ("person", "model", "import"):
        fields["source"] = extra["source"]
    if isinstance(extra.get("draft"), bool):
        fields["draft"] = extra["draft"]
    for key in ("model", "model_version"):
        if isinstance(extra.get(key), str):
            fields[key] = clean(extra[key])
    if extra.get("prompt") and not frame.scaled:
        try:
            prompt = prompt_from_json(extra["prompt"])
            if prompt.mask is None or (prompt.mask.height, prompt.mask.width) == (frame.height, frame.width):
                fields["prompt"] = prompt
        except (BadInput, OverflowError):
            into.problem(where, "its prompt cannot be read and was left out.")
    return fields
