"""Cut-outs: the object's own colours without what shone through its edge, and what they are laid over.

At a hair a pixel's colour is a mixture of hair and background. A cut-out that keeps it carries a fringe of the old
background; so the foreground's colours are estimated first (Germer et al., Fast Multi-Level Foreground Estimation,
2020), in overlapping tiles on large images.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from studio.errors import BadInput, unknown

Kind = Literal["png", "webp", "jpeg"]
TILE, OVERLAP = 2048, 128  # pixels; neighbouring tiles fade into each other
QUALITY = 92
_LARGEST_WEBP = 16_383  # pixels of a side


def foreground_of(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return the foreground's colours, uint8 (h, w, 3), of an image, uint8 (h, w, 3), and its alpha, float32 (h, w).

    Where alpha is 1 it is the image itself; where it is 0 the colours go on as they are nearby.
    """
    mixed = (alpha > 0) & (alpha < 1)
    made = image.copy()
    if not mixed.any():
        return made
    found = np.zeros(image.shape, np.float32)
    weight = np.zeros(alpha.shape, np.float32)
    for place, fade in _tiles(alpha):
        found[place] += fade[..., None] * _estimated(image[place], alpha[place])
        weight[place] += fade
    there = (weight > 0) & (alpha < 1)
    made[there] = np.clip(found[there] / weight[there][:, None] + 0.5, 0, 255).astype(np.uint8)
    return made


def cutout_of(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return a cut-out, uint8 RGBA (h, w, 4), its colours not multiplied by alpha."""
    return np.dstack([foreground_of(image, alpha), to_bytes(alpha)])


def composed(rgba: np.ndarray, background: tuple[int, int, int] | np.ndarray) -> np.ndarray:
    """Return a cut-out over a colour or a picture, uint8 (h, w, 3); a picture is cut so that it fills all of it."""
    height, width = rgba.shape[:2]
    under = _covering(background, height, width) if isinstance(background, np.ndarray) else None
    made = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, TILE):
        rows = slice(top, top + TILE)
        share = rgba[rows, :, 3:].astype(np.float32) / 255
        below = np.float32(background) if under is None else under[rows].astype(np.float32)
        made[rows] = (rgba[rows, :, :3] * share + below * (1 - share) + 0.5).astype(np.uint8)
    return made


def encoded(picture: np.ndarray, kind: Kind) -> bytes:
    """Return a picture as a file: uint8 or uint16 (h, w), uint8 (h, w, 3) or RGBA (h, w, 4).

    WebP keeps every pixel of a cut-out as it is. Raises BadInput for what a kind cannot hold.
    """
    stream = io.BytesIO()
    made = Image.fromarray(np.ascontiguousarray(picture))
    if kind == "png":
        made.save(stream, "PNG", compress_level=3)
    elif kind == "webp":
        if max(picture.shape[:2]) > _LARGEST_WEBP:
            raise BadInput(f"WebP holds at most {_LARGEST_WEBP:,} pixels a side. Choose PNG.")
        if picture.dtype != np.uint8:
            raise BadInput("WebP holds 8 bits. Choose PNG for 16.")
        see_through = picture.ndim == 3 and picture.shape[2] == 4
        made.save(stream, "WEBP", lossless=see_through, quality=60 if see_through else QUALITY, method=2)
    elif kind == "jpeg":
        if picture.ndim == 3 and picture.shape[2] == 4:
            raise BadInput("JPEG knows no transparency. Choose PNG or WebP, or a background.")
        made.save(stream, "JPEG", quality=QUALITY)
    else:
        raise unknown("kind of picture", str(kind), ("png", "webp", "jpeg"))
    return stream.getvalue()


def to_bytes(alpha: np.ndarray) -> np.ndarray:
    """Return an alpha of 0 to 1 as uint8."""
    return (np.clip(alpha, 0, 1) * 255 + 0.5).astype(np.uint8)


def colour_of(text: str) -> tuple[int, int, int]:
    """Read ``#rrggbb``. Raises BadInput."""
    digits = text.strip().lstrip("#")
    try:
        if len(digits) != 6:
            raise ValueError
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    except ValueError:
        raise BadInput(f"“{text[:40]}” is no colour. Write it as #rrggbb, such as #ffffff.") from None


def _estimated(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    from pymatting import estimate_foreground_ml

    if not (alpha > 0).any():
        return image.astype(np.float32)
    colours = image.astype(np.float32) / 255
    return estimate_foreground_ml(colours, np.ascontiguousarray(alpha, dtype=np.float32)) * 255


def _tiles(alpha: np.ndarray) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Yield places that cover wherever something is seen through, and how much each counts at its pixels."""
    rows = np.flatnonzero((alpha > 0).any(1))
    columns = np.flatnonzero((alpha > 0).any(0))
    starts = [
        _starts(max(0, int(there[0]) - OVERLAP), min(size, int(there[-1]) + 1 + OVERLAP))
        for there, size in zip((rows, columns), alpha.shape, strict=True)
    ]
    for top, bottom in starts[0]:
        for left, right in starts[1]:
            place = slice(top, bottom), slice(left, right)
            part = alpha[place]
            if ((part > 0) & (part < 1)).any():
                down, across = _fade(bottom - top), _fade(right - left)
                yield place, down[:, None] * across


def _starts(first: int, last: int) -> list[tuple[int, int]]:
    if last - first <= TILE:
        return [(first, last)]
    count = -(-(last - first - OVERLAP) // (TILE - OVERLAP))
    begins = [first + round(i * (last - first - TILE) / (count - 1)) for i in range(count)]
    return [(begin, begin + TILE) for begin in begins]


def _fade(length: int) -> np.ndarray:
    steps = np.arange(1, length + 1, dtype=np.float32)
    return np.minimum(1, np.minimum(steps, steps[::-1]) / OVERLAP)


def _covering(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    larger = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (larger.shape[0] - height) // 2, (larger.shape[1] - width) // 2
    return larger[top : top + height, left : left + width]
