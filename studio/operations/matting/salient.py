"""What stands out in an image, by a segmenter that is asked about a few places: a guess, for want of a network.

A pixel stands out whose colour is unlike what lies along the image's border, and that is not far from the middle. Of
the masks that the segmenter proposes the one counts that holds such pixels and leaves out the others.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from studio.adapters import Segmenter
from studio.annotations import Box, Mask, Point, Prompt
from studio.errors import BadInput

LOOKED_AT = 320  # pixels of the longer side at which it is judged what stands out
COLOURS = 6  # of the border
LEAST, MOST = 0.005, 0.85  # share of the image that what stands out may cover
_BOXES = ((0.04, 0.04, 0.96, 0.96), (0.12, 0.12, 0.88, 0.88), (0.25, 0.25, 0.75, 0.75))  # shares of the sides
_PEAKS = 2  # clicks beside the middle, where most stands out


def most_salient(model: Segmenter, pixels: np.ndarray) -> tuple[Mask, Prompt]:
    """Return the mask of what stands out most in an image, uint8 (h, w, 3), and the prompt that gave it.

    Raises BadInput where no proposal does.
    """
    height, width = pixels.shape[:2]
    embedding = model.embed(pixels)
    stands_out = saliency(pixels)
    best: tuple[float, Mask, Prompt] | None = None
    for prompt in _prompts(stands_out, height, width):
        for candidate in model.segment(embedding, prompt)[:3]:
            score = _score(candidate.mask, stands_out)
            if score > 0 and (best is None or score > best[0]):
                best = score, candidate.mask, prompt
    if best is None:
        raise BadInput("Nothing stands out in this image. Click the object, or draw a box around it.")
    return best[1:]


def saliency(pixels: np.ndarray) -> np.ndarray:
    """Return how much each pixel stands out, float32 0 to 1, of the image at LOOKED_AT pixels."""
    scale = min(1.0, LOOKED_AT / max(pixels.shape[:2]))
    size = (max(8, round(pixels.shape[1] * scale)), max(8, round(pixels.shape[0] * scale)))
    lab = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.5).astype(np.float32)
    rim = max(2, round(0.03 * min(size)))
    border = np.concatenate([lab[:rim].reshape(-1, 3), lab[-rim:].reshape(-1, 3),
                             lab[:, :rim].reshape(-1, 3), lab[:, -rim:].reshape(-1, 3)])  # fmt: skip
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.5)
    _, labels, middles = cv2.kmeans(border, min(COLOURS, len(border)), None, stop, 2, cv2.KMEANS_PP_CENTERS)
    # A colour of which there is little along the border may be that of an object that reaches it.
    share = np.bincount(labels.ravel(), minlength=len(middles)) / len(labels)
    middles = middles[share >= 0.5 / len(middles)]
    away = np.sqrt(((lab[:, :, None] - middles) ** 2).sum(-1)).min(-1)
    ys, xs = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
    found = away * np.exp(-(xs**2 + ys**2) / 1.5)
    return np.clip(found / max(float(np.percentile(found, 97)), 1e-6), 0, 1).astype(np.float32)


def _prompts(stands_out: np.ndarray, height: int, width: int) -> list[Prompt]:
    prompts = [Prompt(box=Box(x0 * width, y0 * height, x1 * width, y1 * height)) for x0, y0, x1, y1 in _BOXES]
    prompts.append(Prompt((Point(width / 2, height / 2),)))
    left = cv2.GaussianBlur(stands_out, (0, 0), 0.04 * max(stands_out.shape))
    for _ in range(_PEAKS):
        y, x = np.unravel_index(int(left.argmax()), left.shape)
        prompts.append(
            Prompt((Point((x + 0.5) * width / left.shape[1], (y + 0.5) * height / left.shape[0]),))
        )
        cv2.circle(left, (int(x), int(y)), max(2, round(0.15 * max(left.shape))), 0.0, -1)
    return prompts


def _score(mask: Mask, stands_out: np.ndarray) -> float:
    """Return how well a mask holds what stands out: its F-measure, less for touching the border all around."""
    share = mask.area / (mask.height * mask.width)
    if not LEAST <= share <= MOST:
        return 0.0
    inside: Any = mask.to_array().astype(np.float32)
    inside = cv2.resize(inside, stands_out.shape[::-1], interpolation=cv2.INTER_AREA)
    both = float((inside * stands_out).sum())
    measure = 2 * both / max(float(inside.sum() + stands_out.sum()), 1e-6)
    rim = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    return measure * (1 - float(rim.mean()))
