"""Masks that a click could mean, as rows over the superpixels: tree nodes, star shapes, graph cuts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models._classical.regions import Regions

ANGLES, RADII = 48, 72
SCALES = 10  # sizes at which star shapes and cuts are sought, from a speck to the picture


def tree_nodes(regions: Regions, leaf: int) -> list[np.ndarray]:
    """The nodes above a superpixel in every tree, each at least 4 % larger than the one before."""
    rows = []
    for tree in regions.trees:
        before = 0.0
        for node in tree.ancestors(leaf):
            members = tree.members(node)
            area = float(regions.area[members].sum())
            if area > 1.04 * before:
                row = np.zeros(regions.count, bool)
                row[members] = True
                rows.append(row)
                before = area
    return rows


@dataclass(frozen=True)
class Pyramid:
    """Maps (h, w, 4) of L, a, b and boundary, halved from level to level."""

    levels: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, lab: np.ndarray, boundary: np.ndarray) -> Pyramid:
        import cv2

        levels = [np.dstack([lab, boundary / max(float(boundary.mean()), 1e-6)]).astype(np.float32)]
        while min(levels[-1].shape[:2]) > 8 and len(levels) < 7:
            levels.append(cv2.pyrDown(levels[-1]))
        return cls(tuple(levels))

    @property
    def nbytes(self) -> int:
        return sum(level.nbytes for level in self.levels)


def scales(height: int, width: int) -> np.ndarray:
    """Radii of the objects looked for, in working pixels."""
    return np.geomspace(5.0, 0.55 * max(height, width), SCALES)


def star_shapes(regions: Regions, pyramid: Pyramid, x: float, y: float) -> list[np.ndarray]:
    """Star-shaped outlines around a click at each scale, by dynamic programming over angle in polar space.

    A ray's cost at a radius is the boundary there and how well the colours up to it fit the middle rather
    than a ring beyond; neighbouring rays differ by at most two steps.
    """
    height, width = regions.labels.shape
    radii = np.geomspace(1.5, 0.9 * max(height, width), RADII)
    angle = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    xs = (x + np.outer(np.cos(angle), radii)).astype(np.float32)
    ys = (y + np.outer(np.sin(angle), radii)).astype(np.float32)
    polar = _sample(pyramid, xs, ys, radii)
    outside = (xs < 0) | (ys < 0) | (xs > width) | (ys > height)
    sizes = scales(height, width)
    costs = np.stack([_ray_costs(polar, outside, radii, size) for size in sizes])
    outlines = _closed_paths(costs)
    rows = []
    for steps in outlines:
        r = radii[steps] * 1.03
        points = np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], 1)
        rows.append(_covered(regions, points))
    return rows


def _sample(pyramid: Pyramid, xs: np.ndarray, ys: np.ndarray, radii: np.ndarray) -> np.ndarray:
    import cv2

    level = np.clip(np.log2(radii * (2 * np.pi / ANGLES)), 0, len(pyramid.levels) - 1).astype(int)
    polar = np.empty((*xs.shape, 4), np.float32)
    for k in np.unique(level):
        at = level == k
        maps = [((v[:, at]) / 2**k - 0.5).astype(np.float32) for v in (xs, ys)]
        polar[:, at] = cv2.remap(pyramid.levels[k], *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return polar


def _ray_costs(polar: np.ndarray, outside: np.ndarray, radii: np.ndarray, size: float) -> np.ndarray:
    """Cost (angles, radii) of the outline lying at each radius, for an object of about this radius."""
    weight = radii**2
    inner, ring = radii < 0.6 * size, (radii > 1.3 * size) & (radii < 2.2 * size)
    inner[:4] = True
    lab = polar[..., :3]

    def fit(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = (weight * part)[None] * ~outside
        w = w / max(w.sum(), 1e-9)
        mean = (lab * w[..., None]).sum((0, 1))
        return mean, ((lab - mean) ** 2 * w[..., None]).sum((0, 1)) + 4e-4

    likelihood = 0.0
    for part, sign in ((inner, 1.0), (ring, -1.0)):
        if not part.any():
            continue
        mean, spread = fit(part)
        likelihood = likelihood - sign * 0.5 * ((lab - mean) ** 2 / spread + np.log(spread)).sum(2)
    evidence = np.where(outside, -2.0, np.clip(likelihood, -2, 2)) * weight / size**2
    prior = 0.5 * np.log(radii / size) ** 2
    edge = np.where(outside, 0.0, np.minimum(polar[..., 3], 6.0))
    return prior[None] - 0.35 * edge - 0.08 * np.cumsum(evidence, 1)


def _closed_paths(costs: np.ndarray) -> np.ndarray:
    """Cheapest paths over the angles of (s, angles, radii), gone round twice so that they close."""
    count, angles, radii = costs.shape
    total = costs[:, 0].copy()
    back = np.empty((2 * angles, count, radii), np.int8)
    shifts = (0, -1, 1, -2, 2)
    for step in range(1, 2 * angles):
        padded = np.pad(total, ((0, 0), (2, 2)), constant_values=np.inf)
        moved = np.stack([padded[:, 2 + s : 2 + s + radii] + 0.06 * s * s for s in shifts])
        best = moved.argmin(0)
        back[step] = np.asarray(shifts, np.int8)[best]
        total = np.take_along_axis(moved, best[None], 0)[0] + costs[:, step % angles]
    at = total.argmin(1)
    path = np.empty((2 * angles, count), np.int64)
    for step in range(2 * angles - 1, -1, -1):
        path[step] = at
        if step:
            at = at + back[step, np.arange(count), at]
    # the middle round is free of both ends' slack
    middle = path[angles // 2 : angles // 2 + angles]
    return np.roll(middle, angles // 2, 0).T


def _covered(regions: Regions, points: np.ndarray) -> np.ndarray:
    """Superpixels of which a polygon (n, 2) covers more than half."""
    import cv2

    height, width = regions.labels.shape
    x0, y0 = np.clip(np.floor(points.min(0)).astype(int), 0, [width - 1, height - 1])
    x1, y1 = np.clip(np.ceil(points.max(0)).astype(int) + 1, 1, [width, height])
    canvas = np.zeros((max(y1 - y0, 1), max(x1 - x0, 1)), np.uint8)
    cv2.fillPoly(canvas, [np.round((points - [x0, y0] - 0.5) * 16).astype(np.int32)], 1, shift=4)
    part = regions.labels[y0:y1, x0:x1]
    hit = np.bincount(part[canvas > 0], minlength=regions.count)
    return hit > 0.5 * regions.area


def cut(
    regions: Regions, evidence: np.ndarray, smoothness: float, nodes: np.ndarray | None = None
) -> np.ndarray:
    """Minimum cut: the superpixels with ``evidence`` (n,) for (> 0) the object or against it, smoothly.

    ``evidence`` counts in pixels; infinite values are hard. Superpixels outside ``nodes`` are background.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = regions.count
    if nodes is None:
        nodes = np.ones(count, bool)
    number = np.cumsum(nodes) - 1
    inside = int(nodes.sum())
    both = nodes[regions.i] & nodes[regions.j]
    weight = smoothness * regions.length / (0.15 + regions.strength**2)
    one = nodes[regions.i] != nodes[regions.j]
    pull = evidence.astype(np.float64).copy()
    np.add.at(pull, np.where(nodes[regions.i], regions.i, regions.j)[one], -weight[one])
    unit = 16.0
    pull = np.clip(pull[nodes] * unit, -1e8, 1e8).astype(np.int32)
    w = np.maximum(weight[both] * unit, 1).astype(np.int32)
    a, b = number[regions.i[both]], number[regions.j[both]]
    own = np.arange(inside)
    source, sink = inside, inside + 1
    plus, minus = pull > 0, pull < 0
    rows = np.concatenate([a, b, np.full(plus.sum(), source), own[minus]])
    columns = np.concatenate([b, a, own[plus], np.full(minus.sum(), sink)])
    capacity = np.concatenate([w, w, pull[plus], -pull[minus]]).astype(np.int32)
    graph = csr_matrix((capacity, (rows, columns)), shape=(inside + 2, inside + 2))
    flow = maximum_flow(graph, source, sink).flow
    rest = graph - flow
    rest.data[rest.data < 0] = 0
    rest.eliminate_zeros()
    reached = breadth_first_order(rest, source, return_predecessors=False)
    answer = np.zeros(inside + 2, bool)
    answer[reached] = True
    whole = np.zeros(count, bool)
    whole[nodes] = answer[:inside]
    return whole


