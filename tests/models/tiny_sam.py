"""A SAM and a SAM-HQ of a few thousand random weights, and the names that Meta's files use."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.models.tiny_sam2 import shake

SIDE, WIDTH = 128, 32


def reference_sam() -> Any:
    """Return a tiny SAM of segment_anything's own classes."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        depth=3,
        embed_dim=32,
        img_size=SIDE,
        mlp_ratio=4,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=2,
        patch_size=16,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=[1, 2],
        window_size=5,
        out_chans=WIDTH,
    )
    prompts = PromptEncoder(
        embed_dim=WIDTH, image_embedding_size=(8, 8), input_image_size=(SIDE, SIDE), mask_in_chans=16
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=WIDTH, mlp_dim=64, num_heads=8),
        transformer_dim=WIDTH,
        iou_head_depth=3,
        iou_head_hidden_dim=32,
    )
    made = Sam(encoder, prompts, decoder, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]).eval()
    shake(made)
    return made


def tiny_sam(high_quality: bool) -> Any:
    """Return transformers' model of the same size, shaken."""
    import torch
    import transformers

    prefix = "SamHQ" if high_quality else "Sam"
    vision = dict(
        hidden_size=32,
        output_channels=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=16,
        global_attn_indexes=[1, 2],
        window_size=5,
        mlp_dim=128,
        num_pos_feats=WIDTH // 2,
    )
    decoder = dict(hidden_size=WIDTH, mlp_dim=64, num_attention_heads=8, iou_head_hidden_dim=32)
    if high_quality:
        decoder["vit_dim"] = 32
    torch.manual_seed(0)
    made = getattr(transformers, f"{prefix}Model")(
        getattr(transformers, f"{prefix}Config")(
            vision_config=vision,
            prompt_encoder_config=dict(hidden_size=WIDTH, image_size=SIDE, patch_size=16),
            mask_decoder_config=decoder,
        )
    ).eval()
    shake(made)
    return made


# What SAM-HQ's decoder has beside SAM's: its names in transformers, and in the authors' files.
HQ_NAMES = (
    ("mask_decoder.hq_token.", "mask_decoder.hf_token."),
    ("mask_decoder.hq_mask_mlp.proj_in.", "mask_decoder.hf_mlp.layers.0."),
    ("mask_decoder.hq_mask_mlp.layers.0.", "mask_decoder.hf_mlp.layers.1."),
    ("mask_decoder.hq_mask_mlp.proj_out.", "mask_decoder.hf_mlp.layers.2."),
    ("mask_decoder.compress_vit_conv1.", "mask_decoder.compress_vit_feat.0."),
    ("mask_decoder.compress_vit_norm.", "mask_decoder.compress_vit_feat.1."),
    ("mask_decoder.compress_vit_conv2.", "mask_decoder.compress_vit_feat.3."),
    ("mask_decoder.encoder_conv1.", "mask_decoder.embedding_encoder.0."),
    ("mask_decoder.encoder_norm.", "mask_decoder.embedding_encoder.1."),
    ("mask_decoder.encoder_conv2.", "mask_decoder.embedding_encoder.3."),
    ("mask_decoder.mask_conv1.", "mask_decoder.embedding_maskfeature.0."),
    ("mask_decoder.mask_norm.", "mask_decoder.embedding_maskfeature.1."),
    ("mask_decoder.mask_conv2.", "mask_decoder.embedding_maskfeature.3."),
)


def meta_names(state: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors of transformers' tiny SAM or SAM-HQ under the names of the authors' files."""
    from models._sam.meta import sam_weights

    # SAM's own names are asked of segment_anything; only what SAM-HQ adds is written down here.
    back = {ours: theirs for theirs, ours in _sam_pairs(sam_weights)}
    found = {}
    for name, value in state.items():
        if name == "shared_image_embedding.positional_embedding":
            continue
        for ours, theirs in HQ_NAMES:
            if name.startswith(ours):
                found[name.replace(ours, theirs)] = value
                break
        else:
            found[back[name]] = value
    return found


def _sam_pairs(renamed: Any) -> list[tuple[str, str]]:
    names = [name for name in reference_sam().state_dict() if not name.startswith("pixel_")]
    return [
        (name, next(iter(set(renamed({name: 0})) - {"shared_image_embedding.positional_embedding"})))
        for name in names
    ]
