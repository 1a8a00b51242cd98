"""What SAM 2.1 is taught with: drawn pictures, some of the things in them, and a person's clicks on those."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.clicks_quality import next_click
from benchmarks.demo.scenes import Drawn
from studio.scenes import CLASSES

FINER = 2  # times finer than the mask's grid is its truth, so that outlines fall between its cells
LEAST_AREA = 300  # pixels; smaller things are not learnt
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Phase:
    """A stretch of training.

    Up to ``things`` a picture are decoded, a share of ``boxes`` from their box, the others from ``clicks``
    clicks one after the other; with no things the encoder learns alone. ``dense`` is the weight of its own tasks.
    """

    side: int
    batch: int
    steps: int
    dense: float
    things: int = 0
    clicks: int = 0
    boxes: float = 0.5


@dataclass
class Batch:
    """Pictures as the network takes them, (b, 3, side, side), and what is in them."""

    phase: Phase
    pixels: torch.Tensor
    owners: list[np.ndarray]  # as Drawn.owner, turned over as the picture is
    classes: list[np.ndarray]  # class number of each owner, 0 the background's
    corners: list[np.ndarray]  # (owners, 2, 2): the box's corners as shares of the width and height
    things: Things | None = None


@dataclass
class Things:
    """Things to decode: ``picture`` (n,) numbers within the batch, ``truth`` (n, h, w) float 0 to 1.

    ``corners`` (n, 2, 2) are those of the boxes as shares of the width and height.
    """

    picture: torch.Tensor
    truth: torch.Tensor
    corners: np.ndarray

    def __getitem__(self, rows: slice) -> Things:
        return Things(self.picture[rows], self.truth[rows], self.corners[rows])

    def __len__(self) -> int:
        return len(self.picture)

    def to(self, device: torch.device) -> Things:
        return Things(self.picture.to(device), self.truth.to(device), self.corners)


def batches(scenes: Sequence[Drawn], phases: Sequence[Phase], rng: np.random.Generator) -> Iterator[Batch]:
    deck: list[int] = []
    for phase in phases:
        for _ in range(phase.steps):
            if len(deck) < phase.batch:
                deck = [int(i) for i in rng.permutation(len(scenes))]
            taken, deck = deck[: phase.batch], deck[phase.batch :]
            batch = _batch([scenes[i] for i in taken], phase, rng)
            if phase.things:
                batch.things = _things(batch, rng)
            yield batch


def _batch(scenes: Sequence[Drawn], phase: Phase, rng: np.random.Generator) -> Batch:
    pixels, owners, classes, corners = [], [], [], []
    for scene in scenes:
        across, down = (int(v) for v in rng.choice((1, -1), 2))
        image = np.ascontiguousarray(scene.image[::down, ::across])
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
        small = F.interpolate(tensor, (phase.side,) * 2, mode="bilinear", antialias=True)
        pixels.append(small)
        owners.append(np.ascontiguousarray(scene.owner[::down, ::across]))
        classes.append(np.array([0, *(1 + CLASSES.index(t.name) for t in scene.things)]))
        corners.append(np.stack([_corners(owners[-1] == i) for i in range(len(classes[-1]))]))
    floats = torch.cat(pixels).float().div_(255).sub_(torch.tensor(MEAN).view(1, 3, 1, 1))
    floats = floats.div_(torch.tensor(STD).view(1, 3, 1, 1))
    return Batch(phase, floats.contiguous(memory_format=torch.channels_last), owners, classes, corners)


def _corners(mask: np.ndarray) -> np.ndarray:
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(xs):
        return np.zeros((2, 2), np.float32)
    corners = np.array([[xs[0], ys[0]], [xs[-1] + 1, ys[-1] + 1]], np.float32)
    return corners / np.array(mask.shape[::-1], np.float32)


def _things(batch: Batch, rng: np.random.Generator) -> Things:
    """Draw some things of each picture, in random order."""
    grid = batch.phase.side // 4 * FINER
    rows = []
    for number, owner in enumerate(batch.owners):
        areas = np.bincount(owner.reshape(-1), minlength=len(batch.classes[number]))
        large = [i for i in range(1, len(areas)) if areas[i] >= LEAST_AREA]
        for i in rng.permutation(large)[: batch.phase.things]:
            mask = (owner == i).astype(np.uint8)
            truth = cv2.resize(mask * 255, (grid, grid), interpolation=cv2.INTER_AREA)
            rows.append((number, truth, batch.corners[number][i]))
    rows = [rows[i] for i in rng.permutation(len(rows))]
    truth = torch.from_numpy(np.stack([r[1] for r in rows])).float().div_(255)
    return Things(torch.tensor([r[0] for r in rows]), truth, np.stack([r[2] for r in rows]))


def first_click(truth: np.ndarray, rng: np.random.Generator) -> tuple[float, float, int]:
    """Return x, y (shares) and label of a click on the thing: in its middle, about it, or anywhere."""
    way = rng.random()
    if way < 0.7:
        jitter = rng if way > 0.35 else None
        point = next_click(truth, np.zeros_like(truth), np.zeros_like(truth), jitter)
        if point is not None:
            return point.x / truth.shape[1], point.y / truth.shape[0], 1
    ys, xs = np.nonzero(truth)
    pick = rng.integers(len(ys))
    return (xs[pick] + 0.5) / truth.shape[1], (ys[pick] + 0.5) / truth.shape[0], 1


def correction(truth: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[float, float, int]:
    """Return a click in the middle of the largest error, or about it."""
    rows, columns = (np.flatnonzero((truth != mask).any(axis)) for axis in (1, 0))
    if not len(rows):
        return first_click(truth, rng)
    y, x = rows[0], columns[0]
    part = np.s_[y : rows[-1] + 1, x : columns[-1] + 1]
    jitter = rng if rng.random() < 0.4 else None
    point = next_click(truth[part], mask[part], np.zeros_like(truth[part]), jitter)
    return (point.x + x) / truth.shape[1], (point.y + y) / truth.shape[0], int(point.positive)
