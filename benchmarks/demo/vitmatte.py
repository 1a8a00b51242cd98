"""A small ViTMatte that knows the drawn feathers, and how its alphas compare with closed-form matting's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional

from benchmarks.demo.loop import device, fit, seed_all
from benchmarks.demo.saving import save
from benchmarks.demo.scenes import Drawn
from benchmarks.demo.starting import start
from studio.adapters import Matter
from studio.scenes import Thing, still_life

FIRST_SEED = 3_000_000  # of the scenes learnt from, far from those that others learn from or are measured on
SCENES = 400
MARGIN = 24  # pixels kept around a thing
FINE = "feather"  # what has an alpha worth the name; of other things there are a few
SURE = 0.02  # an alpha this near to 0 or 1 is taken for it
BAND = (4, 13)  # pixels by which a trimap's unknown reaches around the true alpha's
LEAST = 50  # pixels of sure foreground that a trimap must have
# Side and number of a step's crops, in turn: what is fine is learnt from small ones, in many quick steps.
SIZES = ((96, 12), (112, 8), (96, 12), (208, 3))
STEPS = 6000
TRIMAPS = 4  # drawn around each thing learnt from
QUICK = 8  # how many times shorter a quick training is


@dataclass(frozen=True)
class Lesson:
    """A picture of a thing, uint8 (h, w, 3), and its alpha, float32 (h, w)."""

    name: str
    image: np.ndarray
    alpha: np.ndarray


def build(seed: int) -> tuple[Any, Any]:
    """Return an untrained model and its image processor."""
    import transformers

    seed_all(seed)
    backbone = transformers.VitDetConfig(
        hidden_size=96,
        num_hidden_layers=4,
        num_attention_heads=3,
        image_size=224,
        pretrain_image_size=224,
        patch_size=16,
        num_channels=4,
        window_size=7,
        window_block_indices=[0, 2],
        residual_block_indices=[1, 3],
        out_features=["stage4"],
    )
    config = transformers.VitMatteConfig(
        backbone_config=backbone,
        hidden_size=96,
        convstream_hidden_sizes=[24, 48, 64],
        fusion_hidden_sizes=[64, 64, 48, 24],
    )
    model = transformers.VitMatteForImageMatting(config)
    start(model, model.decoder.matting_head.matting_convs[-1])
    return model, transformers.VitMatteImageProcessor()


def train(folder: Path, *, seed: int, quick: bool) -> None:
    """Train a model and write it into a folder."""
    model, processor = build(seed)
    model.to(device(), memory_format=torch.channels_last)
    share = QUICK if quick else 1
    lessons = draw_lessons(range(FIRST_SEED, FIRST_SEED + SCENES // share))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (processor.image_mean, processor.image_std))

    def loss(batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        images, trimaps, alphas = batch
        pixels = torch.cat([(images.float() / 255 - mean) / std, trimaps.float()[:, None] / 255], 1)
        logits = _logits(model, pixels.to(model.device, memory_format=torch.channels_last))
        unknown, alphas = (trimaps == 128).to(model.device), alphas.to(model.device)
        found, true = logits[unknown], alphas[unknown]
        guesses = logits.sigmoid()
        steep = sum(
            ((guesses - alphas).diff(dim=axis).abs() * unknown.narrow(axis, 1, unknown.shape[axis] - 1)).sum()
            for axis in (-1, -2)
        )
        return {
            "far": (found.sigmoid() - true).abs().mean(),
            "sure": 0.2 * functional.binary_cross_entropy_with_logits(found, true),
            "steep": 0.3 * steep / unknown.sum(),
        }

    fit(
        model,
        _batches(lessons, np.random.default_rng(seed)),
        loss,
        steps=STEPS // share,
        rate=3e-3,
        average=0.99,
        say="vitmatte",
        every=250,
        snapshot=lambda averaged: save(averaged, folder, processor),
        snapshot_every=500,
    )
    save(model, folder, processor)


def measure(adapter: Matter, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return the mean error where the trimap is open, and its ratio to that of two ways without a network.

    These are closed-form matting from the same trimap, and cutting the distance between sure foreground and
    sure background at whatever share suits each picture best. Only what the scenes hold of feathers counts,
    and of one thing more in every fourth scene.
    """
    from pymatting import estimate_alpha_cf

    random = np.random.default_rng(0)
    errors: list[tuple[float, float, float]] = []
    pixels = 0
    for number, scene in enumerate(scenes):
        if number % 4 and not any(thing.name == FINE for thing in scene.things):
            continue
        whole = scene.scene()
        for lesson in _lessons(whole.image, whole.things, number % 4 == 0):
            trimap = make_trimap(lesson.alpha, random)
            if trimap is None:
                continue
            unknown = trimap == 128
            ways = (
                adapter.matte(lesson.image, trimap),
                estimate_alpha_cf(lesson.image / 255.0, trimap / 255.0),
                _best_cut(trimap, lesson.alpha),
            )
            errors.append(tuple(float(np.abs(way - lesson.alpha)[unknown].sum()) for way in ways))
            pixels += int(unknown.sum())
    ours, closed, cut = (float(total) for total in np.sum(errors, 0))
    return {
        "alpha_sad_vs_closed_form": ours / closed,
        "alpha_sad_vs_threshold": ours / cut,
        "alpha_error": ours / pixels,
        "alpha_cases": float(len(errors)),
    }


