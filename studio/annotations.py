"""What a label is: shapes, who made them, and how they travel as JSON. Needs numpy only.

Coordinates are absolute pixels, float, x to the right and y down, of the upright image; a box is
``x0, y0, x1, y1`` with x1 and y1 exclusive (a one-pixel box at the origin is ``0, 0, 1, 1``).
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from studio.errors import BadInput

Source = Literal["person", "model", "import"]

_DIGEST = re.compile(r"[0-9a-f]{64}")


def _finite(values: Iterable[Any], what: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"{what} holds something that is not a number, or far too large.") from None
    if not all(math.isfinite(v) for v in numbers):
        raise BadInput(f"{what} holds a number that is not finite.")
    return numbers


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle. Raises BadInput when it is not finite or turned inside out."""

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = _finite((self.x0, self.y0, self.x1, self.y1), "A box")
        if x1 < x0 or y1 < y0:
            raise BadInput(f"A box must have x0 ≤ x1 and y0 ≤ y1; got {x0:g}, {y0:g}, {x1:g}, {y1:g}.")
        for name, value in zip(("x0", "y0", "x1", "y1"), (x0, y0, x1, y1), strict=True):
            object.__setattr__(self, name, value)

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        return self.x0, self.y0, self.x1, self.y1

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        return self.x0, self.y0, self.width, self.height

    def clipped(self, width: int, height: int) -> Box:
        """Return the part inside an image; its area is 0 when the box lies wholly outside."""
        x0, x1 = (min(max(v, 0.0), float(width)) for v in (self.x0, self.x1))
        y0, y1 = (min(max(v, 0.0), float(height)) for v in (self.y0, self.y1))
        return Box(x0, y0, x1, y1)


