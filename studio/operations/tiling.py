"""Look at a large image in overlapping parts, so that small things are not lost (Akyon et al., SAHI, 2022).

Tiles lie and findings are put together as ``supervision.InferenceSlicer`` does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from studio.adapters import Detection
from studio.annotations import Box, Keypoints, Mask
from studio.errors import BadInput
from studio.images import tiles

Together = Literal["nms", "nmm", "none"]
Detect = Callable[[Sequence[np.ndarray]], list[list[Detection]]]
SMALLEST = 32  # pixels a side
NEAR = 2.0  # pixels from a tile's edge within which a box is taken to be cut by it


@dataclass(frozen=True)
class Tiling:
    """Tiles of ``side`` pixels, each sharing ``overlap`` pixels with the next; ``batch`` are looked at together.

    ``together`` says how what several tiles found becomes one: of two findings of a class that overlap by
    ``same`` (IoU) or more the surer one stays (nms), or they are joined (nmm), or both stay (none).
    ``whole`` leaves out what an inner edge of a tile cuts and the next tile shows whole.
    """

    side: int = 640
    overlap: int = 128
    together: Together = "nms"
    same: float = 0.5
    batch: int = 4
    whole: bool = True

    def __post_init__(self) -> None:
        if self.side < SMALLEST:
            raise BadInput(f"A tile has at least {SMALLEST} pixels a side; this one has {self.side}.")
        if not 0 <= self.overlap < self.side:
            raise BadInput(
                f"Tiles of {self.side} pixels overlap by 0 to {self.side - 1}, not {self.overlap}."
            )
        if not 0 < self.same <= 1:
            raise BadInput(f"What makes two findings one is an overlap above 0, up to 1; not {self.same}.")


def detect_in_tiles(detect: Detect, image: np.ndarray, tiling: Tiling) -> list[Detection]:
    """Return what ``detect`` finds in the tiles of an image, in the image's own pixels, best first."""
    height, width = image.shape[:2]
    spots = list(tiles(height, width, tiling.side, tiling.overlap))
    found: list[Detection] = []
    for start in range(0, len(spots), tiling.batch):
        part = spots[start : start + tiling.batch]
        cut = [np.ascontiguousarray(image[y0:y1, x0:x1]) for x0, y0, x1, y1 in part]
        for (x0, y0, x1, y1), detections in zip(part, detect(cut), strict=True):
            if tiling.whole:
                edges = (x0 > 0, y0 > 0, x1 < width, y1 < height)
                detections = [d for d in detections if not _cut(d.box, edges, tiling)]
            found += [moved(detection, x0, y0, height, width) for detection in detections]
    if len(spots) > 1 and tiling.together != "none" and found:
        found = _together(found, tiling)
    return sorted(found, key=lambda d: -d.score)


def _cut(box: Box, edges: tuple[bool, bool, bool, bool], tiling: Tiling) -> bool:
    """Say whether an inner edge of a tile cuts a thing that is small enough to be whole in the next one."""
    x0, y0, x1, y1 = box.xyxy
    at = (x0 < NEAR, y0 < NEAR, x1 > tiling.side - NEAR, y1 > tiling.side - NEAR)
    across, down, across_too, down_too = (inner and there for inner, there in zip(edges, at, strict=True))
    room = tiling.overlap - 2 * NEAR
    return ((across or across_too) and box.width <= room) or ((down or down_too) and box.height <= room)


def moved(detection: Detection, right: int, down: int, height: int, width: int) -> Detection:
    """Return a tile's finding in the pixels of the whole image."""
    x0, y0, x1, y1 = detection.box.xyxy
    mask = detection.mask
    if mask is not None and (mask.height, mask.width) != (height, width):
        whole = np.zeros((height, width), bool)
        whole[down : down + mask.height, right : right + mask.width] = mask.to_array()
        mask = Mask.from_array(whole)
    keypoints = detection.keypoints
    if keypoints is not None:
        keypoints = Keypoints(tuple((x + right, y + down, seen) for x, y, seen in keypoints.points))
    box = Box(x0 + right, y0 + down, x1 + right, y1 + down)
    return replace(detection, box=box, mask=mask, keypoints=keypoints)


def _together(found: Sequence[Detection], tiling: Tiling) -> list[Detection]:
    from supervision import box_non_max_merge, box_non_max_suppression

    names = {name: number for number, name in enumerate(dict.fromkeys(d.name for d in found))}
    rows = np.array([(*d.box.xyxy, d.score, names[d.name]) for d in found])
    if tiling.together == "nms":
        kept = box_non_max_suppression(rows, iou_threshold=tiling.same)
        return [found[i] for i in np.flatnonzero(kept)]
    groups = box_non_max_merge(rows, iou_threshold=tiling.same)
    return [_joined([found[i] for i in group]) for group in groups]


def _joined(group: Sequence[Detection]) -> Detection:
    """Return one finding that covers several, with the score and keypoints of the surest."""
    best = max(group, key=lambda d: d.score)
    edges = np.array([d.box.xyxy for d in group])
    mask = best.mask
    if mask is not None:
        masks = [d.mask.to_array() for d in group if d.mask is not None]
        mask = Mask.from_array(np.logical_or.reduce(masks))
    return replace(best, box=Box(*edges[:, :2].min(0), *edges[:, 2:].max(0)), mask=mask)
