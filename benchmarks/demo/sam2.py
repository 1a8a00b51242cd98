"""The demo checkpoint of SAM 2.1: a small Hiera trained on drawn scenes, and how good it is on unseen ones.

The encoder is warmed up by dense tasks on small pictures, then all of it learns from simulated prompts, at
first on small pictures too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clicks_quality import next_click
from benchmarks.demo.loop import device, fit, seed_all
from benchmarks.demo.metrics import iou
from benchmarks.demo.sam2_learning import Learner
from benchmarks.demo.sam2_prompts import MEAN, STD, Phase, batches
from benchmarks.demo.saving import save
from benchmarks.demo.scenes import Drawn, drawn
from studio.adapters import Embedding, Segmenter
from studio.annotations import Mask, Prompt

SIDE = 512  # of the square that pictures are fitted into; masks are a quarter of it
WIDTH = 128  # of the decoder
LEAST_AREA = 600  # pixels; smaller things are not measured
SCENES = 3000
FIRST = (Phase(256, 8, 250, 1.0), Phase(256, 8, 650, 0.5, things=6, clicks=1))
FIRST_PLAN = 1580  # steps over which its rate would fall to nothing; it ends while much is still learnt
SECOND = (
    Phase(256, 8, 500, 0.5, things=6, clicks=1),
    Phase(SIDE, 4, 300, 0.3, things=3, clicks=2),
    Phase(SIDE, 4, 330, 0.2, things=3, clicks=3),
)
THIRD = (Phase(SIDE, 4, 1100, 0.1, things=6, clicks=3),)
THIRD_PLAN = 3400
# A box is learnt more slowly than a click: its corners lie on something else.
FOURTH = (Phase(SIDE, 4, 3000, 0.1, things=6, clicks=2, boxes=0.67),)
FIFTH = (Phase(SIDE, 4, 1050, 0.1, things=6, clicks=2, boxes=0.6),)
# Muon's long stretch: from a rate that at first undoes some of what was learnt, down to nothing.
SIXTH = (Phase(SIDE, 4, 4000, 0.1, things=8, clicks=2, boxes=0.5),)
RATE, LAST_RATE, MUON_RATE = 1.5e-3, 2.5e-4, 4e-4
QUICK = (Phase(256, 4, 3, 1.0), Phase(256, 4, 3, 0.5, 6, 1), Phase(SIDE, 2, 2, 0.2, 3, 3))


def build(seed: int) -> Any:
    """Return the untrained ``Sam2Model`` of about 2.5 million weights."""
    import transformers

    torch.manual_seed(seed)
    trunk = dict(
        model_type="sam2_hiera_det_model",
        image_size=[SIDE, SIDE],
        hidden_size=48,
        num_attention_heads=1,
        blocks_per_stage=[1, 2, 5, 2],
        embed_dim_per_stage=[48, 64, 128, 256],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 8, 8],
        global_attention_blocks=[5, 7],
        window_positional_embedding_background_size=[16, 16],
        mlp_ratio=3.0,
    )
    vision = dict(
        backbone_config=trunk,
        backbone_channel_list=[256, 128, 64, 48],
        backbone_feature_sizes=[[SIDE // s] * 2 for s in (4, 8, 16)],
        fpn_hidden_size=WIDTH,
        fpn_top_down_levels=[0, 1, 2, 3],
    )
    config = transformers.Sam2Config(
        vision_config=vision,
        prompt_encoder_config=dict(hidden_size=WIDTH, image_size=SIDE, patch_size=16, scale=2),
        mask_decoder_config=dict(
            hidden_size=WIDTH,
            mlp_dim=2 * WIDTH,
            num_attention_heads=4,
            attention_downsample_rate=1,
            iou_head_hidden_dim=WIDTH,
            dynamic_multimask_via_stability=False,
        ),
    )
    model = transformers.Sam2Model(config)
    _start(model)
    shared = model.shared_image_embedding.positional_embedding
    model.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
    return model


def _start(model: Any) -> None:
    """Give the weights a start from which the decoder soon finds the place that a prompt points at.

    transformers' own start is for wide networks that train for days. Here attention in the decoder starts as
    copying: keys are made like queries, so that a place answers to itself, and what is fetched comes unchanged.
    """
    from transformers.models.sam2.modeling_sam2 import Sam2Attention

    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(module.weight)
    for module in (*model.mask_decoder.modules(), *model.prompt_encoder.modules()):
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.normal_(module.weight, std=0.5)
        elif isinstance(module, torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(module.weight, std=module.in_channels**-0.5)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
        elif isinstance(module, Sam2Attention):
            torch.nn.init.orthogonal_(module.q_proj.weight, gain=1.4)
            torch.nn.init.orthogonal_(module.v_proj.weight)
            with torch.no_grad():
                module.k_proj.weight.copy_(module.q_proj.weight)
                module.o_proj.weight.copy_(module.v_proj.weight.T)
    trunk = model.vision_encoder.backbone
    with torch.no_grad():
        for places, most in ((trunk.pos_embed, 4.0), (trunk.pos_embed_window, 2.0)):
            places.copy_(_waves(places.shape[1], places.shape[2], most))


def _waves(channels: int, side: int, most: float) -> torch.Tensor:
    """Return sines and cosines of the place, (1, channels, side, side), of up to ``most`` cycles a side."""
    at = (torch.arange(side) + 0.5) / side * 2 * torch.pi
    cycles = torch.linspace(0.5, most, channels // 4)
    angles = cycles[:, None] * at
    line = torch.cat([angles.sin(), angles.cos()])
    across, down = line[:, None, :].expand(-1, side, -1), line[:, :, None].expand(-1, -1, side)
    return 0.5 * torch.cat([across, down])[None]


def train(folder: Path, *, seed: int = 0, quick: bool = False) -> None:
    """Write the finished checkpoint into a folder."""
    seed_all(seed)
    rng = np.random.default_rng(seed)
    scenes = drawn("train", 40 if quick else SCENES)
    model = build(seed)
    if quick:
        learn(model, scenes, QUICK, rng, folder)
        return
    learn(model, scenes, FIRST, rng, folder, plan=FIRST_PLAN)
    learn(model, scenes, SECOND, rng, folder)
    learn(model, scenes, THIRD, rng, folder, plan=THIRD_PLAN, rate=LAST_RATE)
    for stretch in (FOURTH, FIFTH):
        learn(model, scenes, stretch, rng, folder, rate=LAST_RATE)
    learn(model, scenes, SIXTH, rng, folder, rate=MUON_RATE, muon=True)


def learn(
    model: Any,
    scenes: Sequence[Drawn],
    phases: Sequence[Phase],
    rng: np.random.Generator,
    folder: Path,
    *,
    plan: int | None = None,
    rate: float = RATE,
    muon: bool = False,
) -> None:
    """Train a model in place through some phases and write it, now and then on the way too.

    ``plan`` is the number of steps over which the rate falls, by default as many as there are.
    """
    learner = Learner(model, rng).to(device())
    fit(
        learner,
        batches(scenes, phases, rng),
        learner.loss,
        steps=plan or sum(phase.steps for phase in phases),
        rate=rate,
        average=0.995,
        muon=muon,
        say="sam2",
        every=50,
        snapshot=lambda averaged: _write(averaged.model, folder),
        snapshot_every=100,
    )
    _write(learner.model, folder)


def _write(model: Any, folder: Path) -> None:
    from transformers import Sam2ImageProcessor

    size = {"height": SIDE, "width": SIDE}
    save(model, folder, Sam2ImageProcessor(size=size, image_mean=list(MEAN), image_std=list(STD)))


def measure(adapter: Segmenter, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return the mean IoU after one click, after three, and of a box, over all things large enough."""
    rows = [row for scene in scenes for _, row in reached(adapter, scene)]
    return dict(zip(("clicks_iou1", "clicks_iou3", "box_iou"), np.mean(rows, 0).tolist(), strict=True))


def reached(adapter: Segmenter, scene: Drawn) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Yield each thing's name and its IoU after one click, after three, and of its box."""
    embedding, owner = adapter.embed(scene.image), scene.owner
    for number, thing in enumerate(scene.things, 1):
        truth = owner == number
        if np.count_nonzero(truth) >= LEAST_AREA:
            clicks = _clicked(adapter, embedding, truth)
            box = adapter.segment(embedding, Prompt(box=Mask.from_array(truth).box))[0].mask.to_array()
            yield thing.name, (clicks[0], clicks[-1], iou(box, truth))


def _clicked(adapter: Segmenter, embedding: Embedding, truth: np.ndarray) -> list[float]:
    """Return the IoU after each of three clicks, each in the middle of the largest error."""
    mask, clicked = np.zeros_like(truth), np.zeros_like(truth)
    points, previous, ious = (), None, []
    while len(ious) < 3 and (click := next_click(truth, mask, clicked, None)) is not None:
        points += (click,)
        best = adapter.segment(embedding, Prompt(points), previous)[0]
        mask, previous = best.mask.to_array(), best.state
        ious.append(iou(mask, truth))
    return ious
