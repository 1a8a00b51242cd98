"""Small pictures of one object: the part of an image around it, with its outline drawn."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from studio.annotations import Box, Mask, Prompt

SIDE = 240  # pixels of the longer side
MARGIN = 0.25  # of the object's longer side, on each side of it
LEAST = 24  # pixels of the image shown at least
_INK, _HALO = (255, 214, 10), (0, 0, 0)  # a line that is seen on light and on dark


def frame_around(boxes: Iterable[Box | None], prompt: Prompt | None, height: int, width: int) -> Box:
    """Return the part of an image that shows all of these boxes and every click, with a margin."""
    found = [box for box in boxes if box is not None]
    if prompt is not None:
        found += [Box(p.x, p.y, p.x, p.y) for p in prompt.points]
        found += [prompt.box] if prompt.box is not None else []
    if not found:
        return Box(0, 0, width, height)
    x0, y0 = min(b.x0 for b in found), min(b.y0 for b in found)
    x1, y1 = max(b.x1 for b in found), max(b.y1 for b in found)
    wider = max(x1 - x0, y1 - y0) * MARGIN
    more_x = max(wider, (LEAST - (x1 - x0)) / 2)
    more_y = max(wider, (LEAST - (y1 - y0)) / 2)
    return Box(
        *(
            float(v)
            for v in (
                max(0, np.floor(x0 - more_x)),
                max(0, np.floor(y0 - more_y)),
                min(width, np.ceil(x1 + more_x)),
                min(height, np.ceil(y1 + more_y)),
            )
        )
    )


def closeup(pixels: np.ndarray, mask: Mask | None, frame: Box, side: int = SIDE) -> np.ndarray:
    """Return what an image shows in ``frame``, its longer side ``side`` pixels, as uint8 (h, w, 3).

    A mask, of the image's size, is outlined and what lies outside of it dimmed.
    """
    left, top, right, bottom = (int(v) for v in frame.xyxy)
    part = np.ascontiguousarray(pixels[top:bottom, left:right])
    scale = side / max(part.shape[:2])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    if mask is None:
        return small
    inside = np.ascontiguousarray(mask.to_array()[top:bottom, left:right]).astype(np.uint8) * 255
    inside = cv2.resize(inside, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR) > 127
    shown = np.where(inside[..., None], small, (small * 0.55).astype(np.uint8))
    outlines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, thickness in ((_HALO, 4), (_INK, 2)):
        cv2.drawContours(shown, outlines, -1, colour, thickness, cv2.LINE_AA)
    return shown