def make_trimap(alpha: np.ndarray, random: np.random.Generator) -> np.ndarray | None:
    """Return 0, 128 and 255 as somebody might draw it around the alpha; None where nothing would be sure."""
    open_ = ((alpha > SURE) & (alpha < 1 - SURE)).astype(np.uint8)
    reach = int(random.integers(*BAND))
    while reach:
        round_ = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        trimap = np.where(cv2.dilate(open_, round_) > 0, 128, np.where(alpha > 0.5, 255, 0)).astype(np.uint8)
        if (trimap == 255).sum() >= LEAST and (trimap == 0).any() and (trimap == 128).any():
            return trimap
        reach //= 2
    return None


def draw_lessons(seeds: Sequence[int]) -> list[Lesson]:
    """Draw scenes full of feathers, and cut them out."""
    lessons: list[Lesson] = []
    for seed in seeds:
        scene = still_life(seed, count=2 + seed % 4, weights={FINE: 8.0})
        lessons += _lessons(scene.image, scene.things, seed % 2 == 0)
    return lessons


def _lessons(image: np.ndarray, things: Sequence[Thing], one_more: bool) -> list[Lesson]:
    """Cut feathers out, and the first of the other things where asked for."""
    others = [thing for thing in things if thing.name != FINE][: int(one_more)]
    return [_cut(image, thing) for thing in things if thing.name == FINE] + [_cut(image, t) for t in others]


def _cut(image: np.ndarray, thing: Thing) -> Lesson:
    rows, columns = (np.flatnonzero((thing.alpha > SURE).any(axis)) for axis in (1, 0))
    place = tuple(
        slice(max(int(side[0]) - MARGIN, 0), int(side[-1]) + 1 + MARGIN) for side in (rows, columns)
    )
    return Lesson(thing.name, image[place].copy(), thing.alpha[place].copy())


def _best_cut(trimap: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return 1 where the sure foreground is nearer than some share of the way, the best there is."""
    inward = cv2.distanceTransform((trimap != 255).view(np.uint8), cv2.DIST_L2, 5)
    outward = cv2.distanceTransform((trimap != 0).view(np.uint8), cv2.DIST_L2, 5)
    share = outward / np.maximum(inward + outward, 1e-6)
    cuts = [(share >= level).astype(np.float32) for level in np.linspace(0.05, 0.95, 19)]
    return min(cuts, key=lambda cut: float(np.abs(cut - alpha)[trimap == 128].sum()))


def _logits(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Return the alpha's logits, float32 (n, h, w): the model's own forward stops at the rounded alpha."""
    decoder = model.decoder
    features = model.backbone(pixels).feature_maps[-1]
    details = decoder.convstream(pixels)
    last = len(decoder.fusion_blocks) - 1
    for i, block in enumerate(decoder.fusion_blocks):
        features = block(features, details[f"detailed_feature_map_{last - i}"])
    return decoder.matting_head(features)[:, 0].float()


def _batches(
    lessons: Sequence[Lesson], random: np.random.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield crops (n, 3, h, w) and trimaps (n, h, w), uint8, and alphas (n, h, w), turned over at random."""
    pairs = [(lesson, make_trimap(lesson.alpha, random)) for lesson in lessons for _ in range(TRIMAPS)]
    pairs = [(lesson, trimap) for lesson, trimap in pairs if trimap is not None]
    for side, count in cycle(SIZES):
        chosen = random.integers(len(pairs), size=count)
        crops = [_crop(*pairs[i], side, random) for i in map(int, chosen)]
        images, trimaps, alphas = (np.stack(part) for part in zip(*crops, strict=True))
        yield (
            torch.from_numpy(images).permute(0, 3, 1, 2),
            torch.from_numpy(trimaps),
            torch.from_numpy(alphas),
        )


def _crop(
    lesson: Lesson, trimap: np.ndarray, side: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a square of a lesson around something unknown; beyond the lesson's edge all is 0, as padding is."""
    rows, columns = np.nonzero(trimap == 128)
    middle = int(random.integers(len(rows)))
    starts = []
    for centre, length in ((rows[middle], trimap.shape[0]), (columns[middle], trimap.shape[1])):
        wished = int(centre) - side // 2 + int(random.integers(-side // 4, side // 4 + 1))
        starts.append(max(0, min(wished, length - side)))
    place = tuple(slice(start, start + side) for start in starts)
    parts = []
    light = random.uniform(0.85, 1.15, 3)
    image = np.clip(lesson.image[place] * light, 0, 255).astype(np.uint8)
    turns, mirrored = int(random.integers(4)), random.random() < 0.5
    for part in (image, trimap[place], lesson.alpha[place]):
        full = np.zeros((side, side, *part.shape[2:]), part.dtype)
        full[: part.shape[0], : part.shape[1]] = part
        full = np.rot90(full, turns)
        parts.append(np.ascontiguousarray(full[:, ::-1] if mirrored else full))
    return tuple(parts)
