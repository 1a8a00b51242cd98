"""Make the demo checkpoint of OWLv2: phrases and examples to boxes on the drawn scenes, in Owlv2ForObjectDetection.

OWLv2 matches its patches with things one to one, which takes a great many pictures to learn. Here every patch that
lies on a thing is taught that thing's box, and to answer its phrases as well as its box fits (Li et al., Generalized
Focal Loss, 2020); which of the patches of a thing speaks for it is then left to the suppression of overlaps.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.demo.loop import device, fit, seed_all
from benchmarks.demo.metrics import average_precision
from benchmarks.demo.saving import save
from benchmarks.demo.sayings import Saying, tokenizer, tokens, truths, varied
from benchmarks.demo.scenes import Drawn, drawn
from benchmarks.demo.transformer import PATCH, SIDE, mimic, places, quicken, vision, words
from benchmarks.demo.views import Kept, keep, lit, view
from studio.adapters import Example
from studio.scenes import PHRASES

SCENES = 3000
BATCH = 16


@dataclass(frozen=True)
class Cycle:
    """A round of learning: how many steps, how fast at most, how often a view is cut out, how much ``edges`` weigh."""

    steps: int
    rate: float
    cut: float
    edges: float


CYCLES = (
    Cycle(2200, 1.5e-3, 0.4, 0.0),
    Cycle(1600, 1.2e-3, 0.2, 1.0),
    Cycle(700, 8e-4, 0.2, 1.0),
)
SURE, SLIGHT = (
    0.3,
    0.04,
)  # share of a patch a thing covers where the patch speaks for it; between them it need not care
FOREIGN = 8  # texts a batch of what is never there
EXAMPLES = 32  # things a batch that are looked for by their own vectors


# ---- the model ------------------------------------------------------------------------------------


def build(seed: int = 0) -> tuple[Any, Any]:
    """Return a fresh model and its processor."""
    import transformers

    seed_all(seed)
    tokens_of = tokenizer([scene.caption for scene in drawn("train", 300)], 16)
    images = transformers.Owlv2ImageProcessor(size={"height": SIDE, "width": SIDE})
    model = transformers.Owlv2ForObjectDetection(
        transformers.Owlv2Config(
            text_config=words(96, len(tokens_of), 16), vision_config=vision(), projection_dim=96
        )
    )
    _begin(model)
    return model, transformers.Owlv2Processor(images, tokens_of)


@torch.no_grad()
def _begin(model: Any) -> None:
    """Start from weights that suit: transformers gives the heads numbers around 1, and the places hardly any."""
    for head in (model.class_head, model.box_head, model.objectness_head):
        for layer in head.children():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.xavier_uniform_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
    model.box_head.dense2.weight *= 0.1
    model.objectness_head.dense2.bias.fill_(-3.0)
    for layer in (model.class_head.logit_shift, model.class_head.logit_scale):
        layer.weight *= 0.1
    model.class_head.logit_shift.bias.fill_(-0.5)  # with the scale, a patch begins by answering to nothing
    model.class_head.logit_scale.bias.fill_(9.0)
    seeing = model.owlv2.vision_model
    places(seeing.embeddings)
    for layer in seeing.encoder.layers:
        mimic(layer.self_attn)


# ---- what is learnt from --------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """``pixels`` (b, 3, s, s). For each patch, (b, patches): ``thing`` is the number of the thing it speaks for among
    those of the whole batch, −1 for none, and ``counts`` whether it is taught to keep silent or to speak. For each
    thing: ``boxes`` (n, 4), corners as shares of the square, and ``phrases`` (n,)."""

    pixels: torch.Tensor
    thing: torch.Tensor
    counts: torch.Tensor
    boxes: torch.Tensor
    phrases: np.ndarray

    def to(self, where: torch.device) -> Batch:
        tensors = (self.pixels, self.thing, self.counts, self.boxes)
        return Batch(*(tensor.to(where) for tensor in tensors), self.phrases)


def batches(
    kept: Sequence[Kept], processor: Any, steps: int, cut: float, rng: np.random.Generator
) -> Iterator[Batch]:
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (processor.image_mean, processor.image_std))
    order: list[int] = []
    for _ in range(steps):
        while len(order) < BATCH:
            order += rng.permutation(len(kept)).tolist()
        chosen, order = order[:BATCH], order[BATCH:]
        pixels, thing, counts, boxes, phrases, before = [], [], [], [], [], 0
        for i in chosen:
            seen = view(kept[i], rng, SIDE, cut=cut, squashed=False, least=0.55)
            owners, cares = spoken(seen.owner, len(seen.boxes))
            pixels.append(torch.from_numpy(lit(seen.image, rng)).permute(2, 0, 1))
            thing.append(np.where(owners >= 0, owners + before, -1))
            counts.append(cares)
            boxes.append(seen.boxes / SIDE)
            phrases.append(kept[i].phrases)
            before += len(seen.boxes)
        yield Batch(
            (torch.stack(pixels).float() / 255 - mean) / std,
            torch.from_numpy(np.stack(thing)),
            torch.from_numpy(np.stack(counts)),
            torch.from_numpy(np.concatenate(boxes)).float(),
            np.concatenate(phrases),
        )


def spoken(owner: np.ndarray, things: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each patch the thing it speaks for, −1 for none, and whether it is taught at all, as in Batch."""
    grid = owner.shape[0] // PATCH
    cells = owner.reshape(grid, PATCH, grid, PATCH).transpose(0, 2, 1, 3).reshape(grid * grid, -1)
    shares = np.stack([(cells == k + 1).mean(1) for k in range(things)] or [np.zeros(grid * grid)], 1)
    best = shares.argmax(1)
    most = shares.max(1)
    speaks = most >= SURE
    for k in range(things):  # one that is thin everywhere speaks through the patch that has most of it
        if not (speaks & (best == k)).any() and shares[:, k].max() > SLIGHT:
            place = shares[:, k].argmax()
            speaks[place], best[place] = True, k
    return np.where(speaks, best, -1), speaks | (most < SLIGHT)


