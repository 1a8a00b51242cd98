"""A SAM 3 of a few thousand random weights, saved as the hub has it: one folder with the whole video model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIDE = 224
TOKENS = 32


def tiny_configs() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the settings of the detector, the tracker, and the tracker's memory."""
    backbone = dict(
        model_type="sam3_vit_model",
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=14,
        window_size=4,
        global_attn_indexes=[1],
        pretrain_image_size=56,
    )
    vision = dict(
        backbone_config=backbone,
        fpn_hidden_size=32,
        backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]],
    )
    layers = dict(hidden_size=32, num_layers=1, num_attention_heads=2, intermediate_size=64)
    detector = dict(
        vision_config=vision,
        text_config=dict(
            vocab_size=520,
            hidden_size=32,
            intermediate_size=64,
            projection_dim=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=TOKENS,
            bos_token_id=512,
            eos_token_id=513,
            pad_token_id=513,
        ),
        geometry_encoder_config=dict(layers, roi_size=3),
        detr_encoder_config=layers,
        detr_decoder_config=dict(layers, num_queries=10),
        mask_decoder_config=dict(hidden_size=32, num_attention_heads=2),
    )
    tracker = dict(
        vision_config=vision,
        prompt_encoder_config=dict(hidden_size=32, image_size=SIDE, patch_size=14),
        mask_decoder_config=dict(hidden_size=32, mlp_dim=64, num_attention_heads=2, iou_head_hidden_dim=32),
    )
    memory = dict(
        image_size=SIDE,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[16, 16],
        memory_encoder_hidden_size=32,
        memory_encoder_output_channels=16,
        mask_downsampler_embed_dim=32,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=32,
    )
    return detector, tracker, memory


def processor() -> Any:
    """Return the detector's processor, with a tokenizer that reads any text byte by byte."""
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    pieces = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[], model_max_length=TOKENS
    )
    images = transformers.Sam3ImageProcessor(size={"height": SIDE, "width": SIDE})
    return transformers.Sam3Processor(images, tokenizer, target_size=SIDE)


def shake(model: Any) -> None:
    """Give every weight a value that matters, so that no term is lost in the comparison.

    With this seed the masks cover a part of the picture and the scores spread, neither all nor nothing.
    """
    import torch

    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, value in sorted(model.named_parameters()):
            small = value.ndim < 2 or "embed" in name or "token" in name
            spread = 0.5 if small else 1.2 / value[0].numel() ** 0.5
            value.add_(torch.randn(value.shape, generator=generator) * spread)


def save_video_model(folder: Path) -> None:
    """Save a tiny SAM 3 with its processor as the hub's repository does: the video model, whole."""
    import torch
    import transformers
    from safetensors.torch import save_file

    torch.manual_seed(0)
    detector, tracker, memory = tiny_configs()
    model = transformers.Sam3VideoModel(
        transformers.Sam3VideoConfig(
            detector_config=dict(detector, model_type="sam3"),
            tracker_config=dict(tracker, model_type="sam3_tracker_video", **memory),
        )
    )
    shake(model)
    # Not save_pretrained: with transformers 5.23 it writes “tracker_model.tracker_model.…”, which nothing reads again.
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.architectures = ["Sam3VideoModel"]
    model.config.save_pretrained(folder)
    processor().save_pretrained(folder)
