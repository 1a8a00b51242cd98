"""Masks that a box could mean, as rows over the superpixels."""

from __future__ import annotations

import numpy as np

from models._classical import proposals, ranking
from models._classical.proposals import Pyramid
from models._classical.regions import Regions
from studio.annotations import Box

SLACK = 1.5  # working pixels, or 2 % of the box: a hand-drawn box may cut this much off the object


def propose(regions: Regions, pyramid: Pyramid, box: Box) -> np.ndarray:
    """Proposals (p, n) for a box in working pixels, none of which leaves it by more than its slack."""
    allowed = _inside(regions, box, SLACK + 0.02 * min(box.width, box.height)) > 0.5
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    height, width = regions.labels.shape
    leaf = int(regions.labels[min(int(y), height - 1), min(int(x), width - 1)])
    allowed[leaf] = True
    rows = _cuts(regions, box, allowed)
    rows.append(_ellipse(regions, box) & allowed)
    rows.append(_inside(regions, box, 0) > 0.5)
    rows += [row & allowed for row in _nodes(regions, box)]
    rows += [row & allowed for row in proposals.star_shapes(regions, pyramid, x, y)]
    rows = [row for row in rows if row.any()] or [allowed]
    _, first = np.unique(np.packbits(np.stack(rows), axis=1), axis=0, return_index=True)
    return np.stack(rows)[np.sort(first)]


def measure(regions: Regions, rows: np.ndarray, box: Box) -> np.ndarray:
    """Measures (p, f): those of a click in the box's middle, and how the proposals fill the box."""
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    boxes = np.array([ranking.bounds(regions, row) for row in rows], float)
    wide = np.minimum(boxes[:, 2], box.x1) - np.maximum(boxes[:, 0], box.x0)
    high = np.minimum(boxes[:, 3], box.y1) - np.maximum(boxes[:, 1], box.y0)
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    fit = shared / np.maximum(sizes + box.area - shared, 1)
    fill = (rows @ regions.area) / max(box.area, 1)
    worst = np.minimum(wide / max(box.width, 1), high / max(box.height, 1))
    extra = np.stack([fit, fit**2, worst, np.minimum(fill, 1.5), np.minimum(fill, 1.5) ** 2], 1)
    return np.concatenate([ranking.measure(regions, rows, x, y), extra], 1).astype(np.float32)


def _inside(regions: Regions, box: Box, slack: float) -> np.ndarray:
    """The share (n,) of each superpixel that lies in the box."""
    height, width = regions.labels.shape
    x0, y0 = max(round(box.x0 - slack), 0), max(round(box.y0 - slack), 0)
    x1, y1 = min(round(box.x1 + slack), width), min(round(box.y1 + slack), height)
    part = regions.labels[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    return np.bincount(part.ravel(), minlength=regions.count) / regions.area


def _radius(regions: Regions, box: Box) -> tuple[np.ndarray, np.ndarray]:
    centre = np.array([box.x0 + box.x1, box.y0 + box.y1]) / 2
    half = np.maximum([box.width / 2, box.height / 2], 0.5)
    u, v = np.abs((regions.centre - centre) / half).T
    return np.hypot(u, v), np.maximum(u, v)


def _ellipse(regions: Regions, box: Box) -> np.ndarray:
    return _radius(regions, box)[0] <= 1


def _cuts(regions: Regions, box: Box, allowed: np.ndarray) -> list[np.ndarray]:
    """Cuts between the colours of the box's middle and those around it, for round and for square objects.

    Each is cut again with the colours that its first answer found.
    """
    round_, square = _radius(regions, box)
    ring = ~allowed & (square < 1.8)
    if regions.area[ring].sum() < 0.05 * box.area:
        ring = ~allowed
    nodes = square < 2.5
    rows = []
    for colour, place in ((0.3, 1.0), (0.8, 0.8), (0.8, 0.3), (1.5, 0.3)):
        for radius in (round_, square):
            object_ = (radius < 0.6) & allowed
            row = allowed
            for _ in range(2):
                ratio = np.clip(proposals.likelihood_ratio(regions, object_, ring | (allowed & ~row)), -2, 2)
                pull = (colour * ratio + place * np.clip(2 * (1.05 - radius), -1, 1)) * regions.area
                pull[~allowed] = -np.inf
                row = proposals.cut(regions, pull, 1.0, nodes | allowed)
                object_ = row
            rows.append(row)
    return rows


def _nodes(regions: Regions, box: Box) -> list[np.ndarray]:
    """Nodes of the trees over the middle of the box and four points half way out."""
    height, width = regions.labels.shape
    rows = []
    for across, down in ((0.5, 0.5), (0.3, 0.5), (0.7, 0.5), (0.5, 0.3), (0.5, 0.7)):
        x = min(int(box.x0 + across * box.width), width - 1)
        y = min(int(box.y0 + down * box.height), height - 1)
        for row in proposals.tree_nodes(regions, int(regions.labels[y, x])):
            area = float(regions.area[row].sum())
            if 0.2 * box.area < area < 2 * box.area:
                rows.append(row)
    return rows
