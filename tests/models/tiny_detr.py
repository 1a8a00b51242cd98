"""Detectors of the DETR kind with a few thousand random weights, saved as the hub's checkpoints are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.tiny_sam2 import picture, shake

NAMES = ("apple", "mug", "spoon", "leaf", "feather")
SIDES = {"height": 64, "width": 96}
WIDTH = 32


def save(kind: str, folder: Path) -> None:
    """Write model and image processor of a kind: "d_fine", "rt_detr", "rt_detr_v2" or "detr"."""
    import torch
    import transformers

    torch.manual_seed(0)
    shared: dict[str, Any] = dict(
        id2label=dict(enumerate(NAMES)), label2id={n: i for i, n in enumerate(NAMES)}
    )
    if kind == "detr":
        model, processor = _detr(shared)
    else:
        model = _d_fine(shared) if kind == "d_fine" else _rt_detr(kind, shared)
        processor = transformers.RTDetrImageProcessor(size=SIDES)
    shake(model)
    _tell_apart(model, processor)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _tell_apart(model: Any, processor: Any) -> None:
    """Shift the scores, so that some are above a floor and some below, and no class is ahead everywhere."""
    import torch

    heads = [
        m
        for n, m in model.named_modules()
        if n.endswith(("enc_score_head", "class_embed.0", "class_embed.1"))
    ]
    with torch.no_grad():
        for head in heads:
            if not isinstance(head, torch.nn.Linear):
                continue
            head.weight.mul_(0.5)
            head.bias.zero_()
        logits = model.eval()(**processor(picture(90, 120), return_tensors="pt")).logits
        for head in heads:
            if isinstance(head, torch.nn.Linear) and len(head.bias) == logits.shape[-1]:
                head.bias -= logits.mean((0, 1)) + 1


def _layers(**more: Any) -> dict[str, Any]:
    return dict(
        encoder_hidden_dim=WIDTH,
        encoder_ffn_dim=64,
        encoder_attention_heads=2,
        d_model=WIDTH,
        decoder_in_channels=[WIDTH] * 3,
        decoder_ffn_dim=64,
        decoder_layers=2,
        decoder_attention_heads=2,
        num_queries=30,
        **more,
    )


def _d_fine(shared: dict[str, Any]) -> Any:
    import transformers

    backbone = dict(
        model_type="hgnet_v2",
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 16, 32, 64],
        stage_mid_channels=[8, 8, 16, 16],
        stage_out_channels=[16, 32, 64, 128],
        hidden_sizes=[16, 32, 64, 128],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[32, 64, 128],
        decoder_n_points=[4, 4, 4],
        **_layers(**shared),
    )
    return transformers.DFineForObjectDetection(config)


def _rt_detr(kind: str, shared: dict[str, Any]) -> Any:
    import transformers

    backbone = dict(
        model_type="rt_detr_resnet",
        embedding_size=8,
        hidden_sizes=[8, 16, 32, 64],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    prefix = "RTDetr" if kind == "rt_detr" else "RTDetrV2"
    config = getattr(transformers, f"{prefix}Config")(
        backbone_config=backbone, encoder_in_channels=[16, 32, 64], **_layers(**shared)
    )
    return getattr(transformers, f"{prefix}ForObjectDetection")(config)


def _detr(shared: dict[str, Any]) -> tuple[Any, Any]:
    import transformers

    backbone = dict(
        model_type="resnet",
        embedding_size=8,
        hidden_sizes=[8, 16, 32, 64],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage4"],
    )
    config = transformers.DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=backbone,
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        num_queries=10,
        **shared,
    )
    processor = transformers.DetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 128})
    return transformers.DetrForObjectDetection(config), processor
