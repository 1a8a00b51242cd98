"""Figures that several demo checkpoints are measured by."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.demo.scenes import Drawn, DrawnThing
from studio.adapters import Detection


def iou(first: np.ndarray, second: np.ndarray) -> float:
    """Return intersection over union of two bool arrays; 1 where both are empty."""
    union = np.count_nonzero(first | second)
    return 1.0 if union == 0 else np.count_nonzero(first & second) / union


def average_precision(
    scenes: Sequence[Drawn],
    found: Sequence[Sequence[Detection]],
    names: Sequence[str],
    *,
    named: str = "name",
    masks: bool = False,
    largest: float | None = None,
) -> dict[str, float]:
    """Return COCO's AP and AP50 (``ap``, ``ap50``) and AP50 of each name (``ap50_NAME``).

    ``named`` is the attribute of a thing that a detection's name must equal: "name" or "phrase". Names that
    no scene has do not count. With ``masks``, outlines are compared instead of boxes. Things of a box larger than
    ``largest`` pixels count neither for nor against.
    """
    numbers = {name: i for i, name in enumerate(names, 1)}
    truth, guesses = [], []
    for image, (scene, detections) in enumerate(zip(scenes, found, strict=True), 1):
        owner = scene.owner if masks else None
        for number, thing in enumerate(scene.things, 1):
            truth.append(_truth(len(truth) + 1, image, numbers[getattr(thing, named)], thing, owner, number))
        guesses += [_guess(image, numbers[d.name], d, masks) for d in detections if d.name in numbers]
    return _evaluate(truth, guesses, len(scenes), numbers, "segm" if masks else "bbox", largest)


def _truth(
    ident: int, image: int, category: int, thing: DrawnThing, owner: np.ndarray | None, number: int
) -> dict:
    entry = dict(id=ident, image_id=image, category_id=category, bbox=list(thing.box.xywh), iscrowd=0)
    entry["area"] = thing.box.area
    if owner is not None:
        entry["segmentation"] = coco_mask.encode(np.asfortranarray(owner == number).view(np.uint8))
    return entry


def _guess(image: int, category: int, detection: Detection, masks: bool) -> dict:
    entry = dict(image_id=image, category_id=category, score=detection.score, bbox=list(detection.box.xywh))
    if masks:
        mask = detection.mask
        array = np.zeros((1, 1), bool) if mask is None else mask.to_array()
        entry["segmentation"] = coco_mask.encode(np.asfortranarray(array).view(np.uint8))
    return entry


def _evaluate(
    truth: list[dict],
    guesses: list[dict],
    images: int,
    numbers: dict[str, int],
    kind: str,
    largest: float | None,
) -> dict[str, float]:
    present = {entry["category_id"] for entry in truth if largest is None or entry["area"] <= largest}
    if not guesses:
        return {"ap": 0.0, "ap50": 0.0, **{f"ap50_{n}": 0.0 for n, i in numbers.items() if i in present}}
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i, "height": 480, "width": 640} for i in range(1, images + 1)],
            "annotations": truth,
            "categories": [{"id": i, "name": name} for name, i in numbers.items()],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(guesses), kind)
        if largest is not None:
            evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, largest]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]  # IoU, recall, category; 100 guesses
    shares = precision.mean(axis=1)
    here = [i - 1 for i in sorted(present)]
    figures = {"ap": float(shares[:, here].mean()), "ap50": float(shares[0, here].mean())}
    for name, i in numbers.items():
        if i in present:
            figures[f"ap50_{name}"] = float(shares[0, i - 1])
    return figures
