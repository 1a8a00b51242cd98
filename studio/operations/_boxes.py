"""What is made of boxes that were found: masks by a segmenter, keypoints by a pose model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from studio.adapters import BatchSegmenter, Detection
from studio.annotations import Mask, Prompt

BOXES_AT_ONCE = 64

Run = Callable[[Callable[[Any], Any]], Any]  # work on a loaded model → what it returns, in a turn of the gate


def masked(run: Run, picture: np.ndarray, found: Sequence[Detection]) -> list[Detection]:
    """Return detections with a segmenter's masks of their boxes; the image is encoded once, for this alone."""
    if not found:
        return []
    prompts = [Prompt(box=d.box) for d in found]
    encoded = run(lambda model: model.embed(picture))
    masks: list[Mask | None] = []
    for start in range(0, len(prompts), BOXES_AT_ONCE):
        part = prompts[start : start + BOXES_AT_ONCE]
        answers = run(lambda model, part=part: _answers(model, encoded, part))
        masks += [each[0].mask if each else None for each in answers]
    return [
        replace(d, mask=mask) if mask is not None and mask.box is not None else d
        for d, mask in zip(found, masks, strict=True)
    ]


def _answers(model: Any, encoded: Any, prompts: Sequence[Prompt]) -> list[list[Any]]:
    if isinstance(model, BatchSegmenter):
        return model.segment_many(encoded, prompts)
    return [model.segment(encoded, prompt) for prompt in prompts]


def posed(run: Run, picture: np.ndarray, found: Sequence[Detection]) -> list[Detection]:
    """Return detections with a pose model's keypoints in their boxes."""
    if not found:
        return []
    boxes = [d.box for d in found]
    placed = run(lambda model: model.estimate(picture, boxes))
    return [
        replace(d, keypoints=keypoints, keypoint_scores=scores)
        for d, (keypoints, scores) in zip(found, placed, strict=True)
    ]
