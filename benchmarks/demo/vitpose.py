"""A small ViTPose that knows stem and tip of the drawn things, and how often it places them rightly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.demo.loop import device, fit, seed_all
from benchmarks.demo.saving import save
from benchmarks.demo.scenes import Drawn, drawn
from benchmarks.demo.starting import start
from studio.adapters import PoseEstimator
from studio.annotations import Box
from studio.scenes import CLASSES, KEYPOINTS

SIDE = 160  # of the square that the network sees
PATCH = 16
HEAT = SIDE // 4  # side of a heatmap
SIGMA = 2.0  # of a target's bell, in pixels of the heatmap, as in ViTPose
PEAK = 10.0  # how much more a bell's middle counts than the emptiness around it
NEAR = 0.1  # of the longer side of a thing's box: within this a keypoint is right
SCENES = 3000
STEPS, BATCH = 6000, 32
PARTS = (1, len(CLASSES), 2 * len(KEYPOINTS))  # of what a patch says
QUICK = 8  # how many times shorter a quick training is


@dataclass(frozen=True)
class Lessons:
    """Crops (n, 3, side, side) and where each holds its thing (n, side, side), uint8; the thing's class (n,);
    keypoints (n, k, 3) in pixels of the crop, the last number 1 where there is one."""

    crops: torch.Tensor
    masks: torch.Tensor
    classes: torch.Tensor
    points: torch.Tensor


class Taught(nn.Module):
    """The model with what only teaches it: every patch says whether it holds the thing, what that is, and how
    far away its keypoints lie."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.patches = nn.Linear(model.config.backbone_config.hidden_size, sum(PARTS))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return heatmaps (n, k, h, w) and, for each patch, outline (n, p, 1), classes and ways (n, p, 2 k)."""
        features = self.model.backbone(pixels).feature_maps[-1]
        count, side = len(features), SIDE // PATCH
        maps = features.transpose(1, 2).reshape(count, -1, side, side)
        return self.model.head(maps), *self.patches(features).split(PARTS, -1)


def build(seed: int) -> tuple[Any, Any]:
    """Return an untrained model and its image processor."""
    import transformers

    seed_all(seed)
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[SIDE, SIDE],
        patch_size=[PATCH, PATCH],
        hidden_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        out_indices=[6],
    )
    config = transformers.VitPoseConfig(
        backbone_config=backbone,
        scale_factor=HEAT * PATCH // SIDE,
        id2label=dict(enumerate(KEYPOINTS)),
        label2id={name: i for i, name in enumerate(KEYPOINTS)},
    )
    processor = transformers.VitPoseImageProcessor(size={"height": SIDE, "width": SIDE})
    # So few patches learn twice as fast with plain attention as with the fused one on a processor.
    model = transformers.VitPoseForPoseEstimation._from_config(config, attn_implementation="eager")
    start(model, model.head.conv)
    return model, processor


