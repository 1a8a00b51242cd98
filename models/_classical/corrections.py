"""Ways to correct a mask at a click: parts to add or to take away, and the masks that result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models._classical import proposals, ranking
from models._classical.proposals import Pyramid
from models._classical.regions import Regions


@dataclass(frozen=True)
class Correction:
    """Rows (p, n) over the superpixels: the changed ``parts`` and the ``results``, and measures (p, f)."""

    parts: np.ndarray
    results: np.ndarray
    measures: np.ndarray


def propose(
    regions: Regions,
    pyramid: Pyramid,
    mask: np.ndarray,
    x: float,
    y: float,
    positive: bool,
    kept: np.ndarray,
    reach: float,
) -> Correction | None:
    """Propose corrections of a mask (row) at a click; ``kept`` are superpixels that must not change side.

    ``reach`` is the click's distance to the mask's outline: one clicks the middle of what is wrong, so that
    is about how deep the wrong part is. None where the click's superpixel is on the right side already, so
    that only pixels are left to correct.
    """
    leaf = int(regions.labels[int(y), int(x)])
    side = ~mask if positive else mask
    if not side[leaf] or kept[leaf]:
        return None
    rows = proposals.tree_nodes(regions, leaf)
    rows += proposals.scaled_cuts(regions, x, y, leaf)
    rows += proposals.star_shapes(regions, pyramid, x, y)
    rows += _model_cuts(regions, mask, x, y, leaf, positive, kept)
    rows += _discs(regions, x, y, leaf, reach)
    rows += _seeded_cuts(regions, side, x, y, leaf, kept, reach)
    parts = [row & side for row in rows if row[leaf]]
    parts = [proposals.piece(regions, part, leaf) for part in parts if not (part & kept).any()]
    unique = distinct(np.stack([_only(regions, leaf), *parts]))
    results = unique ^ mask
    return Correction(unique, results, _measure(regions, mask, unique, results, x, y, reach))


def distinct(rows: np.ndarray) -> np.ndarray:
    """Drop rows that repeat."""
    _, first = np.unique(np.packbits(rows, axis=1), axis=0, return_index=True)
    return rows[np.sort(first)]


def _only(regions: Regions, leaf: int) -> np.ndarray:
    row = np.zeros(regions.count, bool)
    row[leaf] = True
    return row


def _discs(regions: Regions, x: float, y: float, leaf: int, reach: float) -> list[np.ndarray]:
    """Superpixels about a click as far as the outline and further."""
    distance = np.hypot(regions.centre[:, 0] - x, regions.centre[:, 1] - y)
    distance[leaf] = 0
    return [distance <= times * reach for times in (0.7, 1.0, 1.5)]


def _seeded_cuts(
    regions: Regions, side: np.ndarray, x: float, y: float, leaf: int, kept: np.ndarray, reach: float
) -> list[np.ndarray]:
    """Cuts of the wrong side between colours like those about the click and those about opposite clicks."""
    distance = np.hypot(regions.centre[:, 0] - x, regions.centre[:, 1] - y)
    near = distance <= reach
    near[leaf] = True
    held = np.zeros_like(side)
    for node in np.flatnonzero(kept):
        held |= np.hypot(*(regions.centre - regions.centre[node]).T) <= reach
    against = held & ~near | kept
    if not against.any():
        against = side & ~near
    ratio = np.clip(proposals.likelihood_ratio(regions, near | ~side, against), -2, 2)
    alone = np.clip(proposals.likelihood_ratio(regions, near, against), -2, 2)
    rows = []
    for evidence in (ratio, 0.3 * ratio, alone):
        pull = evidence * regions.area
        pull[kept] = -np.inf
        pull[leaf] = np.inf
        rows.append(proposals.cut(regions, pull, 1.0, side))
    return rows


def _model_cuts(
    regions: Regions, mask: np.ndarray, x: float, y: float, leaf: int, positive: bool, kept: np.ndarray
) -> list[np.ndarray]:
    """Cuts whose colours come from the mask and its surroundings, within a few distances of the click."""
    distance = np.hypot(regions.centre[:, 0] - x, regions.centre[:, 1] - y)
    sign = 1.0 if positive else -1.0
    ratio = sign * np.clip(proposals.likelihood_ratio(regions, mask, ~mask), -2, 2)
    rows = []
    for size in proposals.scales(*regions.labels.shape)[1::2]:
        near = distance < 2 * size
        near[leaf] = True
        pull = (0.7 * ratio + 0.8 * np.clip(1 - distance / size, -1, 1)) * regions.area
        pull[kept] = -np.inf
        pull[leaf] = np.inf
        rows.append(proposals.cut(regions, pull, 1.0, near))
    return rows


def _measure(
    regions: Regions,
    mask: np.ndarray,
    parts: np.ndarray,
    results: np.ndarray,
    x: float,
    y: float,
    reach: float,
) -> np.ndarray:
    before = max(float(regions.area[mask].sum()), 1.0)
    area = parts @ regions.area
    ratio = proposals.likelihood_ratio(regions, mask, ~mask)
    alike = (parts @ (regions.area * np.clip(ratio, -3, 3))) / np.maximum(area, 1)
    crossing = parts[:, regions.i] != parts[:, regions.j]
    outer = np.where(parts[:, regions.i], regions.j, regions.i)
    shared = ((crossing & mask[outer]) @ regions.length) / np.maximum(crossing @ regions.length, 1)
    share = np.log(np.maximum(area, 1) / before)
    bounds = [list(ranking.bounds(regions, part)) for part in parts]
    deep = np.array([ranking.depths(regions, p, b, x, y)[1] for p, b in zip(parts, bounds, strict=True)])
    excess = np.log(np.maximum(deep, 0.5) / max(reach, 0.5))
    extra = np.stack(
        [alike / 2, shared, share / 3, np.maximum(share, 0) / 2, np.abs(share) / 3, excess, np.abs(excess)], 1
    )
    return np.concatenate(
        [ranking.measure(regions, parts, x, y), ranking.measure(regions, results, x, y), extra], 1
    ).astype(np.float32)
