"""Where to cut a ranking, from a handful of images that somebody marked right or wrong, and how far to trust it.

The chance that an image of a score is right is taken to rise with the score along a logistic curve (Platt,
Probabilistic Outputs for Support Vector Machines, 1999). Where its middle lies and how steep it is, is not fitted but
weighed: each of some thousand curves by how well it goes with the marks, and by a prior that keeps it sane where there
are few of them, or only right ones (Gelman et al., Bayesian Data Analysis, section 3.7, does so on a grid as well).
Precision and recall of a threshold are then what such curves expect over all images of the collection, not over those
that happen to be marked; 90 % of the curves, by weight, lie in the interval that is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from studio.errors import BadInput, unknown
from studio.operations.filtering.search import Ranking

Wish = Literal["precision", "recall"]
DRAWS = 400  # curves, drawn by their weights
INTERVAL = (5, 95)  # percentiles of the draws
# In units of the collection's scores: those of most images lie between −2 and 2, and what is sought above most.
MIDDLES, MIDDLE, MIDDLE_SPREAD = np.linspace(-4.0, 8.0, 97), 1.5, 2.5
SLOPES, SLOPE, SLOPE_SPREAD = np.geomspace(0.3, 30.0, 41), 4.0, 0.9  # the spread is of its logarithm
LEAST = 2  # marks from which a threshold is proposed
SURE = 0.15  # width of the interval on either side up to which nothing more is asked for
CUTS = 512  # thresholds that are compared
MOST_MARKS = 5000


@dataclass(frozen=True)
class Mark:
    """What somebody said of an image: whether it is what was looked for."""

    image: str
    right: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Mark:
        """Read a mark. Raises BadInput."""
        try:
            return cls(str(data["image"]), bool(data["right"]))
        except (KeyError, TypeError):
            raise BadInput("A mark names an image, and says whether it is right.") from None


@dataclass(frozen=True)
class Advice:
    """A threshold, and what to expect of it: ``precision`` and ``recall`` as expected, least and most (90 %).

    ``kept`` images reach it. ``sure`` says that the wish is met with room for no more than a small error; else
    ``sentence`` says what would help.
    """

    threshold: float
    precision: tuple[float, float, float]
    recall: tuple[float, float, float]
    kept: int
    sure: bool
    sentence: str


def advise(ranking: Ranking, marks: Sequence[Mark], *, wish: Wish = "precision", at: float = 0.9) -> Advice:
    """Return the lowest threshold of a wished precision, or the highest of a wished recall.

    Marks of images that are not in the ranking are passed over. Raises BadInput for fewer than 2 marks.
    """
    if wish not in ("precision", "recall"):
        raise unknown("wish", wish, ("precision", "recall"))
    if not 0 < at < 1:
        raise BadInput(f"A wished {wish} lies between 0 and 1; this one is {at:g}.")
    places, right = _places(ranking, marks)
    if len(places) < LEAST:
        raise BadInput(
            "Mark some images right or wrong first: two at least, some ten for a threshold to rely on."
        )
    values = _standard(ranking)
    ends = _cuts(ranking)
    precision, recall = _curves(ranking, values, ends, *_drawn(values[places], right))
    chosen = _chosen((precision if wish == "precision" else recall).mean(0), wish, at)
    expected = (_spread(precision[:, chosen]), _spread(recall[:, chosen]))
    kept = int(ends[chosen])
    mine = expected[0] if wish == "precision" else expected[1]
    reached = mine[0] >= at - 1e-9
    sure = reached and max(mine[0] - mine[1], mine[2] - mine[0]) <= SURE
    sentence = _sentence(wish, at, mine, right, reached, sure)
    return Advice(_between(ranking, kept), *expected, kept, sure, sentence)


def to_mark(ranking: Ranking, marks: Sequence[Mark] = (), count: int = 8) -> list[str]:
    """Return images whose marks would tell most: spread over the scores at first, then where right turns to wrong."""
    places, right = _places(ranking, marks)
    done = set(places.tolist())
    total = len(ranking.order)
    if len(places) < LEAST or right.all() or not right.any():
        # Most of a collection is usually wrong: places grow by a factor, so that the top is looked at closely.
        wanted = np.unique(np.geomspace(1, total, min(total, 3 * count)).astype(int) - 1) if total else []
        spread = [int(ranking.order[i]) for i in wanted if int(ranking.order[i]) not in done]
        step = max(1, len(spread) // count)
        return [ranking.collection.ids[i] for i in spread[::step][:count]]
    values = _standard(ranking)
    middle, slope = _drawn(values[places], right)
    steps = np.linspace(values.min(), values.max(), CUTS)  # a million images need not each be asked
    chances = _logistic(slope[:, None] * (steps - middle[:, None])).mean(0)
    doubt = np.abs(np.interp(values, steps, chances) - 0.5)
    doubt[list(done)] = np.inf
    near = np.argsort(doubt, kind="stable")[: 4 * count]
    near = near[np.isfinite(doubt[near])]
    step = max(1, len(near) // count)  # not eight near copies of each other
    return [ranking.collection.ids[i] for i in near[::step][:count]]


def _places(ranking: Ranking, marks: Sequence[Mark]) -> tuple[np.ndarray, np.ndarray]:
    """Return where the marked images stand in the collection, and whether they are right; the last mark counts."""
    if len(marks) > MOST_MARKS:
        raise BadInput(f"At most {MOST_MARKS:,} marks are used; these are {len(marks):,}.")
    last = {mark.image: mark.right for mark in marks}
    found = [
        (place, right)
        for image, right in last.items()
        if (place := ranking.collection.place(image)) is not None
    ]
    return np.array([p for p, _ in found], int), np.array([r for _, r in found], bool)


def _standard(ranking: Ranking) -> np.ndarray:
    """Return scores in units of the collection's spread, from its mean."""
    scores = ranking.scores.astype(np.float64)
    return (scores - scores.mean()) / max(float(scores.std()), 1e-9)


