"""ViTPose and ViTPose+: the keypoints of whatever is in a box, through transformers.

After Xu et al., ViTPose: Simple Vision Transformer Baselines for Human Pose Estimation, 2022, and ViTPose++,
2022. Crops are cut and heatmaps read as transformers' own image processor does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._hub import architecture, hub_card
from models._images import check_image
from models._names import class_names
from models._precision import bfloat16_helps, precision
from studio.adapters import Card, Download, HubKind, NoOptions
from studio.annotations import Box, Keypoints

BATCH = 32  # boxes that go through the network together
COCO = 0  # ViTPose+ has an expert for each of its training sets; the heads on the hub are COCO's
SMALLEST = 1.0  # pixels that a box is widened to: one without any extent has no crop


class BoxPoser:
    """A pose estimator over a ``VitPoseForPoseEstimation`` and its image processor.

    ``keypoint_names`` are the model's own. On a graphics card the network computes in bfloat16.
    """

    def __init__(self, model: Any, processor: Any, device: str = "cpu") -> None:
        import torch

        self._model = model.to(device).eval()
        self._processor = processor
        self._device = torch.device(device)
        self._bf16 = bfloat16_helps(self._device)
        self._experts = int(getattr(model.config.backbone_config, "num_experts", 1))
        self.keypoint_names = class_names(model.config)

    def estimate(self, image: np.ndarray, boxes: Sequence[Box]) -> list[tuple[Keypoints, tuple[float, ...]]]:
        """Return for each box its keypoints, and the height of each one's peak, 0 to 1.

        A keypoint that falls outside the image has visibility 0, any other 2. Raises BadInput where the
        image is not uint8 of shape (height, width, 3).
        """
        import torch

        check_image(image)
        found: list[tuple[Keypoints, tuple[float, ...]]] = []
        with torch.inference_mode():
            for start in range(0, len(boxes), BATCH):
                found += self._poses(image, boxes[start : start + BATCH])
        return found

    def _poses(self, image: np.ndarray, boxes: Sequence[Box]) -> list[tuple[Keypoints, tuple[float, ...]]]:
        import torch

        xywh = [[[b.x0, b.y0, max(b.width, SMALLEST), max(b.height, SMALLEST)] for b in boxes]]
        inputs = self._processor(
            image, boxes=xywh, return_tensors="pt", input_data_format="channels_last"
        ).to(self._device)
        experts = {}
        if self._experts > 1:
            experts["dataset_index"] = torch.full((len(boxes),), COCO, device=self._device)
        with precision(self._device, self._bf16):
            outputs = self._model(**inputs, **experts)
        outputs.heatmaps = outputs.heatmaps.float()
        poses = self._processor.post_process_pose_estimation(outputs, boxes=xywh)[0]
        count = len(self.keypoint_names)
        return [
            _pose(
                pose["keypoints"].reshape(count, 2).numpy(), pose["scores"].reshape(count).numpy(), image, box
            )
            for pose, box in zip(poses, boxes, strict=True)
        ]


def _pose(
    places: np.ndarray, scores: np.ndarray, image: np.ndarray, box: Box
) -> tuple[Keypoints, tuple[float, ...]]:
    """Return the keypoints and scores; one that the heatmap's refinement threw to infinity is absent."""
    height, width = image.shape[:2]
    points = []
    for x, y in places.tolist():
        inside = 0 <= x <= width and 0 <= y <= height  # False where it is not a number
        known = np.isfinite((x, y)).all()
        centre = (box.x0 + box.width / 2, box.y0 + box.height / 2)
        points.append((*((x, y) if known else centre), 2 if inside else 0))
    return Keypoints(tuple(points)), tuple(float(s) for s in np.clip(scores, 0, 1))


def load(folder: str | None, device: str, options: NoOptions) -> BoxPoser:
    import torch
    import transformers

    model = transformers.VitPoseForPoseEstimation.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True
    )
    model.requires_grad_(False)
    processor = transformers.VitPoseImageProcessor.from_pretrained(folder, local_files_only=True)
    return BoxPoser(model, processor, device)


def _card(name: str, title: str, download: int, memory: int, rank: int, note: str) -> Card:
    return Card(
        id=f"vitpose-{name}",
        title=title,
        family="ViTPose",
        roles=("pose",),
        prompts=("box",),
        licence="Apache-2.0",
        load=load,
        memory_bytes=memory,
        download=Download(
            f"usyd-community/vitpose-{name}", download, patterns=("*.json", "model*.safetensors")
        ),
        note=note,
        rank=rank,
    )


def examine(hub_id: str, config: Mapping[str, Any]) -> str | None:
    return "pose" if architecture(config) == "VitPoseForPoseEstimation" else None


def describe(variant: str, size: int) -> Card:
    return hub_card(replace(BASE, note="The keypoints of what is in a box."), size)


BASE = _card(
    "base-simple",
    "ViTPose base",
    344_100_000,
    700_000_000,
    11,
    "The 17 joints of people, as COCO names them.",
)
CARDS = [
    _card(
        "plus-small", "ViTPose+ small", 133_000_000, 400_000_000, 10, "The quickest; the 17 joints of people."
    ),
    BASE,
    _card("plus-base", "ViTPose+ base", 502_000_000, 900_000_000, 12, "The finest; the 17 joints of people."),
    *demo_cards("vitpose", BASE, title="Demo ViTPose"),
]
HUB = [HubKind("pose-estimation", "pose estimation (ViTPose)", examine, describe)]
