"""From a mask of superpixels to one of pixels: snapped to colour edges near its outline only."""

from __future__ import annotations

import numpy as np

EDGE_SOFTNESS = 1e-3  # in squared units of L* = 100: contrasts below about 3 L* are noise


def snap(mask: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Return a soft mask float32 (h, w), 0 to 1, whose half level follows the edges of ``guide`` (h, w, 3).

    A guided filter (He et al., ECCV 2010) whose radius grows with the mask, 2 to 10 pixels.
    """
    soft = mask.astype(np.float32)
    area = int(np.count_nonzero(mask))
    if not area or area == mask.size:
        return soft
    radius = int(np.clip(0.08 * area**0.5, 2, 10))
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    pad = 2 * radius + 2
    window = (
        slice(max(int(ys[0]) - pad, 0), int(ys[-1]) + pad + 1),
        slice(max(int(xs[0]) - pad, 0), int(xs[-1]) + pad + 1),
    )
    soft[window] = np.clip(_guided(guide[window], np.ascontiguousarray(soft[window]), radius), 0, 1)
    return soft


def _guided(guide: np.ndarray, target: np.ndarray, radius: int) -> np.ndarray:
    import cv2

    size = (2 * radius + 1, 2 * radius + 1)

    def mean(a: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(a, -1, size, borderType=cv2.BORDER_REFLECT)

    planes = [np.ascontiguousarray(guide[..., c]) for c in range(3)]
    means, level = [mean(p) for p in planes], mean(target)
    covariance = [mean(p * target) - m * level for p, m in zip(planes, means, strict=True)]
    spread = {
        (a, b): mean(planes[a] * planes[b]) - means[a] * means[b] + (EDGE_SOFTNESS if a == b else 0)
        for a in range(3)
        for b in range(a, 3)
    }
    slopes = _solved(spread, covariance)
    offset = level - sum(s * m for s, m in zip(slopes, means, strict=True))
    return sum(mean(s) * p for s, p in zip(slopes, planes, strict=True)) + mean(offset)


def _solved(spread: dict[tuple[int, int], np.ndarray], right: list[np.ndarray]) -> list[np.ndarray]:
    """Solve the symmetric 3 × 3 system at every pixel by Cramer's rule."""
    a, b, c = spread[0, 0], spread[0, 1], spread[0, 2]
    d, e, f = spread[1, 1], spread[1, 2], spread[2, 2]
    aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
    dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
    scale = 1 / np.maximum(a * aa + b * bb + c * cc, 1e-12)
    x, y, z = right
    return [
        (aa * x + bb * y + cc * z) * scale,
        (bb * x + dd * y + ee * z) * scale,
        (cc * x + ee * y + ff * z) * scale,
    ]
