"""labelme JSON: one file beside each image.

Read are polygon, rectangle, circle (as a polygon) and mask shapes, and image flags as tags. Shapes of one
label and one group_id are the parts of one object, as labelme's own exporters take them. A point or a line
is no object here and is named as left out; imageData, a copy of the picture, is passed over. supervision's
reader knows neither masks nor groups, so the files are read here.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from studio.annotations import Annotation, Box, Keypoints, Label, Mask, Polygon, Shape
from studio.errors import BadInput
from studio.formats.base import (
    Dataset,
    DatasetImage,
    Imported,
    Notes,
    Sizes,
    Written,
    clean,
    file_names,
    masks_for_alphas,
)
from studio.formats.files import Found, find, read_json, read_text, sniff
from studio.formats.importing import MOST_PIXELS, Import, numbers
from studio.formats.matching import Frame
from studio.formats.pngs import png_bytes, read_png

TITLE = "labelme (JSON)"
ORDER = 20
IMAGES = "{name}"
_VERSION = "5.5.0"


def recognise(path: Path) -> bool:
    """Say whether a file or folder holds labelme annotations."""
    return bool(_labelme_files(path))


def _labelme_files(path: Path) -> list[Found]:
    files = []
    for file in find(path, ".json"):
        shapes, image, annotations = sniff(file, '"shapes"', '"imagePath"', '"annotations"')
        if shapes and (image or not annotations):
            files.append(file)
    return files


# ---- reading ----------------------------------------------------------------------------------------


def read(path: Path, images: Sizes) -> Imported:
    """Read one JSON file, or every labelme file below a folder."""
    into = Import(images)
    files = _labelme_files(path) or find(path, ".json")
    if not files:
        raise BadInput(f"“{path.name}” holds no labelme files (.json with shapes).")
    for file in files:
        try:
            text, guessed = read_text(file)
        except BadInput as error:
            into.problem(file.name, f"left out: {error}")
            continue
        data, wrong = read_json(text, ("shapes",))
        for reason in filter(None, (guessed, wrong)):
            into.problem(file.name, reason)
        if isinstance(data, dict) and isinstance(data.get("shapes"), list):
            _read_file(data, file, into)
        elif not wrong:
            into.problem(file.name, "left out: it is not labelme: it has no list of shapes.")
    return into.done()


def _read_file(data: dict[str, Any], file: Found, into: Import) -> None:
    named = data.get("imagePath")
    named = clean(named.replace("\\", "/"), 1000) if isinstance(named, str) else ""
    beside = "/".join((*file.folders, named)) if named and file.folders else ""
    name = into.choose(beside, named, file.name.rpartition(".")[0])
    size = into.size(data.get("imageWidth"), data.get("imageHeight"), file.name)
    frame = into.frame(name, size, file.name)
    if frame is None:
        into.missed(name, len(data["shapes"]))
        return
    groups: dict[tuple[str, int | str], list[tuple[str, Polygon]]] = {}
    for index, entry in enumerate(data["shapes"], 1):
        where = f"{file.name}, shape {index}"
        try:
            if not isinstance(entry, dict):
                raise BadInput("it is not an object.")
            class_name = into.add_class(entry.get("label"))
            shape = _read_shape(entry, size or (frame.width, frame.height))
        except BadInput as error:
            into.problem(where, f"left out: {error}")
            continue
        group = entry.get("group_id")
        if isinstance(shape, Polygon) and isinstance(group, (int, str)) and not isinstance(group, bool):
            groups.setdefault((class_name, group), []).append((where, shape))
        else:
            into.add(frame, class_name, shape, where)
    for (class_name, _), parts in groups.items():
        rings = tuple(ring for _, part in parts for ring in part.rings)
        into.add(frame, class_name, Polygon(rings), parts[0][0])
    _read_flags(data.get("flags"), frame, file, into)


def _read_shape(entry: dict[str, Any], size: tuple[int, int]) -> Shape:
    kind = entry.get("shape_type", "polygon")
    points = entry.get("points")
    if not isinstance(points, list):
        raise BadInput("its points are not a list.")
    corners = [tuple(numbers(point, "a point", 2)) for point in points]
    match kind:
        case "polygon" | None:
            if len(corners) < 3:
                raise BadInput(f"its polygon has {len(corners)} points; it needs at least 3.")
            return Polygon((tuple(corners),))
        case "rectangle":
            return _around(corners, 2)
        case "circle":
            return _circle(corners)
        case "mask":
            return _placed_mask(entry.get("mask"), _around(corners, 2), *size)
        case "point" | "points" | "line" | "linestrip":
            raise BadInput(f"a {kind} has no area and is not read.")
    raise BadInput(
        f"its shape_type is “{clean(str(kind), 40)}”; read are polygon, rectangle, circle and mask."
    )


def _around(corners: list[tuple[float, ...]], least: int) -> Box:
    if len(corners) < least:
        raise BadInput(f"it has {len(corners)} points; it needs {least}.")
    points = np.array(corners)
    return Box(*points.min(0), *points.max(0))


def _circle(corners: list[tuple[float, ...]]) -> Polygon:
    if len(corners) != 2:
        raise BadInput(f"its circle has {len(corners)} points; it needs the centre and one on the rim.")
    (x, y), rim = corners
    radius = math.dist((x, y), rim)
    count = int(min(max(radius, 12), 360))
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return Polygon((tuple(zip(x + radius * np.cos(turns), y + radius * np.sin(turns), strict=True)),))


def _placed_mask(encoded: Any, box: Box, width: int, height: int) -> Mask:
    """Return a mask whose PNG covers the box, both corner pixels included, in the whole image."""
    if not isinstance(encoded, str):
        raise BadInput("its mask is not a text in base64.")
    if width * height > MOST_PIXELS:
        raise BadInput(f"its image is said to have {width} × {height} pixels, too many for a mask.")
    try:
        png = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("its mask is not sound base64.") from None
    part = read_png(png, (width + 2) * (height + 2)) != 0
    left, top = int(box.x0), int(box.y0)
    spans = int(box.x1) - left + 1, int(box.y1) - top + 1
    if abs(part.shape[1] - spans[0]) > 1 or abs(part.shape[0] - spans[1]) > 1:
        raise BadInput(
            f"its mask has {part.shape[1]} × {part.shape[0]} pixels, its corners "
            f"span {spans[0]} × {spans[1]}."
        )
    part = part[max(-top, 0) :, max(-left, 0) :]
    whole = np.zeros((height, width), bool)
    place = whole[max(top, 0) : max(top, 0) + part.shape[0], max(left, 0) : max(left, 0) + part.shape[1]]
    place |= part[: place.shape[0], : place.shape[1]]
    return Mask.from_array(whole)


def _read_flags(flags: Any, frame: Frame, file: Found, into: Import) -> None:
    if not isinstance(flags, dict):
        return
    for name, value in flags.items():
        if value is True:
            try:
                into.add(frame, into.add_class(name), Label(), file.name)
            except BadInput as error:
                into.problem(file.name, f"a flag was left out: {error}")


# ---- writing ----------------------------------------------------------------------------------------


def write(dataset: Dataset, folder: Path) -> Written:
    """Write one JSON beside each image; the parts of one object share a group_id."""
    notes = Notes()
    dataset = masks_for_alphas(dataset, notes)
    names = file_names(image.name for image in dataset.images)
    files, count = [], 0
    for image in dataset.images:
        shapes: list[dict[str, Any]] = []
        flags: dict[str, bool] = {}
        for annotation in image.annotations:
            if isinstance(annotation.shape, Label):
                flags[annotation.class_name] = True
            else:
                entries = _entries(annotation, image, len(shapes) + 1, notes)
                shapes += entries
                count += bool(entries)
        name = PurePosixPath(names[image.name])
        data = {
            "version": _VERSION,
            "flags": flags,
            "shapes": shapes,
            "imagePath": name.name,
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
        }
        file = folder / f"{name.with_suffix('')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        files.append(file)
        count += len(flags)
    return Written(files, count, notes.sentences())


def _entries(annotation: Annotation, image: DatasetImage, group: int, notes: Notes) -> list[dict[str, Any]]:
    head = {"label": annotation.class_name, "flags": {}, "description": "", "group_id": None}
    match annotation.shape:
        case Box(x0, y0, x1, y1):
            return [head | {"shape_type": "rectangle", "points": [[x0, y0], [x1, y1]]}]
        case Polygon(rings):
            head["group_id"] = group if len(rings) > 1 else None
            return [head | {"shape_type": "polygon", "points": [list(p) for p in ring]} for ring in rings]
        case Mask() as mask if mask.box is not None:
            x0, y0, x1, y1 = (int(v) for v in mask.box.xyxy)
            png = png_bytes(mask.to_array()[y0:y1, x0:x1].astype(np.uint8) * 255)
            encoded = base64.b64encode(png).decode("ascii")
            corners = [[x0, y0], [x1 - 1, y1 - 1]]
            return [head | {"shape_type": "mask", "points": corners, "mask": encoded}]
        case Keypoints():
            notes.add("One set of keypoints was left out.", "{n} sets of keypoints were left out.")
        case _:
            notes.add("One annotation without an outline was left out.", "{n} annotations were left out.")
    return []
