"""Mattes without a download: from a trimap by pymatting, on images of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from models._images import check_image
from studio.adapters import Card, NoOptions
from studio.errors import BadInput

SOLVED = 700_000  # pixels whose system is solved at once: about 1.2 GB
NEIGHBOURS_OF = 250_000  # and of those whose neighbours in colour are sought


class ClassicalMatter:
    """Solves for the alpha where a trimap is unknown, on the CPU. Answers depend on image and trimap alone."""

    def __init__(self, solver: str, most: int = SOLVED) -> None:
        from models._matting import solving

        self._solve = getattr(solving, solver)
        self._most = most

    def matte(self, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        """Return the alpha, float32 of shape (height, width); where the trimap is 0 or 255 it is 0 or 1.

        Raises BadInput where image or trimap are not uint8 of one size, and where nothing is sure foreground or
        nothing sure background, which every one of these methods starts from.
        """
        *_, alpha = self.matte_in_steps(image, trimap)
        return alpha

    def matte_in_steps(self, image: np.ndarray, trimap: np.ndarray) -> Iterator[float | np.ndarray]:
        """Yield the share that is done, and last what ``matte`` returns."""
        from models._matting.pyramid import matte_in_steps

        check_image(image)
        check_trimap(trimap, image)
        yield from matte_in_steps(image, trimap, self._solve, self._most)


def check_trimap(trimap: np.ndarray, image: np.ndarray) -> None:
    """Raise BadInput where a trimap is not of an image's size, or leaves nothing to start from."""
    if trimap.dtype != np.uint8 or trimap.shape != image.shape[:2]:
        raise BadInput(
            f"A trimap must be uint8 of the image's size, {image.shape[:2]}; got {trimap.dtype} {trimap.shape}."
        )
    if trimap.size and ((trimap != 0) & (trimap != 255)).any():
        for level, word in ((255, "foreground"), (0, "background")):
            if not (trimap == level).any():
                raise BadInput(f"The trimap has no sure {word}. Paint some, or make the band narrower.")


def _card(card_id: str, title: str, solver: str, rank: int, note: str, most: int = SOLVED) -> Card:
    def load(folder: str | None, device: str, options: Any) -> ClassicalMatter:
        import pymatting  # noqa: F401  (a missing package should show when the model is loaded)

        return ClassicalMatter(solver, most)

    return Card(
        id=card_id,
        title=title,
        family="classical",
        roles=("matter",),
        prompts=("mask",),
        licence="part of the studio",
        load=load,
        memory_bytes=1_500_000_000,
        options=NoOptions,
        packages=("pymatting", "scipy", "opencv-python-headless"),
        note=note,
        rank=rank,
    )


CARDS = [
    _card(
        "shared-matting",
        "Shared matting (nothing to download)",
        "shared",
        50,
        "Compares each pixel with samples of both sides. Runs on any CPU; a downloaded model keeps more hair. "
        "The first matte after an installation takes up to a minute longer: its code is compiled then.",
    ),
    _card(
        "closed-form",
        "Closed-form matting (nothing to download)",
        "closed_form",
        51,
        "The classic. At its best where the unknown band is narrow and both sides are of few colours.",
    ),
    _card(
        "knn-matting",
        "KNN matting (nothing to download)",
        "nearest",
        52,
        "Goes by like colours also far away, which helps with holes and nets.",
        NEIGHBOURS_OF,
    ),
]
