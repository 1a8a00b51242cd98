"""A SAM 2 of a few thousand random weights, and pictures to show it."""

from __future__ import annotations

from typing import Any

import numpy as np


def tiny_config(kind: str = "Sam2", side: int = 256, width: int = 32) -> Any:
    """A SAM 2 of a few thousand weights; ``kind`` is the prefix of transformers' classes."""
    import transformers

    trunk = dict(
        model_type="sam2_hiera_det_model",
        hidden_size=16,
        num_attention_heads=1,
        image_size=[side, side],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 8, 4],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[7, 7],
    )
    vision = dict(
        backbone_config=trunk,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[side // 4] * 2, [side // 8] * 2, [side // 16] * 2],
        fpn_hidden_size=width,
    )
    return getattr(transformers, f"{kind}Config")(
        vision_config=vision,
        prompt_encoder_config=dict(hidden_size=width, image_size=side, patch_size=16),
        mask_decoder_config=dict(
            hidden_size=width, mlp_dim=64, num_attention_heads=2, iou_head_hidden_dim=32
        ),
    )


def shake(model: Any) -> None:
    """Give every weight a value that matters, so that no term is lost in the comparison.

    With this seed the masks cover a part of the picture, neither nothing nor all of it.
    """
    import torch

    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in sorted(model.named_parameters()):
            spread = (
                0.5 if value.ndim < 2 or "embed" in name or "token" in name else 1.2 / value[0].numel() ** 0.5
            )
            value.add_(torch.randn(value.shape, generator=generator) * spread)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A few smooth discs over noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = random.integers(0, 60, (height, width, 3))
    for _ in range(4):
        cy, cx = random.uniform(0, height), random.uniform(0, width)
        disc = np.hypot(y - cy, x - cx) < random.uniform(0.1, 0.4) * min(height, width)
        image[disc] += random.integers(60, 180, 3)
    return image.clip(0, 255).astype(np.uint8)
