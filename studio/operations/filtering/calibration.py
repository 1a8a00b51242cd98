"""Where to cut a ranking, from a handful of images that somebody marked right or wrong, and how far to trust it.

The chance that an image of a score is right is taken to rise with the score along a logistic curve (Platt,
Probabilistic Outputs for Support Vector Machines, 1999), fitted to the marks with a prior that keeps it sane where
there are few of them, or only right ones. Precision and recall of a threshold are then what the curve expects over all
images of the collection, not over those that happen to be marked. How far they may be off is asked of 400 Bayesian
bootstraps of the marks (Rubin, The Bayesian Bootstrap, 1981): 90 % of them lie in the interval that is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from studio.errors import BadInput, unknown
from studio.operations.filtering.search import Ranking

Wish = Literal["precision", "recall"]
DRAWS = 400
INTERVAL = (5, 95)  # percentiles of the draws
STEPS = 25  # of Newton's method; it has long converged then
LEAST = 2  # marks from which a threshold is proposed
SURE = 0.15  # width of the interval on either side up to which nothing more is asked for
CUTS = 512  # thresholds that are compared
MOST_MARKS = 5000
SLOPE, LEVEL = 2.0, 4.0  # standard deviations of the prior, in units of the collection's scores


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
    values, _, _ = _standard(ranking)
    rng = np.random.default_rng(0)
    weights = np.vstack([np.ones(len(places)), rng.dirichlet(np.ones(len(places)), DRAWS) * len(places)])
    level, slope = _fitted(values[places], right, weights)
    ends = _cuts(ranking)
    precision, recall = _curves(ranking, values, ends, level, slope)
    chosen = _chosen(precision[0] if wish == "precision" else recall[0], wish, at)
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
    values, _, _ = _standard(ranking)
    level, slope = _fitted(values[places], right, np.ones((1, len(places))))
    chances = _logistic(level[0] + slope[0] * values)
    doubt = np.abs(chances - 0.5)
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


def _standard(ranking: Ranking) -> tuple[np.ndarray, float, float]:
    """Return scores in units of the collection's spread, and what they were shifted and divided by."""
    scores = ranking.scores.astype(np.float64)
    mean, spread = float(scores.mean()), max(float(scores.std()), 1e-9)
    return (scores - mean) / spread, mean, spread


def _fitted(values: np.ndarray, right: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit level + slope · value by weighted logistic regression, once for each row of weights (m, n).

    The slope's prior is centred at one standard step a unit and cut off below 0: a higher score is never worse.
    """
    level, slope = np.full(len(weights), -1.0), np.full(len(weights), 1.0)
    target = right.astype(np.float64)
    for _ in range(STEPS):
        chance = _logistic(level[:, None] + slope[:, None] * values)
        off, bend = weights * (chance - target), weights * chance * (1 - chance)
        down0, down1 = off.sum(1) + level / LEVEL**2, (off * values).sum(1) + (slope - 1) / SLOPE**2
        h00, h01 = bend.sum(1) + 1 / LEVEL**2, (bend * values).sum(1)
        h11 = (bend * values**2).sum(1) + 1 / SLOPE**2
        whole = h00 * h11 - h01**2
        step0, step1 = (h11 * down0 - h01 * down1) / whole, (h00 * down1 - h01 * down0) / whole
        long = np.maximum(1, np.hypot(step0, step1) / 2)  # far from the goal Newton's steps may leap past it
        level, slope = level - step0 / long, np.maximum(slope - step1 / long, 0.0)
    return level, slope


def _cuts(ranking: Ranking) -> np.ndarray:
    """Return how many of the best images each of the compared thresholds keeps: each number at first, then fewer."""
    total = len(ranking.order)
    return np.unique(np.geomspace(1, total, CUTS).round().astype(int))


def _curves(
    ranking: Ranking, values: np.ndarray, ends: np.ndarray, level: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return expected precision and recall (draws, cuts) of keeping the best ``ends`` images."""
    ordered = values[ranking.order]
    # A part between two cuts is summed by its mean score where it is narrow; the collection may have a million.
    starts = np.concatenate([[0], ends[:-1]])
    sizes = (ends - starts).astype(np.float64)
    means = np.add.reduceat(ordered, starts) / sizes
    sums = np.cumsum(_logistic(level[:, None] + slope[:, None] * means) * sizes, axis=1)
    return sums / ends, sums / np.maximum(sums[:, -1:], 1e-12)


def _chosen(curve: np.ndarray, wish: Wish, at: float) -> int:
    """Return which cut meets the wish: of a precision that which keeps most, of a recall that which keeps least."""
    meets = np.flatnonzero(curve >= at)
    if wish == "precision":
        return int(meets[-1]) if len(meets) else int(curve.argmax())
    return int(meets[0]) if len(meets) else len(curve) - 1


def _spread(draws: np.ndarray) -> tuple[float, float, float]:
    low, high = np.percentile(draws[1:], INTERVAL)
    expected = float(draws[0])
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
