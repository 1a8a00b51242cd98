"""The four errors of a matte that the field compares by, where a trimap is unknown.

After Rhemann et al., A Perceptually Motivated Online Benchmark for Image Matting, 2009. Alphas are float, 0 to 1, of
shape (height, width); sums are given in thousands, as its tables have them.
"""

from __future__ import annotations

import cv2
import numpy as np

SMOOTH = 1.4  # standard deviation of the Gaussian whose derivatives are the gradient
STEP, TOLERATED = 0.1, 0.15  # of the levels at which connectivity is looked at, and of what it forgives


def sad(alpha: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    """Return the sum of absolute differences, in thousands."""
    return float(np.abs(alpha - true)[where].sum()) / 1000


def mse(alpha: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    """Return the mean squared difference."""
    return float(((alpha - true)[where] ** 2).mean()) if where.any() else 0.0


def gradient(alpha: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    """Return the sum of squared differences of the gradients' lengths, in thousands."""
    return float(((_steepness(alpha) - _steepness(true))[where] ** 2).sum()) / 1000


def connectivity(alpha: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    """Return the sum of differences in how firmly pixels hang on to the largest part of both, in thousands."""
    held = np.full(alpha.shape, -1.0)
    for step in range(1, round(1 / STEP) + 1):
        both = ((alpha >= step * STEP - 1e-9) & (true >= step * STEP - 1e-9)).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(both, connectivity=4)
        largest = (
            labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
            if count > 1
            else np.zeros_like(both, bool)
        )
        held[(held < 0) & ~largest] = (step - 1) * STEP
    held[held < 0] = 1.0
    firm = [1 - (a - held) * (a - held >= TOLERATED) for a in (alpha, true)]
    return float(np.abs(firm[0] - firm[1])[where].sum()) / 1000


def _steepness(alpha: np.ndarray) -> np.ndarray:
    reach = int(np.ceil(SMOOTH * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * SMOOTH * 0.01))))
    x = np.arange(-reach, reach + 1)
    bell = np.exp(-(x**2) / (2 * SMOOTH**2)) / (SMOOTH * np.sqrt(2 * np.pi))
    slope = -x * bell / SMOOTH**2
    kernel = np.outer(bell, slope)
    kernel /= np.sqrt((kernel**2).sum())
    along = [
        cv2.filter2D(alpha.astype(np.float64), -1, k, borderType=cv2.BORDER_REPLICATE)
        for k in (kernel, kernel.T)
    ]
    return np.hypot(*along)


ERRORS = {"sad": sad, "mse": mse, "grad": gradient, "conn": connectivity}
