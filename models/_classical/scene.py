"""What is kept of an image between clicks: its whole view, and closer views of small objects."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from models._classical import boundaries, regions
from models._classical.proposals import Pyramid
from models._classical.regions import Regions
from studio.annotations import Mask

DETAIL_AREA = 4_000_000  # pixels to which a larger image is reduced; its masks are drawn out smoothly
CLOSE_AREA = 60_000  # working pixels of a closer view: a twentieth of a second to make
CLOSE_UPSCALING = 4.0
CLOSER = 1.25  # least magnification that is worth a view of its own
STATES_KEPT = 64  # per image; a few hundred bytes each
VIEWS_KEPT = 12  # per model, about 3 MB each

Window = tuple[int, int, int, int]
Spot = tuple[float, float, float, int]  # x, y, radius, 1 or -1


@dataclass(frozen=True)
class State:
    """An object after some clicks: its mask at detail resolution and the spots that clicks have fixed."""

    mask: Mask
    spots: tuple[Spot, ...]
    score: float

    def pixels(self) -> np.ndarray:
        return self.mask.to_array()


@dataclass(frozen=True, eq=False)
class View:
    """A window x0, y0, x1, y1 of the detail image, worked on at its own resolution."""

    window: Window
    pyramid: Pyramid
    regions: Regions

    @property
    def size(self) -> tuple[int, int]:
        return self.regions.labels.shape

    @property
    def lab(self) -> np.ndarray:
        return self.pyramid.levels[0][..., :3]

    def inward(self, x: float, y: float) -> tuple[float, float]:
        """A point of the detail image in this view's pixels, held inside it."""
        (x0, y0, x1, y1), (high, wide) = self.window, self.size
        across, down = (x - x0) * wide / (x1 - x0), (y - y0) * high / (y1 - y0)
        return min(max(across, 0.0), wide - 0.01), min(max(down, 0.0), high - 0.01)

    def shrunk(self, mask: np.ndarray) -> np.ndarray:
        """The window's part of a detail mask, as bool at this view's size."""
        x0, y0, x1, y1 = self.window
        return resized(mask[y0:y1, x0:x1].astype(np.float32), self.size) > 0.5

    def put(self, part: np.ndarray, mask: np.ndarray, where: np.ndarray) -> None:
        """Write a soft mask of this view into a detail mask, at the pixels ``where`` (this view's size)."""
        x0, y0, x1, y1 = self.window
        size = (y1 - y0, x1 - x0)
        sharp = resized(part.astype(np.float32), size) > 0.5
        target = mask[y0:y1, x0:x1]
        chosen = resized(where.astype(np.float32), size) > 0
        target[chosen] = sharp[chosen]


@dataclass(frozen=True, eq=False)
class Scene:
    """An encoded image of ``height`` × ``width``: ``detail`` uint8 RGB and the view of all of it."""

    height: int
    width: int
    detail: np.ndarray
    whole: View
    states: OrderedDict[object, tuple[State, ...]] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def nbytes(self) -> int:
        return self.detail.nbytes + self.whole.pyramid.nbytes + self.whole.regions.nbytes

    @property
    def scale(self) -> float:
        """Detail pixels along one pixel of the image."""
        return self.detail.shape[1] / self.width

    def recall(self, key: object) -> tuple[State, ...] | None:
        with self.lock:
            if key in self.states:
                self.states.move_to_end(key)
            return self.states.get(key)

    def remember(self, key: object, states: tuple[State, ...]) -> None:
        with self.lock:
            self.states[key] = states
            while len(self.states) > STATES_KEPT:
                self.states.popitem(last=False)


class Views:
    """The closer views made last, for all images of one model; safe to use from several threads."""

    def __init__(self) -> None:
        self._views: OrderedDict[tuple[int, Window], tuple[Scene, View]] = OrderedDict()
        self._lock = threading.Lock()

    def around(self, scene: Scene, box: tuple[float, float, float, float], margin: float) -> View:
        """A view of a box (detail pixels) and ``margin`` times its longer side around; the whole where that
        shows as much.

        Windows lie on a coarse grid, so that the next click on the same object finds the view made.
        """
        window = _window(scene, box, margin)
        x0, y0, x1, y1 = window
        size = boundaries.working_size(y1 - y0, x1 - x0, CLOSE_AREA, CLOSE_UPSCALING)
        if size[0] / (y1 - y0) < CLOSER * scene.whole.size[0] / scene.detail.shape[0]:
            return scene.whole
        key = (id(scene), window)
        with self._lock:
            if key in self._views:  # the entry holds the scene, so its id is still its own
                self._views.move_to_end(key)
                return self._views[key][1]
        made = view(scene.detail, window, size)
        with self._lock:
            self._views[key] = (scene, made)
            while len(self._views) > VIEWS_KEPT:
                self._views.popitem(last=False)
        return made


def _window(scene: Scene, box: tuple[float, float, float, float], margin: float) -> Window:
    side = max(box[2] - box[0], box[3] - box[1], 8.0)
    side = 2 ** (np.ceil(2 * np.log2(side)) / 2)  # the next half power of two
    step = max(round(side / 8), 1)
    pad = margin * side
    high, wide = scene.detail.shape[:2]
    x0, y0 = (max(int((v - pad) // step) * step, 0) for v in box[:2])
    x1, y1 = (min(int(-(-(v + pad) // step)) * step, n) for v, n in ((box[2], wide), (box[3], high)))
    return min(x0, wide - 1), min(y0, high - 1), max(x1, 1), max(y1, 1)


def view(detail: np.ndarray, window: Window, size: tuple[int, int]) -> View:
    x0, y0, x1, y1 = window
    features = boundaries.extract(resized(detail[y0:y1, x0:x1], size))
    frame = detail.shape[0] * detail.shape[1] * size[0] * size[1] / ((y1 - y0) * (x1 - x0))
    return View(window, Pyramid.of(features.lab, features.boundary), regions.grow(features, frame))


def encode(image: np.ndarray) -> Scene:
    """Make the scene of an image, uint8 RGB (h, w, 3)."""
    height, width = image.shape[:2]
    shrink = min(1.0, (DETAIL_AREA / (height * width)) ** 0.5)
    detail = resized(image, (max(1, round(height * shrink)), max(1, round(width * shrink))))
    high, wide = detail.shape[:2]
    whole = view(detail, (0, 0, wide, high), boundaries.working_size(high, wide))
    return Scene(height, width, detail, whole)


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image or soft mask at (height, width): averaged when it shrinks, interpolated when it grows."""
    import cv2

    if image.shape[:2] == size:
        return image
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
