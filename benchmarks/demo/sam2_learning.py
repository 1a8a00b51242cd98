"""How a small SAM 2.1 learns from drawn scenes, and what errs how much.

Each picture is encoded once a step and a few of its things are decoded from clicks, boxes and drawn masks,
with correction clicks where the answer errs, as SAM is trained (Ravi et al., SAM 2, 2024): of the three
answers to one click only the best learns in full.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.demo.sam2_prompts import FINER, Batch, Things, correction, first_click
from models._sam.sam2 import BOX_CORNERS, LOGIT_LIMIT, MASK_LOGIT, drop_map_positions
from studio.scenes import CLASSES

SHIFTS = ((0, 1), (1, 0), (0, 3), (3, 0))  # cells down and to the right whose belonging together is learnt

KIN = 32  # numbers by which cells of one thing know each other
ASKED = 24  # cells a picture

Costs = tuple[torch.Tensor, torch.Tensor]  # of masks, and of scores


class Learner(nn.Module):
    """The model with the encoder's own tasks, which are thrown away in the end."""

    def __init__(self, model: Any, rng: np.random.Generator) -> None:
        super().__init__()
        from transformers.models.sam2.modeling_sam2 import Sam2MultiScaleAttention

        self.model = model
        self._rng = rng
        self._width = width = model.prompt_encoder.hidden_size
        self.pixels = nn.Conv2d(width, 1 + len(CLASSES) + len(SHIFTS), 1)
        self.boxes = nn.ModuleList(nn.Conv2d(width, 4, 1) for _ in range(2))
        self.kin = nn.ModuleList(nn.Conv2d(width, 2 * KIN, 1) for _ in range(3))
        self.stranger = nn.Parameter(torch.tensor(-2.0))
        drop_map_positions(model)
        model.set_attn_implementation("eager")  # whose gradient is far quicker in these small windows
        for module in model.modules():
            if isinstance(module, Sam2MultiScaleAttention):
                module.forward = _attend.__get__(module)

    @property
    def _device(self) -> torch.device:
        return self.pixels.weight.device

    def fit_to(self, side: int) -> None:
        """Take pictures of another size from here on."""
        encoder = self.model.prompt_encoder
        encoder.input_image_size = side
        encoder.image_embedding_size = (side // 16, side // 16)
        encoder.mask_input_size = (side // 4, side // 4)
        self.positions = self.model.get_image_wide_positional_embeddings().bfloat16()

    def loss(self, batch: Batch) -> dict[str, torch.Tensor]:
        self.fit_to(batch.phase.side)
        maps, neck = self.encode(batch.pixels.to(self._device))
        tasks = self.dense_losses(neck, batch)
        parts = {name: batch.phase.dense * cost for name, cost in tasks.items()}
        if batch.things is not None:
            things = batch.things.to(self._device)
            clicked = round(len(things) * (1 - batch.phase.boxes) + 0.01)
            rounds = {
                **self.click_rounds(maps, things[:clicked], batch.phase.clicks),
                **self.box_rounds(maps, things[clicked:]),
            }
            parts |= {name: cost for name, (cost, _) in rounds.items()}
            parts["scores"] = torch.stack([score for _, score in rounds.values()]).mean()
        return parts

    def click_rounds(self, maps: list[torch.Tensor], things: Things, clicks: int) -> dict[str, Costs]:
        """Click once and then correct, with the answer before, as a person does."""
        costs = {}
        truths = things.truth.cpu().numpy() > 0.5
        points = np.array([[first_click(truth, self._rng)] for truth in truths])
        previous = None
        for click in range(1, clicks + 1):
            logits, scores = self.decode(maps, things, points, previous, several=previous is None)
            costs[f"click{click}"] = _costs(logits, scores, things.truth)
            if click < clicks:
                best = logits[torch.arange(len(things)), scores.argmax(1)].detach()
                masks = (_finer(best) > 0).cpu().numpy()
                errors = [correction(t, m, self._rng) for t, m in zip(truths, masks, strict=True)]
                points = np.concatenate([points, np.array(errors)[:, None]], 1)
                previous = best[:, None].clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
        return costs

    def box_rounds(self, maps: list[torch.Tensor], things: Things) -> dict[str, Costs]:
        """Ask with boxes, most of them exact, or now and then with masks drawn roughly."""
        if not len(things):
            return {}
        if self._rng.random() < 0.1:
            rough = F.avg_pool2d(things.truth[:, None], 8 * FINER) > 0.5
            drawn_roughly = F.interpolate(rough.float(), scale_factor=8) * (2 * MASK_LOGIT) - MASK_LOGIT
            return {
                "mask": _costs(*self.decode(maps, things, None, drawn_roughly, several=False), things.truth)
            }
        loose = self._rng.random((len(things), 1, 1)) < 0.3
        corners = things.corners + loose * self._rng.normal(0, 0.006, things.corners.shape)
        labels = np.broadcast_to(np.array(BOX_CORNERS)[None, :, None], (len(things), 2, 1))
        points = np.concatenate([corners, labels], 2)
        return {"box": _costs(*self.decode(maps, things, points, None, several=False), things.truth)}

    def encode(self, pixels: torch.Tensor) -> tuple[list[torch.Tensor], tuple[torch.Tensor, ...]]:
        """Return the three maps the decoder reads, and those of the neck."""
        neck = self.model.vision_encoder(pixels).fpn_hidden_states
        decoder = self.model.mask_decoder
        last = neck[2] + self.model.no_memory_embedding.view(1, -1, 1, 1)
        return [decoder.conv_s0(neck[0]), decoder.conv_s1(neck[1]), last], neck

    def decode(
        self, maps: list[torch.Tensor], things: Things, points: Any, mask: Any, *, several: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (n, k, h, w) and scores (n, k); points are (n, p, 3): x, y as shares, label."""
        with torch.autocast(self._device.type, enabled=False):  # bfloat16 is too coarse for a point's place
            xy, labels = None, None
            if points is not None:
                rows = torch.from_numpy(np.asarray(points, np.float32))[:, None].to(self._device)
                xy, labels = rows[..., :2] * self.model.prompt_encoder.input_image_size, rows[..., 2].int()
            sparse, dense = self.model.prompt_encoder(xy, labels, None, mask)
        if sparse is None:
            sparse = torch.empty(len(things), 1, 0, self._width, device=self._device)
        maps = [m[things.picture] for m in maps]
        logits, scores, *_ = self.model.mask_decoder(
            image_embeddings=maps[2],
            image_positional_embeddings=self.positions.expand(len(things), -1, -1, -1),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense.bfloat16(),
            multimask_output=several,
            high_resolution_features=maps[:2],
        )
        return logits[:, 0].float(), scores[:, 0].float()

    def dense_losses(self, neck: tuple[torch.Tensor, ...], batch: Batch) -> dict[str, torch.Tensor]:
        """Return the losses of the encoder's tasks: each cell's class, its neighbours, its thing's box."""
        grid = neck[0].shape[-1]
        owner, classes = (labels.to(self._device) for labels in _labels(batch, grid))
        answers = self.pixels(neck[0]).float()
        names = F.cross_entropy(answers[:, : -len(SHIFTS)], classes)
        edges = 0.0
        for channel, (down, right) in enumerate(SHIFTS):
            same = owner[:, down:, right:] == owner[:, : grid - down, : grid - right]
            given = answers[:, channel - len(SHIFTS), : grid - down, : grid - right]
            edges = edges + F.binary_cross_entropy_with_logits(given, same.float())
        wanted, inside = _sides(batch, grid // 2)
        boxes = kin = 0.0
        for level, kinship in enumerate(self.kin):
            places = F.interpolate(self.positions, neck[level].shape[-2:], mode="bilinear")
            kin = kin + self._kin(kinship(neck[level] + places), batch)
        for step, head in zip((1, 2), self.boxes, strict=True):
            there = inside[:, ::step, ::step].to(self._device)
            error = (head(neck[step]).float() - wanted[:, :, ::step, ::step].to(self._device)).abs().mean(1)
            boxes = boxes + (error * there).sum() / there.sum().clamp(min=1)
        return {"names": names, "edges": edges, "boxes": boxes, "kin": 0.2 * kin}

    def _kin(self, answers: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return how badly cells drawn at random know which others belong to their thing."""
        grid = answers.shape[-1]
        owner = _labels(batch, grid)[0].to(self._device).flatten(1).long()
        sizes = F.one_hot(owner).sum(1)
        chances = (owner > 0) / sizes.gather(1, owner)
        asked = torch.multinomial(chances + 1e-9, ASKED, replacement=True)
        asking, answering = answers.flatten(2).float().chunk(2, 1)
        asking = asking.gather(2, asked[:, None].expand(-1, KIN, -1))
        logits = asking.transpose(1, 2) @ answering / KIN**0.5 + self.stranger
        same = owner.gather(1, asked)[:, :, None] == owner[:, None]
        return _cost(logits.unflatten(2, (grid, grid)), same.float().unflatten(2, (grid, grid))).mean()


def _costs(logits: torch.Tensor, scores: torch.Tensor, truth: torch.Tensor) -> Costs:
    """Return the loss of the masks and of the scores; of several masks the best counts most."""
    coarse = F.avg_pool2d(truth[:, None], FINER)
    each = _cost(logits, coarse.expand_as(logits))
    chosen = logits[torch.arange(len(logits)), each.argmin(1)]
    cost = _cost(_finer(chosen), truth).mean()
    if logits.shape[1] > 1:
        cost = cost + 0.1 * each.mean()
    with torch.no_grad():
        masks, true = logits > 0, coarse > 0.5
        reached = (masks & true).sum((2, 3)) / (masks | true).sum((2, 3)).clamp(min=1)
    return cost, (scores - reached).abs().mean()


def _cost(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy by the thing's area, plus dice, over the last two dimensions."""
    height, width = truth.shape[-2:]
    area = truth.sum((-2, -1))
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum((-2, -1))
    share = logits.sigmoid()
    dice = 1 - (2 * (share * truth).sum((-2, -1)) + 1) / (share.sum((-2, -1)) + area + 1)
    return entropy / (area + 0.003 * height * width) + dice


def _finer(logits: torch.Tensor) -> torch.Tensor:
    """Enlarge logits (n, h, w) as the adapter does on the way to the picture's size."""
    return F.interpolate(logits[:, None], scale_factor=FINER, mode="bilinear")[:, 0]


def _labels(batch: Batch, grid: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each cell's owner and class, (b, grid, grid)."""
    owners, classes = [], []
    for owner, names in zip(batch.owners, batch.classes, strict=True):
        small = cv2.resize(owner, (grid, grid), interpolation=cv2.INTER_NEAREST_EXACT)
        owners.append(small)
        classes.append(names[small])
    return torch.from_numpy(np.stack(owners)), torch.from_numpy(np.stack(classes))


def _sides(batch: Batch, grid: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far each cell's thing reaches to its left, up, right and down, and which cells have one.

    The distances, (b, 4, grid, grid), are in quarters of the picture.
    """
    owner = _labels(batch, grid)[0].numpy()
    y, x = (np.mgrid[:grid, :grid].astype(np.float32) + 0.5) / grid
    here = np.stack([x, y], -1)[:, :, None]
    reach = [
        (corners[own] - here) * np.array([[-1.0], [1.0]], np.float32)
        for corners, own in zip(batch.corners, owner, strict=True)
    ]
    sides = np.stack(reach).reshape(len(owner), grid, grid, 4).transpose(0, 3, 1, 2) * 4
    return torch.from_numpy(np.ascontiguousarray(sides, np.float32)), torch.from_numpy(owner > 0)


def _attend(self: Any, hidden_states: torch.Tensor, **_: Any) -> torch.Tensor:
    """Hiera's attention as transformers has it, less a product whose result it does not use."""
    from transformers.models.sam2.modeling_sam2 import do_pool

    count, height, width, _ = hidden_states.shape
    query, key, value = self.qkv(hidden_states).view(count, height * width, 3, -1).unbind(2)
    if self.query_stride:
        query = do_pool(query.reshape(count, height, width, -1), self.query_stride)
        height, width = query.shape[1:3]
    query, key, value = (
        t.reshape(count, -1, self.num_attention_heads, self.dim_out // self.num_attention_heads).transpose(
            1, 2
        )
        for t in (query, key, value)
    )
    weights = ((query * self.scale) @ key.transpose(-1, -2)).softmax(-1)
    mixed = (weights @ value).transpose(1, 2).reshape(count, height, width, -1)
    return self.proj(mixed)
