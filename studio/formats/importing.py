"""What every format does with an entry it has read: find its image, scale it, cut it, or say why not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from studio.annotations import Alpha, Annotation, Box, Keypoints, Label, Mask, Polygon, Shape
from studio.errors import BadInput
from studio.formats.base import Imported, Sizes, clean, clean_class
from studio.formats.matching import Frame, Images, frame_for
from studio.geometry import clip_ring

NAMED = 1000  # so many problems of a kind are named, the others are counted
MOST_PIXELS = 200_000_000
LARGEST = 1e9
SLACK = 1.0  # a pixel over the edge is rounding, cut without a word


def number(value: Any, what: str) -> float:
    """Return a finite, sensible float. Raises BadInput that names ``what``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        shown = f" (“{clean(value[:80], 40)}”)" if isinstance(value, str) else ""
        raise BadInput(f"{what} is not a number{shown}.")
    if not -LARGEST <= value <= LARGEST:  # false for NaN too, and needs no float of a huge int
        size = "not finite" if isinstance(value, float) and not math.isfinite(value) else "beyond any image"
        raise BadInput(f"{what} holds a number that is {size}.")
    return float(value)


def numbers(values: Any, what: str, count: int | None = None) -> list[float]:
    """Return a list of finite floats, ``count`` of them if given. Raises BadInput that names ``what``."""
    if not isinstance(values, (list, tuple)) or (count is not None and len(values) != count):
        raise BadInput(f"{what} is not a list of {'numbers' if count is None else f'{count} numbers'}.")
    if all(type(v) in (float, int) and -LARGEST <= v <= LARGEST for v in values):
        return [float(v) for v in values]
    return [number(value, what) for value in values]


