"""How well a proposed mask fits a click: measures of its outline, its inside and its shape."""

from __future__ import annotations

import numpy as np

from models._classical.regions import Regions

DEPTH_GRID = 48  # cells along the longer side of a proposal when the click's depth in it is measured


def measure(regions: Regions, rows: np.ndarray, x: float, y: float) -> np.ndarray:
    """Measures (p, 16) of proposals ``rows`` bool (p, n) for a click, each of about unit size."""
    weights = rows.astype(np.float32)
    sums = _region_sums(regions, weights)
    area = np.maximum(sums["area"], 1)
    outline, inner, ring = _edge_sums(regions, rows)
    length = np.maximum(outline[:, 0], 1)
    strength, weak, contrast = (outline[:, 1:] / length[:, None]).T
    inside = inner[:, 1] / np.maximum(inner[:, 0], 1)
    around = np.maximum(outline[:, 0] + sums["rim"], 1)
    words = sums["words"] / np.maximum(sums["words"].sum(1, keepdims=True), 1e-6)
    apart = 0.5 * np.abs(words - ring / np.maximum(ring.sum(1, keepdims=True), 1e-6)).sum(1)
    centre = sums["centre"] / area[:, None]
    offset = np.hypot(centre[:, 0] - x, centre[:, 1] - y) / np.sqrt(area)
    variance = sums["squares"] / area[:, None] - (sums["colour"] / area[:, None]) ** 2
    spread = np.sqrt(np.maximum(variance, 0).sum(1))
    boxes = np.array([bounds(regions, row) for row in rows])
    extent = area / np.maximum((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), 1)
    depth = np.array(
        [depths(regions, row, box, x, y)[0] for row, box in zip(rows, boxes.tolist(), strict=True)]
    )
    scale = np.log(area / regions.frame) / 5
    shared = (weights * regions.area) @ weights.T
    overlap = shared / (area[:, None] + area[None] - shared)
    return np.stack(
        [
            strength / 2,
            weak,
            np.minimum(contrast * 2, 1),
            strength / np.maximum(inside, 0.3) / 3,
            np.minimum(inside, 2),
            apart,
            np.minimum(4 * np.pi * area / around**2, 1),
            extent,
            sums["rim"] / around,
            np.minimum(offset, 2),
            depth,
            np.minimum(spread * 2, 0.6),
            scale,
            scale**2,
            np.sort(overlap, 1)[:, -12:].mean(1),
            overlap.mean(1),
        ],
        1,
    ).astype(np.float32)


def standing(measures: np.ndarray) -> np.ndarray:
    """Where each proposal stands among the others by each measure, 0 to 1: pictures differ in contrast."""
    return (np.argsort(np.argsort(measures, 0, kind="stable"), 0) / len(measures)).astype(np.float32)


def _region_sums(regions: Regions, weights: np.ndarray) -> dict[str, np.ndarray]:
    area = regions.area[:, None]
    colours, words = regions.colour.shape[1], regions.words.shape[1]
    table = np.concatenate(
        [
            area,
            regions.rim[:, None],
            regions.centre * area,
            regions.colour * area,
            regions.colour**2 * area,
            regions.words * area,
        ],
        1,
    )
    sums = weights @ table
    ends = np.cumsum([1, 1, 2, colours, colours, words])
    parts = np.split(sums, ends[:-1], axis=1)
    names = ("area", "rim", "centre", "colour", "squares", "words")
    made = dict(zip(names, parts, strict=True))
    made["area"], made["rim"] = made["area"][:, 0], made["rim"][:, 0]
    return made


def _edge_sums(regions: Regions, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along the outline: length, and strength, weakness, contrast by length; within: length, strength; the
    words met outside the outline."""
    strength = np.minimum(np.sqrt(regions.strength), 5.0)  # one glaring edge must not outweigh all others
    table = np.stack([np.ones_like(strength), strength, regions.strength < 0.8, regions.contrast], 1)
    table = (table * regions.length[:, None]).astype(np.float32)
    at_i, at_j = rows[:, regions.i], rows[:, regions.j]
    from_i, from_j = (at_i & ~at_j).astype(np.float32), (at_j & ~at_i).astype(np.float32)
    outline = (from_i + from_j) @ table
    inner = (at_i & at_j).astype(np.float32) @ table[:, :2]
    length = regions.length[:, None]
    ring = from_i @ (regions.words[regions.j] * length) + from_j @ (regions.words[regions.i] * length)
    return outline, inner, ring


def bounds(regions: Regions, row: np.ndarray) -> tuple[int, int, int, int]:
    """The tight box x0, y0, x1, y1 around a row of superpixels, all 0 where it is empty."""
    part = regions.box[row]
    if not len(part):
        return 0, 0, 0, 0
    return (*part[:, :2].min(0).tolist(), *part[:, 2:].max(0).tolist())


def depths(regions: Regions, row: np.ndarray, box: list[int], x: float, y: float) -> tuple[float, float]:
    """A click's distance to the proposal's edge over the largest there is (0 to 1), and that in pixels."""
    import cv2

    x0, y0, x1, y1 = box
    step = max(1, -(-max(x1 - x0, y1 - y0) // DEPTH_GRID))
    inside = row[regions.labels[y0:y1:step, x0:x1:step]]
    if not inside.any():
        return 0.0, 0.5
    depth = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    at_y, at_x = (
        int(np.clip((v - v0) // step, 0, n - 1))
        for v, v0, n in ((y, y0, inside.shape[0]), (x, x0, inside.shape[1]))
    )
    deepest = float(depth.max())
    return float(depth[at_y, at_x]) / deepest, deepest * step
