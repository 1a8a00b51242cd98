"""A classifier over networks of ultralytics: scores as its own predictor gives them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from models._images import check_image
from studio.adapters import ClassScore

BATCH = 32  # images that go through the network at once


class YoloClassifier:
    """A classifier over a network of ultralytics. On a graphics card it computes in float16.

    An image is made so small that its shorter side is ``side``, and its middle is looked at.
    """

    def __init__(
        self,
        network: Any,
        names: Sequence[str],
        side: int,
        device: str = "cpu",
        *,
        full_precision: bool = False,
    ) -> None:
        import torch

        from models._yolo.package import ultralytics

        self.names = tuple(names)
        self._device = torch.device(device)
        self._halves = self._device.type == "cuda" and not full_precision
        self._network = network.to(device).eval().requires_grad_(False)
        self._prepare = ultralytics().data.augment.classify_transforms(side)

    def classify(self, images: Sequence[np.ndarray], *, most: int = 5) -> list[list[ClassScore]]:
        """Return for each image its ``most`` likely classes, best first.

        Raises BadInput where one is not uint8 of shape (height, width, 3).
        """
        import torch

        for image in images:
            check_image(image)
        found: list[list[ClassScore]] = []
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                found += self._classify(images[start : start + BATCH], most)
        return found

    def _classify(self, images: Sequence[np.ndarray], most: int) -> list[list[ClassScore]]:
        import torch
        from PIL import Image

        pixels = torch.stack([self._prepare(Image.fromarray(image)) for image in images]).to(self._device)
        precision = torch.autocast(self._device.type, dtype=torch.float16) if self._halves else nullcontext()
        with precision:
            logits = self._network(pixels)[1]
        scores, numbers = logits.float().softmax(-1).topk(min(most, len(self.names)))
        return [
            [ClassScore(self.names[n], score) for score, n in zip(*best, strict=True)]
            for best in zip(scores.tolist(), numbers.tolist(), strict=True)
        ]
