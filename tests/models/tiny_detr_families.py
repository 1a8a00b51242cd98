"""The other detectors of the DETR kind with a few thousand random weights, saved as the hub's checkpoints are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.models.tiny_detr import NAMES, WIDTH
from tests.models.tiny_sam2 import picture, shake

SIDE = 64
RESNET = dict(
    model_type="resnet",
    embedding_size=8,
    hidden_sizes=[8, 16, 32, 64],
    depths=[1, 1, 1, 1],
    layer_type="basic",
)
LAYERS = dict(
    encoder_layers=1,
    decoder_layers=2,
    encoder_attention_heads=2,
    decoder_attention_heads=2,
    encoder_ffn_dim=64,
    decoder_ffn_dim=64,
)
DECODER = dict(
    d_model=WIDTH,
    decoder_layers=2,
    decoder_ffn_dim=64,
    decoder_n_points=2,
    decoder_self_attention_heads=2,
    decoder_cross_attention_heads=2,
    num_queries=12,
    group_detr=1,
)


def save(kind: str, folder: Path) -> None:
    """Write model and image processor of a kind, which is one of KINDS."""
    import torch
    import transformers

    torch.manual_seed(0)
    labels = dict(id2label=dict(enumerate(NAMES)), label2id={n: i for i, n in enumerate(NAMES)})
    model, processor = KINDS[kind](transformers, labels)
    _shake(model, STRENGTHS.get(kind, 0.25))
    _tell_apart(model, processor)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _shake(model: Any, strength: float) -> None:
    """Give every weight a value that matters, without making the network so steep that it amplifies rounding."""
    import torch

    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    shake(model)
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.lerp_(before[name], 1 - strength)


def _tell_apart(model: Any, processor: Any) -> None:
    """Shift the scores of a shaken network, so that they differ and none is at the end of its range."""
    import torch

    heads = [m for n, m in model.named_modules() if "class" in n and isinstance(m, torch.nn.Linear)]
    with torch.no_grad():
        logits = model.eval()(**_seen(processor)).logits
        for head in {id(h): h for h in heads if h.out_features == logits.shape[-1]}.values():
            head.weight /= logits.std()
            head.bias.zero_()


def _seen(processor: Any) -> dict[str, Any]:
    made = processor(picture(90, 120), return_tensors="pt")
    return {"pixel_values": made["pixel_values"]}


def _square(transformers: Any, name: str) -> Any:
    return getattr(transformers, name)(size={"height": SIDE, "width": SIDE})


def _windowed(kind: str) -> dict[str, Any]:
    shared = dict(
        model_type=kind,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=16,
        out_indices=[1, 2],
    )
    return shared | (
        dict(num_windows=2) if kind == "rf_detr_dinov2" else dict(num_windows=4, pretrain_image_size=SIDE)
    )


def _rf_detr(transformers: Any, labels: dict[str, Any], name: str = "RfDetrForObjectDetection") -> Any:
    config = transformers.RfDetrConfig(
        backbone_config=_windowed("rf_detr_dinov2"),
        intermediate_size=64,
        mask_downsample_ratio=4,
        **DECODER,
        **labels,
    )
    return getattr(transformers, name)(config), _square(transformers, "RfDetrImageProcessor")


def _rf_detr_masks(transformers: Any, labels: dict[str, Any]) -> Any:
    return _rf_detr(transformers, labels, "RfDetrForInstanceSegmentation")


def _lw_detr(transformers: Any, labels: dict[str, Any]) -> Any:
    config = transformers.LwDetrConfig(
        backbone_config=_windowed("lw_detr_vit"), projector_scale_factors=[1.0], **DECODER, **labels
    )
    return transformers.LwDetrForObjectDetection(config), _square(
        transformers, "DeformableDetrImageProcessor"
    )


def _deimv2(transformers: Any, labels: dict[str, Any]) -> Any:
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
    config = transformers.Deimv2Config(
        backbone_config=backbone,
        encoder_in_channels=[32, 64, 128],
        encoder_hidden_dim=WIDTH,
        decoder_in_channels=[WIDTH] * 3,
        decoder_n_points=[2, 2, 2],
        d_model=WIDTH,
        num_queries=20,
        **LAYERS,
        **labels,
    )
    return transformers.Deimv2ForObjectDetection(config), _square(transformers, "RTDetrImageProcessor")


def _deformable(transformers: Any, labels: dict[str, Any]) -> Any:
    config = transformers.DeformableDetrConfig(
        backbone_config={**RESNET, "out_features": ["stage2", "stage3", "stage4"]},
        d_model=WIDTH,
        num_queries=120,
        num_feature_levels=4,
        disable_custom_kernels=True,
        **LAYERS,
        **labels,
    )
    processor = transformers.DeformableDetrImageProcessor(size={"shortest_edge": 128, "longest_edge": 192})
    return transformers.DeformableDetrForObjectDetection(config), processor


def _conditional(transformers: Any, labels: dict[str, Any]) -> Any:
    config = transformers.ConditionalDetrConfig(
        backbone_config={**RESNET, "out_features": ["stage4"]},
        d_model=WIDTH,
        num_queries=20,
        **LAYERS,
        **labels,
    )
    processor = transformers.ConditionalDetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 128})
    return transformers.ConditionalDetrForObjectDetection(config), processor


def _dab(transformers: Any, labels: dict[str, Any]) -> Any:
    config = transformers.DabDetrConfig(
        backbone_config={**RESNET, "out_features": ["stage4"]},
        hidden_size=WIDTH,
        num_queries=20,
        **LAYERS,
        **labels,
    )
    processor = transformers.ConditionalDetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 128})
    return transformers.DabDetrForObjectDetection(config), processor


def _yolos(transformers: Any, labels: dict[str, Any]) -> Any:
    config = transformers.YolosConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=[64, 96],
        num_detection_tokens=20,
        **labels,
    )
    processor = transformers.YolosImageProcessor(size={"shortest_edge": 64, "longest_edge": 128})
    return transformers.YolosForObjectDetection(config), processor


STRENGTHS = {"deimv2": 1.0, "deformable_detr": 0.6, "conditional_detr": 0.6, "dab_detr": 0.6, "yolos": 1.0}
KINDS = {
    "rf_detr": _rf_detr,
    "rf_detr_masks": _rf_detr_masks,
    "lw_detr": _lw_detr,
    "deimv2": _deimv2,
    "deformable_detr": _deformable,
    "conditional_detr": _conditional,
    "dab_detr": _dab,
    "yolos": _yolos,
}
