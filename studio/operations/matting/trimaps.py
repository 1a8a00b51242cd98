"""Trimaps: which pixels surely belong to an object, which surely do not, and which a matte is to tell apart.

The unknown band follows the object. Its half-width comes from the object's size, and is narrowed where the object is
thin and where its edge is crisp, and widened where the colours on both sides of it run into each other: hair gets a
wide band, a mug a narrow one. Arrays are uint8 of shape (height, width): 0 background, 128 unknown, 255 foreground.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np

from studio.annotations import Mask
from studio.errors import BadInput, unknown

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
NARROWEST, WIDEST = 0.25, 4.0  # of what adapts to the object
MOST_PIXELS = 500.0  # of a half-width that a person sets
SEE_THROUGH = ("glass", "bottle", "window", "net", "veil", "smoke")  # phrases that are offered
SEEN_AT = 0.3  # score from which something see-through counts as found

Level = Literal["background", "unknown", "foreground"]
_LEVELS: dict[Level, int] = {"background": BACKGROUND, "unknown": UNKNOWN, "foreground": FOREGROUND}

_LOOKED_AT = 640  # pixels of the longer side at which the edge is judged
_OF_SIZE = 0.12  # how far the band reaches at the softest edge, of the object's size (the root of its area)
_LEAST = 2.0  # pixels that it reaches at a crisp one
_INTO = 0.6  # how far it reaches inwards at most, of how far it reaches outwards
_OF_THICKNESS = 0.8  # of half a crisp part's thickness, at most, so that its middle stays foreground
_RADII = 14  # of discs that are tried for its thickness
_RINGS = 10  # distances from the edge at which colours are compared
_DEEP, _EXCESS = (
    0.05,
    0.06,
)  # how wrong colours are deep inside, where there is no telling; and by how much they
# must be more so near the edge for that to count
_STEP = 2.5  # pixels to each side of an edge between which colours jump where it is crisp
_JUMP, _NO_JUMP = 0.78, 0.6  # of the difference between both sides, at a crisp edge and at a soft one
_ALIKE = 12.0  # difference of colours, in Lab, below which an edge is hard to see
_UNSURE = 0.2  # how wrong colours count there


@dataclass(frozen=True)
class Band:
    """How wide the unknown band is, and what see-through things are looked for in it.

    ``width`` multiplies what adapts to the object. ``pixels`` is a fixed half-width instead, in pixels of the image.
    ``see_through`` are phrases such as “glass”: what ``detector`` (the default one where empty) finds by them on the
    object is unknown as a whole.
    """

    width: float = 1.0
    pixels: float | None = None
    see_through: tuple[str, ...] = ()
    detector: str = ""

    def __post_init__(self) -> None:
        if not NARROWEST <= self.width <= WIDEST:
            raise BadInput(
                f"The band's width lies between {NARROWEST:g} and {WIDEST:g}; it is {self.width:g}."
            )
        if self.pixels is not None and not 0.5 <= self.pixels <= MOST_PIXELS:
            raise BadInput(f"A band reaches 0.5 to {MOST_PIXELS:g} pixels to each side, not {self.pixels:g}.")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "see_through": list(self.see_through)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Band:
        """Read a band. Raises BadInput that says what is wrong with it."""
        try:
            words = data.get("see_through") or ()
            words = words.split(",") if isinstance(words, str) else words
            pixels = data.get("pixels")
            return cls(
                width=float(data.get("width", 1.0)),
                pixels=None if pixels is None else float(pixels),
                see_through=tuple(filter(None, (" ".join(str(word).split()) for word in words))),
                detector=str(data.get("detector") or ""),
            )
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"A trimap's settings cannot be read: {type(error).__name__} {error}.") from None


ADAPTED = Band()


@dataclass(frozen=True)
class Stroke:
    """Pixels that a person painted into a trimap, and what they are from then on."""

    level: Level
    mask: Mask

    def __post_init__(self) -> None:
        if self.level not in _LEVELS:
            raise unknown("level of a trimap", str(self.level), get_args(Level))


@dataclass(frozen=True)
class Edge:
    """What is known of an object's edge, whatever the band's width: judged once, at a small size.

    ``place`` is the part of the image that it lies in. The maps are float32, in pixels of the image: how far the band
    reaches in and out, how far a place is in and out of the smoothed outline, and half the thickness of the object.
    """

    place: tuple[slice, slice]
    inward: np.ndarray
    outward: np.ndarray
    deep: np.ndarray
    far: np.ndarray
    thickness: np.ndarray


def edge_of(image: np.ndarray, mask: np.ndarray) -> Edge:
    """Return what is known of the edge of a mask, bool (h, w), of an image, uint8 (h, w, 3).

    Raises BadInput where the mask is empty or covers the whole image.
    """
    check_mask(mask, image.shape[:2])
    place = _around(mask, WIDEST * _OF_SIZE * float(np.sqrt(mask.sum())))
    part = np.ascontiguousarray(mask[place])
    return Edge(place, *_reaches(image[place], part), _half_thickness(part, _distances(part)[0]))


def trimap_of(
    image: np.ndarray,
    mask: np.ndarray,
    band: Band = ADAPTED,
    see_through: np.ndarray | None = None,
    edge: Edge | None = None,
) -> np.ndarray:
    """Return the trimap around a mask of an image, uint8 (h, w, 3), the mask bool (h, w).

    There is always some foreground, were it a line in the middle, and some background; except that of the object and
    its band all is unknown that ``see_through`` marks, bool (h, w). ``edge`` is what ``edge_of`` returned for them, if
    it is at hand. Raises BadInput where the mask is empty or covers the whole image.
    """
    check_mask(mask, image.shape[:2])
    if band.pixels is None:
        edge = edge or edge_of(image, mask)
        place = edge.place
    else:
        place = _around(mask, band.pixels)
    trimap = np.zeros(mask.shape, np.uint8)
    part = None if see_through is None else see_through[place]
    trimap[place] = _cropped(np.ascontiguousarray(mask[place]), band, edge, part)
    if not (trimap == BACKGROUND).any():  # an object that fills the image but for a rim
        outside = _distances(mask)[1]
        trimap[outside >= max(1.0, 0.7 * float(outside.max()))] = BACKGROUND
    return trimap


def check_mask(mask: np.ndarray, size: tuple[int, int]) -> None:
    """Raise BadInput where a mask leaves nothing to tell apart, or is not of the image's size."""
    if mask.shape != size:
        raise BadInput(f"The mask is {mask.shape[1]} × {mask.shape[0]}, its image {size[1]} × {size[0]}.")
    if not mask.any():
        raise BadInput(
            "The mask is empty: there is nothing to cut out. Click the object, or draw a box around it."
        )
    if mask.all():
        raise BadInput(
            "The mask covers the whole image: no background is left to cut it out from. "
            "Take away what does not belong to the object."
        )


