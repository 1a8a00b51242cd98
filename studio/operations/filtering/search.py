"""All images of a collection ranked by what is looked for: every score at once, so that a threshold can be dragged.

What several terms make together. Let s be the cosine of an image with a term, m and d the mean and the standard
deviation of that term's cosines over the collection: different phrases lie on different levels, and only so can they
be compared. Then p = σ(1.702 (s − m) / d), about the share of the collection that the image is above (σ is the
logistic function; 1.702 makes it follow the normal distribution). With weights w:

    all:      P = Π pᵢ^(wᵢ / W),             W the sum of the weights of what is wanted
    any:      P = 1 − Π (1 − pᵢ)^(wᵢ / w₁),   w₁ the largest of them
    exclude:  P · Π (o / (o + oⱼ))^wⱼ,        o = P / (1 − P), oⱼ = pⱼ / (1 − pⱼ)
    exclude, where nothing is wanted:  Π (1 − pⱼ)^wⱼ

The first two are and and or of independent events, weighted in the exponent as in a logarithmic opinion pool (Genest
and Zidek, Combining Probability Distributions, 1986). The third is the chance that of what is wanted and what is not
the image is the former (Bradley and Terry, 1952): "lions" without "zoo" keeps lions that a zoo has some likeness to,
and loses those that are more zoo than lion. One wanted term alone is scored by its cosine.
"""

from __future__ import annotations

import json
import struct
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from studio.operations.filtering.collection import Collection, asked, see
from studio.operations.filtering.query import Query, check, vectors
from studio.studio import Studio

BINS = 64
HEAD = 1000  # images at the top that are put in order by float64, and
MOST_NEAR = 50_000  # so many more where float32 cannot tell them from these
BLOCK = 8192
NEAR = 2e-6  # by how much a product of float32 vectors of length 1 is off at most, with some room
_LOGISTIC = 1.702


@dataclass(frozen=True, eq=False)
class Ranking:
    """Every image of a collection with its score, float32 in the collection's order; ``order`` lists them best first.

    ``counts`` (64,) are how many lie in each part of ``low`` … ``high``. The scale is "cosine", from −1 to 1, or
    "combined", from 0 to 1. At the top the order is that of float64 products.
    """

    collection: Collection
    query: Query
    scores: np.ndarray
    order: np.ndarray
    scale: Literal["cosine", "combined"]
    counts: np.ndarray
    low: float
    high: float
    seconds: float

    def top(self, count: int) -> list[tuple[str, float]]:
        """Return the ids of the best images with their scores."""
        return [(self.collection.ids[i], float(self.scores[i])) for i in self.order[: max(0, count)]]

    def above(self, threshold: float, *, below: bool = False) -> list[tuple[str, float]]:
        """Return the images that reach a threshold, or those that do not, best first."""
        reached = self.scores[self.order] >= np.float32(threshold)
        kept = self.order[~reached if below else reached]
        return [(self.collection.ids[i], float(self.scores[i])) for i in kept]

    def packed(self) -> bytes:
        """Return all of it for the page: length of a head, the head as JSON, float32 scores, uint32 order.

        Little endian; the head is filled up with blanks so that what follows lies at a multiple of 4 bytes.
        """
        found = self.collection
        head = {
            "n": len(found),
            "stamp": found.stamp,
            "scale": self.scale,
            "low": self.low,
            "high": self.high,
            "counts": self.counts.tolist(),
            "missing": found.missing,
            "hidden": found.hidden,
            "seconds": self.seconds,
        }
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 4)
        return b"".join(
            (struct.pack("<I", len(text)), text, self.scores.astype("<f4"), self.order.astype("<u4"))
        )


def rank(
    studio: Studio, person: str, project_id: str, model_id: str, query: Query, *, with_hidden: bool = False
) -> Ranking:
    """Score every image of a project for a query.

    Raises BadInput for a query that says nothing or a project that is not embedded, NotFound where an image of the
    query is gone, NotAllowed, and NeedsDownload where the model is not here.
    """
    check(query)
    see(studio, project_id, person)
    started = time.perf_counter()
    terms = vectors(studio, project_id, model_id, query)  # first: it may give an image its vector
    found = asked(studio, person, project_id, model_id, with_hidden=with_hidden)
    return ranked(found, query, terms, started)


