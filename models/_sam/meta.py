"""Checkpoints in the format of Meta's own packages: their sizes, and their names under transformers' names.

All that a network needs to know of itself is read from the shapes of its tensors, so that a fine-tuned file needs no
description beside it. SAM-HQ's file is SAM's with more in its decoder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from studio.errors import BadInput

CONTAINERS = ("model", "state_dict", "model_state_dict")  # where people's own training puts the tensors
WRAPPERS = ("module.", "sam.", "model.")  # what it puts before their names
MOST_LAYERS, WIDEST, LARGEST = 64, 4096, 2048

DECODER = (
    (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"(mlps\.\d|_head|hf_mlp)\.layers\.0\.", r"\1.proj_in."),
    (r"(mlps\.\d|_head|hf_mlp)\.layers\.1\.", r"\1.layers.0."),
    (r"(mlps\.\d|_head|hf_mlp)\.layers\.2\.", r"\1.proj_out."),
)
SAM = (
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.patch_embed\.proj\.", "vision_encoder.patch_embed.projection."),
    (r"^image_encoder\.neck\.0\.", "vision_encoder.neck.conv1."),
    (r"^image_encoder\.neck\.1\.", "vision_encoder.neck.layer_norm1."),
    (r"^image_encoder\.neck\.2\.", "vision_encoder.neck.conv2."),
    (r"^image_encoder\.neck\.3\.", "vision_encoder.neck.layer_norm2."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"prompt_encoder\.point_embeddings\.", "prompt_encoder.point_embed."),
    *DECODER,
    (r"\.hf_token\.", ".hq_token."),
    (r"\.hf_mlp\.", ".hq_mask_mlp."),
    (r"\.compress_vit_feat\.0\.", ".compress_vit_conv1."),
    (r"\.compress_vit_feat\.1\.", ".compress_vit_norm."),
    (r"\.compress_vit_feat\.3\.", ".compress_vit_conv2."),
    (r"\.embedding_encoder\.0\.", ".encoder_conv1."),
    (r"\.embedding_encoder\.1\.", ".encoder_norm."),
    (r"\.embedding_encoder\.3\.", ".encoder_conv2."),
    (r"\.embedding_maskfeature\.0\.", ".mask_conv1."),
    (r"\.embedding_maskfeature\.1\.", ".mask_norm."),
    (r"\.embedding_maskfeature\.3\.", ".mask_conv2."),
)
SAM2 = (
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^image_encoder\.trunk\.patch_embed\.proj\.", "vision_encoder.backbone.patch_embed.projection."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    *DECODER,
    (r"\.out_proj\.", ".o_proj."),
    (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
)
# Of SAM 2's file what remembers objects through a video, which a single picture has no use for.
VIDEO_ONLY = re.compile(r"^(maskmem|no_mem_pos|no_obj|mask_downsample|obj_ptr|memory_)")
POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"

VIT_NAMES = {768: "ViT-B", 1024: "ViT-L", 1280: "ViT-H"}


@dataclass(frozen=True)
class Hiera:
    """A published size of SAM 2's encoder: what its tensors' shapes do not say."""

    name: str
    heads: int
    stages: tuple[int, ...]
    windows: tuple[int, ...]
    everywhere: tuple[int, ...]  # blocks that look at the whole picture
    background: int  # side of the map of positions


HIERAS = {  # by channels and number of blocks
    (96, 12): Hiera("tiny", 1, (1, 2, 7, 2), (8, 4, 14, 7), (5, 7, 9), 7),
    (96, 16): Hiera("small", 1, (1, 2, 11, 2), (8, 4, 14, 7), (7, 10, 13), 7),
    (112, 24): Hiera("base+", 2, (2, 3, 16, 3), (8, 4, 14, 7), (12, 16, 20), 14),
    (144, 48): Hiera("large", 2, (2, 6, 36, 4), (8, 4, 16, 8), (23, 33, 43), 7),
}


def tensors_of(saved: Any) -> dict[str, Any]:
    """Return the tensors a file holds, whole or under one of the usual keys, without what training put before names."""
    import torch

    for _ in CONTAINERS:
        inner = [
            saved[k] for k in CONTAINERS if isinstance(saved, Mapping) and isinstance(saved.get(k), Mapping)
        ]
        if not inner:
            break
        saved = inner[0]
    if not isinstance(saved, Mapping):
        return {}
    found = {k: v for k, v in saved.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    for _ in WRAPPERS:
        for wrapper in WRAPPERS:
            if found and all(name.startswith(wrapper) for name in found):
                found = {name.removeprefix(wrapper): value for name, value in found.items()}
    return found


def sam_weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict of segment_anything (or SAM-HQ's) under the names of transformers' SamModel (SamHQModel)."""
    found = {_renamed(name, SAM): value for name, value in state.items() if not name.startswith("pixel_")}
    if POSITIONS in found:
        found["shared_image_embedding.positional_embedding"] = found[POSITIONS]
    return found


