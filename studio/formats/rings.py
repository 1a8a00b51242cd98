"""Several rings as one, for formats that hold one ring an object, and the way back."""

from __future__ import annotations

import cv2
import numpy as np

from studio.annotations import Polygon
from studio.geometry import Ring, as_rings, bridge_rings, mask_to_polygon, polygon_to_mask, signed_area

_LONGEST_RING = 20_000  # corners; cutting a longer one takes seconds and is never an object


def join_polygon(polygon: Polygon, height: int, width: int) -> np.ndarray:
    """Return one ring, float (n, 2), that fills to the same area as all rings of a polygon.

    Rings that overlap would cancel out where they are joined; those are first united as pixels.
    """
    rings = [np.asarray(ring, float) for ring in polygon.rings]
    if len(rings) > 1:
        alone = sum(polygon_to_mask(Polygon((ring,)), height, width).area for ring in polygon.rings)
        union = polygon_to_mask(polygon, height, width)
        outline = mask_to_polygon(union) if alone > union.area else None
        if outline is not None:
            rings = [np.asarray(ring) for ring in outline.rings]
    rings = [ring if signed_area(ring) >= 0 else ring[::-1] for ring in rings]
    return bridge_rings(rings[0], rings[1:])


def split_ring(points: np.ndarray, height: int, width: int) -> tuple[Ring, ...]:
    """Undo ``join_polygon``: cut a ring wherever it comes back to a corner, and bridge its holes in again.

    A ring that would not fill to the same pixels when cut (parts that touch in corners) is left whole.
    """
    if (points[0] == points[-1]).all():
        points = points[:-1]
    whole = as_rings([points])
    if len(points) > _LONGEST_RING or len(np.unique(points, axis=0)) == len(points):
        return whole
    outward = signed_area(points)
    loops = _simple_loops(points)
    parts = [loop for loop in loops if signed_area(loop) * outward >= 0]
    for hole in loops:
        if signed_area(hole) * outward < 0:
            around = [i for i, part in enumerate(parts) if _encloses(part, hole)]
            if not around:
                return whole
            smallest = min(around, key=lambda i: abs(signed_area(parts[i])))
            parts[smallest] = bridge_rings(parts[smallest], [hole])
    rings = as_rings(parts)
    same = rings and polygon_to_mask(Polygon(rings), height, width) == polygon_to_mask(
        Polygon(whole), height, width
    )
    return rings if same else whole


def _simple_loops(points: np.ndarray) -> list[np.ndarray]:
    loops: list[np.ndarray] = []
    path: list[tuple[float, float]] = []
    seen: dict[tuple[float, float], int] = {}
    corners = [tuple(point) for point in points.tolist()]
    for corner in [*corners, corners[0]]:
        if corner not in seen:
            seen[corner] = len(path)
            path.append(corner)
            continue
        loop = path[seen[corner] :]
        for passed in loop[1:]:
            del seen[passed]
        del path[seen[corner] + 1 :]
        if len(loop) >= 3:
            loops.append(np.array(loop))
    return loops[-1:] + loops[:-1]


def _encloses(part: np.ndarray, hole: np.ndarray) -> bool:
    """Say whether a few corners of ``hole`` lie in ``part``; the fill is compared afterwards anyway."""
    if (hole.min(0) < part.min(0)).any() or (hole.max(0) > part.max(0)).any():
        return False
    around = part.astype(np.float32)
    return all(cv2.pointPolygonTest(around, (float(x), float(y)), True) > -0.01 for x, y in hole[:4])
