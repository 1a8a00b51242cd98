"""Mask2Former and MaskFormer: things with their masks, or every pixel's class, through transformers.

Pixels go in and masks come out as transformers' own image processor of the checkpoint does it (Cheng et al.,
Masked-attention Mask Transformer for Universal Image Segmentation, 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models._images import check_image
from models._pixels import best_classes
from models._precision import bfloat16_helps, precision
from studio.adapters import Card, Detection, Download, NoOptions
from studio.annotations import Mask

SIDE = 384  # at which transformers' processor reads the masks


class MaskTransformer:
    """A detector with masks and a semantic segmenter over ``Mask2FormerForUniversalSegmentation`` and its processor.

    ``names`` are the model's own classes. On a graphics card the network computes in bfloat16. A checkpoint
    answers well what it was taught, instances or pixels: its card names that.
    """

    def __init__(self, model: Any, processor: Any, device: str = "cpu") -> None:
        import torch

        self._model = model.to(device).eval()
        self._processor = processor
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device)
        labels = model.config.id2label
        self.names = tuple(str(labels[i]) for i in range(len(labels)))

    def detect(self, images: Sequence[np.ndarray], *, floor: float = 0.05) -> list[list[Detection]]:
        """Return the detections of each image with their masks, best first.

        Raises BadInput where one is not uint8 of shape (height, width, 3).
        """
        import torch

        found = []
        with torch.inference_mode():
            for image in images:
                answer = self._answer(image)
                (result,) = self._processor.post_process_instance_segmentation(
                    answer, threshold=floor, target_sizes=[image.shape[:2]], return_binary_maps=True
                )
                found.append(self._detections(result))
        return found

    def classify_pixels(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return for each image its class numbers, uint16 of shape (height, width)."""
        import torch

        found = []
        with torch.inference_mode():
            for image in images:
                answer = self._answer(image)
                classes = answer.class_queries_logits[0].float().softmax(-1)[:, :-1]
                masks = torch.nn.functional.interpolate(
                    answer.masks_queries_logits.float(), (SIDE, SIDE), mode="bilinear", align_corners=False
                )[0].sigmoid()
                scores = torch.einsum("qc,qhw->chw", classes, masks)
                found.append(best_classes(scores, *image.shape[:2]))
        return found

    def _answer(self, image: np.ndarray) -> Any:
        check_image(image)
        given = self._processor(image, return_tensors="pt", input_data_format="channels_last")
        with precision(self._device, self._bf16):
            # The mask of padding is left out, as in the library's own examples with one image.
            return self._model(pixel_values=given["pixel_values"].to(self._device))

    def _detections(self, result: dict[str, Any]) -> list[Detection]:
        found = []
        for number, segment in enumerate(result["segments_info"]):
            mask = Mask.from_array(result["segmentation"][number].cpu().numpy() > 0)
            if mask.box is not None:
                name = self.names[int(segment["label_id"])]
                found.append(Detection(name, float(segment["score"]), mask.box, mask))
        return sorted(found, key=lambda d: -d.score)


def load(folder: str | None, device: str, options: NoOptions) -> MaskTransformer:
    import torch
    import transformers

    model = transformers.AutoModelForUniversalSegmentation.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    model.requires_grad_(False)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    return MaskTransformer(model, processor, device)


def _card(
    ident: str, title: str, hub: str, role: str, download: int, memory: int, rank: int, note: str
) -> Card:
    return Card(
        id=ident,
        title=title,
        family="Mask2Former",
        roles=(role,),
        prompts=(),
        licence="MIT",
        load=load,
        memory_bytes=memory,
        download=Download(hub, download, patterns=("*.json", "model*.safetensors")),
        note=note,
        rank=rank,
    )


FREE = "The weights are free to use; the images behind them have terms of their own."
CARDS = [
    _card(
        "mask2former-swin-tiny-coco",
        "Mask2Former Swin tiny",
        "facebook/mask2former-swin-tiny-coco-instance",
        "detector",
        190_000_000,
        1_200_000_000,
        30,
        f"80 classes of COCO, each thing with its mask. {FREE}",
    ),
    _card(
        "mask2former-swin-large-coco",
        "Mask2Former Swin large",
        "facebook/mask2former-swin-large-coco-instance",
        "detector",
        866_000_000,
        3_000_000_000,
        31,
        f"80 classes of COCO with masks, the finest; best with a graphics card. {FREE}",
    ),
    _card(
        "mask2former-swin-tiny-ade",
        "Mask2Former Swin tiny (ADE20K)",
        "facebook/mask2former-swin-tiny-ade-semantic",
        "semantic",
        190_000_000,
        1_200_000_000,
        12,
        f"150 classes of indoor and outdoor scenes. {FREE}",
    ),
    _card(
        "mask2former-swin-large-ade",
        "Mask2Former Swin large (ADE20K)",
        "facebook/mask2former-swin-large-ade-semantic",
        "semantic",
        866_000_000,
        3_000_000_000,
        13,
        f"150 classes of indoor and outdoor scenes, the finest; best with a graphics card. {FREE}",
    ),
]
