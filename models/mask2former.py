"""Mask2Former, MaskFormer, OneFormer and EoMT: things with their masks, or every pixel's class, through transformers.

Pixels go in and masks come out as transformers' own image processor of the checkpoint does it (Cheng et al.,
Masked-attention Mask Transformer for Universal Image Segmentation, 2022; Jain et al., OneFormer: One Transformer to
Rule Universal Image Segmentation, 2023; Kerssies et al., Your ViT is Secretly an Image Segmentation Model, 2025).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models._hub import architecture, hub_card, is_one_of, needs_timm
from models._images import check_image
from models._mask_maps import PATCHES, SIDE, check_shape, class_scores, eomt_instances, merged
from models._names import class_names
from models._pixels import best_classes
from models._precision import bfloat16_helps, precision
from studio.adapters import Card, Detection, Download, HubKind, NoOptions
from studio.annotations import Mask

TASKS = ("instance", "semantic")


class MaskTransformer:
    """A detector with masks and a semantic segmenter over a model of ``AutoModelForUniversalSegmentation``.

    ``names`` are the model's own classes. On a graphics card the network computes in bfloat16. A checkpoint
    answers well what it was taught, instances or pixels: its card names that. ``tasks`` are for OneFormer alone: the
    tokens that ask for each of TASKS.
    """

    def __init__(
        self, model: Any, processor: Any, device: str = "cpu", tasks: Mapping[str, Any] | None = None
    ) -> None:
        import torch

        self._model = model.to(device).eval()
        self._processor = processor
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device)
        self._tasks = tasks or {}
        self._family = model.config.model_type.partition("_")[0]  # eomt_dinov3 is read as eomt is
        self.names = class_names(model.config)

    def detect(self, images: Sequence[np.ndarray], *, floor: float = 0.05) -> list[list[Detection]]:
        """Return the detections of each image with their masks, best first.

        Raises BadInput where one is not uint8 of shape (height, width, 3).
        """
        import torch

        with torch.inference_mode():
            return [self._instances(image, floor) for image in images]

    def classify_pixels(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return for each image its class numbers, uint16 of shape (height, width)."""
        import torch

        with torch.inference_mode():
            return [best_classes(self._scores(image), *image.shape[:2]) for image in images]

    def _instances(self, image: np.ndarray, floor: float) -> list[Detection]:
        size = image.shape[:2]
        given = self._prepared(image)
        if self._family == "eomt":
            answer = self._answer(given["pixel_values"][:1])
            found = [
                (number, score, Mask.from_array(mask.cpu().numpy()))
                for number, score, mask in eomt_instances(answer, self._processor, *size, floor)
            ]
        else:
            more = {} if self._tasks else {"return_binary_maps": True}
            (result,) = self._processor.post_process_instance_segmentation(
                self._answer(given["pixel_values"], "instance"), threshold=floor, target_sizes=[size], **more
            )
            found = list(_segments(result))
        things = [(number, score, mask) for number, score, mask in found if mask.box is not None]
        detections = [Detection(self.names[n], score, mask.box, mask) for n, score, mask in things]
        return sorted(detections, key=lambda d: -d.score)

    def _scores(self, image: np.ndarray) -> Any:
        """Return the scores of classes, float32 (classes, h, w), smaller than the image."""
        import torch

        given = self._prepared(image)
        if self._family == "mask2former":
            return class_scores(self._answer(given["pixel_values"]), (SIDE, SIDE))[0]
        if self._family != "eomt":
            return class_scores(self._answer(given["pixel_values"], "semantic"))[0]
        from transformers.models.eomt.image_processing_eomt import get_target_size

        size, offsets = self._processor.size, given.get("patch_offsets")
        parts = [
            class_scores(self._answer(some), get_target_size(size))
            for some in given["pixel_values"].split(PATCHES)
        ]
        scores = torch.cat(parts)
        return merged(scores, offsets, *image.shape[:2], size) if offsets else scores[0]

    def _prepared(self, image: np.ndarray) -> Any:
        check_image(image)
        if getattr(self._processor, "do_split_image", False):
            check_shape(*image.shape[:2])
        return self._processor(image, return_tensors="pt", input_data_format="channels_last")

    def _answer(self, pixels: Any, task: str = "") -> Any:
        more = {"task_inputs": self._tasks[task].to(self._device)} if self._tasks else {}
        with precision(self._device, self._bf16):
            # The mask of padding is left out, as in the library's own examples with one image.
            return self._model(pixel_values=pixels.to(self._device), **more)


