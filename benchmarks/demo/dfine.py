"""A small D-FINE that finds the classes of the drawn scenes, and how well it does.

A detector of this kind taught by its own loss alone takes hours: only the few cells that a query was chosen
from learn anything. So the encoder is first taught densely, on small pictures, every cell near the middle of a
thing being told its class and box, as in Tian et al., FCOS (2019); the decoder joins once there is something to
choose from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.demo.loop import device, fit, seed_all
from benchmarks.demo.metrics import average_precision
from benchmarks.demo.saving import save
from benchmarks.demo.scenes import Drawn, drawn
from models.detr import see_in_bfloat16
from studio.adapters import Detector
from studio.scenes import CLASSES

SIZE = (256, 320)  # height and width that the network sees
STRIDES = (8, 16, 32)
SCENES = 2400
MIDDLE = 0.7  # how far from its middle, in half-widths, a thing's cells are taught
QUICK = 20  # how many times shorter a quick training is


@dataclass(frozen=True)
class Phase:
    """Steps of ``count`` images that are ``smaller`` times smaller than SIZE.

    ``dense`` is the weight of the dense loss at its start and end; ``decode`` says whether the decoder, with
    the model's own loss, takes part.
    """

    steps: int
    count: int
    smaller: int
    dense: tuple[float, float]
    decode: bool


@dataclass(frozen=True)
class Round:
    """Phases over which the learning rate falls from ``rate`` to nothing."""

    rate: float
    phases: tuple[Phase, ...]


ROUNDS = (
    Round(
        3e-3,
        (
            Phase(400, 16, 2, (1.0, 1.0), False),
            Phase(700, 16, 2, (1.0, 0.4), True),
            Phase(350, 16, 1, (0.4, 0.0), True),
        ),
    ),
    Round(1.5e-3, (Phase(1300, 16, 1, (0.2, 0.0), True),)),
)


def build(seed: int) -> tuple[Any, Any]:
    """Return an untrained model and its image processor."""
    import transformers

    seed_all(seed)
    width = 96
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 16, 24],
        stage_in_channels=[24, 32, 96, 160],
        stage_mid_channels=[16, 32, 48, 64],
        stage_out_channels=[32, 96, 160, 224],
        hidden_sizes=[32, 96, 160, 224],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[3, 3, 3, 3],
        stage_kernel_size=[3, 3, 3, 3],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.DFineConfig(
        backbone_config=backbone,
        freeze_backbone_batch_norms=False,
        encoder_in_channels=[96, 160, 224],
        feat_strides=list(STRIDES),
        encoder_hidden_dim=width,
        encoder_ffn_dim=2 * width,
        encoder_attention_heads=4,
        depth_mult=0.34,
        hidden_expansion=0.5,
        d_model=width,
        decoder_in_channels=[width] * 3,
        decoder_ffn_dim=2 * width,
        decoder_attention_heads=4,
        decoder_layers=2,
        decoder_n_points=[4, 4, 4],
        num_queries=50,
        num_denoising=30,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: i for i, name in enumerate(CLASSES)},
    )
    model = transformers.DFineForObjectDetection(config)
    _spread(model)
    processor = transformers.RTDetrImageProcessor(size={"height": SIZE[0], "width": SIZE[1]})
    return model, processor


def _spread(model: Any) -> None:
    """Draw the weights as the authors do: transformers' own start is meant for loading a checkpoint into."""
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear) and "class_embed" not in name and module.weight.any():
                nn.init.xavier_uniform_(module.weight)
        for head in (model.model.enc_bbox_head, model.model.decoder.pre_bbox_head):
            head.layers[-1].weight.zero_()


