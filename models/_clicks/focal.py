"""FocalClick's pipeline: a coarse answer on the region of the object, then a finer one where it changed.

Chen et al., FocalClick: Towards Practical Interactive Image Segmentation, 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from models._clicks.layers import resize
from models._clicks.refiner import Refiner
from models._clicks.ritm import State
from models._clicks.zoom import EXPANSION, Click, ZoomRules, as_points, paste

SIDE = 256  # of the coarse network's input, and of the refiner's crop
THRESHOLD = 0.49
CHANGED = 1 / (
    1 + math.exp(-THRESHOLD)
)  # the coarse logits are held against the threshold, these as probabilities
FEWEST = 10  # pixels of a mask that is worth looking at closely
BASE_KEPT_AFTER = 10  # clicks; from then on only the focus changes
RULES = ZoomRules(skip=1, least=10, threshold=THRESHOLD, afresh=True)

Part = tuple[int, int, int, int]  # top, bottom, left, right, half open


class FocalNetwork(nn.Module):
    """The coarse network and its refiner."""

    def __init__(self, coarse: nn.Module, refiner: Refiner, radius: float = 5) -> None:
        super().__init__()
        self.coarse, self.refiner, self.radius = coarse, refiner, radius


def answer(
    network: FocalNetwork, picture: Tensor, clicks: Sequence[Click], before: State | None
) -> tuple[State, Part]:
    """Return what the network makes of all clicks so far on a picture (1, 3, h, w), uint8 or 0 to 1, and its focus."""
    size = (picture.shape[-2], picture.shape[-1])
    region, stored = RULES.region(clicks, *((before.shown, before.region) if before else (None, None)), size)
    mask = np.zeros(size, np.float32) if before is None else before.probability
    # The picture is cut before the mask joins it: a large one is not copied as a whole at every click.
    part, moved = RULES.cut(picture, clicks, region)
    known, _ = RULES.cut(torch.from_numpy(mask).to(picture.device)[None, None], clicks, region)
    scaled = [(y * SIDE / part.shape[-2], x * SIDE / part.shape[-1], p) for y, x, p in moved]
    given = torch.cat([resize(part, (SIDE, SIDE)), resize(known, (SIDE, SIDE))], 1)
    seen = network.coarse(given, as_points(scaled).to(picture.device))
    found = paste(resize(torch.sigmoid(seen["instances"]), part.shape[-2:]), stored, size)
    coarse = found[0, 0].float().cpu().numpy()
    near = (0, size[0], 0, size[1])
    if stored is not None:
        near = stored[0], stored[1] + 1, stored[2], stored[3] + 1
    focus = focus_of(coarse > CHANGED, mask > THRESHOLD, clicks[-1], near)
    refined = _refine(network, picture, clicks, seen, focus, near)
    top, bottom, left, right = focus
    probability = mask.copy() if len(clicks) > BASE_KEPT_AFTER else coarse
    closer = torch.sigmoid(resize(refined, (bottom - top, right - left)))
    probability[top:bottom, left:right] = closer[0, 0].float().cpu().numpy()
    return State(probability, stored), focus


def _refine(
    network: FocalNetwork,
    picture: Tensor,
    clicks: Sequence[Click],
    seen: dict[str, Tensor],
    focus: Part,
    near: Part,
) -> Tensor:
    top, bottom, left, right = focus
    crop = resize(picture[:, :, top:bottom, left:right], (SIDE, SIDE))
    down, across = SIDE / (bottom - top), SIDE / (right - left)
    moved = [((y - top) * down, (x - left) * across, p) for y, x, p in clicks]
    points = as_points(moved).to(picture.device)
    down, across = SIDE / (near[1] - near[0]), SIDE / (near[3] - near[2])
    box = [
        (left - near[2]) * across,
        (top - near[0]) * down,
        (right - near[2]) * across,
        (bottom - near[0]) * down,
    ]
    clamped = [0.0, *(min(max(v, 0.0), float(SIDE)) for v in box)]
    where = torch.tensor([clamped], dtype=torch.float32, device=picture.device)
    return network.refiner(crop, points, seen["features"], seen["instances"], where, network.radius)[
        "refined"
    ]


def focus_of(now: np.ndarray, then: np.ndarray, click: Click, near: Part) -> Part:
    """Return where to look closely: around what changed at the last click, within ``near``."""
    height, width = now.shape
    if not then.any():
        first = _box(now)
    else:
        y, x = click[0], click[1]
        row, column = min(max(int(y), 0), height - 1), min(max(int(x), 0), width - 1)
        changed = _part(now ^ then, row, column)
        object_now = _box(now)
        tall, wide = object_now[1] - object_now[0], object_now[3] - object_now[2]
        if changed[1] - changed[0] < tall / 3 or changed[3] - changed[2] < wide / 3:
            half = 0.2 * max(tall, wide)
            first = (y - half, y + half, x - half, x + half)
        else:
            first = changed
    top, bottom = _grown(first[0], first[1], height, near[:2])
    left, right = _grown(first[2], first[3], width, near[2:])
    return top, bottom, left, right


def _part(mask: np.ndarray, row: int, column: int) -> tuple[float, float, float, float]:
    """Return ``_box`` of the part that a pixel lies in, or of all that is not the mask where the pixel is not of it."""
    _, labels, parts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    left, top, width, height, area = (int(v) for v in parts[labels[row, column]])
    if area < FEWEST:
        return 0, mask.shape[0], 0, mask.shape[1]
    return top, top + height - 1, left, left + width - 1


def _box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the first and last row and column of a mask, or of the picture where it is next to nothing."""
    if np.count_nonzero(mask) < FEWEST:
        return 0, mask.shape[0], 0, mask.shape[1]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def _grown(first: float, last: float, limit: int, near: tuple[int, int]) -> tuple[int, int]:
    middle, half = 0.5 * (first + last), 0.5 * EXPANSION * (last - first + 1)
    low, high = max(0, int(middle - half)), min(limit, int(middle + half))
    return max(low, near[0]), min(high, near[1])


def merged(now: np.ndarray, then: np.ndarray, click: Click) -> np.ndarray:
    """Return the mask before with only the change that the last click lies in: an earlier mask stays as it was.

    FocalClick's progressive merge, for a mask that came from elsewhere. Where nothing changed at the click, nothing is
    changed; the authors' program takes all that did not change for the part clicked on, and so loses the mask.
    """
    height, width = now.shape
    row, column = min(max(int(click[0]), 0), height - 1), min(max(int(click[1]), 0), width - 1)
    differ = now ^ then
    if not differ[row, column]:
        return then.copy()
    labels = cv2.connectedComponents(differ.astype(np.uint8), connectivity=8)[1]
    part = labels == labels[row, column]
    return then & ~part if then[row, column] else then | part