def _segments(result: dict[str, Any]) -> Any:
    """Yield class, score and mask of what an image processor found, as a mask each or as a map of their numbers."""
    maps = result["segmentation"]
    for place, segment in enumerate(result["segments_info"]):
        drawn = maps[place] > 0 if maps.ndim == 3 else maps == segment["id"]
        yield int(segment["label_id"]), float(segment["score"]), Mask.from_array(drawn.cpu().numpy())


def load(folder: str | None, device: str, options: NoOptions) -> MaskTransformer:
    import torch
    import transformers

    here = dict(local_files_only=True, trust_remote_code=False)
    model = transformers.AutoModelForUniversalSegmentation.from_pretrained(
        folder, dtype=torch.float32, **here
    )
    model.requires_grad_(False)
    if model.config.model_type != "oneformer":
        processor = transformers.AutoImageProcessor.from_pretrained(folder, **here)
        return MaskTransformer(model, processor, device)
    # Its own file of class names lies in a place of its own on the hub; the config knows them too.
    processor = transformers.OneFormerImageProcessor.from_pretrained(
        folder, class_info_file=None, local_files_only=True
    )
    processor.class_info_file = ""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **here)
    return MaskTransformer(model, processor, device, _tasks(tokenizer, model.config.task_seq_len))


def _tasks(tokenizer: Any, length: int) -> dict[str, Any]:
    made = {}
    for task in TASKS:
        tokens = tokenizer(
            [f"the task is {task}"],
            padding="max_length",
            max_length=length,
            truncation=True,
            return_tensors="pt",
        )
        made[task] = tokens["input_ids"] * tokens["attention_mask"]
    return made


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    """Say what a checkpoint was taught: authors tell it in its name and nowhere else."""
    found = architecture(config)
    video = found.startswith("Videomt")  # takes films
    if video or not is_one_of(found, "MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES"):
        return None
    if found == "DetrForSegmentation":
        return None  # answers in a way of its own
    name = hub_id.lower()
    taught = [task for task in TASKS if task in name]
    role = taught[0] if len(taught) == 1 else "instance"
    if found.startswith("OneFormer") or not taught:
        role = "both"
    return f"{role} timm" if needs_timm(config) else role


def describe(variant: str, size: int) -> Card:
    role, _, timm = variant.partition(" ")
    roles = {"instance": ("detector",), "semantic": ("semantic",)}.get(role, ("detector", "semantic"))
    card = replace(
        CARDS[0],
        family="universal segmentation",
        roles=roles,
        packages=("timm",) if timm else (),
        note="A class for every pixel." if role == "semantic" else "Things with their masks.",
    )
    return hub_card(card, size, "merges.txt", "vocab.txt")


def _card(
    ident: str,
    title: str,
    hub: str,
    role: str,
    download: int,
    memory: int,
    rank: int,
    note: str,
    family: str = "Mask2Former",
) -> Card:
    return Card(
        id=ident,
        title=title,
        family=family,
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
    _card(
        "eomt-large-coco",
        "EoMT large",
        "tue-mps/coco_instance_eomt_large_640",
        "detector",
        1_270_000_000,
        3_500_000_000,
        35,
        f"80 classes of COCO with masks, in a plain transformer; best with a graphics card. {FREE}",
        "EoMT",
    ),
    _card(
        "eomt-large-ade",
        "EoMT large (ADE20K)",
        "tue-mps/ade20k_semantic_eomt_large_512",
        "semantic",
        1_270_000_000,
        3_500_000_000,
        14,
        f"150 classes of indoor and outdoor scenes; best with a graphics card. {FREE}",
        "EoMT",
    ),
]
HUB = [HubKind("universal-segmentation", "instance and panoptic segmentation", examine, describe)]
