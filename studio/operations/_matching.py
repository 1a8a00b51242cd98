"""Things like an example, found by comparing what an embedder makes of many pieces of an image.

Any embedder serves: nothing is learnt. Windows of about the examples' sizes are laid over the image, and each is as
good a hit as its vectors are near to an example's; the best are moved and resized a little until they fit. A window is
looked at alone and with what surrounds it, since a part of a thing by itself looks like the thing. That are a thousand
pieces of an image and more, so it is slow beside a model made for this, and it tells apart what its embedder does.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from studio.adapters import Detection, Example
from studio.annotations import Box
from studio.errors import BadInput

Embed = Callable[[Sequence[np.ndarray]], np.ndarray]  # crops → unit vectors, float32 (n, d)

# Sizes that are looked for, of the examples'; the fewer where there would be too many windows.
FACTORS = (0.5, 0.63, 0.79, 1.0, 1.26, 1.59, 2.0), (0.71, 1.0, 1.41), (1.0,)
ALIKE = 1.12  # sizes whose sides differ by less than this factor are one
STEPS = (0.25, 0.35, 0.5)  # from a window to the next, of its side
WINDOWS = 900  # of an image, where that is enough
MOST_WINDOWS = 4000
AROUND = 1.5  # sides of a window together with what surrounds it, of its own
SIZE = 0.25  # what a size twice or half that of the examples takes off a score: parts of things are smaller than they
BATCH = 64  # crops embedded together
SMALLEST = 8.0  # pixels a side; below this a crop shows nothing
NESTED = 0.4  # of two boxes that share more than this of the smaller one, the weaker goes
SAME = 0.5  # of two windows that overlap more than this, the weaker is not fitted
REFINED = 16  # boxes that are fitted
ROUNDS = (0.25, 0.125, 0.0625)  # how far sides are moved in each round, of the box's own
MOST = 100  # detections of an image
# How x0, y0, x1 and y1 may move: one alone, two opposite ones along with each other, and all outwards or inwards.
WAYS = np.array(
    [
        *np.eye(4),
        *-np.eye(4),
        (1, 0, 1, 0),
        (-1, 0, -1, 0),
        (0, 1, 0, 1),
        (0, -1, 0, -1),
        (-1, -1, 1, 1),
        (1, 1, -1, -1),
    ]
)


@dataclass(frozen=True)
class Likeness:
    """What is looked for: unit vectors (n, d) of examples and (m, d) of what is not meant.

    ``sizes`` (n, 2) are those of what is to be found, and ``places`` says where these were pointed out: the digest
    of the image, and the box there as x0, y0, x1, y1.
    """

    likes: np.ndarray
    unlikes: np.ndarray
    sizes: np.ndarray
    places: tuple[tuple[bytes, tuple[float, float, float, float]], ...]


def learn(examples: Iterable[Example], embed: Embed) -> Likeness:
    """Return what examples ask for; of each no more is held than its crops.

    Raises BadInput where none is positive, or one lies outside its image.
    """
    alone, around, boxes, positive, places = [], [], [], [], []
    shown: tuple[np.ndarray | None, bytes] = (None, b"")
    for example in examples:
        box = _inside(example)
        alone.append(_crop(example.image, box).copy())
        around.append(_crop(example.image, _around(box, example.image)).copy())
        boxes.append(box)
        positive.append(example.positive)
        if example.positive:
            if shown[0] is not example.image:
                shown = example.image, _digest(example.image)
            places.append((shown[1], box))
    if not any(positive):
        raise BadInput("Give at least one example of what to look for.")
    vectors, likes = _embedded(alone, around, embed), np.array(positive)
    sought = np.array(boxes)[likes]
    return Likeness(vectors[likes], vectors[~likes], sought[:, 2:] - sought[:, :2], tuple(places))


def search(image: np.ndarray, sought: Likeness, embed: Embed, *, floor: float = 0.05) -> list[Detection]:
    """Return what is like the examples on an image, best first and unnamed.

    A score of 1 is the very image of an example, and 0 what is no more like it than the image is in the middle
    (the median of its windows), or as like something that is not meant; another size than the examples' takes a
    little off. So where the things sought fill more than
    half of an image, their scores come out low. Raises BadInput where the examples are too small for the image.
    """
    windows = np.concatenate([_own(image, sought), _windows(sought.sizes, *image.shape[:2])])
    if not len(windows):
        return []
    near, far = _likeness(image, windows, sought, embed)
    usual = float(np.median(near))
    scores = _scores(near, far, usual, windows, sought)
    # One window for each thing first, so that none goes short of its turn; then others of other sizes.
    some = _apart(windows, scores, min(floor, 0.05), NESTED)[: REFINED // 2]
    more = _apart(windows, scores, min(floor, 0.05), SAME, union=True)
    kept = list(dict.fromkeys([*some, *more]))[:REFINED]
    boxes, scores = windows[kept], scores[kept]
    for share in ROUNDS:
        boxes, scores = _fitted(image, boxes, scores, sought, embed, usual, share)
    kept = [i for i in _apart(boxes, scores, floor, NESTED)][:MOST]
    return [Detection("", float(scores[i]), Box(*map(float, boxes[i]))) for i in kept]


def detect_like(
    images: Sequence[np.ndarray], examples: Sequence[Example], embed: Embed, *, floor: float = 0.05
) -> list[list[Detection]]:
    """Return the detections of each image as an example detector does, by an embedder's image tower."""
    sought = learn(examples, embed)
    return [search(image, sought, embed, floor=floor) for image in images]