def ranked(found: Collection, query: Query, terms: np.ndarray, started: float | None = None) -> Ranking:
    """Score a collection by the unit vectors of a query's terms, (k, d)."""
    started = time.perf_counter() if started is None else started
    products = found.products(terms)
    single = len(query.terms) == 1 and not query.terms[0].exclude
    head: np.ndarray
    if single:
        scores = np.ascontiguousarray(products[:, 0])
        head = _candidates(scores)
        exact = _exact(found, head, terms)[:, 0]
    else:
        levels = levels_of(products)
        scores = combined(products, levels, query).astype(np.float32)
        head = _candidates(scores)
        exact = combined(_exact(found, head, terms), levels, query)
    scores[head] = exact
    keys = -scores
    keys[head] = -np.inf  # they come first, in an order of their own
    order = np.argsort(keys).astype(np.uint32)
    order[: len(head)] = head[np.lexsort((head, -exact))]
    low, high = (float(scores[order[-1]]), float(scores[order[0]])) if len(order) else (0.0, 0.0)
    counts = np.histogram(scores.astype(np.float64), BINS, (low, max(high, low + 1e-6)))[0]
    scale = "cosine" if single else "combined"
    return Ranking(found, query, scores, order, scale, counts, low, high, time.perf_counter() - started)


def levels_of(products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each term's cosines with all images, (k,) each of (n, k)."""
    mean = products.mean(0, dtype=np.float64)
    spread = products.std(0, dtype=np.float64)
    return mean, np.maximum(spread, 1e-9)


def combined(products: np.ndarray, levels: tuple[np.ndarray, np.ndarray], query: Query) -> np.ndarray:
    """Return what the cosines (n, k) of a query's terms make together, (n,), as the module says."""
    mean, spread = levels
    strengths = (_LOGISTIC * (products.astype(np.float64) - mean) / spread).T
    pairs = list(zip(strengths, query.terms, strict=True))
    weights = [term.weight for term in query.wanted]
    if not weights:
        return np.exp(sum(term.weight * _log_logistic(-strength) for strength, term in pairs))
    if query.how == "any":
        shares = [(term.weight / max(weights), strength) for strength, term in pairs if not term.exclude]
        neither = sum(share * _log_logistic(-strength) for share, strength in shares)
        whole = _log_of_rest(neither)
    else:
        shares = [(term.weight / sum(weights), strength) for strength, term in pairs if not term.exclude]
        whole = sum(share * _log_logistic(strength) for share, strength in shares)
        neither = _log_of_rest(whole)
    odds = whole - neither
    for strength, term in pairs:
        if term.exclude:
            whole = whole + term.weight * _log_logistic(odds - strength)
    return np.exp(whole)


def _log_of_rest(logarithms: np.ndarray) -> np.ndarray:
    """Return log(1 − p) of log p."""
    return np.log(np.maximum(-np.expm1(logarithms), 1e-300))


def _log_logistic(values: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -values)


def _candidates(scores: np.ndarray) -> np.ndarray:
    """Return the places of the best HEAD images and of all that might belong there, were float32 exact."""
    if len(scores) <= HEAD:
        return np.arange(len(scores))
    least = np.partition(scores, len(scores) - HEAD)[len(scores) - HEAD]
    near = np.flatnonzero(scores >= least - NEAR)
    return near if len(near) <= MOST_NEAR else np.argpartition(-scores, MOST_NEAR)[:MOST_NEAR]


def _exact(found: Collection, places: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return the products of some images with a query's terms in float64, (n, k)."""
    parts = [places[start : start + BLOCK] for start in range(0, len(places), BLOCK)]
    return np.concatenate([found.vectors_at(part).astype(np.float64) @ terms.T for part in parts])
