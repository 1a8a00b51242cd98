"""The SegFormer variant of FocalClick: transformers' Mix Transformer, given the clicks after its first stage.

Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers, 2021.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models._clicks.layers import disks, halve, normalised, resize

DEPTHS = {
    "b0": (2, 2, 2, 2),
    "b1": (2, 2, 2, 2),
    "b2": (3, 4, 6, 3),
    "b3": (3, 4, 18, 3),
    "b4": (3, 8, 27, 3),
    "b5": (3, 6, 40, 3),
}
NARROW = (32, 64, 160, 256)
WIDE = (64, 128, 320, 512)
FINE_EPS = 1e-6  # of the norms in and after blocks; those of embeddings and reductions keep 1e-5

# Names in the published checkpoints, and what transformers calls them.
RENAMED = (
    (r"^patch_embed(\d)\.proj\.", r"stages.\1.patch_embeddings.proj."),
    (r"^patch_embed(\d)\.norm\.", r"stages.\1.patch_embeddings.layer_norm."),
    (r"^norm(\d)\.", r"stages.\1.layer_norm."),
    (r"^block(\d)\.(\d+)\.norm1\.", r"stages.\1.blocks.\2.layernorm_before."),
    (r"^block(\d)\.(\d+)\.norm2\.", r"stages.\1.blocks.\2.layernorm_after."),
    (r"^block(\d)\.(\d+)\.attn\.q\.", r"stages.\1.blocks.\2.attention.q_proj."),
    (r"^block(\d)\.(\d+)\.attn\.proj\.", r"stages.\1.blocks.\2.attention.o_proj."),
    (
        r"^block(\d)\.(\d+)\.attn\.sr\.",
        r"stages.\1.blocks.\2.attention.sequence_reduction.sequence_reduction.",
    ),
    (r"^block(\d)\.(\d+)\.attn\.norm\.", r"stages.\1.blocks.\2.attention.sequence_reduction.layer_norm."),
    (r"^block(\d)\.(\d+)\.mlp\.", r"stages.\1.blocks.\2.mlp."),
)
BOTH = re.compile(r"^block(\d)\.(\d+)\.attn\.kv\.(\w+)$")


class SideEmbedding(nn.Module):
    """What brings the maps of clicks to the first stage's features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 7, 4, 3)
        self.norm = nn.LayerNorm(channels)

    def forward(self, maps: Tensor) -> Tensor:
        x = self.proj(maps)
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Head(nn.Module):
    """SegFormer's decoder; returns logits and the features they were made from."""

    def __init__(self, widths: tuple[int, ...], channels: int) -> None:
        super().__init__()
        for i, width in enumerate(widths, 1):
            self.add_module(f"linear_c{i}", nn.ModuleDict({"proj": nn.Linear(width, channels)}))
        self.linear_fuse = nn.ModuleDict(
            {"conv": nn.Conv2d(4 * channels, channels, 1, bias=False), "bn": nn.BatchNorm2d(channels)}
        )
        self.linear_pred = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        size = maps[0].shape[-2:]
        parts = []
        for i, x in reversed(list(enumerate(maps, 1))):
            y = getattr(self, f"linear_c{i}")["proj"](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            parts.append(y if i == 1 else F.interpolate(y, size, mode="bilinear", align_corners=False))
        fused = self.linear_fuse["bn"](self.linear_fuse["conv"](torch.cat(parts, 1)))
        features = torch.relu(fused)
        return self.linear_pred(features), features


class SegFormerClicks(nn.Module):
    """From a picture with its previous mask (b, 4, h, w) and clicks (b, 2n, 3) to logits (b, 1, h, w).

    ``halved`` shows the network half of each side, as FocalClick's S1 does.
    """

    def __init__(self, version: str, *, radius: float = 5, halved: bool = False) -> None:
        super().__init__()
        from transformers import SegformerConfig, SegformerModel

        widths = NARROW if version == "b0" else WIDE
        self.radius, self.halved = radius, halved
        config = SegformerConfig(depths=DEPTHS[version], hidden_sizes=widths)
        self.backbone = SegformerModel(config)
        for stage in self.backbone.stages:
            stage.layer_norm.eps = FINE_EPS
            for block in stage.blocks:
                block.layernorm_before.eps = block.layernorm_after.eps = FINE_EPS
        self.side = SideEmbedding(widths[0])
        channels = 256 if version == "b0" else 512
        self.decode_head = Head(widths, channels)
        self.feature_channels = channels

    def forward(self, picture: Tensor, points: Tensor) -> dict[str, Tensor]:
        size = tuple(picture.shape[-2:])
        maps = torch.cat([picture[:, 3:], disks(points, size, self.radius)], 1)
        x = normalised(picture[:, :3])
        if self.halved:
            x, maps = halve(x), halve(maps)
        found = []
        for number, stage in enumerate(self.backbone.stages):
            x = stage(x)
            found.append(x)
            if number == 0:  # the decoder sees the first stage as it was before
                x = x + self.side(maps)
        logits, features = self.decode_head(found)
        logits = resize(logits, size)
        return {"instances": logits, "aux": logits, "features": features}


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of ``feature_extractor`` under the names of ``SegFormerClicks``.

    Others are left out: the refiner's, and ``maps_transform``, which the network never computes with.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith("feature_extractor.decode_head."):
            found[name.removeprefix("feature_extractor.")] = tensor
        elif name.startswith("feature_extractor.backbone.patch_embed_side1."):
            found[name.replace("feature_extractor.backbone.patch_embed_side1.", "side.")] = tensor
        elif name.startswith("feature_extractor.backbone."):
            for key, part in _of_backbone(name.removeprefix("feature_extractor.backbone."), tensor):
                found[f"backbone.{key}"] = part
    return found


def _of_backbone(name: str, tensor: Tensor) -> list[tuple[str, Tensor]]:
    if both := BOTH.match(name):
        stage, block, kind = both.groups()
        key, value = tensor.chunk(2)
        start = f"stages.{int(stage) - 1}.blocks.{block}.attention"
        return [(f"{start}.k_proj.{kind}", key), (f"{start}.v_proj.{kind}", value)]
    for pattern, replacement in RENAMED:
        new, count = re.subn(pattern, replacement, name)
        if count:
            stage = re.match(r"stages\.(\d)", new)
            return [(f"stages.{int(stage[1]) - 1}{new[len(stage[0]) :]}", tensor)] if stage else []
    return [(name, tensor)]