def painted(trimap: np.ndarray, strokes: Sequence[Stroke]) -> np.ndarray:
    """Return a trimap as a person painted it; later strokes go over earlier ones.

    Raises BadInput where a stroke is of another size.
    """
    made = trimap.copy()
    for stroke in strokes:
        if (stroke.mask.height, stroke.mask.width) != trimap.shape:
            raise BadInput(
                f"A stroke is painted on {stroke.mask.width} × {stroke.mask.height} pixels, but the trimap has "
                f"{trimap.shape[1]} × {trimap.shape[0]}."
            )
        made[stroke.mask.to_array()] = _LEVELS[stroke.level]
    return made


def check_trimap(trimap: np.ndarray) -> None:
    """Raise BadInput where a trimap has no foreground or no background to start from."""
    if not (trimap == FOREGROUND).any():
        raise BadInput("The trimap has no sure foreground. Paint some, or make the band narrower.")
    if not (trimap == BACKGROUND).any():
        raise BadInput("The trimap has no sure background. Paint some, or make the band narrower.")


def levelled(values: np.ndarray) -> np.ndarray:
    """Return a trimap of somebody else's, whatever lies between black and white as unknown."""
    return np.where(values <= 2, BACKGROUND, np.where(values >= 253, FOREGROUND, UNKNOWN)).astype(np.uint8)


# ---- how wide --------------------------------------------------------------------------------------


