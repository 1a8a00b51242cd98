"""A map of a collection: images that show alike lie close, on a square that one can look at and lasso.

The principal components of the vectors, and of the first 50 of these t-SNE (van der Maaten and Hinton, 2008) as
openTSNE interpolates it (Linderman et al., 2019; Poličar et al., 2024): its time grows with the number of images and
not with that times its logarithm. A map is kept beside the vectors; images that came since are placed among their
nearest neighbours, until they are so many that the map is drawn anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from studio.errors import BadInput, Cancelled, unknown
from studio.operations.filtering.collection import Collection, asked, embedder, version_of
from studio.operations.filtering.keeping import Asked, Told, never, untold
from studio.studio import Studio

Way = Literal["tsne", "pca"]
COMPONENTS = 50
FIT_ON = 20_000  # images that the components are taken from; more change nothing that can be seen
TURNS = (250, 500)  # of the descent: with exaggerated attraction, which forms the groups, and without
PERPLEXITY = 30
EVERY = 10  # turns between two looks at whether it is to go on
MOST = 200_000  # images of a t-SNE; more are drawn by their components alone
NEW = 0.1  # share of images that may be placed on a map that was drawn without them
NEAREST = 5
_FORM = 1  # of the files; another one makes the maps anew


@dataclass(frozen=True, eq=False)
class Map:
    """Where each image of a collection lies: float32 (n, 2), x to the right and y down, from 0 to 1."""

    collection: Collection
    points: np.ndarray
    way: Way

    def packed(self) -> bytes:
        """Return it for the page as ``Ranking.packed`` does: after the head float32 x, y of each image in order."""
        head = {"n": len(self.points), "stamp": self.collection.stamp, "way": self.way}
        text = json.dumps({**head, "missing": self.collection.missing}).encode()
        text += b" " * (-len(text) % 4)
        return b"".join((struct.pack("<I", len(text)), text, self.points.astype("<f4")))


def map_of(
    studio: Studio,
    person: str,
    project_id: str,
    model_id: str,
    *,
    way: Way = "tsne",
    anew: bool = False,
    told: Told = untold,
    cancelled: Asked = never,
) -> Map:
    """Return the map of a project, drawn where it is not kept yet or ``anew`` asks for it.

    Raises Cancelled, and as ``search.rank`` does.
    """
    if way not in get_args(Way):
        raise unknown("way to draw a map", way, get_args(Way))
    found = asked(studio, person, project_id, model_id)
    card = embedder(studio, model_id)
    folder = studio.vectors.folder(card.id, version_of(studio, card)) / "maps"
    path = folder / f"{hashlib.sha256(f'{project_id} {way} {_FORM}'.encode()).hexdigest()[:32]}.npz"
    points = None if anew else _kept(path, found)
    if points is None:
        points = drawn(found.vectors(), way, told=told, cancelled=cancelled)
        _keep(path, found, points)
    told(1.0)
    return Map(found, points, way)


def drawn(
    vectors: np.ndarray, way: Way = "tsne", *, told: Told = untold, cancelled: Asked = never
) -> np.ndarray:
    """Return points of unit vectors (n, d), float32 (n, 2) from 0 to 1: the same ones each time."""
    parts = components(vectors, COMPONENTS)
    told(0.05)
    if way == "pca" or len(vectors) > MOST or len(vectors) < 10:
        return _square(parts[:, :2])
    return _square(_tsne(parts, told, cancelled))


def components(vectors: np.ndarray, count: int) -> np.ndarray:
    """Return the first principal components, float64 (n, at least 2), signs fixed so that they never flip."""
    step = max(1, len(vectors) // FIT_ON)
    some = vectors[::step].astype(np.float64)
    mean = some.mean(0)
    some -= mean
    _, axes = np.linalg.eigh(some.T @ some)
    axes = axes[:, ::-1][:, : max(2, min(count, axes.shape[1]))]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    found = np.concatenate([vectors[i : i + FIT_ON] @ axes for i in range(0, len(vectors), FIT_ON)])
    found = found - mean @ axes
    return found if found.shape[1] > 1 else np.hstack([found, np.zeros((len(found), 1))])


def _tsne(parts: np.ndarray, told: Told, cancelled: Asked) -> np.ndarray:
    from openTSNE import TSNE
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    turns = iter(range(EVERY, sum(TURNS) + EVERY, EVERY))

    def on(iteration: int, error: float, embedding: Any) -> bool:
        told(0.1 + 0.85 * next(turns, sum(TURNS)) / sum(TURNS))
        return cancelled()  # ends the descent

    perplexity = min(PERPLEXITY, (len(parts) - 1) / 3)
    jobs = os.cpu_count() or 1
    distances, places = _neighbours(parts, min(int(3 * perplexity), len(parts) - 1))
    drawing = TSNE(
        early_exaggeration_iter=TURNS[0],
        n_iter=TURNS[1],
        initialization=parts[:, :2] / max(parts[:, 0].std(), 1e-12) * 1e-4,
        callbacks=on,
        callbacks_every_iters=EVERY,
        n_jobs=jobs,
        random_state=0,
    )
    near = PerplexityBasedNN(
        perplexity=perplexity, knn_index=PrecomputedNeighbors(places, distances), n_jobs=jobs
    )
    made = drawing.fit(affinities=near)
    if cancelled():
        raise Cancelled("Stopped drawing the map.")
    return np.asarray(made, np.float64)


def _neighbours(parts: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances and places of the nearest others of each point; exact, and quicker than what is not."""
    import faiss

    parts = np.ascontiguousarray(parts, np.float32)
    squares, places = faiss.knn(parts, parts, count + 1)
    mine = places == np.arange(len(parts))[:, None]
    mine[~mine.any(1), -1] = True  # so many are just the same that oneself is not among them
    shape = len(parts), count
    return np.sqrt(np.maximum(squares[~mine].reshape(shape), 0)).astype(np.float64), places[~mine].reshape(
        shape
    )