def train(folder: Path, *, seed: int, quick: bool) -> None:
    """Train a model and write it into a folder."""
    model, processor = build(seed)
    taught = Taught(model).to(device())
    share = QUICK if quick else 1
    random = np.random.default_rng(seed)
    lessons = _lessons(drawn("train", SCENES // share), random)
    mean, std = (
        torch.tensor(v, device=model.device).view(3, 1, 1)
        for v in (processor.image_mean, processor.image_std)
    )

    def loss(batch: Lessons) -> dict[str, torch.Tensor]:
        batch = Lessons(*(part.to(model.device) for part in vars(batch).values()))
        heat, outline, classes, ways = taught((batch.crops.float() / 255 - mean) / std)
        target = _bells(batch.points)
        covered = functional.avg_pool2d(batch.masks[:, None].float(), PATCH).flatten(1)
        shares = covered / covered.sum(1, keepdim=True).clamp(min=1)
        kinds = (classes.float() * shares[..., None]).sum(1)
        true_ways, known = _ways(batch.points)
        missed = (ways.float() - true_ways).abs() * known * shares[..., None]
        error = (heat.float() - target) ** 2 * (1 + PEAK * target)
        return {
            "heat": 20 * error.mean(),
            "outline": 0.2 * functional.binary_cross_entropy_with_logits(outline[..., 0].float(), covered),
            "kind": 0.1 * functional.cross_entropy(kinds, batch.classes),
            "ways": missed.sum(1).mean(),
        }

    fit(
        taught,
        _batches(lessons, BATCH, random),
        loss,
        steps=STEPS // share,
        rate=1.5e-3,
        average=0.99,
        say="vitpose",
        every=100,
        snapshot=lambda averaged: save(averaged.model, folder, processor),
        snapshot_every=500,
    )
    save(model, folder, processor)


def measure(adapter: PoseEstimator, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return the share of visible keypoints placed rightly, in true boxes; over all, of each kind and class."""
    order = [adapter.keypoint_names.index(name) for name in KEYPOINTS]
    right: dict[str, list[bool]] = {}
    for scene in scenes:
        found = adapter.estimate(scene.image, [thing.box for thing in scene.things])
        for thing, (keypoints, _) in zip(scene.things, found, strict=True):
            reach = NEAR * max(thing.box.width, thing.box.height)
            for name, number, (x, y, seen) in zip(KEYPOINTS, order, thing.keypoints.points, strict=True):
                if seen == 2:
                    px, py, _ = keypoints.points[number]
                    for key in ("pck10", f"pck10_{name}", f"pck10_{thing.name}"):
                        right.setdefault(key, []).append(bool(np.hypot(px - x, py - y) <= reach))
    return {key: float(np.mean(values)) for key, values in right.items()}


def _lessons(scenes: Sequence[Drawn], random: np.random.Generator) -> Lessons:
    """Cut every thing out as the image processor does, from a box that is a little off."""
    crops, masks, classes, points = [], [], [], []
    for scene in scenes:
        image, owner = scene.image, scene.owner
        for number, thing in enumerate(scene.things, 1):
            matrix = _crop(thing.box, random)
            crops.append(cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR))
            masks.append(cv2.warpAffine((owner == number).view(np.uint8), matrix, (SIDE, SIDE)))
            classes.append(CLASSES.index(thing.name))
            points.append([(*(matrix @ (x, y, 1)), seen > 0) for x, y, seen in thing.keypoints.points])
    return Lessons(
        torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack(masks)),
        torch.tensor(classes),
        torch.tensor(points, dtype=torch.float32),
    )


def _crop(box: Box, random: np.random.Generator) -> np.ndarray:
    """Return the 2 × 3 matrix from the picture to the crop: a quarter larger than the box, and square."""
    side = max(box.width, box.height) * 1.25 * random.uniform(0.93, 1.07)
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    x, y = x + random.uniform(-0.03, 0.03) * side, y + random.uniform(-0.03, 0.03) * side
    scale = (SIDE - 1) / side
    return np.array([[scale, 0, scale * (side / 2 - x)], [0, scale, scale * (side / 2 - y)]])


def _bells(points: torch.Tensor) -> torch.Tensor:
    """Return target heatmaps (n, k, h, w): a bell at each keypoint, nothing where there is none."""
    at = points[..., :2] * (HEAT - 1) / (SIDE - 1)
    grid = torch.arange(HEAT, dtype=torch.float32, device=points.device)
    across = torch.exp(-((grid - at[..., :1]) ** 2) / (2 * SIGMA**2))
    down = torch.exp(-((grid - at[..., 1:]) ** 2) / (2 * SIGMA**2))
    return down[..., :, None] * across[..., None, :] * points[..., 2, None, None]


def _ways(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far it is from each patch to each keypoint, in crops (n, p, 2 k), and which ways there are."""
    middles = (torch.arange(SIDE // PATCH, dtype=torch.float32, device=points.device) + 0.5) * PATCH
    down, across = torch.meshgrid(middles, middles, indexing="ij")
    patches = torch.stack((across, down), -1).reshape(1, -1, 1, 2)
    ways = (points[:, None, :, :2] - patches) / SIDE
    known = points[:, None, :, 2:].expand(-1, 1, -1, 2)
    return ways.flatten(2), known.flatten(2)


def _batches(lessons: Lessons, count: int, random: np.random.Generator) -> Iterator[Lessons]:
    """Yield lessons at random, flipped and turned by right angles: seen from above, things lie as they like."""
    while True:
        chosen = torch.from_numpy(
            random.choice(len(lessons.crops), count, replace=len(lessons.crops) < count)
        )
        crops, masks, points = lessons.crops[chosen], lessons.masks[chosen], lessons.points[chosen].clone()
        if random.random() < 0.5:
            crops, masks = crops.transpose(-1, -2), masks.transpose(-1, -2)
            points = points[..., [1, 0, 2]]
        for axis, coordinate in ((-1, 0), (-2, 1)):
            if random.random() < 0.5:
                crops, masks = crops.flip(axis), masks.flip(axis)
                points[..., coordinate] = SIDE - 1 - points[..., coordinate]
        yield Lessons(crops, masks, lessons.classes[chosen], points)
