"""What the demo Grounding DINO is taught by: dense answers of the encoder's places, one-to-one boxes of the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

SPREAD = 0.7  # how far around a thing's middle places answer, in places
LARGE = 0.2  # from this side on, relative to the picture, the coarse map answers too


def corners(boxes: torch.Tensor) -> torch.Tensor:
    """Return x0, y0, x1, y1 of boxes given as centre and size."""
    middle, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([middle - half, middle + half], -1)


@dataclass
class Dense:
    """What each place of the maps should answer.

    ``near`` (b, places, n) says how near it lies to the middle of each thing, 1 for the nearest of a map;
    ``box`` (b, places, 4) is the nearest thing's and ``weight`` (b, places) how much it counts.
    """

    near: torch.Tensor
    box: torch.Tensor
    weight: torch.Tensor


def dense_targets(boxes: Sequence[torch.Tensor], shapes: Sequence[tuple[int, int]]) -> Dense:
    """Return the targets of maps of these (height, width), finest first, one after the other."""
    most = max(1, max(len(b) for b in boxes))
    padded = torch.zeros(len(boxes), most, 4)
    there = torch.zeros(len(boxes), most, dtype=torch.bool)
    for i, box in enumerate(boxes):
        padded[i, : len(box)], there[i, : len(box)] = box, True
    parts = []
    for level, (height, width) in enumerate(shapes):
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        places = torch.stack([x.flatten(), y.flatten()], -1)
        middle = padded[:, :, :2] * torch.tensor([width, height])
        square = (places[None, :, None] - middle[:, None]).square().sum(-1)
        near = torch.exp(-square / (2 * SPREAD**2))
        near = torch.where(square == square.amin(1, keepdim=True), 1.0, near)
        counts = there & (padded[..., 2:].amax(-1) >= LARGE) if level else there
        parts.append(near * counts[:, None])
    near = torch.cat(parts, 1)
    weight, which = near.max(-1)
    box = torch.gather(padded, 1, which[..., None].expand(-1, -1, 4))
    return Dense(near, box, torch.where(weight > 0.3, weight, 0.0))


def dense_loss(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    dense: Dense,
    phrases: Sequence[torch.Tensor],
    names: torch.Tensor,
) -> torch.Tensor:
    """Return the loss of all places: ``logits`` (b, places, tokens), ``boxes`` (b, places, 4) as centre and size.

    ``names`` (phrases, tokens) says which tokens name a phrase. The focal loss spares places next to a middle
    (Law and Deng, CornerNet, 2018).
    """
    one_hot = torch.zeros(*dense.near.shape[::2], len(names))
    for i, phrase in enumerate(phrases):
        one_hot[i, torch.arange(len(phrase)), phrase] = 1
    named = one_hot @ names.clamp(max=1)  # (b, n, tokens)
    target = torch.zeros_like(logits)
    for n in range(named.shape[1]):  # few things: cheaper than a tensor over all of places, things and tokens
        target = torch.maximum(target, dense.near[:, :, n, None] * named[:, n, None])
    probability = logits.sigmoid()
    hit = target == 1
    right = -((1 - probability) ** 2) * F.logsigmoid(logits)
    wrong = -((1 - target) ** 4) * probability**2 * F.logsigmoid(-logits)
    count = hit.sum().clamp(min=1)
    said = torch.where(hit, right, wrong).sum() / count
    used = dense.weight > 0
    return said + _box_loss(boxes[used], dense.box[used], dense.weight[used])


def _box_loss(boxes: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    from torchvision.ops import generalized_box_iou_loss

    apart = (boxes - target).abs().sum(-1)
    outside = generalized_box_iou_loss(corners(boxes), corners(target))
    return ((5 * apart + 2 * outside) * weight).sum() / weight.sum().clamp(min=1)


def matched_loss(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    truth: Sequence[torch.Tensor],
    phrases: Sequence[torch.Tensor],
    names: torch.Tensor,
) -> torch.Tensor:
    """Return the loss of queries, each thing that was asked for matched with one of them (Carion et al., DETR, 2020).

    ``logits`` is (b, queries, tokens), ``boxes`` (b, queries, 4); ``names`` as in ``dense_loss``.
    """
    asked = names.sum(-1) > 0
    truth = [box[asked[phrase]] for box, phrase in zip(truth, phrases, strict=True)]
    phrases = [phrase[asked[phrase]] for phrase in phrases]
    rows, chosen, wanted = _match(logits.detach(), boxes.detach(), truth, phrases, names)
    target = torch.zeros_like(logits)
    said = torch.cat(phrases)[wanted]
    target[rows, chosen] = names[said].clamp(max=1)
    probability = logits.sigmoid()
    away = torch.where(target > 0, 1 - probability, probability)
    focal = away**2 * F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    count = max(len(said), 1)
    if not len(said):
        return focal.sum() / count
    found, box = boxes[rows, chosen], torch.cat(list(truth))[wanted]
    return focal.sum() / count + _box_loss(found, box, torch.ones(len(found)))


@torch.no_grad()
def _match(
    logits: torch.Tensor, boxes: torch.Tensor, truth: list[Any], phrases: list[Any], names: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return for each match the picture, the query, and the thing's number among those of all pictures."""
    from scipy.optimize import linear_sum_assignment
    from torchvision.ops import generalized_box_iou

    probability = logits.sigmoid()
    gain = 0.25 * (1 - probability) ** 2 * -(probability + 1e-8).log()
    cost = gain - 0.75 * probability**2 * -(1 - probability + 1e-8).log()
    cost = cost @ (names / names.sum(-1, keepdim=True).clamp(min=1)).T  # (b, queries, phrases)
    rows: list[int] = []
    chosen: list[int] = []
    wanted: list[int] = []
    before = 0
    for i, (box, phrase) in enumerate(zip(truth, phrases, strict=True)):
        if len(box):
            total = 2 * cost[i][:, phrase] + 5 * torch.cdist(boxes[i], box, p=1)
            total -= 2 * generalized_box_iou(corners(boxes[i]), corners(box))
            query, thing = linear_sum_assignment(total.cpu().numpy())
            rows += [i] * len(query)
            chosen += query.tolist()
            wanted += (thing + before).tolist()
        before += len(box)
    return (
        torch.tensor(rows, dtype=torch.long),
        torch.tensor(chosen, dtype=torch.long),
        torch.tensor(wanted, dtype=torch.long),
    )
