"""Small transformers of the kind CLIP and OWLv2 are made of, begun so that they learn from few pictures."""

from __future__ import annotations

from typing import Any

import torch

SIDE, PATCH, WIDTH = 224, 16, 192


def vision() -> dict[str, Any]:
    """Return the settings of the vision transformer that the demo OWLv2 and CLIP share."""
    return dict(
        hidden_size=WIDTH,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=3,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="gelu",
    )


def words(width: int, pieces: int, longest: int) -> dict[str, Any]:
    """Return the settings of a small text transformer."""
    return dict(
        vocab_size=pieces,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=longest,
        hidden_act="gelu",
        bos_token_id=pieces - 2,
        eos_token_id=pieces - 1,
        pad_token_id=pieces - 1,
    )


@torch.no_grad()
def places(embeddings: Any) -> None:
    """Give a vision transformer's patches waves of their row and column, by which they tell how far apart they are."""
    grid, width = SIDE // PATCH, embeddings.embed_dim
    speeds = torch.exp(torch.linspace(0, -4, width // 4)) * 1.5
    angles = torch.arange(grid)[:, None] * speeds
    waves = torch.cat([angles.sin(), angles.cos()], 1)  # (grid, width / 2)
    rows = waves[:, None].expand(-1, grid, -1)
    both = torch.cat([rows, rows.transpose(0, 1)], -1).reshape(grid * grid, width)
    embeddings.position_embedding.weight[1:] = 0.35 * both


@torch.no_grad()
def mimic(attention: Any, near: float = 0.7, through: float = 0.4) -> None:
    """Begin attention as trained networks look: at what is alike and close (Trockman and Kolter, Mimetic
    Initialization of Self-Attention Layers, 2023)."""
    width, heads = attention.embed_dim, attention.num_heads
    part = width // heads
    for head in range(heads):
        rows = slice(head * part, (head + 1) * part)
        alike = near * (torch.randn(width, width) / width**0.5 + torch.eye(width))
        left, strength, right = torch.linalg.svd(alike)
        root = strength[:part].sqrt()[:, None]
        attention.q_proj.weight[rows] = left[:, :part].T * root
        attention.k_proj.weight[rows] = right[:part] * root
    value = through * (torch.randn(width, width) / width**0.5 - torch.eye(width))
    left, strength, right = torch.linalg.svd(value)
    attention.v_proj.weight.copy_(strength.sqrt()[:, None] * right)
    attention.out_proj.weight.copy_(left * strength.sqrt())


def quicken(vision: Any) -> None:
    """Let a vision transformer attend by plain products in half precision, on a processor twice as fast to learn."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    def attend(module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float, **_: Any) -> Any:
        near = torch.matmul(query * scaling, key.transpose(2, 3)).softmax(-1)
        return torch.matmul(near, value).transpose(1, 2).contiguous(), None

    ALL_ATTENTION_FUNCTIONS.register("plain", attend)
    vision.config._attn_implementation = "plain"
