"""The demo YOLO11n: trained on drawn scenes with masks, then its boxes alone; measured through the adapter."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from scipy import ndimage

from benchmarks.demo.loop import device, fit, seed_all
from benchmarks.demo.metrics import average_precision
from benchmarks.demo.scenes import Drawn, drawn
from models._yolo import checkpoint
from studio.adapters import Detector
from studio.scenes import CLASSES

SIDE = 384  # of a scene as the finished network sees it; the height is three quarters of it
GREY = 114  # what ultralytics pads with
GAINS = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5, overlap_mask=True)  # ultralytics' own
LEAST = 0.2  # of a thing must be left in a picture that was moved, or it is no target
BATCH = 16
SCENES = 3000


@dataclass(frozen=True)
class Stage:
    """Some steps on pictures of one size, ``side`` a multiple of 128.

    ``play`` is how far scale, place and colour are varied, 0 to 1.
    """

    steps: int
    side: int
    play: float


@dataclass(frozen=True)
class Small:
    """A scene kept for training: uint8 image and owner map at SIDE, class numbers and boxes of its things."""

    image: np.ndarray
    owner: np.ndarray
    numbers: np.ndarray
    boxes: np.ndarray


SEGMENTER = (Stage(300, 128, 1.0), Stage(800, 256, 1.0), Stage(700, SIDE, 0.5))
DETECTOR = (Stage(700, SIDE, 0.4),)
QUICK = (Stage(6, 128, 1.0),)


def train_segmenter(folder: Path, *, seed: int = 0, quick: bool = False) -> None:
    """Train a YOLO11n-seg from nothing and write its folder: small pictures first, then larger ones."""
    stages = QUICK if quick else SEGMENTER
    _learn(build(seed, segments=True), folder, stages, count=16 if quick else SCENES, seed=seed, rate=2e-3)


def train_detector(folder: Path, *, seed: int = 0, quick: bool = False) -> None:
    """Train a YOLO11n and write its folder; it begins with what the segmenter beside it has learnt.

    Where there is no yolo-segment beside it, one is trained first and thrown away.
    """
    with TemporaryDirectory() as elsewhere:
        begun = folder.parent / "yolo-segment"
        if not (begun / "model.safetensors").exists():
            begun = Path(elsewhere) / "yolo-segment"
            train_segmenter(begun, seed=seed, quick=quick)
        known = checkpoint.read(begun, None).tensors
    network = build(seed, segments=False)
    # The networks are the same but for the masks.
    network.load_state_dict({name: known[name].float() for name in network.state_dict()})
    stages = QUICK if quick else DETECTOR
    _learn(network, folder, stages, count=16 if quick else SCENES, seed=seed + 1, rate=3e-4)


def measure(adapter: Detector, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return det_ap50 and det_ap of the boxes, and seg_ap50 and seg_ap of the masks where there are any."""
    images = [scene.image for scene in scenes]
    found = [each for i in range(0, len(images), BATCH) for each in adapter.detect(images[i : i + BATCH])]
    boxes = average_precision(scenes, found, CLASSES)
    figures = {"det_ap50": boxes["ap50"], "det_ap": boxes["ap"]}
    if any(detection.mask for each in found for detection in each):
        masks = average_precision(scenes, found, CLASSES, masks=True)
        figures |= {"seg_ap50": masks["ap50"], "seg_ap": masks["ap"]}
    return figures


def build(seed: int, *, segments: bool) -> Any:
    """Return a YOLO11n of ultralytics for the scenes' classes, with random weights."""
    seed_all(seed)
    network = checkpoint.blank(f"yolo11n{'-seg' if segments else ''}.yaml", len(CLASSES))
    network.args = GAINS
    return network


def save(network: Any, folder: Path) -> None:
    """Write model.safetensors in 16 bits, and the config.json that the adapter reads."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    architecture = "yolo11n-seg.yaml" if hasattr(network.model[-1], "proto") else "yolo11n.yaml"
    config = {"architecture": architecture, "names": list(CLASSES), "side": SIDE}
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    save_file(tensors, folder / "model.safetensors")
    (folder / "model.safetensors").chmod(0o644)  # it was written for its owner's eyes alone
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def _learn(
    network: Any, folder: Path, stages: Sequence[Stage], *, count: int, seed: int, rate: float
) -> None:
    steps = sum(stage.steps for stage in stages)
    scenes = [small(each) for each in drawn("train", count)]
    network.to(device(), memory_format=torch.channels_last)

    def loss(batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        answers = network(batch["img"])
        with torch.autocast(device().type, enabled=False):  # the losses subtract neighbouring numbers
            exact = {
                k: [m.float() for m in v] if isinstance(v, list) else v.float() for k, v in answers.items()
            }
            parts, named = network.loss(batch, exact)
        return dict(zip(named, parts / BATCH, strict=True))

    def keep(mean: Any) -> None:
        save(_settled(mean, scenes, stages[-1].side, seed), folder)

    fit(
        network,
        _batches(scenes, stages, seed),
        loss,
        steps=steps,
        rate=rate,
        decay=5e-3,
        clip=10.0,
        say=folder.name,
        every=20,
        snapshot=keep,
        snapshot_every=200,
    )
    keep(network)


@torch.no_grad()
def _settled(mean: Any, scenes: Sequence[Small], side: int, seed: int) -> Any:
    """Return a copy whose normalisations have the statistics of its averaged weights, not of those before."""
    network = deepcopy(mean).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # each batch counts the same
    for batch in _batches(scenes, [Stage(16, side, 0.0)], seed):
        network(batch["img"])
    return network


def _batches(scenes: Sequence[Small], stages: Sequence[Stage], seed: int) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    order = _orders(len(scenes), rng)
    for stage in stages:
        for _ in range(stage.steps):
            yield collate([vary(scenes[next(order)], stage, rng) for _ in range(BATCH)], stage.side)


def _orders(count: int, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(count)


# ---- pictures -------------------------------------------------------------------------------------


def small(scene: Drawn) -> Small:
    """Reduce a scene to SIDE, as the adapter's letterbox reduces it."""
    image = scene.image
    scale = SIDE / image.shape[1]
    size = (SIDE, round(image.shape[0] * scale))
    return Small(
        cv2.resize(image, size, interpolation=cv2.INTER_LINEAR),
        cv2.resize(scene.owner, size, interpolation=cv2.INTER_NEAREST_EXACT),
        np.array([CLASSES.index(thing.name) for thing in scene.things], np.int64),
        np.array([thing.box.xyxy for thing in scene.things], np.float32).reshape(-1, 4) * scale,
    )


