"""The drawn scenes kept small in memory, and views of them: turned, mirrored, cut and scaled, with their truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.demo.scenes import Drawn
from studio.scenes import PHRASES

KEPT = (320, 240)  # width and height a scene is kept at
UPRIGHT = 0.25  # how often a view stands rather than lies
CUT = 1  # how far into a view, in pixels, a box may be cut before it is measured anew


@dataclass(frozen=True)
class Kept:
    """A scene of KEPT size: ``owner`` as in Drawn, ``boxes`` (n, 4) in its pixels, ``phrases`` and ``areas`` (n,)."""

    image: np.ndarray
    owner: np.ndarray
    boxes: np.ndarray
    phrases: np.ndarray
    areas: np.ndarray
    caption: str


@dataclass(frozen=True)
class View:
    """A square of side s: ``image`` (s, s, 3), ``owner`` (s, s), 255 beside the picture, ``boxes`` (n, 4) in pixels.

    ``shares`` (n,) says how much of what could be seen of each thing is still there. ``whole`` says that nothing was
    cut off, so that the caption holds.
    """

    image: np.ndarray
    owner: np.ndarray
    boxes: np.ndarray
    shares: np.ndarray
    whole: bool


def keep(scenes: Sequence[Drawn]) -> list[Kept]:
    kept = []
    for scene in scenes:
        image, owner = scene.image, scene.owner
        scale = np.array([KEPT[0] / image.shape[1], KEPT[1] / image.shape[0]] * 2, np.float32)
        small = cv2.resize(owner, KEPT, interpolation=cv2.INTER_NEAREST)
        kept.append(
            Kept(
                cv2.resize(image, KEPT, interpolation=cv2.INTER_AREA),
                small,
                np.array([t.box.xyxy for t in scene.things], np.float32).reshape(-1, 4) * scale,
                np.array([PHRASES.index(t.phrase) for t in scene.things], np.int64),
                np.bincount(small.ravel(), minlength=len(scene.things) + 1)[1:].astype(np.float32),
                scene.caption,
            )
        )
    return kept


def view(
    kept: Kept, rng: np.random.Generator, side: int, *, cut: float, squashed: bool, least: float
) -> View:
    """Return a view of a scene.

    ``cut`` is how often a part is cut out, of at least ``least`` of each side. The picture fills the square where
    ``squashed``, else it keeps its aspect and black fills up below or to the right.
    """
    image, owner, boxes = kept.image, kept.owner, kept.boxes
    height, width = owner.shape
    x0, y0, x1, y1 = 0, 0, width, height
    whole = rng.random() >= cut
    if not whole:
        w, h = (int(v * rng.uniform(least, 1)) for v in (width, height))
        x0, y0 = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        x1, y1 = x0 + w, y0 + h
    image, owner = image[y0:y1, x0:x1], owner[y0:y1, x0:x1]
    boxes = boxes - np.array([x0, y0, x0, y0], np.float32)
    for axis in (0, 1):
        if rng.random() < 0.5:
            image, owner = np.flip(image, 1 - axis), np.flip(owner, 1 - axis)
            end = owner.shape[1 - axis]
            boxes = boxes.copy()
            boxes[:, [axis, axis + 2]] = end - boxes[:, [axis + 2, axis]]
    if rng.random() < UPRIGHT:
        image, owner, boxes = image.transpose(1, 0, 2), owner.T, boxes[:, [1, 0, 3, 2]]
    height, width = owner.shape
    longest = max(height, width)
    size = (
        (side, side)
        if squashed
        else (max(1, round(width * side / longest)), max(1, round(height * side / longest)))
    )
    shrinks = size[0] < width
    image = cv2.resize(
        np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    counts = np.bincount(owner.ravel(), minlength=len(boxes) + 1)[1 : len(boxes) + 1]
    owner = cv2.resize(np.ascontiguousarray(owner), size, interpolation=cv2.INTER_NEAREST)
    boxes = boxes * np.array([size[0] / width, size[1] / height] * 2, np.float32)
    boxes = _measured(boxes, owner)
    full = np.zeros((side, side, 3), np.uint8)
    full[: size[1], : size[0]] = image
    owners = np.full((side, side), 255, np.uint8)
    owners[: size[1], : size[0]] = owner
    return View(full, owners, boxes, counts / np.maximum(kept.areas, 1), whole)


def _measured(boxes: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return boxes clipped to a view; one that was cut is measured anew on what is left of its thing."""
    limit = np.array([owner.shape[1], owner.shape[0]] * 2, np.float32)
    clipped = np.clip(boxes, 0, limit)
    for i in np.flatnonzero((np.abs(clipped - boxes) > CUT).any(1)):
        rows, columns = np.nonzero(owner == i + 1)
        if len(rows):
            clipped[i] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return clipped


def lit(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an image a little brighter or darker, and of slightly other white."""
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.97, 1.03, 3)
    return cv2.LUT(image, (np.arange(256)[:, None] * gain).clip(0, 255).astype(np.uint8)[:, None])
