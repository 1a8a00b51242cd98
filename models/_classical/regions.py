"""Superpixels, the graph of their neighbourhood, and trees of merged regions over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from models._classical.boundaries import Features, cluster, squared_distances

WORDS = 48  # colour-and-texture words of the histograms


@dataclass(frozen=True)
class Tree:
    """A binary merge tree: node k < n is superpixel k; a parent's number is above its children's.

    ``order`` lists the superpixels so that node k's are ``order[first[k]:first[k] + leaves[k]]``.
    """

    parent: np.ndarray
    order: np.ndarray
    first: np.ndarray
    leaves: np.ndarray

    def members(self, node: int) -> np.ndarray:
        return self.order[self.first[node] : self.first[node] + self.leaves[node]]

    def ancestors(self, leaf: int) -> list[int]:
        """The nodes from a superpixel up to the root, itself included."""
        path = [leaf]
        while self.parent[path[-1]] >= 0:
            path.append(int(self.parent[path[-1]]))
        return path


@dataclass(frozen=True)
class Regions:
    """Superpixels 0 … n - 1 of an image at working resolution and the edges e between neighbours.

    ``labels`` int32 (h, w); ``area`` (n,) pixels; ``centre`` (n, 2) x, y; ``colour`` (n, c) mean channels;
    ``words`` (n, WORDS) histograms that sum to 1; ``rim`` (n,) length on the image's border; ``box`` (n, 4)
    x0, y0, x1, y1 exclusive; ``i``, ``j`` (e,) with i < j; ``length`` (e,) pixels; ``strength`` (e,) mean
    boundary, 1 being the image's own mean of all edges; ``contrast`` (e,) distance of mean colours; ``frame``
    the whole picture's area in working pixels, of which this may be a part.
    """

    labels: np.ndarray
    area: np.ndarray
    centre: np.ndarray
    colour: np.ndarray
    words: np.ndarray
    rim: np.ndarray
    box: np.ndarray
    i: np.ndarray
    j: np.ndarray
    length: np.ndarray
    strength: np.ndarray
    contrast: np.ndarray
    trees: tuple[Tree, ...]
    frame: float

    @property
    def count(self) -> int:
        return len(self.area)

    @property
    def nbytes(self) -> int:
        held = [getattr(self, f.name) for f in fields(self) if f.name not in ("trees", "frame")]
        held += [getattr(tree, f.name) for tree in self.trees for f in fields(tree)]
        return sum(a.nbytes for a in held)


def grow(features: Features, frame: float | None = None) -> Regions:
    """Cut an image, or a part of one whose ``frame`` is given, into regions."""
    labels = _superpixels(features)
    height, width = labels.shape
    flat, count = labels.ravel(), int(labels.max()) + 1
    area = np.bincount(flat, minlength=count).astype(np.float64)
    ys, xs = np.divmod(np.arange(flat.size), width)
    centre = np.stack([np.bincount(flat, weights=v + 0.5, minlength=count) / area for v in (xs, ys)], 1)
    box = np.full((count, 4), -1, np.int32)
    box[:, :2] = max(height, width)
    np.minimum.at(box[:, 0], flat, xs)
    np.minimum.at(box[:, 1], flat, ys)
    np.maximum.at(box[:, 2], flat, xs + 1)
    np.maximum.at(box[:, 3], flat, ys + 1)
    rim = sum(
        np.bincount(side, minlength=count) for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    )
    colour, words = _appearance(features, labels, area)
    i, j, length, total = _edges(labels, features.boundary)
    strength = total / length
    strength /= max(float(strength.mean()) if strength.size else 1.0, 1e-6)
    contrast = np.sqrt(((colour[i] - colour[j]) ** 2).sum(1))
    costs = (_by_boundary, _by_both, _by_colour)
    trees = tuple(_merge(i, j, length, strength, area, colour, cost) for cost in costs)
    small = [a.astype(np.float32) for a in (area, centre, colour, words, rim)]
    edges = [a.astype(np.float32) for a in (length, strength, contrast)]
    ends = (i.astype(np.int32), j.astype(np.int32))
    return Regions(labels, *small, box, *ends, *edges, trees, frame or float(labels.size))


def _superpixels(features: Features) -> np.ndarray:
    """Watershed of the boundary map, int32 labels from 0."""
    import cv2
    from skimage.segmentation import watershed

    relief = cv2.GaussianBlur(features.boundary + 0.5 * features.fine, (0, 0), 0.5)
    top = float(np.percentile(relief[::2, ::2], 99))
    if top < 1e-4:  # a flat picture has no basins: cells of a grid stand in for them
        ys, xs = (np.arange(n) // 16 for n in relief.shape)
        return (ys[:, None] * (xs[-1] + 1) + xs[None]).astype(np.int32)
    levels = (np.minimum(relief / top, 1.5) * 255).astype(np.int32)
    return watershed(levels).astype(np.int32) - 1


def _appearance(features: Features, labels: np.ndarray, area: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    channels = features.channels
    centres = cluster(channels.reshape(-1, channels.shape[2]), WORDS)
    nearest = squared_distances(channels.reshape(-1, channels.shape[2]), centres).argmin(1)
    size = (labels.shape[1], labels.shape[0])
    word = cv2.resize(
        nearest.reshape(channels.shape[:2]).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST
    )
    joint = labels.ravel().astype(np.int64) * WORDS + word.ravel()
    counts = np.bincount(joint, minlength=len(area) * WORDS)
    words = counts.reshape(-1, WORDS)
    return (words @ centres) / area[:, None], words / area[:, None]


def _edges(labels: np.ndarray, boundary: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of neighbours i < j, the length of their border in pixels and its boundary summed."""
    count = int(labels.max()) + 1
    keys, values = [], []
    for one, two in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = labels[one], labels[two]
        apart = a != b
        a, b = a[apart].astype(np.int64), b[apart]
        keys.append(np.minimum(a, b) * count + np.maximum(a, b))
        values.append(np.maximum(boundary[one][apart], boundary[two][apart]))
    key, where = np.unique(np.concatenate(keys), return_inverse=True)
    length = np.bincount(where, minlength=len(key)).astype(np.float64)
    total = np.bincount(where, weights=np.concatenate(values), minlength=len(key))
    return key // count, key % count, length, total


