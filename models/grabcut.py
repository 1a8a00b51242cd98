"""A segmenter with nothing to download: superpixels, merge trees, graph cuts, a fitted ranking."""

from __future__ import annotations

from typing import Any

import numpy as np

from models._images import check_image
from studio.adapters import Candidate, Card, Embedding, NoOptions
from studio.annotations import Prompt


class GrabCut:
    """Cuts out what clicks, a box or a mask to correct point at, by classical methods on the CPU.

    Answers are a function of the image and the prompt alone: clicks are applied in their order, the first
    positive one first. The mask holds every positive click and no negative one; where clicks of both kinds
    fall on one pixel, the later one counts.
    """

    def __init__(self) -> None:
        from models._classical.scene import Views

        self._views = Views()

    def embed(self, image: np.ndarray) -> Embedding:
        """Encode an image, uint8 RGB (h, w, 3). Raises BadInput for anything else."""
        from models._classical.scene import encode

        check_image(image)
        scene = encode(image)
        return Embedding(scene.height, scene.width, scene, scene.nbytes)

    def segment(self, embedding: Embedding, prompt: Prompt, previous: Any = None) -> list[Candidate]:
        """Return up to three candidates for a first click or a box, one for a correction, best first.

        Raises BadInput where the prompt shows no object, or a click or a mask does not fit the image.
        """
        from models._classical.answering import answer

        return answer(embedding.data, self._views, prompt, previous)


def _load(folder: str | None, device: str, options: Any) -> GrabCut:
    import cv2  # noqa: F401  (a missing package should show when the model is loaded, not at the first click)
    import scipy.sparse.csgraph  # noqa: F401
    import skimage.segmentation  # noqa: F401

    return GrabCut()


CARDS = [
    Card(
        id="grabcut",
        title="GrabCut (nothing to download)",
        family="classical",
        roles=("segmenter",),
        prompts=("point", "box", "mask"),
        licence="part of the studio",
        load=_load,
        memory_bytes=60_000_000,
        options=NoOptions,
        packages=("opencv-python-headless", "scikit-image", "scipy"),
        note="Runs on any CPU at once. It sees colours and edges; a downloaded model knows objects.",
        rank=50,
    )
]