def _inside(example: Example) -> tuple[float, float, float, float]:
    box = example.box.clipped(example.image.shape[1], example.image.shape[0])
    if not box.area:
        raise BadInput("An example lies outside its image, or its box has no area.")
    return box.xyxy


def _own(image: np.ndarray, sought: Likeness) -> np.ndarray:
    """Return the boxes (n, 4) of the examples that were pointed out on this very image."""
    key = _digest(image)
    return np.array([box for shown, box in sought.places if shown == key]).reshape(-1, 4)


def _digest(image: np.ndarray) -> bytes:
    made = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    made.update(np.ascontiguousarray(image))
    return made.digest()


def _sizes(shown: np.ndarray, factors: Sequence[float], height: int, width: int) -> np.ndarray:
    """Return the sizes (k, 2) to look for on an image: those shown (n, 2), larger and smaller, each once."""
    kept: list[np.ndarray] = []
    for size in sorted(
        tuple(np.minimum(side * factor, (width, height))) for side in shown for factor in factors
    ):
        alike = any(np.abs(np.log(np.array(size) / other)).max() < np.log(ALIKE) for other in kept)
        if not alike and min(size) >= min(SMALLEST, width, height):
            kept.append(np.array(size))
    return np.array(kept).reshape(-1, 2)


def _windows(shown: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the windows (n, 4) of an image, as x0, y0, x1, y1 within it: a grid for each size, as fine as can be.

    Raises BadInput where the examples are so small on it that there would be too many.
    """
    grids: list[np.ndarray] = []
    for factors, step in itertools.product(FACTORS, STEPS):
        grids = [_grid(w, h, width, height, step) for w, h in _sizes(shown, factors, height, width)]
        if sum(map(len, grids)) <= WINDOWS:
            break
    count = sum(map(len, grids))
    if count > MOST_WINDOWS:
        raise BadInput(
            f"The example is too small for this image of {width}×{height}: {count} places would have to be compared. "
            "Search a part of the image, or in tiles, or choose a model that takes examples."
        )
    return np.concatenate(grids) if grids else np.zeros((0, 4))


def _grid(w: float, h: float, width: int, height: int, step: float) -> np.ndarray:
    across = np.linspace(0, width - w, 1 + int(np.ceil((width - w) / (w * step))))
    down = np.linspace(0, height - h, 1 + int(np.ceil((height - h) / (h * step))))
    x, y = (part.ravel() for part in np.meshgrid(across, down))
    return np.stack([x, y, x + w, y + h], axis=1)


def _crop(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    x0, y0 = (int(v) for v in box[:2])
    return image[y0 : max(y0 + 1, round(box[3])), x0 : max(x0 + 1, round(box[2]))]


def _around(box: Sequence[float], image: np.ndarray) -> tuple[float, float, float, float]:
    """Return a box with what surrounds it, as far as the image goes."""
    x0, y0, x1, y1 = box
    right, down = (x1 - x0) * (AROUND - 1) / 2, (y1 - y0) * (AROUND - 1) / 2
    height, width = image.shape[:2]
    return max(0, x0 - right), max(0, y0 - down), min(width, x1 + right), min(height, y1 + down)


def _embedded(alone: Sequence[np.ndarray], around: Sequence[np.ndarray], embed: Embed) -> np.ndarray:
    """Return unit vectors (n, d) that say what boxes show by themselves and, just as much, with their surroundings."""
    crops = [*alone, *around]
    vectors = np.concatenate([embed(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)])
    return np.concatenate([vectors[: len(alone)], vectors[len(alone) :]], axis=1) / np.sqrt(2)


def _likeness(
    image: np.ndarray, boxes: np.ndarray, sought: Likeness, embed: Embed
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each box (n, 4) how near it is to what is sought, and to what is not meant: cosines (n,)."""
    alone, around = (
        [_crop(image, box) for box in boxes],
        [_crop(image, _around(box, image)) for box in boxes],
    )
    vectors = _embedded(alone, around, embed)
    near = (vectors @ sought.likes.T).max(1)
    far = (vectors @ sought.unlikes.T).max(1) if len(sought.unlikes) else np.full(len(boxes), -1.0)
    return near, far


def _scores(
    near: np.ndarray, far: np.ndarray, usual: float, boxes: np.ndarray, sought: Likeness
) -> np.ndarray:
    base = np.maximum(far, usual)
    sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1).clip(1e-6))
    shown = np.sqrt(sought.sizes.prod(1))
    off = np.abs(np.log2(sides[:, None] / shown)).min(1)
    return np.clip((near - base) / np.maximum(1 - base, 1e-6) - SIZE * off, 0, 1)