def _around(mask: np.ndarray, reach: float) -> tuple[slice, slice]:
    """Return the part of the image that an object's band of at most ``reach`` pixels lies in, and some more."""
    margin = int(np.ceil(1.25 * reach)) + 32
    sides = []
    for axis in (1, 0):
        there = np.flatnonzero(mask.any(axis))
        sides.append(slice(max(0, int(there[0]) - margin), int(there[-1]) + 1 + margin))
    return tuple(sides)


def _cropped(mask: np.ndarray, band: Band, edge: Edge | None, see_through: np.ndarray | None) -> np.ndarray:
    inside, outside = _distances(mask)

    def whole(small: np.ndarray) -> np.ndarray:
        return cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)

    if band.pixels is not None or edge is None:
        outward = np.full(mask.shape, band.pixels, np.float32)
        inward = np.minimum(outward, _OF_THICKNESS * _half_thickness(mask, inside, mask.shape[::-1]))
        sure = mask & (inside > inward)
        none = ~mask & (outside > outward)
    else:
        inward, outward = whole(edge.inward) * band.width, whole(edge.outward) * band.width
        thin = np.minimum(inward, _OF_THICKNESS * np.maximum(whole(edge.thickness), inside))
        sure = mask & (inside > thin) & (whole(edge.deep) >= inward)
        none = ~mask & (outside > _LEAST * band.width) & (whole(edge.far) >= outward)
    trimap = np.full(mask.shape, UNKNOWN, np.uint8)
    trimap[sure], trimap[none] = FOREGROUND, BACKGROUND
    if not sure.any():  # a thing as thin as its band: the line in its middle
        trimap[inside >= max(1.0, 0.7 * float(inside.max()))] = FOREGROUND
    if see_through is not None:
        trimap[see_through & (outside <= outward)] = UNKNOWN
    return trimap