def sam2_weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict of sam2 under the names of transformers' Sam2Model, without what is for videos only."""
    import torch

    found = {_renamed(name, SAM2): value for name, value in state.items() if not VIDEO_ONLY.match(name)}
    corners = [found.pop(f"prompt_encoder.point_embeddings.{i}.weight", None) for i in range(4)]
    if all(corner is not None for corner in corners):
        found["prompt_encoder.point_embed.weight"] = torch.cat(corners)
    if POSITIONS in found:
        found["shared_image_embedding.positional_embedding"] = found[POSITIONS]
    return found


def is_sam(state: Mapping[str, Any]) -> bool:
    return {"image_encoder.patch_embed.proj.weight", "mask_decoder.iou_token.weight"} <= set(state)


def is_sam_hq(state: Mapping[str, Any]) -> bool:
    return is_sam(state) and "mask_decoder.hf_token.weight" in state


def is_sam2(state: Mapping[str, Any]) -> bool:
    return {"image_encoder.trunk.patch_embed.proj.weight", "sam_mask_decoder.iou_token.weight"} <= set(state)


def sam_size(state: Mapping[str, Any]) -> str:
    """Return the encoder's size, such as “ViT-B”."""
    width = state["image_encoder.patch_embed.proj.weight"].shape[0]
    return VIT_NAMES.get(width, f"ViT of {width} channels")


def sam2_size(state: Mapping[str, Any]) -> str:
    """Return the version and size, such as “2.1 tiny”. Raises BadInput for a size nobody published."""
    version = "2.1" if "no_obj_embed_spatial" in state else "2"
    return f"{version} {_hiera(state).name}"


def sam_model(state: Mapping[str, Any], *, own: bool = True) -> Any:
    """Return transformers' SamModel, or SamHQModel, with these weights. Raises BadInput where they do not fit.

    With ``own=False`` the tensors are not copied, which does to see whether they fit.
    """
    import transformers

    high_quality = is_sam_hq(state)
    prefix = "SamHQ" if high_quality else "Sam"
    config = _built(lambda: getattr(transformers, f"{prefix}Config")(**_sam_settings(state, high_quality)))
    return _filled(getattr(transformers, f"{prefix}Model"), config, sam_weights(state), own)


def sam2_model(state: Mapping[str, Any], *, own: bool = True) -> Any:
    """Return transformers' Sam2Model with these weights, as ``sam_model`` does."""
    import transformers

    config = _built(lambda: transformers.Sam2Config(**_sam2_settings(state)))
    return _filled(transformers.Sam2Model, config, sam2_weights(state), own)


