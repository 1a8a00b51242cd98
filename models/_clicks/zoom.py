"""Looking closer at the object: which part of the picture the network is shown, and the way back.

Regions are (top, bottom, left, right), all inclusive. As in RITM (Sofiiuk et al., 2021), with what FocalClick (Chen
et al., 2022) and CDNet (Chen et al., 2021) do otherwise left to ``ZoomRules``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models._clicks.layers import resize

Region = tuple[int, int, int, int]
Click = tuple[float, float, bool]  # y, x, positive

KEPT_OVERLAP = 0.5  # a region is kept while it overlaps the wished one by at least this
EXPANSION = 1.4


@dataclass(frozen=True)
class ZoomRules:
    """``skip`` clicks go without a closer look; -1 looks at the whole picture as at any region.

    ``side`` is what a region is resized to: both sides of it, or with ``keep_aspect`` the longer one; 0 leaves it
    as it is. ``afresh`` finds the region anew at every click.
    """

    skip: int
    least: int
    threshold: float
    side: int = 0
    keep_aspect: bool = False
    afresh: bool = False

    def region(
        self,
        clicks: Sequence[Click],
        previous: np.ndarray | None,
        stored: Region | None,
        size: tuple[int, int],
    ) -> tuple[Region | None, Region | None]:
        """Return the region to look at, None for the picture as it is, and the region to keep in mind."""
        if len(clicks) <= self.skip:
            return None, stored
        mask = previous > self.threshold if previous is not None else np.zeros(size, bool)
        if mask.any():
            wished = self._around(mask, clicks)
        elif self.skip >= 0:
            return None, stored
        else:
            wished = (0, size[0] - 1, 0, size[1] - 1)
        if (
            stored is None
            or self.afresh
            or _outside(clicks, stored)
            or _overlap(wished, stored) < KEPT_OVERLAP
        ):
            stored = wished
        return stored, stored

    def _around(self, mask: np.ndarray, clicks: Sequence[Click]) -> Region:
        mask = mask.copy()
        height, width = mask.shape
        for y, x, positive in clicks:
            if positive:
                mask[min(max(round(y), 0), height - 1), min(max(round(x), 0), width - 1)] = True
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, bottom = self._expanded(rows[0], rows[-1], height)
        left, right = self._expanded(columns[0], columns[-1], width)
        return top, bottom, left, right

    def _expanded(self, first: int, last: int, limit: int) -> tuple[int, int]:
        middle = 0.5 * (first + last)
        size = max(EXPANSION * (last - first + 1), self.least)
        return max(0, round(middle - 0.5 * size)), min(limit - 1, round(middle + 0.5 * size))

    def cut(
        self, picture: Tensor, clicks: Sequence[Click], region: Region | None
    ) -> tuple[Tensor, list[Click]]:
        """Return the region of (b, c, h, w) in the network's size, and the clicks in its pixels.

        A picture of bytes stays one where it keeps its size; resized it is one of 0 to 1.
        """
        if region is None:
            return picture, list(clicks)
        top, bottom, left, right = region
        height, width = bottom - top + 1, right - left + 1
        part = picture[:, :, top : bottom + 1, left : right + 1]
        if self.side and self.keep_aspect:
            scale = self.side / max(height, width)
            part = resize(part, (round(height * scale), round(width * scale)))
        elif self.side:
            part = resize(part, (self.side, self.side))
        down, across = part.shape[-2] / height, part.shape[-1] / width
        return part, [(down * (y - top), across * (x - left), positive) for y, x, positive in clicks]


def paste(found: Tensor, region: Region | None, size: tuple[int, int]) -> Tensor:
    """Return a map (1, 1, h, w) put back into the picture's size, 0 around the region."""
    if region is None:
        return found
    top, bottom, left, right = region
    whole = found.new_zeros(1, 1, *size)
    whole[:, :, top : bottom + 1, left : right + 1] = resize(found, (bottom - top + 1, right - left + 1))
    return whole


def as_points(clicks: Sequence[Click], least: int = 1) -> Tensor:
    """Return clicks as the networks take them, (1, 2n, 3): n rows of positive ones, n of negative ones."""
    rows = [
        [(y, x, i) for i, (y, x, positive) in enumerate(clicks) if positive is kind] for kind in (True, False)
    ]
    count = max(least, *(len(part) for part in rows))
    filled = [part + [(-1, -1, -1)] * (count - len(part)) for part in rows]
    return torch.tensor([filled[0] + filled[1]], dtype=torch.float32)


def mirrored(clicks: Sequence[Click], width: int) -> list[Click]:
    return [(y, width - 1 - x, positive) for y, x, positive in clicks]


def _outside(clicks: Sequence[Click], region: Region) -> bool:
    """Say whether a positive click lies outside; the last row and column count as outside, as in the original."""
    top, bottom, left, right = region
    return any(p and not (top <= y < bottom and left <= x < right) for y, x, p in clicks)


def _overlap(first: Region, second: Region) -> float:
    return _line(first[:2], second[:2]) * _line(first[2:], second[2:])


def _line(first: Sequence[int], second: Sequence[int]) -> float:
    shared = max(0, min(first[1], second[1]) - max(first[0], second[0]) + 1)
    return shared / (max(first[1], second[1]) - min(first[0], second[0]) + 1)