def _reaches(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return how far the band reaches in and out at each pixel, and how far that pixel is in and out.

    All four are small, float32, in pixels of the image. The distances are those to a smoothed outline, so that the
    band is around a lock of hair and not around each hair.
    """
    size, scale = _looked_at(mask)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    largest = max(4.0, _OF_SIZE * float(np.sqrt(share.sum())))
    outline = cv2.GaussianBlur(share, (0, 0), largest / 6, borderType=cv2.BORDER_REPLICATE) > 0.5
    if not outline.any() or outline.all():
        outline = share > min(0.5, 0.5 * float(share.max()))
    distances = _distances(outline)
    wrong = _wrong(small, outline, largest)
    soft = _softness(wrong, distances, largest)
    reaches = [soft * _how_far(wrong, distance, largest) for distance in distances]
    reaches[0] = np.minimum(reaches[0], _INTO * largest)
    maps = [np.maximum(_LEAST, reach / scale) for reach in reaches] + [d / scale for d in distances]
    return tuple(np.float32(each) for each in maps)


def _wrong(image: np.ndarray, inner: np.ndarray, reach: float) -> np.ndarray:
    """Return how much each pixel looks like the other side of an outline, bool (h, w): float32, 0 not at all to 1.

    Each is placed on the line between the colours deep inside and those far outside, both as they are nearby.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    own, other = (_beyond(lab, side, reach) for side in (inner, ~inner))
    apart = own - other
    length = (apart**2).sum(-1)
    place = ((lab - other) * apart).sum(-1) / np.maximum(length, 1.0)
    alike = np.exp(-length / _ALIKE**2)  # colours say nothing where both sides look the same
    return (np.abs(np.clip(place, 0, 1) - inner) * (1 - alike) + _UNSURE * alike).astype(np.float32)


def _softness(wrong: np.ndarray, distances: Sequence[np.ndarray], largest: float) -> np.ndarray:
    """Return how little colours jump at the edge near each pixel, float32: 0 a crisp edge, 1 hair or a blur.

    Where they do jump, what changes beyond the edge is shading: the shadow that a thing throws, the light on it.
    """
    spread = max(2.0, 0.4 * largest)
    means, weights = zip(*(_mean(wrong, (d > 1) & (d <= _STEP), spread) for d in distances), strict=True)
    jump = 1 - sum(means)
    soft = np.clip((_JUMP - jump) / (_JUMP - _NO_JUMP), 0, 1)
    return np.where(np.minimum(*weights) > 1e-4, soft, 0).astype(np.float32)


def _mean(values: np.ndarray, there: np.ndarray, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of values near each pixel, where they are ``there``, and how much there was of that."""
    weight = _blurred(there.astype(np.float32), spread)
    return _blurred(values * there, spread) / np.maximum(weight, 1e-5), weight


def _how_far(wrong: np.ndarray, distance: np.ndarray, largest: float) -> np.ndarray:
    """Return up to which distance from the edge pixels of one side look like the other, float32 (h, w).

    ``distance`` is 0 on the other side. What is usual deep on this side, such as of a pattern of many colours, does
    not count.
    """
    spread = max(2.0, 0.6 * largest)

    deep, weight = _mean(wrong, (distance > largest) & (distance <= 2 * largest), spread)
    deep = np.where(weight > 1e-3, deep, _DEEP)
    reach = np.zeros(wrong.shape, np.float32)
    edges = np.geomspace(1.0, max(largest, 2.0), _RINGS)
    for nearer, farther in zip(edges[:-1], edges[1:], strict=True):
        mean, weight = _mean(wrong, (distance > nearer) & (distance <= farther), spread)
        reach[(weight > 1e-4) & (mean > deep + _EXCESS)] = farther
    return _blurred(reach, spread / 2)


def _distances(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each pixel is inside of a mask, and how far outside, float32 (h, w)."""
    whole = np.ascontiguousarray(mask).view(np.uint8)
    return tuple(cv2.distanceTransform(side, cv2.DIST_L2, 5) for side in (whole, 1 - whole))


def _looked_at(mask: np.ndarray) -> tuple[tuple[int, int], float]:
    """Return the width and height at which an object is judged, and their share of the image's."""
    height, width = mask.shape
    scale = min(1.0, _LOOKED_AT / max(height, width))
    return (max(1, round(width * scale)), max(1, round(height * scale))), scale


def _beyond(lab: np.ndarray, side: np.ndarray, reach: float) -> np.ndarray:
    """Return, for every pixel, the mean colour of one side of the edge near it, beyond the band where there is any."""
    deep = cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5)
    core = (deep > min(reach, 0.5 * float(deep.max()))).astype(np.float32)
    spread = 2.5 * max(1.0, reach)
    weight = _blurred(core, spread)
    total = _blurred(lab * core[..., None], spread)
    overall = lab[core > 0].mean(0) if core.any() else lab.mean((0, 1))
    return np.where((weight > 1e-3)[..., None], total / np.maximum(weight, 1e-3)[..., None], overall)


def _half_thickness(mask: np.ndarray, inside: np.ndarray, back: tuple[int, int] | None = None) -> np.ndarray:
    """Return half the thickness of the part of the object around each pixel, float32, in pixels of the image.

    It is the radius of the largest disc inside of the object that a pixel lies in, found at a small size, and
    brought ``back`` to a width and height.
    """
    size, scale = _looked_at(mask)
    small = cv2.resize(inside, size, interpolation=cv2.INTER_AREA) * scale
    radii = np.geomspace(1, max(2.0, float(small.max())), _RADII)
    thickness = small.copy()
    for radius in radii[radii <= small.max()]:
        middles = (small < radius).astype(np.uint8)
        within = cv2.distanceTransform(middles, cv2.DIST_L2, 5) <= radius
        thickness[within] = np.maximum(thickness[within], radius)
    thickness /= scale
    if back is None:
        return thickness
    return np.maximum(cv2.resize(thickness, back, interpolation=cv2.INTER_LINEAR), inside)


def _blurred(values: np.ndarray, spread: float) -> np.ndarray:
    """Return values, float32, smoothed by a Gaussian; a wide one is found at a smaller size, which is far quicker."""
    step = int(spread // 3)
    if step < 2 or min(values.shape[:2]) < 4 * step:
        return cv2.GaussianBlur(values, (0, 0), spread)
    size = values.shape[1::-1]
    small = cv2.resize(values, (-(-size[0] // step), -(-size[1] // step)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), spread / step), size, interpolation=cv2.INTER_LINEAR)