def _renamed(name: str, patterns: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name


def _built(make: Any) -> Any:
    try:
        return make()
    except (KeyError, IndexError, ValueError, TypeError, ZeroDivisionError) as error:
        raise BadInput(f"Its tensors are not those of a whole network: {str(error)[:120]}.") from None


def _sam_settings(state: Mapping[str, Any], high_quality: bool) -> dict[str, Any]:
    patch = state["image_encoder.patch_embed.proj.weight"].shape
    width, layers = _bounded(patch[0], WIDEST), _bounded(_layers(state, "image_encoder.blocks"), MOST_LAYERS)
    grid = state["image_encoder.pos_embed"].shape[1]
    side = _bounded(grid * patch[2], LARGEST)
    reach = [state[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(layers)]
    lengths = [(length + 1) // 2 for length, _ in reach]
    everywhere = [i for i, length in enumerate(lengths) if length == grid]
    hidden = _bounded(state["mask_decoder.iou_token.weight"].shape[1], WIDEST)
    decoder = _decoder(state, "mask_decoder", hidden)
    if high_quality:
        decoder["vit_dim"] = width
    return {
        "vision_config": dict(
            hidden_size=width,
            output_channels=hidden,
            num_hidden_layers=layers,
            num_attention_heads=width // reach[0][1],
            image_size=side,
            patch_size=patch[2],
            window_size=min((n for n in lengths if n != grid), default=0),
            global_attn_indexes=everywhere,
            num_pos_feats=hidden // 2,
            mlp_dim=_bounded(state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0], 8 * WIDEST),
        ),
        "prompt_encoder_config": dict(hidden_size=hidden, image_size=side, patch_size=patch[2]),
        "mask_decoder_config": decoder,
    }


def _sam2_settings(state: Mapping[str, Any]) -> dict[str, Any]:
    size = _hiera(state)
    width = state["image_encoder.trunk.patch_embed.proj.weight"].shape[0]
    widths = [width * 2**i for i in range(4)]
    hidden = _bounded(state["sam_mask_decoder.iou_token.weight"].shape[1], WIDEST)
    backbone = dict(
        model_type="sam2_hiera_det_model",
        hidden_size=width,
        num_attention_heads=size.heads,
        blocks_per_stage=list(size.stages),
        embed_dim_per_stage=widths,
        num_attention_heads_per_stage=[size.heads * 2**i for i in range(4)],
        window_size_per_stage=list(size.windows),
        global_attention_blocks=list(size.everywhere),
        window_positional_embedding_background_size=[size.background] * 2,
    )
    return {
        "vision_config": dict(
            backbone_config=backbone, backbone_channel_list=widths[::-1], fpn_hidden_size=hidden
        ),
        "prompt_encoder_config": dict(hidden_size=hidden),
        "mask_decoder_config": _decoder(state, "sam_mask_decoder", hidden),
    }


def _decoder(state: Mapping[str, Any], prefix: str, hidden: int) -> dict[str, Any]:
    first = f"{prefix}.transformer.layers.0"
    mlp = (
        f"{first}.mlp.lin1.weight" if f"{first}.mlp.lin1.weight" in state else f"{first}.mlp.layers.0.weight"
    )
    return dict(
        hidden_size=hidden,
        mlp_dim=_bounded(state[mlp].shape[0], 8 * WIDEST),
        attention_downsample_rate=hidden
        // state[f"{first}.cross_attn_token_to_image.q_proj.weight"].shape[0],
        iou_head_hidden_dim=_bounded(state[f"{prefix}.iou_prediction_head.layers.0.weight"].shape[0], WIDEST),
    )


def _hiera(state: Mapping[str, Any]) -> Hiera:
    key = (
        state["image_encoder.trunk.patch_embed.proj.weight"].shape[0],
        _layers(state, "image_encoder.trunk.blocks"),
    )
    if key not in HIERAS:
        names = ", ".join(size.name for size in HIERAS.values())
        raise BadInput(
            f"It is a SAM 2 of {key[0]} channels and {key[1]} blocks, which is none of Meta's sizes: {names}."
        )
    return HIERAS[key]


def _layers(state: Mapping[str, Any], prefix: str) -> int:
    numbers = re.compile(re.escape(prefix) + r"\.(\d{1,4})\.")
    return 1 + max((int(m[1]) for name in state if (m := numbers.match(name))), default=-1)


def _bounded(value: int, most: int) -> int:
    if not 1 <= value <= most:
        raise BadInput(f"Its tensors have a side of {value}, where a SAM has 1 to {most}.")
    return value


def _filled(kind: Any, config: Any, weights: Mapping[str, Any], own: bool) -> Any:
    """Build a network around weights: no memory is taken for values that would be overwritten."""
    import torch

    with torch.device("meta"):
        model = kind(config)
    given = {name: value.to(torch.float32, copy=own) for name, value in weights.items()}
    try:
        model.load_state_dict(given, strict=True, assign=True)
    except RuntimeError as error:
        raise BadInput(f"Its tensors do not fit together: {' '.join(str(error).split())[:200]}") from None
    left = [name for name, value in chain(model.named_parameters(), model.named_buffers()) if value.is_meta]
    if left:
        raise BadInput(f"It lacks {', '.join(left[:3])}.")
    return model.eval().requires_grad_(False)
