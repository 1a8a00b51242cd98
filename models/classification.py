"""ViT, DINOv2, ResNet, Swin and other networks that say what a whole image shows, through transformers.

Pixels go in as the checkpoint's own image processor does it, and scores are the softmax of what comes out, as in
transformers' own pipeline (Dosovitskiy et al., An Image is Worth 16x16 Words, 2021; Oquab et al., DINOv2, 2023;
He et al., Deep Residual Learning for Image Recognition, 2016; Liu et al., Swin Transformer, 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from models._hub import architecture, hub_card, is_one_of
from models._images import batches, check_image
from models._names import class_names
from models._precision import bfloat16_helps, precision
from studio.adapters import Card, ClassScore, Download, HubKind

BATCH = 32  # images that go through the network together


@dataclass(frozen=True)
class ClassifierOptions:
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; scores hardly differ."},
    )


class ImageClassifier:
    """A classifier over a model of ``AutoModelForImageClassification`` and its image processor.

    ``names`` are the model's own classes. On a graphics card the network computes in bfloat16.
    """

    def __init__(
        self, model: Any, processor: Any, device: str = "cpu", *, full_precision: bool = False
    ) -> None:
        import torch

        self._model = model.to(device).eval()
        self._processor = processor
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device, full_precision)
        self.names = class_names(model.config)

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
        found: list[list[ClassScore]] = [[] for _ in images]
        for members, pixels in batches(self._processor, images):
            with precision(self._device, self._bf16):
                logits = self._model(pixels.to(self._device)).logits
            scores, numbers = logits.float().softmax(-1).topk(min(most, logits.shape[-1]))
            for i, *best in zip(members, scores.tolist(), numbers.tolist(), strict=True):
                found[i] = [ClassScore(self.names[n], score) for score, n in zip(*best, strict=True)]
        return found


def load(folder: str | None, device: str, options: ClassifierOptions) -> ImageClassifier:
    import torch
    import transformers

    here = dict(local_files_only=True, trust_remote_code=False)
    config = transformers.AutoConfig.from_pretrained(folder, **here)
    if config.model_type == "timm_wrapper" and config.model_args:
        # timm writes the number of classes here too, and transformers hands both on.
        config.model_args = {key: value for key, value in config.model_args.items() if key != "num_classes"}
    model = transformers.AutoModelForImageClassification.from_pretrained(
        folder, config=config, dtype=torch.float32, **here
    )
    model.requires_grad_(False)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, **here)
    if model.config.model_type == "timm_wrapper":
        processor = partial(_as_timm_sees, processor)
    return ImageClassifier(model, processor, device, full_precision=options.full_precision)


def _as_timm_sees(processor: Any, image: np.ndarray, **_: Any) -> Any:
    """Return what a network of timm is given: its processor takes no arrays but by guessing where the colours are."""
    from PIL import Image

    return processor(Image.fromarray(image), return_tensors="pt")


def _card(
    ident: str,
    title: str,
    family: str,
    hub_id: str,
    download: int,
    rank: int,
    note: str,
    packages: tuple[str, ...] = (),
    revision: str = "main",
) -> Card:
    return Card(
        id=ident,
        title=title,
        family=family,
        roles=("classifier",),
        prompts=(),
        licence="Apache-2.0",
        load=load,
        memory_bytes=300_000_000 + 2 * download,
        download=Download(hub_id, download, revision, patterns=("*.json", "model.safetensors")),
        options=ClassifierOptions,
        packages=packages,
        note=note,
        rank=rank,
    )


# Of transformers' mapping, these are not shown a picture alone: one reads text beside it, one a row of colours.
OTHERS = ("ShieldGemma2", "ImageGPT")


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    if "pretrained_cfg" in config and "architecture" in config:
        return "timm"
    found = architecture(config)
    if found.startswith(OTHERS):
        return None
    return found if is_one_of(found, "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES") else None


def describe(variant: str, size: int) -> Card:
    packages = ("timm",) if variant.lower().startswith("timm") else ()
    return hub_card(
        _card("", "", "image classification", "", size, 0, "A class for the whole picture.", packages), size
    )


IMAGENET = "The 1000 classes of ImageNet."
CARDS = [
    _card(
        "dinov2-small-imagenet",
        "DINOv2 small",
        "DINOv2",
        "facebook/dinov2-small-imagenet1k-1-layer",
        91_300_000,
        10,
        f"{IMAGENET} A good balance of speed and accuracy.",
    ),
    _card(
        "dinov2-base-imagenet",
        "DINOv2 base",
        "DINOv2",
        "facebook/dinov2-base-imagenet1k-1-layer",
        352_500_000,
        11,
        f"{IMAGENET} More accurate than small; best with a graphics card.",
        revision="refs/pr/1",  # the hub's own conversion to safetensors
    ),
    _card(
        "vit-base-imagenet",
        "ViT base",
        "ViT",
        "google/vit-base-patch16-224",
        346_300_000,
        12,
        f"{IMAGENET} The first of its kind.",
    ),
    _card(
        "swin-tiny-imagenet",
        "Swin tiny",
        "Swin",
        "microsoft/swin-tiny-patch4-window7-224",
        113_400_000,
        13,
        f"{IMAGENET} As good as ViT base at a third of its size.",
    ),
    _card(
        "resnet-50-imagenet",
        "ResNet-50",
        "ResNet",
        "microsoft/resnet-50",
        102_600_000,
        14,
        f"{IMAGENET} The classic; quick on a processor.",
    ),
]
HUB = [HubKind("image-classification", "image classification", examine, describe)]
