"""SegFormer and other networks that give every pixel a class, through transformers.

Pixels go in and classes come out as transformers' own image processor of the checkpoint does it (Xie et al.,
SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers, 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._hub import architecture, hub_card, is_one_of
from models._images import batches, check_image
from models._names import class_names
from models._pixels import best_classes
from models._precision import bfloat16_helps, precision
from studio.adapters import Card, Download, HubKind, NoOptions

BATCH = 8  # images that go through the network together


class PixelClassifier:
    """A semantic segmenter over a model of ``AutoModelForSemanticSegmentation`` and its image processor.

    ``names`` are the model's own classes. On a graphics card the network computes in bfloat16.
    """

    def __init__(self, model: Any, processor: Any, device: str = "cpu") -> None:
        import torch

        self._model = model.to(device).eval()
        self._processor = processor
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device)
        self.names = class_names(model.config)

    def classify_pixels(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return for each image its class numbers, uint16 of shape (height, width).

        Raises BadInput where one is not uint8 of shape (height, width, 3).
        """
        import torch

        for image in images:
            check_image(image)
        found: list[np.ndarray] = []
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                part = images[start : start + BATCH]
                for scores, image in zip(self._scores(part), part, strict=True):
                    found.append(best_classes(scores, image.shape[0], image.shape[1]))
        return found

    def _scores(self, images: Sequence[np.ndarray]) -> list[Any]:
        """Return each image's class scores, float32 of shape (classes, h, w), smaller than the image."""
        scores: list[Any] = [None] * len(images)
        for members, pixels in batches(self._processor, images):
            with precision(self._device, self._bf16):
                logits = self._model(pixels.to(self._device)).logits
            for i, one in zip(members, logits.float(), strict=True):
                scores[i] = one
        return scores


def load(folder: str | None, device: str, options: NoOptions) -> PixelClassifier:
    import torch
    import transformers

    model = transformers.AutoModelForSemanticSegmentation.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    model.requires_grad_(False)
    processor = transformers.AutoImageProcessor.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return PixelClassifier(model, processor, device)


def _segformer(size: str, side: int, download: int, memory: int, rank: int, revision: str, note: str) -> Card:
    return Card(
        id=f"segformer-{size}",
        title=f"SegFormer {size.upper()}",
        family="SegFormer",
        roles=("semantic",),
        prompts=(),
        licence="NVIDIA Source Code License for SegFormer (non-commercial)",
        load=load,
        memory_bytes=memory,
        # Where the revision is a pull request, it is the hub's own conversion to safetensors, never merged.
        download=Download(
            f"nvidia/segformer-{size}-finetuned-ade-{side}-{side}", download, revision, patterns=FILES
        ),
        commercial=False,
        note=note,
        rank=rank,
    )


def _upernet(size: str, download: int, memory: int, rank: int, note: str) -> Card:
    return Card(
        id=f"upernet-convnext-{size}",
        title=f"UperNet ConvNeXt {size}",
        family="UperNet",
        roles=("semantic",),
        prompts=(),
        licence="MIT",
        load=load,
        memory_bytes=memory,
        download=Download(f"openmmlab/upernet-convnext-{size}", download, patterns=FILES),
        note=note + " The weights are free to use; the images of ADE20K behind them are for research.",
        rank=rank,
    )


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    found = architecture(config)
    return "pixels" if is_one_of(found, "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES") else None


def describe(variant: str, size: int) -> Card:
    card = replace(B0, family="semantic segmentation", note="A class for every pixel.")
    return hub_card(card, size)


FILES = ("*.json", "model*.safetensors")
B0 = _segformer(
    "b0", 512, 15_100_000, 300_000_000, 20, "main", "150 classes of indoor and outdoor scenes; the quickest."
)
CARDS = [
    _upernet("tiny", 241_000_000, 900_000_000, 10, "150 classes of indoor and outdoor scenes."),
    _upernet("base", 489_000_000, 1_500_000_000, 11, "150 classes of indoor and outdoor scenes; finer."),
    B0,
    _segformer("b1", 512, 54_900_000, 400_000_000, 21, "refs/pr/2", "150 classes; finer than B0."),
    _segformer("b2", 512, 110_000_000, 600_000_000, 22, "refs/pr/2", "150 classes; finer than B1."),
    _segformer("b4", 512, 256_600_000, 1_000_000_000, 23, "refs/pr/3", "150 classes; finer than B2, slow."),
    _segformer("b5", 640, 339_000_000, 1_300_000_000, 24, "refs/pr/3", "150 classes; the finest, slow."),
    *demo_cards("segformer", B0, title="Demo SegFormer"),
]
HUB = [HubKind("semantic-segmentation", "semantic segmentation", examine, describe)]