def _square(points: np.ndarray) -> np.ndarray:
    """Return points moved and scaled into the unit square, both ways alike, with a margin."""
    low, high = points.min(0), points.max(0)
    size = max(float((high - low).max()), 1e-12)
    return (0.5 + (points - (low + high) / 2) / size * 0.96).astype(np.float32)


# ---- kept ------------------------------------------------------------------------------------------


def _kept(path: Path, found: Collection) -> np.ndarray | None:
    """Return the points of a map that is kept, for the images there now; None where it has to be drawn."""
    try:
        with np.load(path, allow_pickle=False) as file:
            rows, points = file["rows"], file["points"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if not len(rows) or points.shape != (len(rows), 2):
        return None
    order = np.argsort(rows)
    at = np.minimum(np.searchsorted(rows[order], found.rows), len(rows) - 1)
    known = rows[order][at] == found.rows
    # A map of very different images is no map of these, even where all of these are on it.
    if (~known).mean() > NEW or known.sum() < (1 - 3 * NEW) * len(rows):
        return None
    placed = np.empty((len(found), 2), np.float32)
    placed[known] = points[order][at[known]]
    if not known.all():
        placed[~known] = _among(found, known, placed[known])
    return placed


def _among(found: Collection, known: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return points for images that are not on a map, in the middle of their nearest neighbours that are."""
    import faiss

    vectors = found.vectors()
    there = np.ascontiguousarray(vectors[known])
    count = min(NEAREST, len(there))
    close, at = faiss.knn(np.ascontiguousarray(vectors[~known]), there, count, faiss.METRIC_INNER_PRODUCT)
    weights = np.exp(20 * (close - close[:, :1]))
    return (points[at] * weights[..., None]).sum(1) / weights.sum(1, keepdims=True)


def _keep(path: Path, found: Collection, points: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_suffix(f".{os.getpid()}.writing")
    with writing.open("wb") as file:
        np.savez(file, rows=found.rows, points=points)
    os.replace(writing, path)


# ---- lasso -----------------------------------------------------------------------------------------


def inside(points: np.ndarray, polygon: Any) -> np.ndarray:
    """Say which points (n, 2) lie inside of a polygon (m, 2) that closes itself: bool (n,).

    Where it crosses itself, what is enclosed an odd number of times is inside. Raises BadInput below 3 corners.
    """
    corners = np.asarray(polygon, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3 or not np.isfinite(corners).all():
        raise BadInput("A lasso has at least three corners. Draw around the images.")
    x, y = np.asarray(points, np.float64).T
    odd = np.zeros(len(x), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        spans = (y0 > y) != (y1 > y)
        odd ^= spans & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return odd