def said_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Return the size a file gives for an image, None where it gives none. Raises BadInput for nonsense."""
    if width in (None, "") and height in (None, ""):
        return None
    sides = [
        text_number(v, "its size") if isinstance(v, str) else number(v, "its size") for v in (width, height)
    ]
    if min(sides) < 1:
        raise BadInput(f"its size is {sides[0]:g} × {sides[1]:g}.")
    return int(sides[0]), int(sides[1])


def text_number(text: str | None, what: str) -> float:
    """Return the number that a piece of text is. Raises BadInput that names ``what``."""
    try:
        value = float((text or "").strip()[:100])
    except ValueError:
        raise BadInput(f"{what} is not a number (“{clean(text or '', 40)}”).") from None
    return number(value, what)


class Import:
    """Collects one import. Whatever is left out goes to ``problem``, by name."""

    def __init__(self, sizes: Sizes) -> None:
        self._images = Images(sizes)
        self._annotations: dict[str, list[Annotation]] = {}
        self.files: dict[str, Callable[[], bytes]] = {}  # of alphas, by digest
        self._classes: dict[str, None] = {}
        self._problems: dict[str, list[str]] = {}
        self._more: dict[str, int] = {}
        self._unmatched: dict[tuple[str, bool], int] = {}
        self._frames: dict[tuple[str, tuple[float, float] | None], Frame | None] = {}

    def problem(self, where: str, reason: str, kind: str = "") -> None:
        """Say that something was left out or changed. Past a bound, those of one kind are only counted."""
        kind = kind or reason.partition("(")[0][:60]
        kind = kind if kind in self._problems or len(self._problems) < NAMED else "other problems"
        named = self._problems.setdefault(kind, [])
        if len(named) < NAMED:
            named.append(f"{clean(where, 300)}: {reason}")
        else:
            self._more[kind] = self._more.get(kind, 0) + 1

    def size(self, width: Any, height: Any, where: str) -> tuple[int, int] | None:
        """Return the size a file gives for an image; None where there is none, or none to be believed."""
        try:
            return said_size(width, height)
        except BadInput as error:
            self.problem(where, f"{error} The image's own size is taken.", "size")
            return None

    def add_class(self, name: Any) -> str:
        """Return a usable class name and remember it in order. Raises BadInput where there is none."""
        if isinstance(name, bool) or not isinstance(name, (str, int, float)):
            raise BadInput("its class has no name.")
        try:
            cleaned = clean_class(str(name))
        except ValueError:  # an int of thousands of digits
            cleaned = ""
        if not cleaned:
            raise BadInput("its class has no name.")
        self._classes.setdefault(cleaned)
        return cleaned

    def frame(self, name: str, said: tuple[float, float] | None, where: str) -> Frame | None:
        """Return where entries on an image go, or None; then that has been said."""
        match, several = self._images.match(name)
        if match is None:
            self._unmatched.setdefault((name, several), 0)
            return None
        if (match, said) not in self._frames:
            frame = frame_for(match, self._images.sizes[match], said)
            if isinstance(frame, str):
                self.problem(where, f"image “{match}” was left out: {frame}", "sizes")
            self._frames[match, said] = frame if isinstance(frame, Frame) else None
        frame = self._frames[match, said]
        if frame is not None:
            self._annotations.setdefault(match, [])
        return frame

    def choose(self, *names: str) -> str:
        """Return the first name that means an image of the project, else the first that is one at all."""
        named = [name for name in names if name]
        return next((name for name in named if self._images.match(name)[0] is not None), named[0])

    def missed(self, name: str, count: int = 1) -> None:
        """Count entries on an image that is not in the project."""
        match, several = self._images.match(name)
        if match is None:  # otherwise the image was refused for its size, which has been said
            self._unmatched[name, several] = self._unmatched.get((name, several), 0) + count

    def add(self, frame: Frame, class_name: str, shape: Shape, where: str, **fields: Any) -> bool:
        """Add an annotation in the image's own pixels; False, and said why, where nothing of it is left."""
        try:
            fitted = _FIT[type(shape)](shape, frame, lambda reason: self.problem(where, reason))
        except BadInput as error:
            self.problem(where, f"left out: {error}")
            return False
        self._classes.setdefault(class_name)
        annotation = Annotation(class_name, fitted, **{"source": "import", **fields})
        self._annotations[frame.name].append(annotation)
        return True

    def done(self) -> Imported:
        problems = []
        for (name, several), count in self._unmatched.items():
            why = "could be any of several images of this project" if several else "is not in this project"
            what = f"; {count:,} annotation{'s' * (count != 1)} left out" if count else ""
            problems.append(f"Image “{clean(name)}” {why}{what}.")
        for kind, named in self._problems.items():
            problems += named
            if kind in self._more:
                problems.append(f"… and {self._more[kind]:,} more like the last.")
        return Imported(self._annotations, list(self._classes), problems, self.files)


# ---- into the image ---------------------------------------------------------------------------------

Say = Callable[[str], None]


def _fit_box(box: Box, frame: Frame, say: Say) -> Box:
    if frame.scaled:
        box = Box(
            box.x0 * frame.scale_x, box.y0 * frame.scale_y, box.x1 * frame.scale_x, box.y1 * frame.scale_y
        )
    if box.width <= 0 or box.height <= 0:
        raise BadInput(f"its box has no area ({box.width:g} × {box.height:g}).")
    if box.x0 >= 0 and box.y0 >= 0 and box.x1 <= frame.width and box.y1 <= frame.height:
        return box
    cut = box.clipped(frame.width, frame.height)
    if cut.width <= 0 or cut.height <= 0:
        raise BadInput(f"its box lies outside the image ({_span(box, frame)}).")
    if max(-box.x0, -box.y0, box.x1 - frame.width, box.y1 - frame.height) > SLACK:
        say(f"its box reaches outside the image and was cut ({_span(box, frame)}).")
    return cut


def _span(box: Box, frame: Frame) -> str:
    corners = ", ".join(f"{v:g}" for v in box.xyxy)
    return f"{corners} in {frame.width} × {frame.height}"