def _fitted(
    image: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    sought: Likeness,
    embed: Embed,
    usual: float,
    share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and scores after each was moved, enlarged and narrowed by a share of its size, where that helps."""
    if not len(boxes):
        return boxes, scores
    height, width = image.shape[:2]
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    tried = boxes[:, None] + WAYS * sides[:, None] * share
    tried = tried.clip(0, [width, height, width, height])
    whole = ((tried[..., 2:] - tried[..., :2]) >= min(SMALLEST, width, height)).all(-1)
    tried[~whole] = np.broadcast_to(boxes[:, None], tried.shape)[~whole]
    flat = tried.reshape(-1, 4)
    found = _scores(*_likeness(image, flat, sought, embed), usual, flat, sought).reshape(len(boxes), -1)
    best = found.argmax(1)
    rows = np.arange(len(boxes))
    better = found[rows, best] > scores
    return (
        np.where(better[:, None], tried[rows, best], boxes),
        np.where(better, found[rows, best], scores),
    )


def _apart(
    boxes: np.ndarray, scores: np.ndarray, floor: float, most: float, *, union: bool = False
) -> list[int]:
    """Return the numbers of boxes of at least a score, best first, none sharing more than ``most`` with a better one.

    What they share is taken of the smaller one, or of both together where ``union``.
    """
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= floor]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    kept: list[int] = []
    for i in order:
        low, high = np.maximum(boxes[kept, :2], boxes[i, :2]), np.minimum(boxes[kept, 2:], boxes[i, 2:])
        shared = (high - low).clip(0).prod(1)
        whole = areas[kept] + areas[i] - shared if union else np.minimum(areas[kept], areas[i])
        if not (shared > most * whole).any():
            kept.append(int(i))
    return kept
