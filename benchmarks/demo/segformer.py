"""A small SegFormer that knows the classes of the drawn scenes, and how well it tells them apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.demo.loop import device, fit, seed_all
from benchmarks.demo.saving import save
from benchmarks.demo.scenes import Drawn, drawn
from benchmarks.demo.starting import start
from studio.adapters import SemanticSegmenter
from studio.scenes import CLASSES

NAMES = ("background", *CLASSES)
SIZE = (240, 320)  # height and width that the network sees
SCENES = 2000
# Steps, images a step, and the size cut out of each. Most is learnt from parts that hold a thing.
PARTS = (2200, 24, (128, 128))
WHOLE = (120, 10, SIZE)
FOREGROUND = 3.0  # how much more a thing's pixel counts than the background's, which is most of every scene
QUICK = 8  # how many times shorter a quick training is


def build(seed: int) -> tuple[Any, Any]:
    """Return an untrained model and its image processor."""
    import transformers

    seed_all(seed)
    config = transformers.SegformerConfig(
        hidden_sizes=[24, 48, 96, 160],
        depths=[1, 2, 2, 2],
        num_attention_heads=[1, 2, 4, 8],
        decoder_hidden_size=64,
        drop_path_rate=0.0,
        classifier_dropout_prob=0.0,
        id2label=dict(enumerate(NAMES)),
        label2id={name: i for i, name in enumerate(NAMES)},
    )
    # Queries are many and keys few: plain attention is quicker here than the fused one.
    model = transformers.SegformerForSemanticSegmentation._from_config(config, attn_implementation="eager")
    start(model, model.decode_head.classifier)
    processor = transformers.SegformerImageProcessor(size={"height": SIZE[0], "width": SIZE[1]})
    return model, processor


def train(folder: Path, *, seed: int, quick: bool) -> None:
    """Train a model and write it into a folder."""
    model, processor = build(seed)
    model.to(device())
    share = QUICK if quick else 1
    images, classes = _lessons(drawn("train", SCENES // share))
    plan = [(steps // share, count, size) for steps, count, size in (PARTS, WHOLE)]
    weights = torch.full((len(NAMES), 1, 1), FOREGROUND)
    weights[0] = 1
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (processor.image_mean, processor.image_std))

    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        pixels, shares = batch
        pixels = ((pixels.float() / 255 - mean) / std).to(model.device)
        logits = model(pixel_values=pixels).logits.float()
        weighted = (weights * shares).to(model.device)
        return -(weighted * logits.log_softmax(1)).sum() / weighted.sum()

    fit(
        model,
        _batches(images, classes, plan, np.random.default_rng(seed)),
        loss,
        steps=sum(steps for steps, _, _ in plan),
        rate=2e-3,
        average=0.99,
        say="segformer",
        every=50,
    )
    with torch.no_grad():  # chances as they are, now that all has been learnt with things counting for more
        model.decode_head.classifier.bias[0] += math.log(FOREGROUND)
    save(model, folder, processor)


def measure(adapter: SemanticSegmenter, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return IoU over all pixels of the scenes, of each class and on average, background included."""
    counts = np.zeros((len(NAMES), len(NAMES)), np.int64)
    numbers = np.array([NAMES.index(name) for name in adapter.names])
    for first in range(0, len(scenes), 8):
        part = scenes[first : first + 8]
        for scene, found in zip(part, adapter.classify_pixels([s.image for s in part]), strict=True):
            pairs = _classes(scene).astype(np.int64) * len(NAMES) + numbers[found]
            counts += np.bincount(pairs.ravel(), minlength=counts.size).reshape(counts.shape)
    right = np.diag(counts)
    union = counts.sum(0) + counts.sum(1) - right
    ious = {name: right[i] / union[i] for i, name in enumerate(NAMES) if counts[i].any()}
    figures = {f"sem_iou_{name}": float(value) for name, value in ious.items()}
    return {"sem_miou": float(np.mean(list(ious.values()))), **figures}


def _classes(scene: Drawn) -> np.ndarray:
    """Return the class of every pixel, uint8 of shape (height, width)."""
    table = np.array([0, *(NAMES.index(thing.name) for thing in scene.things)], np.uint8)
    return table[scene.owner]


def _lessons(scenes: Sequence[Drawn]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images (n, 3, h, w) and their classes (n, h, w), uint8, at the network's size."""
    images = torch.empty(len(scenes), 3, *SIZE, dtype=torch.uint8)
    classes = torch.empty(len(scenes), *SIZE, dtype=torch.uint8)
    for i, scene in enumerate(scenes):
        pixels = torch.from_numpy(scene.image).permute(2, 0, 1)[None].float()
        images[i] = functional.interpolate(pixels, SIZE, mode="bilinear", antialias=True)[0].round()
        labels = torch.from_numpy(_classes(scene))[None, None]
        classes[i] = functional.interpolate(labels, SIZE, mode="nearest-exact")[0, 0]
    return images, classes


def _batches(
    images: torch.Tensor,
    classes: torch.Tensor,
    plan: Sequence[tuple[int, int, tuple[int, int]]],
    random: np.random.Generator,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield images and the share of each class in each cell of the network's answer, turned over at random.

    ``plan`` holds steps, images a step, and the size that is cut out of each lesson around one of its things.
    """
    for steps, count, size in plan:
        for _ in range(steps):
            chosen = random.choice(len(images), count, replace=len(images) < count)
            places = [(i, *_place(classes[i], size, random)) for i in map(int, chosen)]
            pixels = torch.stack([images[i, :, down, across] for i, down, across in places])
            labels = torch.stack([classes[i, down, across] for i, down, across in places])
            turned = [axis for axis in (-1, -2) if random.random() < 0.5]
            pixels, labels = pixels.flip(turned), labels.flip(turned)
            shares = functional.one_hot(labels.long(), len(NAMES)).permute(0, 3, 1, 2).float()
            yield pixels, functional.avg_pool2d(shares, 4)


def _place(classes: torch.Tensor, size: tuple[int, int], random: np.random.Generator) -> tuple[slice, slice]:
    """Return rows and columns of a part of this size near some pixel of a thing."""
    held = np.flatnonzero(classes.numpy())
    pixel = int(held[random.integers(len(held))]) if len(held) else 0
    slices = []
    for at, length, part in zip(divmod(pixel, classes.shape[1]), classes.shape, size, strict=True):
        first = at - part // 2 + int(random.integers(-part // 3, part // 3 + 1))
        first = max(0, min(first, length - part))
        slices.append(slice(first, first + part))
    return slices[0], slices[1]
