"""Several findings on one image made one: weighted boxes fusion, NMS or soft-NMS of several detectors, masks with them.

Solovyev et al., Weighted Boxes Fusion, 2021; Bodla et al., Soft-NMS, 2017; both by the ensemble-boxes package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from studio.adapters import Detection
from studio.annotations import Box, Mask
from studio.errors import BadInput
from studio.geometry import box_iou, mask_iou

Way = Literal["wbf", "nms", "soft-nms"]
MOST_MODELS = 5
TWICE = 0.8  # overlap of boxes from which one model has found a thing of a class twice


@dataclass(frozen=True)
class Fusion:
    """``weights`` has a number for each model, none for equal ones; ``same`` is the IoU from which boxes are one.

    Findings below ``floor`` are left out before anything is counted.
    """

    way: Way = "wbf"
    same: float = 0.55
    floor: float = 0.05
    weights: tuple[float, ...] = ()


def fuse(
    found: Sequence[Sequence[Detection]], height: int, width: int, fusion: Fusion = Fusion()
) -> list[Detection]:
    """Return one list of detections, best first, out of those of several models on an image of a size.

    Classes are told apart by name. A mask is where the members' masks, by weight and score, agree by half;
    keypoints are those of the surest member. Raises BadInput for a wrong number of models or weights.
    """
    import ensemble_boxes

    if not 1 <= len(found) <= MOST_MODELS:
        raise BadInput(f"An ensemble has 1 to {MOST_MODELS} models; this one has {len(found)}.")
    weights = fusion.weights or (1.0,) * len(found)
    if len(weights) != len(found) or min(weights) < 0 or not any(weights):
        raise BadInput(f"Give each of the {len(found)} models a weight of 0 or more, not all of them 0.")
    found = [[d for d in one if d.score >= fusion.floor and d.box.area > 0] for one in found]
    names = list(dict.fromkeys(d.name for one in found for d in one))
    if not names:
        return []
    size = np.array([width, height, width, height], np.float64)
    boxes = [[(np.array(d.box.xyxy) / size).clip(0, 1).tolist() for d in one] for one in found]
    scores = [[d.score for d in one] for one in found]
    labels = [[names.index(d.name) for d in one] for one in found]
    same = dict(iou_thr=fusion.same)
    if fusion.way == "wbf":
        made = ensemble_boxes.weighted_boxes_fusion(boxes, scores, labels, weights=list(weights), **same)
    else:
        # The package divides by the number of models, though here a thing is one model's word: the surest
        # model's scores are to stay what they are.
        scores = [[s * w / max(weights) for s in one] for one, w in zip(scores, weights, strict=True)]
        if fusion.way == "nms":
            made = ensemble_boxes.nms(boxes, scores, labels, **same)
        else:
            made = ensemble_boxes.soft_nms(boxes, scores, labels, **same, sigma=0.5, thresh=fusion.floor)
    members = [(weight, d) for weight, one in zip(weights, found, strict=True) for d in one]
    result = []
    for corners, score, label in zip(*made, strict=True):
        box = Box(*(np.asarray(corners) * size).tolist())
        name = names[int(label)]
        near = _members(members, name, box, fusion.same)
        best = max(near, key=lambda m: m[0] * m[1].score)[1] if near else None
        detection = Detection(name, float(min(score, 1.0)), box)
        if best is not None:
            detection = replace(
                detection, keypoints=best.keypoints, keypoint_scores=best.keypoint_scores, mask=_mask(near)
            )
        result.append(detection)
    return sorted(result, key=lambda d: -d.score)


def once(found: Sequence[Detection], twice: float = TWICE) -> list[Detection]:
    """Return one model's findings, best first, without what it found twice: the surer of them stays.

    Two are one where they have the same name and their boxes overlap by ``twice``, and their masks too where both
    have one; from 1 on all are kept. Detectors of the DETR kind say a thing twice now and then; others sort that
    out by themselves, and are left as they are.
    """
    ranked = sorted(found, key=lambda d: -d.score)
    if twice >= 1 or len(ranked) < 2:
        return ranked
    overlaps = box_iou([d.box for d in ranked], [d.box for d in ranked])
    kept: list[int] = []
    for n, detection in enumerate(ranked):
        near = (m for m in kept if overlaps[n, m] >= twice and ranked[m].name == detection.name)
        if not any(_of_one_thing(ranked[m], detection, twice) for m in near):
            kept.append(n)
    return [ranked[n] for n in kept]


def _of_one_thing(first: Detection, second: Detection, twice: float) -> bool:
    """Say whether two findings whose boxes overlap are of one thing, as far as their masks tell."""
    if first.mask is None or second.mask is None:
        return True
    return float(mask_iou([first.mask], [second.mask])[0, 0]) >= twice


def _members(
    members: Sequence[tuple[float, Detection]], name: str, box: Box, same: float
) -> list[tuple[float, Detection]]:
    """Return the findings that a fused box is made of."""
    own = [m for m in members if m[1].name == name]
    overlaps = box_iou([box], [d.box for _, d in own])[0]
    return [m for m, overlap in zip(own, overlaps, strict=True) if overlap >= same]


def _mask(near: Sequence[tuple[float, Detection]]) -> Mask | None:
    masked = [(weight * d.score, d.mask) for weight, d in near if d.mask is not None]
    total = sum(weight for weight, _ in masked)
    if not total:
        return None
    votes = np.zeros((masked[0][1].height, masked[0][1].width))
    for weight, mask in masked:
        votes += weight * mask.to_array()
    shown = votes >= total / 2
    return Mask.from_array(shown) if shown.any() else None
