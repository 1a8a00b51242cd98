"""Writing COCO JSON; ``coco.py`` reads it and says what of it is ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studio.annotations import (
    Annotation,
    Box,
    Keypoints,
    Label,
    Mask,
    Polygon,
    Prompt,
    Shape,
    prompt_to_json,
)
from studio.formats.base import Dataset, Notes, Written, file_names, masks_for_alphas
from studio.geometry import mask_to_rle, shape_area, shape_box

OURS = "onelabel"


def write(dataset: Dataset, folder: Path) -> Written:
    """Write ``annotations.json``; category and image ids count from 1 in the dataset's order."""
    notes = Notes()
    dataset = masks_for_alphas(dataset, notes)
    names = file_names(image.name for image in dataset.images)
    categories = {name: index for index, name in enumerate(dataset.all_classes(), 1)}
    images, annotations = [], []
    joints: dict[str, int] = {}
    for image_id, image in enumerate(dataset.images, 1):
        entry = {"id": image_id, "file_name": names[image.name], "width": image.width, "height": image.height}
        images.append(entry)
        for annotation in image.annotations:
            body = _shape_entry(annotation.shape, image.height, image.width, notes)
            if body is None:
                continue
            if isinstance(annotation.shape, Keypoints):
                count = len(annotation.shape.points)
                joints[annotation.class_name] = max(count, joints.get(annotation.class_name, 0))
            head = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": categories[annotation.class_name],
            }
            annotations.append(head | body | _write_extra(annotation))
    head = {
        "info": {"description": dataset.name},
        "licenses": [],
        "images": images,
        "categories": [_category(name, ident, joints.get(name)) for name, ident in categories.items()],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "annotations.json"
    with path.open("w", encoding="utf-8") as stream:  # an annotation at a time: a dataset's text is large
        stream.write(_dumps(head)[:-1] + ',"annotations":[')
        for index, annotation in enumerate(annotations):
            stream.write((",\n" if index else "\n") + _dumps(annotation))
        stream.write("\n]}\n")
    return Written([path], len(annotations), notes.sentences())


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _category(name: str, ident: int, joints: int | None) -> dict[str, Any]:
    category: dict[str, Any] = {"id": ident, "name": name, "supercategory": ""}
    if joints:
        category |= {"keypoints": [f"point {i}" for i in range(1, joints + 1)], "skeleton": []}
    return category


def _shape_entry(shape: Shape, height: int, width: int, notes: Notes) -> dict[str, Any] | None:
    box = shape_box(shape)
    if isinstance(shape, Label):
        notes.add("One image tag was left out: COCO has no place for it.", "{n} image tags were left out.")
        return None
    if box is None:
        kind = "empty mask" if isinstance(shape, Mask) else "skeleton without a visible point"
        notes.add(f"One {kind} was left out.", "{n} annotations with nothing in them were left out.")
        return None
    entry: dict[str, Any] = {
        "bbox": list(box.xywh),
        "area": shape_area(shape, (height, width)),
        "iscrowd": 0,
        "segmentation": [],
    }
    match shape:
        case Mask():
            entry["segmentation"] = mask_to_rle(shape)
        case Polygon():
            entry["segmentation"] = [[v for point in ring for v in point] for ring in shape.rings]
        case Keypoints():
            entry["keypoints"] = [v for point in shape.points for v in point]
            entry["num_keypoints"] = sum(seen > 0 for _, _, seen in shape.points)
    return entry


def _write_extra(annotation: Annotation) -> dict[str, Any]:
    extra: dict[str, Any] = {"source": annotation.source}
    if annotation.draft:
        extra["draft"] = True
    if annotation.model is not None:
        extra["model"] = annotation.model
    if annotation.model_version is not None:
        extra["model_version"] = annotation.model_version
    if isinstance(annotation.prompt, Prompt):
        extra["prompt"] = prompt_to_json(annotation.prompt)
    if isinstance(annotation.shape, (Box, Keypoints)):
        extra["shape"] = "box" if isinstance(annotation.shape, Box) else "keypoints"
    fields: dict[str, Any] = {OURS: extra}
    if annotation.score is not None:
        fields["score"] = annotation.score
    return fields