def scaled_cuts(regions: Regions, x: float, y: float, leaf: int) -> list[np.ndarray]:
    """A cut at each scale: colours near the click against those of a ring, with a prior on distance."""
    distance = np.hypot(regions.centre[:, 0] - x, regions.centre[:, 1] - y)
    rows = []
    for size in scales(*regions.labels.shape):
        inner, ring = distance < 0.6 * size, (distance > 1.4 * size) & (distance < 2.5 * size)
        inner[leaf] = True
        near = distance < 2.5 * size
        near[leaf] = True
        evidence = 0.7 * np.clip(likelihood_ratio(regions, inner, ring), -2, 2)
        evidence += 0.8 * np.clip(1 - distance / size, -1, 1)
        pull = evidence * regions.area
        pull[leaf] = np.inf
        rows.append(piece(regions, cut(regions, pull, 1.0, near), leaf))
    return rows


def likelihood_ratio(regions: Regions, object_: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Mean log ratio (n,) of each superpixel's words under the colours of two sets of superpixels."""
    logs = []
    for part in (object_, ground):
        counts = regions.area[part] @ regions.words[part] if part.any() else np.zeros(regions.words.shape[1])
        counts = counts + 0.02 * counts.sum() / len(counts) + 1
        logs.append(np.log(counts / counts.sum()))
    return regions.words @ (logs[0] - logs[1])


def piece(regions: Regions, row: np.ndarray, leaf: int) -> np.ndarray:
    """The connected part of a row of superpixels that holds one of them."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    if not row[leaf]:
        return np.zeros_like(row)
    number = np.cumsum(row) - 1
    within = row[regions.i] & row[regions.j]
    i, j, count = number[regions.i[within]], number[regions.j[within]], int(number[-1]) + 1
    graph = csr_matrix((np.ones(len(i), np.int8), (i, j)), shape=(count, count))
    parts, part = connected_components(graph, directed=False)
    if parts == 1:
        return row
    found = np.zeros_like(row)
    found[np.flatnonzero(row)[part == part[number[leaf]]]] = True
    return found
