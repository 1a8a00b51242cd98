"""From outlines to pixels and back, and how much two shapes agree.

Pixels are filled as COCO's tools fill them (pycocotools), so areas and overlaps here are the ones an
evaluation prints. A pixel at column x, row y covers x..x+1, y..y+1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from studio.annotations import Alpha, Box, Keypoints, Label, Mask, Polygon, Shape
from studio.errors import BadInput

Ring = tuple[tuple[float, float], ...]

# pycocotools allocates an entry for every fifth of a pixel along an outline and checks nothing: past this
# length, or far outside the image, it would end the whole process.
_LONGEST_OUTLINE = 4_000_000
_FARTHEST = 1e7

# ---- run lengths as COCO writes them ----------------------------------------------------------------


def counts_from_string(text: str | bytes) -> np.ndarray:
    """Decode COCO's compressed run lengths to int64; raise BadInput where the string is not sound.

    Five bits a character from "0" on, the sixth says that more follow, and from the fourth run on each is
    the difference to the run two before. pycocotools reads past the end of a cut string; this does not.
    """
    try:
        raw = text.encode("ascii") if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError:
        raise BadInput("Its compressed mask holds characters that no such mask has.") from None
    units = np.frombuffer(raw, np.uint8).astype(np.int64) - 48
    if not units.size or units.min() < 0 or units.max() > 63 or units[-1] & 32:
        raise BadInput("Its compressed mask is cut short or holds characters that no such mask has.")
    last = (units & 32) == 0
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > 7:
        raise BadInput("Its compressed mask holds a run longer than any image.")
    place = np.arange(units.size) - np.repeat(starts, lengths)
    values = np.add.reduceat((units & 31) << (5 * place), starts)
    values -= np.where(units[ends] & 16, 1 << (5 * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def mask_to_rle(mask: Mask) -> dict[str, object]:
    """Return ``{"size": [h, w], "counts": "…"}``, compressed, with counts as text."""
    plain = {"size": [mask.height, mask.width], "counts": mask.counts.tolist()}
    packed = coco_mask.frPyObjects(plain, mask.height, mask.width)
    return {"size": [mask.height, mask.width], "counts": packed["counts"].decode("ascii")}


def _packed(masks: Sequence[Mask]) -> list[dict]:
    return [
        coco_mask.frPyObjects({"size": [m.height, m.width], "counts": m.counts.tolist()}, m.height, m.width)
        for m in masks
    ]


def masks_of_values(values: np.ndarray) -> dict[int, Mask]:
    """Return the mask of each number but 0 in an integer (height, width) array, in one pass over it."""
    height, width = values.shape
    flat = np.ascontiguousarray(values.T).ravel()
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    ends = np.append(starts[1:], flat.size)
    order = np.argsort(flat[starts], kind="stable")
    numbers, first = np.unique(flat[starts][order], return_index=True)
    masks = {}
    for number, runs in zip(numbers.tolist(), np.split(order, first[1:]), strict=True):
        if number:
            borders = np.stack([starts[runs], ends[runs]], 1).ravel()
            counts = np.diff(borders, prepend=0, append=flat.size)
            masks[number] = Mask(height, width, counts if counts[-1] else counts[:-1])
    return masks


# ---- outlines to pixels -----------------------------------------------------------------------------


def clip_ring(points: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Cut a ring, float (n, 2), to a rectangle, side by side (Sutherland and Hodgman, 1974)."""
    for axis, limit, sign in ((0, x0, 1), (0, x1, -1), (1, y0, 1), (1, y1, -1)):
        depth = sign * (points[:, axis] - limit)
        inside = depth >= 0
        if inside.all():
            continue
        if not inside.any():
            return np.empty((0, 2))
        crossing = inside != np.roll(inside, -1)
        run = np.where(crossing, depth - np.roll(depth, -1), 1.0)
        cut = points + (np.where(crossing, depth, 0.0) / run)[:, None] * (np.roll(points, -1, 0) - points)
        cut[:, axis] = limit
        both = np.stack([points, cut], 1).reshape(-1, 2)
        points = both[np.stack([inside, crossing], 1).ravel()]
    return points


def polygon_to_mask(polygon: Polygon, height: int, width: int) -> Mask:
    """Fill the rings as pycocotools does and return their union; what lies outside the image is cut."""
    rings = []
    for ring in polygon.rings:
        points = np.clip(np.asarray(ring, float), -_FARTHEST, _FARTHEST)
        far = points.min() < -max(height, width) or points.max() > 2 * max(height, width)
        points = clip_ring(points, -1.0, -1.0, width + 1.0, height + 1.0) if far else points
        if len(points) >= 3:
            rings.append(points)
    if not rings:
        return Mask(height, width, np.array([height * width]))
    outline = sum(float(np.abs(np.diff(r, axis=0, append=r[:1])).max(1).sum()) + len(r) for r in rings)
    if outline > _LONGEST_OUTLINE:
        return _fill_with_opencv(rings, height, width)
    packed = coco_mask.frPyObjects([r.ravel().tolist() for r in rings], height, width)
    union = coco_mask.merge(packed) if len(packed) > 1 else packed[0]
    return Mask(height, width, counts_from_string(union["counts"]))