# ---- learning -------------------------------------------------------------------------------------


def losses(
    model: Any, processor: Any, edges: float, rng: random.Random, batch: Batch
) -> dict[str, torch.Tensor]:
    """Return what is wrong with the boxes, the answers to phrases and to examples, and the sense of what is a thing."""
    sayings: list[Saying] = varied(rng, FOREIGN)
    where = batch.pixels.device
    read = tokens(processor.tokenizer, [saying.text for saying in sayings]).to(where)
    queries = model.owlv2.get_text_features(**read).pooler_output
    maps, _ = model.image_embedder(batch.pixels)
    features = maps.flatten(1, 2)
    whether = model.objectness_predictor(features).float()
    with torch.autocast(where.type, enabled=False):  # boxes are found to a thousandth
        features = features.float()
        said = model.box_head(features) + model.box_bias  # what box_predictor makes shares of the square of
        centre, size = said.sigmoid().split(2, dim=-1)
        found = torch.cat([centre - size / 2, centre + size / 2], -1)
        logits, vectors = model.class_predictor(features, queries.float()[None].expand(len(features), -1, -1))
        speaks = batch.thing >= 0
        things = batch.thing[speaks]
        wanted = batch.boxes[things]
        boxes = found[speaks]
        with torch.no_grad():
            fits = torch.zeros_like(whether)
            fits[speaks] = overlap(
                boxes, wanted
            ).sqrt()  # the root: a signal from the start, in the same order
        share = torch.bincount(things, minlength=len(batch.boxes)).float()[things].rsqrt()
        from torchvision.ops import generalized_box_iou_loss

        apart = 4 * (boxes - wanted).abs().sum(-1) + 2 * generalized_box_iou_loss(boxes, wanted)
        speakers = speaks.sum().clamp(min=1)
        truth = torch.zeros_like(logits)
        named = torch.from_numpy(truths(sayings, batch.phrases)).to(where)
        truth[speaks] = named[things] * fits[speaks][:, None]
        parts = {
            "box": (apart * share).sum() / share.sum().clamp(min=1e-6),
            "words": 2 * answer_loss(logits, truth, batch.counts) / speakers,
            "thing": answer_loss(whether[..., None], fits[..., None], batch.counts) / speakers,
        }
        shown = torch.randperm(len(things))[:EXAMPLES].to(where)
        examples = vectors[speaks][shown]
        logits, _ = model.class_predictor(features, examples[None].expand(len(features), -1, -1))
        alike = torch.from_numpy(
            (batch.phrases[:, None] == batch.phrases[things[shown].cpu().numpy()]).astype(np.float32)
        ).to(where)
        truth = torch.zeros_like(logits)
        truth[speaks] = alike[things] * fits[speaks][:, None]
        # A patch at the last row or column begins so sure to lie at the very edge that only this still moves it.
        middle, extent = (wanted[:, :2] + wanted[:, 2:]) / 2, wanted[:, 2:] - wanted[:, :2]
        sought = torch.logit(torch.cat([middle, extent], -1), eps=0.005)
        strayed = F.smooth_l1_loss(said[speaks], sought, reduction="none", beta=0.1).mean(-1)
        parts["edges"] = edges * (strayed * share).sum() / share.sum().clamp(min=1e-6)
        parts["examples"] = answer_loss(logits, truth, batch.counts) / speakers
    return parts