def vary(scene: Small, stage: Stage, rng: np.random.Generator) -> Small:
    """Turn over, transpose, scale, move and recolour a scene; things that leave it almost wholly are dropped.

    Nobody lies upside down in a picture taken from above, so every turn of it is as good as another.
    """
    height, width = scene.image.shape[:2]
    out = (stage.side, stage.side * 3 // 4)
    fit = stage.side / width
    scale = fit * math.exp(rng.uniform(-0.3, 0.3) * stage.play)
    linear = np.diag(rng.choice((-scale, scale), 2))
    if rng.random() < 0.4 * stage.play:
        linear = linear[::-1]
    middle = np.array(out) / 2 + rng.uniform(-0.12, 0.12, 2) * stage.play * out
    matrix = np.column_stack([linear, middle - linear @ (width / 2, height / 2)])
    image = cv2.warpAffine(scene.image, matrix, out, flags=cv2.INTER_LINEAR, borderValue=(GREY,) * 3)
    owner = cv2.warpAffine(scene.owner, matrix, out, flags=cv2.INTER_NEAREST, borderValue=0)
    corners = scene.boxes.reshape(-1, 2, 2) @ linear.T + matrix[:, 2]
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    whole = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)
    seen = ndimage.find_objects(owner, max_label=len(boxes))
    for box, place in zip(boxes, seen, strict=True):
        # What is left of a thing that was cut may end before the cut: its pixels say where.
        rows, columns = place or (slice(0, 0), slice(0, 0))
        low = (columns.start - 1, rows.start - 1)
        high = (columns.stop + 1, rows.stop + 1)
        box[:] = [*np.maximum(box[:2], np.maximum(low, 0)), *np.minimum(box[2:], np.minimum(high, out))]
    left = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)
    kept = np.flatnonzero((left > LEAST * whole) & (left > 16))
    renamed = np.zeros(256, np.uint8)
    renamed[kept + 1] = np.arange(1, len(kept) + 1)
    return Small(_recoloured(image, stage.play, rng), renamed[owner], scene.numbers[kept], boxes[kept])


def _recoloured(image: np.ndarray, play: float, rng: np.random.Generator) -> np.ndarray:
    """Vary hue a little (a lemon must stay one), saturation and brightness more."""
    hue, saturation, value = rng.uniform(-1, 1, 3) * (3, 0.35, 0.3) * play
    steps = np.arange(256, dtype=np.float32)
    tables = [
        ((steps + hue) % 180).astype(np.uint8),
        np.clip(steps * (1 + saturation), 0, 255).astype(np.uint8),
        np.clip(steps * (1 + value), 0, 255).astype(np.uint8),
    ]
    channels = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    mixed = cv2.merge([cv2.LUT(channel, table) for channel, table in zip(channels, tables, strict=True)])
    return cv2.cvtColor(mixed, cv2.COLOR_HSV2RGB)


def collate(scenes: Sequence[Small], side: int) -> dict[str, Any]:
    """Return a batch as ultralytics' losses take it: boxes as middle and size in shares of the picture."""
    size = np.array([side, side * 3 // 4], np.float32)
    boxes = np.concatenate([scene.boxes for scene in scenes]).astype(np.float32).reshape(
        -1, 2, 2
    ) / np.float32(size)
    counts = [len(scene.boxes) for scene in scenes]
    images = torch.from_numpy(np.stack([scene.image for scene in scenes])).permute(0, 3, 1, 2)
    batch = {
        "img": images.float().div_(255),
        "batch_idx": torch.repeat_interleave(torch.tensor(counts)).float(),
        "cls": torch.from_numpy(np.concatenate([scene.numbers for scene in scenes])).float()[:, None],
        "bboxes": torch.from_numpy(np.concatenate([boxes.mean(1), boxes[:, 1] - boxes[:, 0]], 1)),
        "masks": torch.from_numpy(np.stack([scene.owner[2::4, 2::4] for scene in scenes])),
    }
    return {name: tensor.to(device()) for name, tensor in batch.items()}
