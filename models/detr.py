"""D-FINE, RF-DETR, RT-DETR and other detectors of the DETR kind, through transformers.

Pixels go in and boxes come out as the checkpoint's own image processor does it (Carion et al., End-to-End Object
Detection with Transformers, 2020; Zhao et al., DETRs Beat YOLOs on Real-time Object Detection, 2024; Peng et al.,
D-FINE: Redefine Regression Task of DETRs as Fine-grained Distribution Refinement, 2024; Robinson et al., RF-DETR:
Neural Architecture Search for Real-Time Detection Transformers, 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._detr_cards import DETECTORS, NANO, SEGMENTERS, Published
from models._hub import architecture, hub_card, is_one_of, needs_timm
from models._images import batches, check_image
from models._names import class_names
from models._precision import bfloat16_helps
from studio.adapters import Card, Detection, Download, HubKind
from studio.annotations import Box, Mask
from studio.errors import BadInput

BATCH = 8  # images that go through the network together
FEATURES = ("backbone", "encoder_input_proj", "encoder")  # what sees the picture; the rest places boxes
MASK = 0.0  # logits above it belong to a thing
# Families whose checkpoints may name another one's image processor: that would see and score otherwise than they
# were taught.
PROCESSORS = {"rf_detr": "RfDetrImageProcessor"}


@dataclass(frozen=True)
class DetrOptions:
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; boxes hardly differ."},
    )


class DetrDetector:
    """A detector over a model of ``AutoModelForObjectDetection`` and its image processor; RF-DETR may give masks too.

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
        self.names = class_names(model.config)

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
            answer = self._model(pixel_values=pixels.to(self._device))
            results = self._processor.post_process_object_detection(
                answer, threshold=-1.0, target_sizes=sizes
            )
            maps = getattr(answer, "pred_masks", None)
            for place, (i, size, result) in enumerate(zip(members, sizes, results, strict=True)):
                masks = None if maps is None else maps[place][best_queries(answer.logits[place])]
                found[i] = self._detections(result, size, floor, masks)
        return found

    def _detections(
        self, result: dict[str, Any], size: tuple[int, int], floor: float, maps: Any = None
    ) -> list[Detection]:
        """Return what scores ``floor`` or more and has an area inside an image of (height, width).

        ``maps`` are the logits of its masks, smaller than the image; what has an empty mask is left out.
        """
        scores, labels, boxes = (result[key].float().cpu().numpy() for key in ("scores", "labels", "boxes"))
        limits = np.array([size[1], size[0], size[1], size[0]], np.float32)
        boxes = np.clip(boxes, 0, limits)
        fits = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (scores >= floor)
        found = []
        for i in np.argsort(-scores, kind="stable"):
            mask = None if maps is None or not fits[i] else enlarged(maps[i], size)
            if fits[i] and (mask is None or mask.area):
                name = self.names[int(labels[i])]
                found.append(Detection(name, float(scores[i]), Box(*boxes[i].tolist()), mask))
        return found


def best_queries(logits: Any) -> Any:
    """Return which query each of an image's detections is of, in the order that RF-DETR's own processor gives them."""
    queries, classes = logits.shape
    return logits.sigmoid().flatten().topk(queries).indices // classes


def enlarged(logits: Any, size: tuple[int, int]) -> Mask:
    """Return the mask of an image of (height, width), from its logits at a smaller size."""
    import torch

    # One at a time: a few hundred of a large photograph would take gigabytes.
    wide = torch.nn.functional.interpolate(
        logits[None, None].float(), size, mode="bilinear", align_corners=False
    )
    return Mask.from_array((wide[0, 0] > MASK).cpu().numpy())


def see_in_bfloat16(model: Any) -> None:
    """Let a detector's backbone and encoder compute in bfloat16, and hand on float32."""
    inner = getattr(model, "model", model)
    inner = getattr(inner, "model", inner)  # one that gives masks holds a detector
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


def load(
    folder: str | None, device: str, options: DetrOptions, kind: str = "AutoModelForObjectDetection"
) -> DetrDetector:
    import torch
    import transformers

    model = getattr(transformers, kind).from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    model.requires_grad_(False)
    reads = getattr(transformers, PROCESSORS.get(model.config.model_type, "AutoImageProcessor"))
    processor = reads.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return DetrDetector(model, processor, device, full_precision=options.full_precision)


load_with_masks = partial(load, kind="RfDetrForInstanceSegmentation")

# Architectures of transformers' mapping that do not answer with boxes of classes: they find lines of writing.
NO_BOXES = "PPOCR"


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    found = architecture(config)
    if found == "RfDetrForInstanceSegmentation":
        return "masks"
    if not is_one_of(found, "MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES"):
        return None
    if found.startswith(NO_BOXES):
        raise BadInput(f"{found} finds lines of writing, which is no work that is done here.")
    return "timm" if needs_timm(config) else "boxes"


def describe(variant: str, size: int) -> Card:
    masks = variant == "masks"
    card = replace(
        _card(NANO, load_with_masks if masks else load),
        family="DETR",
        packages=("timm",) if variant == "timm" else (),
        note="Boxes of its own classes, each with a mask." if masks else "Boxes of its own classes.",
    )
    return hub_card(card, size)


def _card(published: Published, load: Callable[..., DetrDetector]) -> Card:
    return Card(
        id=published.id,
        title=published.title,
        family=published.family,
        roles=("detector",),
        prompts=(),
        licence="Apache-2.0",
        load=load,
        memory_bytes=published.memory,
        download=Download(published.hub_id, published.bytes, patterns=("*.json", "model*.safetensors")),
        options=DetrOptions,
        packages=published.packages,
        note=published.note,
        rank=published.rank,
    )


CARDS = [
    *(_card(published, load) for published in DETECTORS),
    *(_card(published, load_with_masks) for published in SEGMENTERS),
    *demo_cards("dfine", _card(NANO, load), title="Demo D-FINE"),
]
HUB = [HubKind("object-detection", "object detection", examine, describe)]
