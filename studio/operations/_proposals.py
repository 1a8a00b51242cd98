"""What becomes of the masks that a grid of clicks gives: which are worth showing, and which are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from studio.adapters import Candidate
from studio.annotations import Annotation, Box, Mask, Point
from studio.geometry import mask_to_rle
from studio.operations._labelled import Labelled

CRUMB = 0.02  # share of an object below which an island or a hole of it is an accident
RIM = 0.01  # share of a crop's side within which a mask counts as cut off by its edge


@dataclass(frozen=True)
class View:
    """A rectangle of an image that a model looks at for itself: whole pixels, x1 and y1 exclusive.

    ``level`` is 0 for the whole image, 1 for its quarters.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    level: int = 0

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0


@dataclass(frozen=True)
class Proposal:
    """An object that was found. ``score`` is the model's own estimate, ``stability`` None where it has none."""

    mask: Mask
    score: float
    stability: float | None = None
    level: int = 0

    @property
    def rank(self) -> tuple[int, float]:
        """Of two that are the same, the one with the higher rank stays: the nearer look, the surer answer."""
        return self.level, self.score * (1.0 if self.stability is None else self.stability)


class Sieve:
    """Takes candidates in as they come and says which objects they amount to.

    The outcome does not depend on the order or the portions in which they come. ``smallest`` and ``largest`` are
    shares of the image, ``same`` the IoU above which two masks are one object.

    ``agreement`` is for models that do not say how stable a mask is: above 0, an object counts where at least two of
    the clicks that lie on it gave it, and at least this share of them.
    """

    def __init__(
        self,
        height: int,
        width: int,
        labelled: Sequence[Annotation] = (),
        *,
        smallest: float,
        largest: float,
        same: float,
        agreement: float = 0.0,
    ) -> None:
        self._size = (height, width)
        self._limits = {"smallest": smallest, "largest": largest, "same": same}
        self._areas = (max(1.0, smallest * height * width), largest * height * width)
        self._agreement = agreement
        self._labelled = Labelled(labelled, height, width)
        self._all: list[Proposal] = []
        self._packed: list[dict[str, object]] = []
        self._orders: list[tuple[object, ...]] = []
        self._alike: list[list[int]] = []  # for each the places of those it is the same as
        self._met: set[int] = set()
        self._clicks: dict[View, list[int]] = {}  # where was clicked: a pixel's place, column after column
        self._whence: list[tuple[View, int]] = []  # for each proposal the view and the click it came from

    def add(self, view: View, points: Sequence[Point], answers: Sequence[Sequence[Candidate]]) -> None:
        """Take in what the model said of each click in a view, in the view's pixels."""
        clicks = [
            (view.x0 + int(p.x)) * self._size[0] + view.y0 + int(p.y)  # the pixel, as run lengths count
            for p in points
        ]
        self._clicks.setdefault(view, []).extend(clicks)
        fresh, whence = [], []
        for click, candidates in zip(clicks, answers, strict=True):
            for candidate in candidates:
                box = candidate.mask.box
                if box is None or not self._fits(candidate.mask) or cut_off(box, view, *self._size):
                    continue
                mask = placed(candidate.mask, view, *self._size)
                fresh.append(Proposal(mask, candidate.score, candidate.stability, view.level))
                whence.append((view, click))
        met = self._labelled.among([p.mask for p in fresh])
        self._met.update(place for place in met if place is not None)
        new = [i for i, place in enumerate(met) if place is None]
        self._whence += [whence[i] for i in new]
        self._keep([fresh[i] for i in new])

    @property
    def labelled(self) -> int:
        """How many objects were found again that somebody labelled before."""
        return len(self._met)

    def found(self) -> list[Proposal]:
        """Return the objects so far, one proposal each, the best first."""
        agreed = [i for i in range(len(self._all)) if self._agreement <= 0 or self._agree(i)]
        order = sorted(agreed, key=self._orders.__getitem__, reverse=True)
        kept: set[int] = set()
        for i in order:
            if not any(other in kept for other in self._alike[i]):
                kept.add(i)
        return [self._all[i] for i in order if i in kept]

    def tidied(self) -> list[Proposal]:
        """Return the objects without islands and holes too small to be meant."""
        again = Sieve(*self._size, **self._limits)
        tidy = [replace(p, mask=without_crumbs(p.mask)) for p in self.found()]
        again._keep([p for p in tidy if again._fits(p.mask)])
        return again.found()

    def _agree(self, place: int) -> bool:
        """Say whether enough of the clicks on a proposal gave the same."""
        view, own = self._whence[place]
        ends = np.cumsum(self._all[place].mask.counts, dtype=np.int64)

        def on_it(clicks: set[int]) -> int:
            return int((np.searchsorted(ends, sorted(clicks), side="right") % 2).sum())

        others = {click for seen, click in (self._whence[i] for i in self._alike[place]) if seen == view}
        agreeing = on_it(others | {own})
        return agreeing >= 2 and agreeing >= self._agreement * on_it(set(self._clicks[view]))

    def _fits(self, mask: Mask) -> bool:
        return self._areas[0] <= mask.area <= self._areas[1]

    def _keep(self, fresh: Sequence[Proposal]) -> None:
        if not fresh:
            return
        first, packed = len(self._all), [mask_to_rle(p.mask) for p in fresh]
        self._all += fresh
        self._packed += packed
        # What is equal in rank is put in order by what it is, so that the order of arrival says nothing.
        self._orders += [(*p.rank, p.mask.area, p.mask.counts.tobytes()) for p in fresh]
        self._alike += [[] for _ in fresh]
        overlaps = coco_mask.iou(packed, self._packed, [0] * len(self._packed)) > self._limits["same"]
        for row, other in zip(*np.nonzero(overlaps), strict=True):
            if other < first + row:  # each pair once
                self._alike[first + row].append(int(other))
                self._alike[other].append(int(first + row))


