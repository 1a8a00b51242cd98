"""Pictures that are nearly the same, and pictures that are like no other.

Near-duplicates are those on which two signs agree that know nothing of each other: vectors, close by a range search of
faiss, and perceptual hashes, which differ in few of 64 bits (signs of the lowest frequencies of the cosine transform;
Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010). Outliers are far from their nearest
neighbours (Ramaswamy et al., Efficient Algorithms for Mining Outliers from Large Data Sets, 2000), or lie in a thinner
part of space than these do (LOF: Breunig et al., 2000).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from studio.errors import BadInput, Cancelled, unknown
from studio.operations.filtering.collection import Collection, asked
from studio.operations.filtering.keeping import Asked, Told, never, untold
from studio.project import ImageRecord
from studio.studio import Studio

Way = Literal["distance", "lof"]
LIKENESS = 0.95  # cosine from which two images may be one
DIFFERING = 10  # bits of a hash in which they may differ; Zauner's own advice is some 22 of 64, which takes in too much
NEIGHBOURS = 10
BLOCK = 2048  # images whose neighbours are sought at once
MOST_PAIRS = 20_000_000
HASH_SIDE, HASH_BITS = 32, 8
MOST_HASHES = 2_000_000  # kept in memory: 8 bytes and a digest each

_HASHES: OrderedDict[str, int | None] = OrderedDict()


@dataclass(frozen=True)
class Group:
    """Images that are nearly the same, the best first, which is the one to keep; ``likeness`` is the least cosine."""

    ids: tuple[str, ...]
    likeness: float


@dataclass(frozen=True, eq=False)
class Outlying:
    """How alone each image of a collection is, float32 (n,), higher for more; ``order`` lists the most alone first."""

    collection: Collection
    scores: np.ndarray
    order: np.ndarray

    def top(self, count: int) -> list[tuple[str, float]]:
        return [(self.collection.ids[i], float(self.scores[i])) for i in self.order[: max(0, count)]]


def duplicates(
    studio: Studio,
    person: str,
    project_id: str,
    model_id: str,
    *,
    likeness: float = LIKENESS,
    differing: int = DIFFERING,
    told: Told = untold,
    cancelled: Asked = never,
) -> list[Group]:
    """Return groups of near-duplicates, the largest first, each with the best image first.

    The best has most pixels; of equals the one that is labelled, then the one that came first. Raises Cancelled, and
    as ``search.rank`` does.
    """
    if not 0.5 <= likeness <= 1:
        raise BadInput(f"The likeness of near-duplicates lies between 0.5 and 1; it is {likeness:g}.")
    if not 0 <= differing <= 64:
        raise BadInput(f"Hashes differ in 0 to 64 bits; {differing} were allowed.")
    found = asked(studio, person, project_id, model_id)
    first, second, close = close_pairs(
        found.vectors(), likeness, told=lambda s: told(0.7 * s), cancelled=cancelled
    )
    if not len(first):
        return []
    places = np.unique(np.concatenate([first, second]))
    records = studio.store.images_by_id([found.ids[i] for i in places])
    hashes = {p: None for p in places.tolist()}
    with ThreadPoolExecutor(2, "hashes") as threads:
        work = threads.map(lambda p: (p, _hash(studio, records.get(found.ids[p]))), places.tolist())
        for done, (place, value) in enumerate(work):
            if cancelled():
                raise Cancelled("Stopped looking for near-duplicates.")
            hashes[place] = value
            told(0.7 + 0.3 * (done + 1) / len(places))
    agree = np.array([_agree(hashes[a], hashes[b], differing) for a, b in zip(first, second, strict=True)])
    first, second, close = first[agree], second[agree], close[agree]
    return _groups(found, records, first, second, close)


def outliers(
    studio: Studio,
    person: str,
    project_id: str,
    model_id: str,
    *,
    way: Way = "distance",
    neighbours: int = NEIGHBOURS,
    told: Told = untold,
    cancelled: Asked = never,
) -> Outlying:
    """Return how alone each image is among those of its project. Raises BadInput for fewer than 3 images."""
    if way not in ("distance", "lof"):
        raise unknown("way to find outliers", way, ("distance", "lof"))
    found = asked(studio, person, project_id, model_id)
    if len(found) < 3:
        raise BadInput("Outliers are found among 3 images at least.")
    count = max(1, min(neighbours, len(found) - 1))
    near, places = nearest(found.vectors(), count, told=told, cancelled=cancelled)
    distances = np.sqrt(np.maximum(0, 2 - 2 * near.astype(np.float64)))
    scores = distances.mean(1) if way == "distance" else _local_outlier_factor(distances, places)
    order = np.argsort(-scores, kind="stable").astype(np.uint32)
    return Outlying(found, scores.astype(np.float32), order)


# ---- neighbours ------------------------------------------------------------------------------------


def nearest(
    vectors: np.ndarray, count: int, *, told: Told = untold, cancelled: Asked = never
) -> tuple[np.ndarray, np.ndarray]:
    """Return each vector's nearest others, exactly: cosines (n, count), the nearest first, and their places."""
    import faiss

    vectors = np.ascontiguousarray(vectors)
    cosines = np.empty((len(vectors), count), np.float32)
    places = np.empty((len(vectors), count), np.int64)
    for start in range(0, len(vectors), BLOCK):
        if cancelled():
            raise Cancelled("Stopped looking for neighbours.")
        part = vectors[start : start + BLOCK]
        close, at = faiss.knn(part, vectors, count + 1, faiss.METRIC_INNER_PRODUCT)
        # Oneself is usually the first, but not where somebody else is just the same.
        mine = at == np.arange(start, start + len(part))[:, None]
        mine[~mine.any(1), -1] = True
        cosines[start : start + len(part)] = close[~mine].reshape(len(part), count)
        places[start : start + len(part)] = at[~mine].reshape(len(part), count)
        told((start + len(part)) / len(vectors))
    return cosines, places


