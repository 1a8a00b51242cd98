"""Large images: the part around what is unknown is solved small, and its local colour lines are laid on the full size.

In a small window alpha is nearly a linear function of colour (Levin et al. 2008). That function changes slowly from
place to place, so it may be found at a smaller size, and, enlarged, applied to each pixel's own colour at the full
size: hair that the small image does not resolve is told apart again. (He, Sun, Fast Guided Filter, 2015.)
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from models._matting.solving import Solver

MARGIN = 48  # pixels of what is known that are kept around the unknown, at least
SHARE = 0.15  # and of the longer side of the box around it
STRIP = 1024  # rows that are laid on at once
WINDOW = 2  # pixels to each side, of the window in which alpha is taken for linear in colour
EVEN = 1e-4  # variance of colour below which there is nothing to go by


def matte_in_steps(
    image: np.ndarray, trimap: np.ndarray, solve: Solver, most: int
) -> Iterator[float | np.ndarray]:
    """Yield the share done, and last the alpha, float32 (h, w); at most ``most`` pixels are solved at once."""
    alpha = (trimap == 255).astype(np.float32)
    unknown = (trimap != 0) & (trimap != 255)
    if not unknown.any():
        yield alpha
        return
    yield 0.0
    place = _around(unknown)
    part, levels = image[place], np.where(unknown, np.uint8(128), trimap)[place]
    size = part.shape[0] * part.shape[1]
    scale = min(1.0, float(np.sqrt(most / size)))
    if scale == 1.0:
        found = solve(part / 255.0, levels).astype(np.float32)
        alpha[place][unknown[place]] = found[unknown[place]]
        yield alpha
        return
    small, small_levels = _smaller(part, levels, scale)
    coarse = solve(small / 255.0, small_levels).astype(np.float32)
    yield 0.7
    lines = _colour_lines(small.astype(np.float32) / 255, coarse)
    rows = part.shape[0]
    for top in range(0, rows, STRIP):
        bottom = min(rows, top + STRIP)
        fine = _laid_on(part, lines, top, bottom)
        inside = unknown[place][top:bottom]
        alpha[place][top:bottom][inside] = fine[inside]
        yield 0.7 + 0.3 * bottom / rows
    yield alpha


def _around(unknown: np.ndarray) -> tuple[slice, slice]:
    """Return the box around what is unknown, with a margin that tells what is known beside it."""
    sides = []
    for axis in (1, 0):
        there = np.flatnonzero(unknown.any(axis))
        first, last = int(there[0]), int(there[-1]) + 1
        margin = max(MARGIN, round(SHARE * (last - first)))
        sides.append(slice(max(0, first - margin), min(unknown.shape[1 - axis], last + margin)))
    return tuple(sides)


def _smaller(image: np.ndarray, trimap: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return image and trimap at a smaller size; a pixel there is known where all that it stands for is."""
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    sure = [
        cv2.resize((trimap == v).astype(np.float32), size, interpolation=cv2.INTER_AREA) for v in (0, 255)
    ]
    levels = np.full(small.shape[:2], 128, np.uint8)
    for value, share in zip((0, 255), sure, strict=True):
        levels[share > 0.999] = value
        if not (levels == value).any() and (trimap == value).any():
            levels[share >= share.max()] = value  # the little there is
    return small, levels


def _colour_lines(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return, float32 (h, w, 4), by what to multiply each pixel's colour and what to add, to come to its alpha."""
    side = (2 * WINDOW + 1, 2 * WINDOW + 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, side, borderType=cv2.BORDER_REFLECT)

    colour, level = mean(image), mean(alpha)
    spread = np.empty((*alpha.shape, 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            between = mean(image[..., i] * image[..., j]) - colour[..., i] * colour[..., j]
            spread[..., i, j] = spread[..., j, i] = between
    spread[..., range(3), range(3)] += EVEN
    along = np.stack([mean(image[..., i] * alpha) - colour[..., i] * level for i in range(3)], -1)
    slope = np.linalg.solve(spread, along[..., None])[..., 0]
    lift = level - (slope * colour).sum(-1)
    return mean(np.concatenate([slope, lift[..., None]], -1).astype(np.float32))


def _laid_on(image: np.ndarray, lines: np.ndarray, top: int, bottom: int) -> np.ndarray:
    """Return the alpha of some rows at the full size, float32."""
    height, width = image.shape[:2]
    grow = np.array([[lines.shape[1] / width, 0, 0], [0, lines.shape[0] / height, 0]], np.float32)
    # Pixel centres of the rows from top on, in the small picture's pixels.
    grow[0, 2] = 0.5 * grow[0, 0] - 0.5
    grow[1, 2] = (top + 0.5) * grow[1, 1] - 0.5
    larger = cv2.warpAffine(
        lines,
        grow,
        (width, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    colours = image[top:bottom].astype(np.float32) / 255
    return np.clip((larger[..., :3] * colours).sum(-1) + larger[..., 3], 0, 1)
