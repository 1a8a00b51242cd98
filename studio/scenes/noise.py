"""Smooth random fields that look the same at every size, because their grids do not depend on it."""

from __future__ import annotations

import cv2
import numpy as np

GRID = 64  # cells of the repeating random grid


def field(rng: np.random.Generator) -> np.ndarray:
    """Return a repeating random grid to be sampled by ``smooth``."""
    return rng.random((GRID, GRID)).astype(np.float32)


def smooth(grid: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the grid's values at (x, y) in cells, interpolated, 0 to 1, of the shape of x."""
    size = grid.shape[0]
    wrapped = cv2.copyMakeBorder(grid, 0, 2, 0, 2, cv2.BORDER_WRAP)
    across, down = np.mod(x, size).astype(np.float32), np.mod(y, size).astype(np.float32)
    return cv2.remap(wrapped, _eased(across), _eased(down), cv2.INTER_LINEAR)


def _eased(values: np.ndarray) -> np.ndarray:
    whole = np.floor(values)
    part = values - whole
    return whole + part * part * (3 - 2 * part)


def fractal(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, frequency: float, octaves: int = 4
) -> np.ndarray:
    """Return octaves of smooth noise added up, about 0 to 1 with a mean of 0.5."""
    total = np.zeros_like(x, dtype=np.float32)
    weight, sum_of_weights = 1.0, 0.0
    for _ in range(octaves):
        shift = rng.random(2) * GRID
        total += weight * smooth(field(rng), x * frequency + shift[0], y * frequency + shift[1])
        sum_of_weights += weight
        weight, frequency = weight * 0.5, frequency * 2.03
    return total / np.float32(sum_of_weights)


def step(low: float, high: float, values: np.ndarray) -> np.ndarray:
    """Return a smooth rise from 0 at ``low`` to 1 at ``high``; with low above high, a fall."""
    part = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    return part * part * (3 - 2 * part)


def mix(first: np.ndarray | tuple, second: np.ndarray | tuple, share: np.ndarray) -> np.ndarray:
    """Return colours between two, (h, w, 3), by a share of shape (h, w)."""
    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return a + (b - a) * share[..., None]