def _fill_with_opencv(rings: list[np.ndarray], height: int, width: int) -> Mask:
    """Fill without allocating along the outline; differs from COCO's filling on edge pixels only."""
    canvas = np.zeros((height, width), np.uint8)
    for ring in rings:
        part = np.zeros_like(canvas)
        fixed = np.round((clip_ring(ring, -1.0, -1.0, width + 1.0, height + 1.0) - 0.5) * 16)
        if len(fixed) >= 3:
            cv2.fillPoly(part, [fixed.astype(np.int32)], 1, shift=4)
        canvas |= part
    return Mask.from_array(canvas)


# ---- pixels to outlines -----------------------------------------------------------------------------


def mask_to_polygon(mask: Mask, tolerance: float = 1.0, agreement: float = 0.98) -> Polygon | None:
    """Outline a mask along the edges of its pixels; None where it is empty.

    One ring a connected part. ``tolerance`` in pixels is how far the outline may be straightened; it is
    taken back until filling the polygon gives the mask with an IoU of ``agreement`` (at 0 it gives exactly
    the mask). Holes are cut in by a bridge of no width, which any filling by even-odd or winding leaves open.
    """
    box = mask.box
    if box is None:
        return None
    left, top, right, bottom = (int(v) for v in box.xyxy)
    crop = mask.to_array()[top:bottom, left:right]
    whole = Mask.from_array(crop)
    outlines = _outlines(crop)
    polygon = None
    for step in (tolerance, tolerance / 2, tolerance / 4, 0.0):
        rings = [
            bridge_rings(_straighten(outer, step), [_straighten(hole, step) for hole in holes])
            for outer, holes in outlines
        ]
        polygon = Polygon(as_rings(rings))
        if step <= 0 or mask_iou([polygon_to_mask(polygon, *crop.shape)], [whole])[0, 0] >= agreement:
            break
    return Polygon(as_rings(ring + (left, top) for ring in rings))


def as_rings(rings: Iterable[np.ndarray]) -> tuple[Ring, ...]:
    """Return float (n, 2) arrays as the plain tuples a Polygon holds."""
    return tuple(tuple(map(tuple, ring.tolist())) for ring in rings)