def _drawn(values: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw curves by how well they go with marks: their middles and slopes, (DRAWS,) each; the same ones each time."""
    middle, slope = (each.ravel() for each in np.meshgrid(MIDDLES, SLOPES, indexing="ij"))
    weights = (
        -0.5 * ((middle - MIDDLE) / MIDDLE_SPREAD) ** 2 - 0.5 * (np.log(slope / SLOPE) / SLOPE_SPREAD) ** 2
    )
    for value, yes in zip(values, right, strict=True):
        off = slope * (value - middle)
        weights = weights - np.logaddexp(0, -off if yes else off)
    share = np.exp(weights - weights.max())
    # At even steps through what they sum up to, rather than by chance: so few draws as these then do.
    total = np.cumsum(share)
    at = np.searchsorted(total, (np.arange(DRAWS) + 0.5) / DRAWS * total[-1])
    return middle[at], slope[at]


def _cuts(ranking: Ranking) -> np.ndarray:
    """Return how many of the best images each of the compared thresholds keeps: each number at first, then fewer."""
    total = len(ranking.order)
    return np.unique(np.geomspace(1, total, CUTS).round().astype(int))


def _curves(
    ranking: Ranking, values: np.ndarray, ends: np.ndarray, middle: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return expected precision and recall (draws, cuts) of keeping the best ``ends`` images."""
    ordered = values[ranking.order]
    # A part between two cuts is summed by its mean score where it is narrow; the collection may have a million.
    starts = np.concatenate([[0], ends[:-1]])
    sizes = (ends - starts).astype(np.float64)
    means = np.add.reduceat(ordered, starts) / sizes
    sums = np.cumsum(_logistic(slope[:, None] * (means - middle[:, None])) * sizes, axis=1)
    return sums / ends, sums / np.maximum(sums[:, -1:], 1e-12)


def _chosen(curve: np.ndarray, wish: Wish, at: float) -> int:
    """Return which cut meets the wish: of a precision that which keeps most, of a recall that which keeps least."""
    meets = np.flatnonzero(curve >= at)
    if wish == "precision":
        return int(meets[-1]) if len(meets) else int(curve.argmax())
    return int(meets[0]) if len(meets) else len(curve) - 1


def _spread(draws: np.ndarray) -> tuple[float, float, float]:
    low, high = np.percentile(draws, INTERVAL)
    expected = float(draws.mean())
    return expected, min(float(low), expected), max(float(high), expected)


def _between(ranking: Ranking, kept: int) -> float:
    """Return a threshold that keeps so many of the best, half way to the next one's score where these differ."""
    last = np.float32(ranking.scores[ranking.order[kept - 1]])
    if kept == len(ranking.order):
        return float(last)
    following = np.float32(ranking.scores[ranking.order[kept]])
    middle = np.float32((last + following) / 2)
    return float(middle if following < middle <= last else last)


def _sentence(
    wish: Wish, at: float, mine: tuple[float, float, float], right: np.ndarray, reached: bool, sure: bool
) -> str:
    told = f"{wish.capitalize()} {mine[0]:.0%} expected, {mine[1]:.0%} to {mine[2]:.0%} likely"
    if right.all():
        return f"{told}. All {len(right)} marks are right: mark some wrong ones too, further down."
    if not right.any():
        return (
            f"{told}. All {len(right)} marks are wrong: mark some right ones too, or look for something else."
        )
    if not reached:
        return (
            f"{told}: {at:.0%} cannot be reached with these words. Try other words, or exclude what is wrong."
        )
    if not sure:
        return f"{told}, from {len(right)} marks. Mark some more near the threshold to be surer."
    return f"{told}, from {len(right)} marks."


def _logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -60, 60)))
