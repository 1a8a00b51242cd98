"""How likely a boundary is at each pixel, and the colour and texture features it is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WORKING_AREA = 300_000  # pixels; a boundary model on more than this changes masks little and costs seconds
MOST_UPSCALING = 2.0  # tiny pictures are enlarged, so that a region can be a few original pixels
CLUSTERS = 8  # soft colour-and-texture classes whose borders count as boundaries


@dataclass(frozen=True)
class Features:
    """Maps at the working resolution (h, w).

    ``boundary`` and ``fine`` are float32 (h, w), the former with texture and larger scales, the latter at one
    pixel's scale; ``lab`` is float32 (h, w, 3), all three in units of L* = 100; ``channels`` is float32
    (h / 2, w / 2, c), colour and texture weighed for Euclidean distances.
    """

    lab: np.ndarray
    boundary: np.ndarray
    fine: np.ndarray
    channels: np.ndarray


def working_size(
    height: int, width: int, area: int = WORKING_AREA, most: float = MOST_UPSCALING
) -> tuple[int, int]:
    """Return the (height, width) at which an image is worked on."""
    scale = min((area / (height * width)) ** 0.5, most)
    return max(1, round(height * scale)), max(1, round(width * scale))


def extract(image: np.ndarray) -> Features:
    """Make the maps of an image, uint8 RGB (h, w, 3), already at its working size.

    The boundary is the root of the structure tensor's largest eigenvalue over the layers L, a, b at two
    scales and those of a soft clustering, after the generalised boundaries of Leordeanu et al., ECCV 2012.
    """
    import cv2

    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
    layers = [np.ascontiguousarray(lab[..., i]) for i in range(3)]
    fine, middle = _gradient(layers, 1.0), _gradient(layers, 2.0)
    size = (max(1, lab.shape[1] // 2), max(1, lab.shape[0] // 2))
    stack = np.dstack([layers[0], 2 * layers[1], 2 * layers[2], *(0.15 * t for t in _textures(layers[0]))])
    channels = np.dstack([cv2.resize(c, size, interpolation=cv2.INTER_AREA) for c in cv2.split(stack)])
    classes = _gradient(_soft_classes(channels), 1.5)
    classes = cv2.resize(classes, (lab.shape[1], lab.shape[0]), interpolation=cv2.INTER_LINEAR)
    return Features(lab, fine + middle + classes, fine, channels)


def _derivatives(layer: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    smooth = cv2.GaussianBlur(layer, (0, 0), sigma)
    scale = sigma / 8  # of a 3 × 3 Sobel kernel, times sigma so that scales compare
    return (
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=scale),
        cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=scale),
    )


def _gradient(layers: list[np.ndarray], sigma: float) -> np.ndarray:
    xx = yy = xy = 0.0
    for layer in layers:
        dx, dy = _derivatives(layer, sigma)
        xx, yy, xy = xx + dx * dx, yy + dy * dy, xy + dx * dy
    return np.sqrt(np.maximum((xx + yy + np.sqrt((xx - yy) ** 2 + 4 * xy * xy)) / 2, 0))


def _textures(lightness: np.ndarray) -> list[np.ndarray]:
    """Local energy of lightness in four directions at two scales."""
    import cv2

    energies = []
    for sigma in (1.0, 2.0):
        dx, dy = _derivatives(lightness, sigma)
        for response in (dx, dy, (dx + dy) * 0.7071, (dx - dy) * 0.7071):
            energies.append(np.log1p(50 * cv2.GaussianBlur(np.abs(response), (0, 0), 2.5 * sigma)))
    return energies


def _soft_classes(channels: np.ndarray) -> list[np.ndarray]:
    """Posterior of each of a few k-means classes, fitted on a fixed draw of pixels."""
    values = channels.reshape(-1, channels.shape[2])
    centres = cluster(values, CLUSTERS)
    squares = squared_distances(values, centres)
    nearest = squares.min(1, keepdims=True)
    posterior = np.exp((nearest - squares) / (2 * max(float(nearest.mean()), 1e-6)))
    posterior /= posterior.sum(1, keepdims=True)
    return [np.ascontiguousarray(p) for p in posterior.T.reshape(len(centres), *channels.shape[:2])]


def squared_distances(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    squares = (values**2).sum(1)[:, None] - 2 * values @ centres.T + (centres**2).sum(1)[None]
    return np.maximum(squares, 0)


def cluster(values: np.ndarray, count: int, draws: int = 3000, rounds: int = 8) -> np.ndarray:
    """Return k-means centres, farthest point first: own rather than cv2's, whose random state is global."""
    picks = values[np.random.default_rng(0).integers(0, len(values), draws)].astype(np.float32)
    centres = [picks.mean(0)]
    nearest = np.full(len(picks), np.inf, np.float32)
    while len(centres) < count:
        nearest = np.minimum(nearest, ((picks - centres[-1]) ** 2).sum(1))
        # a high quantile rather than the farthest point, which is often a lone outlier
        centres.append(picks[np.argsort(nearest)[int(0.98 * (len(picks) - 1))]])
    made = np.stack(centres)
    for _ in range(rounds):
        label = squared_distances(picks, made).argmin(1)
        sizes = np.bincount(label, minlength=count)
        sums = np.stack([np.bincount(label, weights=c, minlength=count) for c in picks.T], 1)
        made[sizes > 0] = (sums[sizes > 0] / sizes[sizes > 0, None]).astype(np.float32)
    return made
