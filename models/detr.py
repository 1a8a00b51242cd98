"""D-FINE, RT-DETR and other detectors of the DETR kind, through transformers.

Pixels go in and boxes come out as the checkpoint's own image processor does it (Zhao et al., DETRs Beat YOLOs
on Real-time Object Detection, 2024; Peng et al., D-FINE: Redefine Regression Task of DETRs as Fine-grained
Distribution Refinement, 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._images import batches, check_image
from models._precision import bfloat16_helps
from studio.adapters import Card, Detection, Download
from studio.annotations import Box

BATCH = 8  # images that go through the network together
FEATURES = ("backbone", "encoder_input_proj", "encoder")  # what sees the picture; the rest places boxes


@dataclass(frozen=True)
class DetrOptions:
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; boxes hardly differ."},
    )


class DetrDetector:
    """A detector over a model of ``AutoModelForObjectDetection`` and its image processor.

    ``names`` are the model's own classes. On a graphics card backbone and encoder compute in bfloat16, and
    the decoder, whose coordinates need more than its 8 bits, in float32.
    """

    def __init__(
        self, model: Any, processor: Any, device: str = "cpu", *, full_precision: bool = False
    ) -> None:
        import torch

        self._model = model.to(device).eval()
        self._processor = processor
        self._device = torch.device(device)
        if bfloat16_helps(self._device, full_precision):
            see_in_bfloat16(self._model)
        labels = model.config.id2label
        self.names = tuple(str(labels[i]) for i in range(len(labels)))

    def detect(self, images: Sequence[np.ndarray], *, floor: float = 0.05) -> list[list[Detection]]:
        """Return the detections of each image, best first, of a score of at least ``floor``.

        Boxes are cut off at the edge of the image. Raises BadInput where one is not uint8 of shape
        (height, width, 3).
        """
        import torch

        for image in images:
            check_image(image)
        found: list[list[Detection]] = []
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                found += self._detect(images[start : start + BATCH], floor)
        return found

    def _detect(self, images: Sequence[np.ndarray], floor: float) -> list[list[Detection]]:
        found: list[list[Detection]] = [[] for _ in images]
        for members, pixels in batches(self._processor, images):
            sizes = [images[i].shape[:2] for i in members]
            results = self._processor.post_process_object_detection(
                self._model(pixel_values=pixels.to(self._device)), threshold=-1.0, target_sizes=sizes
            )
            for i, size, result in zip(members, sizes, results, strict=True):
                found[i] = self._detections(result, size, floor)
        return found

    def _detections(self, result: dict[str, Any], size: tuple[int, int], floor: float) -> list[Detection]:
        """Return what scores ``floor`` or more and has an area inside an image of (height, width)."""
        scores, labels, boxes = (result[key].float().cpu().numpy() for key in ("scores", "labels", "boxes"))
        limits = np.array([size[1], size[0], size[1], size[0]], np.float32)
        boxes = np.clip(boxes, 0, limits)
        fits = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (scores >= floor)
        order = np.argsort(-scores, kind="stable")
        return [
            Detection(self.names[int(labels[i])], float(scores[i]), Box(*boxes[i].tolist()))
            for i in order
            if fits[i]
        ]


def see_in_bfloat16(model: Any) -> None:
    """Let a detector's backbone and encoder compute in bfloat16, and hand on float32."""
    inner = getattr(model, "model", model)
    for name in FEATURES:
        part = getattr(inner, name, None)
        # ``encoder_input_proj`` is a list of modules, which has no forward of its own.
        for module in part if hasattr(part, "__iter__") else [part] if part is not None else []:
            _compute_in_bfloat16(module)


def _compute_in_bfloat16(module: Any) -> None:
    import torch

    forward = module.forward

    def halved(*args: Any, **kwargs: Any) -> Any:
        kind = next(module.parameters()).device.type
        with torch.autocast(kind, torch.bfloat16):
            return _floats(forward(*args, **kwargs))

    module.forward = halved


def _floats(value: Any) -> Any:
    """Return what a module answered with its bfloat16 tensors as float32, however deep they lie."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype == torch.bfloat16 else value
    if isinstance(value, dict):  # transformers' outputs are dicts too, and want to stay what they are
        for key in list(value):
            value[key] = _floats(value[key])
        return value
    return type(value)(_floats(one) for one in value) if isinstance(value, list | tuple) else value


def load(folder: str | None, device: str, options: DetrOptions) -> DetrDetector:
    import torch
    import transformers

    model = transformers.AutoModelForObjectDetection.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    model.requires_grad_(False)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    return DetrDetector(model, processor, device, full_precision=options.full_precision)


def _card(
    ident: str, title: str, family: str, hub_id: str, download: int, memory: int, rank: int, note: str
) -> Card:
    return Card(
        id=ident,
        title=title,
        family=family,
        roles=("detector",),
        prompts=(),
        licence="Apache-2.0",
        load=load,
        memory_bytes=memory,
        download=Download(hub_id, download, patterns=("*.json", "model*.safetensors")),
        options=DetrOptions,
        note=note,
        rank=rank,
    )


def _dfine(size: str, download: int, memory: int, rank: int, note: str) -> Card:
    hub_id = f"ustc-community/dfine-{size}-coco"
    return _card(
        f"dfine-{size}", f"D-FINE {size}", "D-FINE", hub_id, download, memory, rank, f"80 classes. {note}"
    )


def _rtdetr(ident: str, title: str, hub_id: str, download: int, memory: int, rank: int, note: str) -> Card:
    hub_id = f"PekingU/{hub_id}"
    return _card(ident, title, "RT-DETR", hub_id, download, memory, rank, f"80 classes. {note}")


NANO = _dfine("nano", 15_300_000, 300_000_000, 20, "The quickest; for a processor without a graphics card.")
CARDS = [
    _dfine("medium", 78_700_000, 700_000_000, 10, "A good balance of speed and accuracy."),
    _dfine("small", 41_500_000, 500_000_000, 11, "Nearly as good as medium, and quicker."),
    _dfine("large", 126_000_000, 900_000_000, 12, "More accurate; best with a graphics card."),
    _dfine("xlarge", 252_000_000, 1_300_000_000, 13, "The most accurate of the family; slow on a processor."),
    _rtdetr(
        "rtdetr-v2-r18",
        "RT-DETR v2 R18",
        "rtdetr_v2_r18vd",
        81_000_000,
        700_000_000,
        14,
        "An older family; quick on a graphics card.",
    ),
    _rtdetr(
        "rtdetr-v2-r50",
        "RT-DETR v2 R50",
        "rtdetr_v2_r50vd",
        172_000_000,
        1_000_000_000,
        15,
        "An older family, in its usual size.",
    ),
    _rtdetr(
        "rtdetr-r18",
        "RT-DETR R18",
        "rtdetr_r18vd_coco_o365",
        81_000_000,
        700_000_000,
        16,
        "The first version, taught on Objects365 too.",
    ),
    _rtdetr(
        "rtdetr-r50",
        "RT-DETR R50",
        "rtdetr_r50vd_coco_o365",
        172_000_000,
        1_000_000_000,
        17,
        "The first version, taught on Objects365 too.",
    ),
    NANO,
    *demo_cards("dfine", NANO, title="Demo D-FINE"),
]