def cut_off(box: Box, view: View, height: int, width: int) -> bool:
    """Say whether something in a view, by its box there, goes on outside: it touches an edge inside the image."""
    across, down = max(1.0, RIM * view.width), max(1.0, RIM * view.height)
    return (
        (view.x0 > 0 and box.x0 < across)
        or (view.y0 > 0 and box.y0 < down)
        or (view.x1 < width and box.x1 > view.width - across)
        or (view.y1 < height and box.y1 > view.height - down)
    )


def placed(mask: Mask, view: View, height: int, width: int) -> Mask:
    """Return a view's mask in the whole image."""
    box = mask.box
    if box is None or (view.height, view.width) == (height, width):
        return mask if box is not None else Mask(height, width, np.array([height * width]))
    left, pixels = _columns(mask, box)
    columns = np.zeros((len(pixels), height), bool)
    columns[:, view.y0 : view.y1] = pixels
    return _from_columns(columns, view.x0 + left, height, width)


def without_crumbs(mask: Mask, share: float = CRUMB) -> Mask:
    """Return a mask without the islands and holes that are smaller than a share of it.

    Its largest island stays whatever its size, and an opening at the image's border is no hole.
    """
    box = mask.box
    if box is None:
        return mask
    left, pixels = _columns(mask, box)
    least = share * mask.area
    framed = np.pad(pixels, 1).astype(np.uint8)
    _, islands, facts, _ = cv2.connectedComponentsWithStats(framed, connectivity=8)
    areas = facts[:, cv2.CC_STAT_AREA]
    small = areas < min(least, areas[1:].max())
    small[0] = False
    framed[small[islands]] = 0
    _, holes, facts, _ = cv2.connectedComponentsWithStats(1 - framed, connectivity=4)
    small = facts[:, cv2.CC_STAT_AREA] < least
    small[[0, holes[0, 0]]] = False  # the object itself, and what lies around it
    framed[small[holes]] = 1
    return _from_columns(framed[1:-1, 1:-1].astype(bool), left, mask.height, mask.width)


def _columns(mask: Mask, box: Box) -> tuple[int, np.ndarray]:
    """Return where a mask's columns begin, and them: bool (columns, height), the others being empty."""
    left, right = int(box.x0), int(box.x1)
    start, stop = left * mask.height, right * mask.height
    ends = np.clip(np.cumsum(mask.counts, dtype=np.int64), start, stop)
    lengths = np.diff(ends, prepend=start)
    values = np.arange(lengths.size) % 2 == 1
    return left, np.repeat(values, lengths).reshape(right - left, mask.height)


def _from_columns(columns: np.ndarray, left: int, height: int, width: int) -> Mask:
    part = Mask.from_array(columns.T).counts.astype(np.int64)
    before, after = left * height, (width - left - len(columns)) * height
    part = np.concatenate(([part[0] + before], part[1:]))
    if after:
        part = np.append(part, after) if part.size % 2 == 0 else np.append(part[:-1], part[-1] + after)
    return Mask(height, width, part)