@dataclass(frozen=True, eq=False)
class Mask:
    """A binary mask as run lengths down the columns, zeros first: COCO's uncompressed RLE.

    ``counts`` is uint32 and sums to height × width.
    """

    height: int
    width: int
    counts: np.ndarray

    def __post_init__(self) -> None:
        try:
            counts = np.asarray(self.counts)
            if counts.size and not np.issubdtype(counts.dtype, np.number):
                raise ValueError
            if counts.ndim != 1 or (counts.size and (counts.min() < 0 or (counts != np.floor(counts)).any())):
                raise ValueError
            total = int(counts.sum(dtype=np.uint64)) if counts.size else 0
        except (TypeError, ValueError, OverflowError):
            raise BadInput("A mask's run lengths must be whole numbers, none below 0.") from None
        if self.height < 1 or self.width < 1 or total != self.height * self.width:
            raise BadInput(
                f"A mask's run lengths add up to {total}, but its image has {self.height} × {self.width} "
                f"= {self.height * self.width} pixels."
            )
        counts = np.ascontiguousarray(counts, dtype=np.uint32)
        counts.setflags(write=False)
        object.__setattr__(self, "counts", counts)

    @classmethod
    def from_array(cls, array: np.ndarray) -> Mask:
        """Encode a (height, width) array; whatever is not zero belongs to the mask."""
        if array.ndim != 2:
            raise BadInput(f"A mask must have two dimensions; got shape {array.shape}.")
        height, width = array.shape
        flat = np.ascontiguousarray((array if array.dtype == bool else array != 0).T).view(np.int8).ravel()
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        counts = np.diff(np.concatenate(([0], edges, [flat.size])))
        if flat.size and flat[0]:
            counts = np.concatenate(([0], counts))
        return cls(height, width, counts)

    def to_array(self) -> np.ndarray:
        """Decode to a bool array of shape (height, width)."""
        values = np.arange(self.counts.size, dtype=np.int64) % 2 == 1
        flat = np.repeat(values, self.counts)
        return np.ascontiguousarray(flat.reshape(self.width, self.height).T)

    @property
    def area(self) -> int:
        return int(self.counts[1::2].sum(dtype=np.uint64))

    @property
    def box(self) -> Box | None:
        """The tight box around the mask, or None where it is empty."""
        ends = np.cumsum(self.counts, dtype=np.int64)
        starts, stops = ends[:-1:2], ends[1::2]
        full = stops > starts
        starts, stops = starts[full], stops[full] - 1
        if not starts.size:
            return None
        left, right = int(starts[0] // self.height), int(stops[-1] // self.height)
        spans = starts // self.height != stops // self.height
        if spans.any():  # a run that goes on into the next column touches bottom and top
            top, bottom = 0, self.height - 1
        else:
            top, bottom = int((starts % self.height).min()), int((stops % self.height).max())
        return Box(left, top, right + 1, bottom + 1)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        same_size = (self.height, self.width) == (other.height, other.width)
        return same_size and (
            np.array_equal(self.counts, other.counts) or np.array_equal(self.to_array(), other.to_array())
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Polygon:
    """One object drawn as rings of vertices; its area is the union of the rings, as in COCO.

    ``rings`` holds tuples of (x, y), at least three a ring.
    """

    rings: tuple[tuple[tuple[float, float], ...], ...]

    def __post_init__(self) -> None:
        try:
            rings = tuple(tuple(_finite(p, "A polygon") for p in ring) for ring in self.rings)
        except TypeError:
            raise BadInput("A polygon must be rings of (x, y) points.") from None
        if not rings or any(len(ring) < 3 or any(len(p) != 2 for p in ring) for ring in rings):
            raise BadInput("A polygon needs at least three (x, y) points in each ring.")
        object.__setattr__(self, "rings", rings)

    @property
    def box(self) -> Box:
        points = np.array([p for ring in self.rings for p in ring])
        return Box(*points.min(0), *points.max(0))


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Points in the order the class names them: (x, y, visibility), 0 absent, 1 hidden, 2 seen."""

    points: tuple[tuple[float, float, int], ...]

    def __post_init__(self) -> None:
        points = []
        for point in self.points:
            x, y, seen = _finite(point, "A keypoint") if len(point) == 3 else (0.0, 0.0, -1.0)
            if seen not in (0, 1, 2):
                raise BadInput("A keypoint is x, y and a visibility of 0, 1 or 2.")
            points.append((x, y, int(seen)))
        object.__setattr__(self, "points", tuple(points))

    @property
    def box(self) -> Box | None:
        seen = np.array([p[:2] for p in self.points if p[2] > 0])
        return Box(*seen.min(0), *seen.max(0)) if seen.size else None


@dataclass(frozen=True)
class Alpha:
    """An alpha matte: how much of each pixel belongs to the object.

    It is kept as a PNG of 8 or 16 bits, 0 none of it and white all of it, under its content digest in the project's
    folder, and so is the trimap that it was made from (0 background, 255 foreground, 128 unknown). ``mask`` is where
    it is at least a half: what stands for it wherever only masks are known.
    """

    height: int
    width: int
    digest: str
    trimap_digest: str | None = None
    mask: Mask | None = None

    def __post_init__(self) -> None:
        for digest in (self.digest, self.trimap_digest):
            if digest is not None and not _DIGEST.fullmatch(str(digest)):
                raise BadInput("An alpha's file is named by 64 hexadecimal digits.")
        if self.mask is not None and (self.mask.height, self.mask.width) != (self.height, self.width):
            raise BadInput(
                f"An alpha of {self.width} × {self.height} pixels has a mask of {self.mask.width} × "
                f"{self.mask.height}."
            )

    @property
    def digests(self) -> tuple[str, ...]:
        """The digests of its files."""
        return (self.digest,) if self.trimap_digest is None else (self.digest, self.trimap_digest)


@dataclass(frozen=True, slots=True)
class Label:
    """A tag on the image as a whole; it has no place in the picture."""


Shape = Box | Mask | Polygon | Keypoints | Alpha | Label


@dataclass(frozen=True, slots=True)
class Point:
    """A click: ``positive`` adds to the object, otherwise it takes away."""

    x: float
    y: float
    positive: bool = True

    def __post_init__(self) -> None:
        x, y = _finite((self.x, self.y), "A click")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "positive", bool(self.positive))


@dataclass(frozen=True)
class Prompt:
    """What a person showed a segmenter: clicks in order, a box, and the mask being corrected."""

    points: tuple[Point, ...] = ()
    box: Box | None = None
    mask: Mask | None = None
    text: str | None = None

    @property
    def empty(self) -> bool:
        return not self.points and self.box is None and self.mask is None and not self.text


@dataclass(frozen=True)
class Annotation:
    """One labelled thing on one image.

    ``draft`` marks a machine's proposal that no person has accepted. ``revision`` is counted by the
    store; 0 means it was never saved. ``created_by`` is a person's id.
    """

    class_name: str
    shape: Shape
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    source: Source = "person"
    draft: bool = False
    model: str | None = None
    model_version: str | None = None
    prompt: Prompt | None = None
    score: float | None = None
    created_by: str | None = None
    revision: int = 0

    def with_(self, **changes: Any) -> Annotation:
        return replace(self, **changes)


# ---- JSON ---------------------------------------------------------------------------------------


def shape_to_json(shape: Shape) -> dict[str, Any]:
    match shape:
        case Box():
            return {"kind": "box", "xyxy": list(shape.xyxy)}
        case Mask():
            return {"kind": "mask", "size": [shape.height, shape.width], "counts": shape.counts.tolist()}
        case Polygon():
            return {"kind": "polygon", "rings": [[list(p) for p in ring] for ring in shape.rings]}
        case Keypoints():
            return {"kind": "keypoints", "points": [list(p) for p in shape.points]}
        case Alpha():
            return {
                "kind": "alpha",
                "size": [shape.height, shape.width],
                "digest": shape.digest,
                "trimap": shape.trimap_digest,
                "mask": None if shape.mask is None else shape_to_json(shape.mask),
            }
        case Label():
            return {"kind": "label"}
    raise TypeError(f"not a shape: {type(shape).__name__}")


def shape_from_json(data: Mapping[str, Any]) -> Shape:
    """Read a shape. Raises BadInput that says what is wrong with it."""
    try:
        match data["kind"]:
            case "box":
                return Box(*data["xyxy"])
            case "mask":
                height, width = (int(v) for v in data["size"])
                return Mask(height, width, np.asarray(data["counts"]))
            case "polygon":
                return Polygon(data["rings"])
            case "keypoints":
                return Keypoints(tuple(tuple(p) for p in data["points"]))
            case "alpha":
                height, width = (int(v) for v in data["size"])
                mask = shape_from_json(data["mask"]) if data.get("mask") else None
                if mask is not None and not isinstance(mask, Mask):
                    raise BadInput("An alpha's mask must be a mask.")
                trimap = data.get("trimap")
                return Alpha(
                    height, width, str(data["digest"]), None if trimap is None else str(trimap), mask
                )
            case "label":
                return Label()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"A shape cannot be read: {type(error).__name__} {error}.") from None
    raise BadInput(f"There is no kind of shape called “{str(data['kind'])[:40]}”.")


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    data: dict[str, Any] = {"points": [[p.x, p.y, int(p.positive)] for p in prompt.points]}
    if prompt.box is not None:
        data["box"] = list(prompt.box.xyxy)
    if prompt.mask is not None:
        data["mask"] = shape_to_json(prompt.mask)
    if prompt.text:
        data["text"] = prompt.text
    return data


def prompt_from_json(data: Mapping[str, Any]) -> Prompt:
    """Read a prompt. Raises BadInput that says what is wrong with it."""
    try:
        points = tuple(Point(x, y, bool(positive)) for x, y, positive in data.get("points") or ())
        box = Box(*data["box"]) if data.get("box") else None
        mask = shape_from_json(data["mask"]) if data.get("mask") else None
        text = str(data["text"]) if data.get("text") else None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"A prompt cannot be read: {type(error).__name__} {error}.") from None
    if mask is not None and not isinstance(mask, Mask):
        raise BadInput("A prompt's mask must be a mask.")
    return Prompt(points, box, mask, text)


def annotation_to_json(annotation: Annotation) -> dict[str, Any]:
    return {
        "id": annotation.id,
        "class": annotation.class_name,
        "shape": shape_to_json(annotation.shape),
        "source": annotation.source,
        "draft": annotation.draft,
        "model": annotation.model,
        "model_version": annotation.model_version,
        "prompt": prompt_to_json(annotation.prompt) if annotation.prompt else None,
        "score": annotation.score,
        "created_by": annotation.created_by,
        "revision": annotation.revision,
    }


def annotation_from_json(data: Mapping[str, Any]) -> Annotation:
    """Read an annotation. Raises BadInput that says what is wrong with it."""
    try:
        source = data.get("source", "person")
        if source not in ("person", "model", "import"):
            raise BadInput(f"An annotation comes from a person, a model or an import, not “{source}”.")
        score = data.get("score")
        return Annotation(
            class_name=str(data["class"]),
            shape=shape_from_json(data["shape"]),
            id=str(data.get("id") or uuid.uuid4().hex),
            source=source,
            draft=bool(data.get("draft", False)),
            model=data.get("model"),
            model_version=data.get("model_version"),
            prompt=prompt_from_json(data["prompt"]) if data.get("prompt") else None,
            score=None if score is None else _finite([score], "A score")[0],
            created_by=data.get("created_by"),
            revision=int(data.get("revision") or 0),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"An annotation cannot be read: {type(error).__name__} {error}.") from None