# Three costs of merging neighbours, from their shared boundary b, areas p and q, and colour distance d. The
# first follows contours, the last compares colours as Ward does, and the middle one weighs both; an object
# that is no node of one tree is often one of another.
def _by_boundary(b: np.ndarray, p: np.ndarray, q: np.ndarray, d: np.ndarray) -> np.ndarray:
    return b * np.minimum(p, q) ** 0.25


def _by_both(b: np.ndarray, p: np.ndarray, q: np.ndarray, d: np.ndarray) -> np.ndarray:
    return (d + 0.1 * b) * (p * q / (p + q)) ** 0.3


def _by_colour(b: np.ndarray, p: np.ndarray, q: np.ndarray, d: np.ndarray) -> np.ndarray:
    return d * (p * q / (p + q)) ** 0.5


def _merge(
    i: np.ndarray,
    j: np.ndarray,
    length: np.ndarray,
    strength: np.ndarray,
    area: np.ndarray,
    colour: np.ndarray,
    cost: Callable[..., np.ndarray],
) -> Tree:
    """Merge neighbours, cheapest first, into one tree.

    All pairs that are each other's cheapest neighbour merge in one round, which for most costs gives the tree
    that merging one pair at a time would (nearest-neighbour chains).
    """
    count = len(area)
    total = 2 * count - 1
    parent = np.full(total, -1, np.int64)
    areas, means = np.zeros(total), np.zeros((total, colour.shape[1]))
    areas[:count], means[:count] = area, colour
    i, j, length, sums = i.astype(np.int64), j.astype(np.int64), length.copy(), strength * length
    top = count
    while len(i):
        distance = np.sqrt(((means[i] - means[j]) ** 2).sum(1))
        price = cost(sums / length, areas[i], areas[j], distance)
        rank = np.empty(len(price), np.int64)
        rank[np.argsort(price, kind="stable")] = np.arange(len(price))  # none alike: pairs are disjoint
        best = np.full(top, len(price))
        np.minimum.at(best, i, rank)
        np.minimum.at(best, j, rank)
        chosen = np.flatnonzero((rank == best[i]) & (rank == best[j]))
        a, b, new = i[chosen], j[chosen], top + np.arange(len(chosen))
        parent[a] = parent[b] = new
        areas[new] = areas[a] + areas[b]
        means[new] = (means[a] * areas[a, None] + means[b] * areas[b, None]) / areas[new, None]
        top += len(chosen)
        name = np.arange(top)
        name[a] = name[b] = new
        i, j = name[i], name[j]
        apart = i != j
        i, j, length, sums = i[apart], j[apart], length[apart], sums[apart]
        key, where = np.unique(np.minimum(i, j) * top + np.maximum(i, j), return_inverse=True)
        i, j = key // top, key % top
        length = np.bincount(where, weights=length, minlength=len(key))
        sums = np.bincount(where, weights=sums, minlength=len(key))
    return _laid_out(parent, count)


def _laid_out(parent: np.ndarray, count: int) -> Tree:
    total = len(parent)
    up = parent.tolist()
    leaves, first = [1] * count + [0] * (total - count), [0] * total
    for node in range(total - 1):
        leaves[up[node]] += leaves[node]
    taken = [0] * total
    for node in range(total - 2, -1, -1):
        above = up[node]
        first[node] = first[above] + taken[above]
        taken[above] += leaves[node]
    order = np.empty(count, np.int32)
    order[np.asarray(first[:count], np.int64)] = np.arange(count)
    return Tree(parent.astype(np.int32), order, np.asarray(first, np.int32), np.asarray(leaves, np.int32))