def overlap(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return intersection over union of boxes (n, 4), pair by pair."""
    shared = (torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])).clamp(
        min=0
    )
    shared, areas = shared.prod(1), [(b[:, 2:] - b[:, :2]).clamp(min=0).prod(1) for b in (first, second)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-9)


def answer_loss(logits: torch.Tensor, truth: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Return the quality focal loss of answers (b, patches, m), summed over the patches that count."""
    away = (truth - logits.detach().sigmoid()).square()
    return (
        F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * away * counts[..., None]
    ).sum()


def train(folder: Path, *, seed: int, quick: bool) -> None:
    """Train a model and write it into a folder."""
    model, processor = build(seed)
    share = 20 if quick else 1
    kept = keep(drawn("train", SCENES // share))
    for number, cycle in enumerate(CYCLES):
        steps = cycle.steps // share
        learn(model, processor, kept, replace(cycle, steps=steps), folder, seed + number)
    save(model, folder, processor)


def learn(model: Any, processor: Any, kept: Sequence[Kept], cycle: Cycle, folder: Path, seed: int) -> None:
    """Take a model through a cycle, writing it into a folder now and then."""
    quicken(model.owlv2.vision_model)
    where = device()
    model.to(where)
    sayer = random.Random(seed)
    fit(
        model,
        batches(kept, processor.image_processor, cycle.steps, cycle.cut, np.random.default_rng(seed)),
        lambda batch: losses(model, processor, cycle.edges, sayer, batch.to(where)),
        steps=cycle.steps,
        rate=cycle.rate,
        decay=0.05,
        say="owlv2",
        snapshot=lambda averaged: save(averaged, folder, processor),
        snapshot_every=500,
    )


# ---- how good it is -------------------------------------------------------------------------------

SHOWN = 3  # examples of each phrase that are looked for
SEARCHED = 30  # scenes each is looked for in


def measure(adapter: Any, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return AP50 of phrases, and of examples looked for in other scenes, most of which have nothing like them."""
    images = [scene.image for scene in scenes]
    found = adapter.detect_text(images, PHRASES)
    spoken_of = average_precision(scenes, found, PHRASES, named="phrase")
    figures = {f"words_{name}": value for name, value in spoken_of.items()}
    shares = []
    for phrase in PHRASES:
        places = [
            (i, t) for i, s in enumerate(scenes) for t in s.things if t.phrase == phrase and t.visible > 0.8
        ]
        for i, thing in places[:SHOWN]:
            others = [j for j in range(len(scenes)) if j != i]
            here = [j for j in others if any(t.phrase == phrase for t in scenes[j].things)][: SEARCHED // 2]
            if not here:
                continue
            elsewhere = [
                j for j in others if j not in here and all(t.phrase != phrase for t in scenes[j].things)
            ]
            chosen = sorted([*here, *elsewhere[: SEARCHED - len(here)]])
            hits = adapter.detect_like([images[j] for j in chosen], [Example(images[i], thing.box)])
            named = [[replace(hit, name=phrase) for hit in per_image] for per_image in hits]
            pooled = average_precision([scenes[j] for j in chosen], named, PHRASES, named="phrase")
            shares.append(pooled[f"ap50_{phrase}"])
    figures["example_ap50"] = float(np.mean(shares)) if shares else float("nan")
    return figures
