"""Alphas of moderate images by pymatting's linear systems and samples. Images are float64 0 to 1, (h, w, 3).

- closed form: Levin, Lischinski, Weiss, A Closed-Form Solution to Natural Image Matting, 2008;
- nearest neighbours: Chen, Li, Tang, KNN Matting, 2013;
- shared samples: Gastal, Oliveira, Shared Sampling for Real-Time Alpha Matting, 2010, whose answer then goes into the
  closed form as a soft wish, as that paper's authors propose.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Solver = Callable[[np.ndarray, np.ndarray], np.ndarray]

EXACT = 1e-5  # of the residual, at which a system counts as solved
WISH = 0.01  # how much a sample's answer weighs against the closed form, whose own terms are about 1
MOST_STEPS = 2000
NEIGHBOURS, WEIGHTS = [20, 10], [2.0, 0.1]  # as pymatting has them: how many, and how much their place counts


def closed_form(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """Return the alpha of an image, float64 (h, w), from a trimap, uint8 0, 128 and 255, that has all three."""
    return _solved(image, trimap, None)


def shared(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """Return the alpha that samples of foreground and background give, made smooth by the closed form."""
    from pymatting.alpha.estimate_alpha_sm import estimate_alpha_sm

    levels = np.select([trimap == 255, trimap == 0], [1.0, 0.0], 0.5)
    sampled = np.nan_to_num(estimate_alpha_sm(image, levels), nan=0.5)
    return _solved(image, trimap, np.clip(sampled, 0, 1).astype(np.float64))


def nearest(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """Return the alpha by which pixels of like colour and near place are of like alpha."""
    from pymatting import estimate_alpha_knn

    levels = np.select([trimap == 255, trimap == 0], [1.0, 0.0], 0.5)
    settings = {"n_neighbors": NEIGHBOURS, "distance_weights": WEIGHTS}
    return estimate_alpha_knn(image, levels, laplacian_kwargs=settings)


def _solved(image: np.ndarray, trimap: np.ndarray, wish: np.ndarray | None) -> np.ndarray:
    """Solve the closed form where the trimap is unknown, near the ``wish`` where there is one."""
    import scipy.sparse
    from pymatting import cf_laplacian, ichol

    unknown = ((trimap != 0) & (trimap != 255)).ravel()
    alpha = (trimap.ravel() == 255).astype(np.float64)
    laplacian = cf_laplacian(image, is_known=~unknown)[unknown]
    system, known = laplacian[:, unknown], laplacian[:, ~unknown]
    right = -known @ alpha[~unknown]
    start = np.full(right.shape, 0.5)
    del laplacian, known
    if wish is not None:
        start = wish.ravel()[unknown]
        system = system + WISH * scipy.sparse.identity(len(start))
        right = right + WISH * start
    system = system.tocsc()
    alpha[unknown] = np.clip(_conjugate(system, right, start, ichol(system)), 0, 1)
    return alpha.reshape(trimap.shape)


def _conjugate(system: object, right: np.ndarray, start: np.ndarray, preconditioner: object) -> np.ndarray:
    """Solve by conjugate gradients; where they do not settle in time, take what they have come to."""
    from pymatting import cg

    best = start
    least = np.inf

    def look(_: object, x: np.ndarray, *rest: object) -> None:
        nonlocal best, least
        if rest[-1] < least:
            best, least = x.copy(), rest[-1]

    try:
        return cg(system, right, x0=start, M=preconditioner, rtol=EXACT, maxiter=MOST_STEPS, callback=look)
    except ValueError:
        return best