def _fit_polygon(polygon: Polygon, frame: Frame, say: Say) -> Polygon:
    if frame.scaled:
        scale = (frame.scale_x, frame.scale_y)
        polygon = Polygon(tuple(tuple((x * scale[0], y * scale[1]) for x, y in r) for r in polygon.rings))
    rings, over, flat = [], False, 0
    for ring in polygon.rings:
        points = np.array(ring)
        lowest, highest = points.min(0), points.max(0)
        if (lowest < 0).any() or highest[0] > frame.width or highest[1] > frame.height:
            over = over or max(*-lowest, *(highest - (frame.width, frame.height))) > SLACK
            points = clip_ring(points, 0.0, 0.0, float(frame.width), float(frame.height))
            ring = tuple(map(tuple, points.tolist()))
        if len(points) >= 3 and (points.min(0) < points.max(0)).all():
            rings.append(ring)
        else:
            flat += 1
    if not rings:
        box = polygon.box
        outside = box.clipped(frame.width, frame.height).area == 0 and box.area > 0
        raise BadInput(
            f"its outline lies outside the image ({_span(box, frame)})."
            if outside
            else "its outline has no area."
        )
    if over:
        say(f"its outline reaches outside the image and was cut ({_span(polygon.box, frame)}).")
    elif flat:
        say(f"{flat} part{'s' * (flat > 1)} of its outline without an area left out.")
    return Polygon(tuple(rings))


def _fit_mask(mask: Mask, frame: Frame, say: Say) -> Mask:
    if not mask.counts[1::2].any():
        raise BadInput("its mask is empty.")
    if (mask.height, mask.width) == (frame.height, frame.width):
        return mask
    fit = frame_for(frame.name, (frame.width, frame.height), (mask.width, mask.height))
    if isinstance(fit, str):
        raise BadInput(f"its mask has another size: {fit}")
    if mask.height * mask.width > MOST_PIXELS:
        raise BadInput(f"its mask has {mask.width} × {mask.height} pixels, too many to be scaled.")
    pixels = mask.to_array().astype(np.uint8)
    resized = cv2.resize(pixels, (frame.width, frame.height), interpolation=cv2.INTER_NEAREST_EXACT)
    if not resized.any():
        raise BadInput("its mask is too small to be seen at the image's size.")
    return Mask.from_array(resized)


def _fit_keypoints(keypoints: Keypoints, frame: Frame, say: Say) -> Keypoints:
    points, outside = [], 0
    for x, y, seen in keypoints.points:
        x, y = x * frame.scale_x, y * frame.scale_y
        inside = -SLACK <= x <= frame.width + SLACK and -SLACK <= y <= frame.height + SLACK
        outside += bool(seen) and not inside
        kept = seen if inside else 0
        points.append((min(max(x, 0.0), frame.width), min(max(y, 0.0), frame.height), kept))
    if not any(seen for _, _, seen in points):
        raise BadInput("none of its keypoints lies in the image." if outside else "it has no keypoints.")
    if outside:
        say(f"{outside} of its keypoints lie outside the image and count as absent.")
    return replace(keypoints, points=tuple(points))


def _fit_alpha(alpha: Alpha, frame: Frame, say: Say) -> Alpha:
    if (alpha.height, alpha.width) != (frame.height, frame.width):
        raise BadInput(
            f"its alpha has {alpha.width} × {alpha.height} pixels, its image {frame.width} × {frame.height}: "
            "mattes are not scaled."
        )
    return alpha


def _fit_label(label: Label, frame: Frame, say: Say) -> Label:
    return label


_FIT: dict[type, Callable[[Any, Frame, Say], Shape]] = {
    Box: _fit_box,
    Polygon: _fit_polygon,
    Mask: _fit_mask,
    Keypoints: _fit_keypoints,
    Label: _fit_label,
    Alpha: _fit_alpha,
}