def train(folder: Path, *, seed: int, quick: bool) -> None:
    """Train a model and write it into a folder."""
    model, processor = build(seed)
    model.to(device())
    see_in_bfloat16(model)  # the decoder stays in float32: its boxes are finer than bfloat16 can say
    share = QUICK if quick else 1
    scenes = drawn("train", SCENES // share)
    for number, planned in enumerate(ROUNDS):
        phases = [replace(phase, steps=phase.steps // share) for phase in planned.phases]
        learn(model, processor, scenes, folder, phases, rate=planned.rate, seed=seed + number)


def learn(
    model: Any,
    processor: Any,
    scenes: Sequence[Drawn],
    folder: Path,
    phases: Sequence[Phase],
    *,
    rate: float,
    seed: int,
) -> None:
    """Train a model in place for a round and write it, now and then on the way too."""
    images, labels = _lessons(scenes, processor)

    def loss(lesson: Lesson) -> dict[str, torch.Tensor]:
        return _losses(model, lesson)

    fit(
        model,
        _batches(images, labels, phases, np.random.default_rng(seed)),
        loss,
        steps=sum(phase.steps for phase in phases),
        rate=rate,
        warm=0.05,
        bf16=False,
        say="dfine",
        every=20,
        snapshot=lambda averaged: save(averaged, folder, processor),
        snapshot_every=100,
    )
    save(model, folder, processor)


def measure(adapter: Detector, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return COCO's AP and AP50 of boxes, and AP50 of each class."""
    found = []
    for start in range(0, len(scenes), 8):
        found += adapter.detect([scene.image for scene in scenes[start : start + 8]], floor=0.01)
    figures = average_precision(scenes, found, CLASSES)
    return {f"dfine_{name}": value for name, value in figures.items()}


@dataclass(frozen=True)
class Lesson:
    """``pixels`` float32 (n, 3, h, w), 0 to 1; ``labels`` as transformers wants them: class_labels, boxes."""

    pixels: torch.Tensor
    labels: list[dict[str, torch.Tensor]]
    dense: float
    decode: bool


Labels = tuple[torch.Tensor, torch.Tensor]  # classes (k,), boxes (k, 4): middle, width, height as shares


def _lessons(scenes: Sequence[Drawn], processor: Any) -> tuple[torch.Tensor, list[Labels]]:
    """Return images uint8 (n, 3, h, w) as the processor resizes them, and what is on each."""
    images = torch.empty(len(scenes), 3, *SIZE, dtype=torch.uint8)
    labels: list[Labels] = []
    for i, scene in enumerate(scenes):
        picture = scene.image
        made = processor(picture, do_rescale=False, return_tensors="pt", input_data_format="channels_last")
        images[i] = made["pixel_values"][0]
        height, width = picture.shape[:2]
        corners = np.array([thing.box.xyxy for thing in scene.things], np.float32).reshape(-1, 4)
        corners /= np.array([width, height, width, height], np.float32)
        boxes = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
        classes = [CLASSES.index(thing.name) for thing in scene.things]
        labels.append((torch.tensor(classes, dtype=torch.long), torch.from_numpy(boxes)))
    return images, labels


def _batches(
    images: torch.Tensor, labels: Sequence[Labels], plan: Sequence[Phase], random: np.random.Generator
) -> Iterator[Lesson]:
    """Yield lessons, each image turned over at random, every image once before any comes again."""
    waiting: list[int] = []
    for phase in plan:
        for step in range(phase.steps):
            while len(waiting) < phase.count:
                waiting += random.permutation(len(images)).tolist()
            chosen, waiting = waiting[: phase.count], waiting[phase.count :]
            pixels, truth = zip(*(_turned(images[i], labels[i], random) for i in chosen), strict=True)
            stacked = torch.stack(pixels).float().div_(255)
            if phase.smaller > 1:
                stacked = functional.avg_pool2d(stacked, phase.smaller)
            first, last = phase.dense
            dense = first + (last - first) * step / phase.steps
            yield Lesson(
                stacked.contiguous(memory_format=torch.channels_last), list(truth), dense, phase.decode
            )


def _turned(
    image: torch.Tensor, label: Labels, random: np.random.Generator
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    classes, boxes = label[0], label[1].clone()
    for axis, column in ((-1, 0), (-2, 1)):
        if random.random() < 0.5:
            image = image.flip(axis)
            boxes[:, column] = 1 - boxes[:, column]
    return image, {"class_labels": classes, "boxes": boxes}


# ---- losses ---------------------------------------------------------------------------------------


def _losses(model: Any, lesson: Lesson) -> dict[str, torch.Tensor]:
    pixels = lesson.pixels.to(model.device)
    labels = [{name: value.to(model.device) for name, value in one.items()} for one in lesson.labels]
    if lesson.decode:
        outputs = model(pixel_values=pixels, labels=labels)
        classes, boxes = outputs.enc_outputs_class, outputs.enc_outputs_coord_logits
        parts = {"own": outputs.loss}
    else:
        classes, boxes = _encode(model.model, pixels)
        parts = {}
    if lesson.dense > 0:
        parts["dense"] = lesson.dense * _dense(classes, boxes.sigmoid(), labels, pixels.shape[-2:])
    return parts


def _encode(model: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the encoder makes of every cell: class logits (n, cells, classes), box logits (n, cells, 4)."""
    maps = model.backbone(pixels, pixels[:, 0] >= 0)
    seen = model.encoder([project(m) for project, (m, _) in zip(model.encoder_input_proj, maps, strict=True)])
    maps = [project(m) for project, m in zip(model.decoder_input_proj, seen.last_hidden_state, strict=True)]
    cells = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], 1)
    anchors, valid = model.generate_anchors(
        tuple(tuple(m.shape[-2:]) for m in maps), device=cells.device, dtype=cells.dtype
    )
    cells = model.enc_output(valid.to(cells.dtype) * cells)
    return model.enc_score_head(cells), model.enc_bbox_head(cells) + anchors


def _dense(
    logits: torch.Tensor, boxes: torch.Tensor, labels: Sequence[dict[str, torch.Tensor]], size: Sequence[int]
) -> torch.Tensor:
    """Return the loss of all cells' classes, and of the boxes of those near the middle of a thing.

    The score to be learnt falls from 1 at the middle to a half at the rim, by quality focal loss (Li et al.,
    Generalized Focal Loss, 2020), so that the best of a thing's cells are chosen as queries.
    """
    most = max(1, *(len(one["boxes"]) for one in labels))
    things = logits.new_zeros(len(labels), most, 4)
    things[..., :2] = 9.0  # places without a thing lie far outside
    things[..., 2:] = 1e-3
    numbers = torch.zeros(len(labels), most, dtype=torch.long, device=logits.device)
    for i, one in enumerate(labels):
        things[i, : len(one["boxes"])] = one["boxes"]
        numbers[i, : len(one["boxes"])] = one["class_labels"]
    at = _middles(size).to(logits.device)
    away = ((at[:, None] - things[:, None, :, :2]) / things[:, None, :, 2:] * 2).norm(dim=-1)
    away, nearest = away.min(-1)
    image, cell = (away < MIDDLE).nonzero(as_tuple=True)
    thing = nearest[image, cell]
    target = torch.zeros_like(logits)
    target[image, cell, numbers[image, thing]] = 1 - 0.5 * away[image, cell] / MIDDLE
    weight = (target - logits.detach().sigmoid()).square()
    taught = max(1, len(image))
    classes = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum") * 4
    ours, theirs = boxes[image, cell], things[image, thing]
    distance = functional.l1_loss(ours, theirs, reduction="sum")
    return (classes + 5 * distance + 2 * _apart(ours, theirs).sum()) / taught


def _apart(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return 1 - GIoU of pairs of boxes, each as middle, width, height."""
    low = [box[:, :2] - box[:, 2:] / 2 for box in (first, second)]
    high = [box[:, :2] + box[:, 2:] / 2 for box in (first, second)]
    shared = (torch.minimum(*high) - torch.maximum(*low)).clamp(min=0).prod(1)
    union = first[:, 2:].prod(1) + second[:, 2:].prod(1) - shared
    hull = (torch.maximum(*high) - torch.minimum(*low)).prod(1)
    return 1 - shared / (union + 1e-9) + (hull - union) / (hull + 1e-9)


def _middles(size: Sequence[int]) -> torch.Tensor:
    """Return where the cells of all levels lie, (cells, 2): x and y as shares of the picture."""
    levels = []
    for stride in STRIDES:
        rows, columns = size[0] // stride, size[1] // stride
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        levels.append(torch.stack([(x + 0.5) / columns, (y + 0.5) / rows], -1).reshape(-1, 2))
    return torch.cat(levels)
