"""ViTMatte: how much of each pixel belongs to the foreground, from an image and a trimap, through transformers.

After Yao et al., ViTMatte: Boosting Image Matting with Pretrained Plain Vision Transformers, 2023. Its global
attention grows with the square of the pixels, so large images are done in overlapping tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._images import check_image
from models._precision import bfloat16_helps, precision
from studio.adapters import Card, Download, NoOptions
from studio.errors import BadInput

WHOLE = 1_300_000  # pixels up to which an image goes through in one piece: about 2 GB for the small model
TILE = 1024
OVERLAP = 128  # pixels over which neighbouring tiles fade into each other


class TrimapMatter:
    """A matter over a ``VitMatteForImageMatting`` and its image processor.

    On a graphics card the transformer computes in bfloat16; the convolutions that draw the alpha stay in
    float32, since bfloat16 knows no step finer than 1/256 near 1.
    """

    def __init__(self, model: Any, processor: Any, device: str = "cpu") -> None:
        import torch

        self._model = model.to(device).eval()
        self._processor = processor
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device)

    def matte(self, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        """Return the alpha, float32 of shape (height, width); where the trimap is 0 or 255 it is 0 or 1.

        Raises BadInput where image or trimap are not uint8 of one size.
        """
        *_, alpha = self.matte_in_steps(image, trimap)
        return alpha

    def matte_in_steps(self, image: np.ndarray, trimap: np.ndarray) -> Iterator[float | np.ndarray]:
        """Yield the share that is done after each tile, and last what ``matte`` returns."""
        check_image(image)
        if trimap.dtype != np.uint8 or trimap.shape != image.shape[:2]:
            raise BadInput(
                f"A trimap must be uint8 of the image's size, {image.shape[:2]}; "
                f"got {trimap.dtype} {trimap.shape}."
            )
        unknown = (trimap != 0) & (trimap != 255)
        alpha = (trimap == 255).astype(np.float32)
        if not unknown.any():
            yield alpha
            return
        found = np.zeros(alpha.shape, np.float32)
        weight = np.zeros(alpha.shape, np.float32)
        levels = np.where(unknown, np.uint8(128), trimap)
        tiles = list(_tiles(unknown))
        for number, (place, fade) in enumerate(tiles, 1):
            found[place] += fade * self._alpha(image[place], levels[place])
            weight[place] += fade
            yield number / len(tiles)
        alpha[unknown] = found[unknown] / weight[unknown]
        yield alpha

    def _alpha(self, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        """Return what the network says of a piece, float32 of its shape, known pixels included."""
        import torch

        inputs = self._processor(
            images=image, trimaps=trimap, return_tensors="pt", input_data_format="channels_last"
        )
        pixels = inputs["pixel_values"].to(self._device)
        with torch.inference_mode():
            with precision(self._device, self._bf16):
                features = self._model.backbone(pixels).feature_maps[-1]
            alphas = self._model.decoder(features.float(), pixels)
        return alphas[0, 0, : image.shape[0], : image.shape[1]].cpu().numpy()  # the rest is padding


def _tiles(unknown: np.ndarray) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Yield places, and how much each counts at its pixels, that together cover whatever is unknown."""
    height, width = unknown.shape
    if height * width <= WHOLE:
        yield (slice(0, height), slice(0, width)), np.ones(unknown.shape, np.float32)
        return
    rows = np.flatnonzero(unknown.any(1))
    columns = np.flatnonzero(unknown.any(0))
    for y in _starts(int(rows[0]), int(rows[-1]) + 1, height):
        for x in _starts(int(columns[0]), int(columns[-1]) + 1, width):
            place = slice(y, min(y + TILE, height)), slice(x, min(x + TILE, width))
            if unknown[place].any():
                down, across = (_fade(part.stop - part.start) for part in place)
                yield place, down[:, None] * across


def _starts(first: int, last: int, size: int) -> list[int]:
    """Return where tiles along one side begin so that they cover ``first`` to ``last`` with a margin."""
    first, last = max(0, first - OVERLAP), min(size, last + OVERLAP)
    if last - first <= TILE:  # one tile, moved inside the image
        return [max(0, min((first + last - TILE) // 2, size - TILE))]
    count = -(-(last - first - OVERLAP) // (TILE - OVERLAP))
    return [first + round(i * (last - first - TILE) / (count - 1)) for i in range(count)]


def _fade(length: int) -> np.ndarray:
    """Return weights along a side, small at both ends, never 0."""
    steps = np.arange(1, length + 1, dtype=np.float32)
    return np.minimum(1, np.minimum(steps, steps[::-1]) / OVERLAP)


def load(folder: str | None, device: str, options: NoOptions) -> TrimapMatter:
    import torch
    import transformers

    model = transformers.VitMatteForImageMatting.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    model.requires_grad_(False)
    processor = transformers.VitMatteImageProcessor.from_pretrained(folder, local_files_only=True)
    return TrimapMatter(model, processor, device)


def _card(size: str, download: Download, memory: int, rank: int, note: str) -> Card:
    return Card(
        id=f"vitmatte-{size}",
        title=f"ViTMatte {size}",
        family="ViTMatte",
        roles=("matter",),
        prompts=("mask",),
        licence="Apache-2.0; trained on Adobe's matting set, which is for non-commercial research",
        load=load,
        memory_bytes=memory,
        download=download,
        commercial=False,
        note=note,
        rank=rank,
    )


FILES = ("*.json", "model*.safetensors")
SMALL = _card(
    "small",
    Download("hustvl/vitmatte-small-composition-1k", 103_300_000, patterns=FILES),
    2_000_000_000,
    10,
    "Keeps every hair, given what is surely foreground and surely background.",
)
BASE = _card(
    "base",
    # The safetensors of this one lie in the hub's own conversion, which was never merged.
    Download("hustvl/vitmatte-base-composition-1k", 386_800_000, revision="refs/pr/3", patterns=FILES),
    3_500_000_000,
    11,
    "A little finer than small, and slower.",
)
CARDS = [SMALL, BASE, *demo_cards("vitmatte", SMALL, title="Demo ViTMatte")]