def _outlines(pixels: np.ndarray) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """Return (outer ring, hole rings) of each part, float (n, 2), exactly along the pixels' edges.

    OpenCV's contours run through pixel centres and so lose half a pixel all round. On a lattice of half
    pixels, where each pixel is a 3 × 3 block sharing its rim with its neighbours, they run along the edges.
    """
    height, width = pixels.shape
    lattice = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    for dy in range(3):
        for dx in range(3):
            lattice[dy : dy + 2 * height - 1 : 2, dx : dx + 2 * width - 1 : 2] |= pixels
    contours, tree = cv2.findContours(lattice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    found = {i: (_corners(c), []) for i, c in enumerate(contours) if tree[0, i, 3] < 0}
    for i, contour in enumerate(contours):
        if tree[0, i, 3] >= 0:
            found[tree[0, i, 3]][1].append(_corners(contour))
    return list(found.values())


def _corners(contour: np.ndarray) -> np.ndarray:
    """Reduce a lattice contour to its corners in pixels, putting back the inner corners OpenCV cuts off."""
    points = contour.reshape(-1, 2).astype(np.int64)
    following = np.roll(points, -1, 0)
    slanted = (points != following).all(1)
    corner = np.stack([points[:, 0], following[:, 1]], 1)
    other = np.stack([following[:, 0], points[:, 1]], 1)
    corner = np.where((corner % 2 == 0).all(1)[:, None], corner, other)
    both = np.stack([points, corner], 1).reshape(-1, 2)
    points = both[np.stack([np.ones_like(slanted), slanted], 1).ravel()]
    turns = (np.sign(points - np.roll(points, 1, 0)) != np.sign(np.roll(points, -1, 0) - points)).any(1)
    return points[turns] / 2.0


def _straighten(ring: np.ndarray, tolerance: float) -> np.ndarray:
    if tolerance <= 0:
        return ring
    fewer = cv2.approxPolyDP(ring.astype(np.float32).reshape(-1, 1, 2), tolerance, True).reshape(-1, 2)
    return fewer.astype(float) if len(fewer) >= 3 else ring


# ---- one ring out of several ------------------------------------------------------------------------


def signed_area(ring: np.ndarray) -> float:
    """Return the shoelace area of a float (n, 2) ring; its sign is the way round."""
    x, y = (ring - ring[0]).T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def bridge_rings(ring: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Join rings into one by bridges of no width between nearest corners, walked once each way."""
    for other in others:
        near = np.square(ring - other.mean(0)).sum(1).argmin()
        start = np.square(other - ring[near]).sum(1).argmin()
        near = np.square(ring - other[start]).sum(1).argmin()
        loop = np.roll(other, -start, 0)
        ring = np.concatenate([ring[: near + 1], loop, loop[:1], ring[near:]])
    return ring


# ---- any shape ---------------------------------------------------------------------------------------


def shape_box(shape: Shape, size: tuple[int, int] | None = None) -> Box | None:
    """Return the box around a shape; None where it has no place. ``size`` is (height, width).

    With a size the box is cut to the image; a label on the whole image has none.
    """
    match shape:
        case Box():
            box: Box | None = shape
        case Alpha():
            box = shape.mask.box if shape.mask is not None else None
            box = box or Box(0, 0, shape.width, shape.height)
        case Label():
            box = None
        case _:
            box = shape.box
    return box.clipped(size[1], size[0]) if box is not None and size is not None else box


def shape_mask(shape: Shape, height: int, width: int) -> Mask:
    """Return the pixels a box, polygon or mask covers, and those where an alpha is at least a half.

    Raises BadInput for shapes without an area here.
    """
    if isinstance(shape, Alpha) and shape.mask is not None:
        shape = shape.mask
    match shape:
        case Mask():
            if (shape.height, shape.width) != (height, width):
                raise BadInput(
                    f"The mask is {shape.width} × {shape.height} pixels, its image {width} × {height}."
                )
            return shape
        case Polygon():
            return polygon_to_mask(shape, height, width)
        case Box(x0, y0, x1, y1):
            return polygon_to_mask(Polygon((((x0, y0), (x1, y0), (x1, y1), (x0, y1)),)), height, width)
        case Keypoints() | Label() | Alpha():
            raise BadInput(f"A {type(shape).__name__.lower()} covers no pixels of its own.")
    raise TypeError(f"not a shape: {type(shape).__name__}")


def shape_area(shape: Shape, size: tuple[int, int] | None = None) -> float:
    """Return the area in pixels as COCO's tools count it; ``size`` is (height, width), else all of it.

    Keypoints have the area of the box around them, a label has none.
    """
    if isinstance(shape, Alpha) and shape.mask is not None:
        shape = shape.mask
    if isinstance(shape, Mask):
        return float(shape.area)
    box = shape_box(shape, size)
    if not isinstance(shape, Polygon) or box is None:
        return box.area if box is not None else 0.0
    if size is not None:
        return float(polygon_to_mask(shape, *size).area)
    left, top = np.floor(box.xyxy[:2])
    height, width = int(np.ceil(box.y1 - top)) or 1, int(np.ceil(box.x1 - left)) or 1
    moved = Polygon(as_rings(np.asarray(ring) - (left, top) for ring in shape.rings))
    return float(polygon_to_mask(moved, height, width).area)


def box_iou(first: Sequence[Box], second: Sequence[Box]) -> np.ndarray:
    """Return the overlap of each box with each, float (n, m): intersection over union."""
    if not first or not second:
        return np.zeros((len(first), len(second)))
    a, b = (np.array([box.xywh for box in boxes], float) for boxes in (first, second))
    return np.nan_to_num(coco_mask.iou(a, b, [0] * len(b)))


def mask_iou(first: Sequence[Mask], second: Sequence[Mask]) -> np.ndarray:
    """Return the overlap of each mask with each, float (n, m). Raises BadInput where sizes differ."""
    sizes = {(m.height, m.width) for m in (*first, *second)}
    if len(sizes) > 1:
        raise BadInput(f"Masks of different sizes cannot be compared: {sorted(sizes)} (height, width).")
    if not first or not second:
        return np.zeros((len(first), len(second)))
    return np.nan_to_num(coco_mask.iou(_packed(first), _packed(second), [0] * len(second)))


def iou(first: Shape, second: Shape, height: int, width: int) -> float:
    """Return how much two shapes overlap on an image: as boxes if both are, otherwise by pixels."""
    if isinstance(first, Box) and isinstance(second, Box):
        return float(box_iou([first], [second])[0, 0])
    return float(mask_iou([shape_mask(first, height, width)], [shape_mask(second, height, width)])[0, 0])


def overlap(first: Shape, second: Shape, height: int, width: int) -> float:
    """Return how much two objects overlap: as boxes where one of them is no more than a box, otherwise by pixels."""
    if isinstance(first, Box) or isinstance(second, Box):
        boxes = [shape_box(shape, (height, width)) for shape in (first, second)]
        return float(box_iou(boxes[:1], boxes[1:])[0, 0]) if all(boxes) else 0.0
    return iou(first, second, height, width)
