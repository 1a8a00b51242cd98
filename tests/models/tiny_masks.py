"""Mask transformers of several families with a few thousand random weights, saved as the hub's checkpoints are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.tiny_clip import tiny_tokenizer
from tests.models.tiny_sam2 import shake

LABELS = {0: "apple", 1: "mug", 2: "leaf", 3: "feather"}
SWIN = dict(
    image_size=96,
    patch_size=4,
    embed_dim=12,
    depths=[1, 1, 1, 1],
    num_heads=[1, 2, 3, 4],
    window_size=3,
)


def save(kind: str, folder: Path) -> None:
    """Write model and processor of a kind: "maskformer", "oneformer", "eomt" (pixels) or "eomt-instances"."""
    import torch
    import transformers

    torch.manual_seed(0)
    labels = dict(id2label=LABELS, label2id={name: i for i, name in LABELS.items()})
    if kind == "maskformer":
        model, processor = _maskformer(transformers, labels)
    elif kind == "oneformer":
        model, processor = _oneformer(transformers, labels)
        tiny_tokenizer(24).save_pretrained(folder)
    else:
        model, processor = _eomt(transformers, labels, split=kind == "eomt")
    shake(model)
    with torch.no_grad():  # else most queries say that there is nothing
        for name, head in model.named_modules():
            if "class" in name and isinstance(head, torch.nn.Linear) and head.out_features == len(LABELS) + 1:
                head.bias[-1] = -4.0
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _maskformer(transformers: Any, labels: dict[str, Any]) -> tuple[Any, Any]:
    config = transformers.MaskFormerConfig(
        backbone_config=dict(
            model_type="swin", **SWIN, out_features=["stage1", "stage2", "stage3", "stage4"]
        ),
        decoder_config=dict(
            model_type="detr",
            d_model=32,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            num_queries=12,
        ),
        fpn_feature_size=32,
        mask_feature_size=32,
        **labels,
    )
    processor = transformers.MaskFormerImageProcessor(size={"height": 96, "width": 96})
    return transformers.MaskFormerForInstanceSegmentation(config), processor


def _oneformer(transformers: Any, labels: dict[str, Any]) -> tuple[Any, Any]:
    config = transformers.OneFormerConfig(
        backbone_config=dict(
            model_type="swin", **SWIN, out_features=["stage1", "stage2", "stage3", "stage4"]
        ),
        num_queries=12,
        task_seq_len=24,
        text_encoder_width=32,
        text_encoder_context_length=24,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=520,
        text_encoder_n_ctx=4,
        conv_dim=32,
        mask_dim=32,
        hidden_dim=32,
        encoder_feedforward_dim=64,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=64,
        query_dec_layers=1,
        **labels,
    )
    processor = transformers.OneFormerImageProcessor(size={"height": 96, "width": 96})
    return transformers.OneFormerForUniversalSegmentation(config), processor


def _eomt(transformers: Any, labels: dict[str, Any], split: bool) -> tuple[Any, Any]:
    config = transformers.EomtConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=96,
        patch_size=16,
        num_blocks=1,
        num_upscale_blocks=2,
        num_queries=12,
        num_register_tokens=1,
        **labels,
    )
    size = {"shortest_edge": 96, "longest_edge": None if split else 96}
    processor = transformers.EomtImageProcessor(size=size, do_split_image=split, do_pad=not split)
    return transformers.EomtForUniversalSegmentation(config), processor