def close_pairs(
    vectors: np.ndarray, likeness: float, *, told: Told = untold, cancelled: Asked = never
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs of vectors with a cosine of at least ``likeness``: both places, the first lower, and cosines.

    Raises BadInput where there are too many to be looked at.
    """
    import faiss

    vectors = np.ascontiguousarray(vectors)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    total = 0
    for start in range(0, len(vectors), BLOCK):
        if cancelled():
            raise Cancelled("Stopped looking for near-duplicates.")
        part = vectors[start : start + BLOCK]
        # faiss takes what is above a radius, and rounds: what is just the same has a product a little below 1.
        limits, close, at = index.range_search(part, likeness - 1e-6)
        mine = np.repeat(np.arange(start, start + len(part)), np.diff(limits).astype(int))
        later = at > mine
        pairs.append((mine[later], at[later], close[later]))
        total += int(later.sum())
        if total > MOST_PAIRS:
            raise BadInput(
                f"More than {MOST_PAIRS:,} pairs are that much alike. Ask for a higher likeness than {likeness:g}."
            )
        told((start + len(part)) / len(vectors))
    first, second, close = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return first, second, close


def _local_outlier_factor(distances: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return Breunig's factor of each point by its neighbours: about 1 inside of a cluster, higher outside.

    As scikit-learn's LocalOutlierFactor computes it, from neighbours that are known already.
    """
    reach = np.maximum(distances, distances[places, -1])
    density = 1 / (reach.mean(1) + 1e-10)
    return (density[places] / density[:, None]).mean(1)


# ---- hashes ----------------------------------------------------------------------------------------


def perceptual_hash(picture: Image.Image) -> int:
    """Return the 64-bit hash of a picture: which of its 8 × 8 lowest frequencies are above their median."""
    from scipy.fft import dctn

    grey = np.asarray(
        picture.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.LANCZOS), np.float64
    )
    low = dctn(grey, norm="ortho")[:HASH_BITS, :HASH_BITS].ravel()
    bits = low > np.median(low[1:])  # the first is the mean brightness, which says nothing
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _hash(studio: Studio, record: ImageRecord | None) -> int | None:
    """Return the hash of an image by its thumbnail, None where that cannot be read."""
    if record is None:
        return None
    if record.digest not in _HASHES:
        try:
            with Image.open(os.fspath(studio.store.thumbnail_path(record))) as picture:
                _HASHES[record.digest] = perceptual_hash(picture)
        except (OSError, ValueError, SyntaxError):
            return None
        while len(_HASHES) > MOST_HASHES:
            _HASHES.popitem(last=False)
    return _HASHES.get(record.digest)


def _agree(first: int | None, second: int | None, differing: int) -> bool:
    return first is not None and second is not None and (first ^ second).bit_count() <= differing


def _groups(
    found: Collection,
    records: dict[str, ImageRecord],
    first: np.ndarray,
    second: np.ndarray,
    close: np.ndarray,
) -> list[Group]:
    """Return what pairs join, each group with its best first."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(first):
        return []
    places, numbers = np.unique(np.concatenate([first, second]), return_inverse=True)
    ends = numbers[: len(first)], numbers[len(first) :]
    graph = coo_matrix((np.ones(len(first), bool), ends), (len(places), len(places)))
    _, owner = connected_components(graph, directed=False)
    least = np.ones(owner.max() + 1)
    np.minimum.at(least, owner[ends[0]], close)
    members: dict[int, list[int]] = {}
    for place, group in zip(places.tolist(), owner.tolist(), strict=True):
        members.setdefault(group, []).append(place)
    groups = [
        Group(_best_first([records[found.ids[p]] for p in each]), float(min(1.0, least[number])))
        for number, each in members.items()
    ]
    return sorted(groups, key=lambda group: (-len(group.ids), -group.likeness))


def _best_first(records: Sequence[ImageRecord]) -> tuple[str, ...]:
    def merit(record: ImageRecord) -> tuple[int, int, int, float]:
        labelled = record.count > 0 or record.status == "done"
        return -record.width * record.height, -labelled, -record.drafts, record.added.timestamp()

    return tuple(record.id for record in sorted(records, key=merit))
