"""Checkpoints of RITM, FocalClick and CDNet as their authors save them, with weights made by a rule."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Shapes = dict[str, tuple[int, ...]]

MODULES = {
    "HRNetModel": "isegm.model.is_hrnet_model.HRNetModel",
    "SegFormerModel": "isegm.model.is_segformer_model.SegFormerModel",
    "DeeplabModel": "isegm.model.is_deeplab_model.DeeplabModel",
}
SHARED = {
    "use_leaky_relu": True,
    "use_rgb_conv": False,
    "use_disks": True,
    "norm_radius": 5,
    "binary_prev_mask": False,
    "clicks_groups": None,
    "conv_extend": False,
    "norm_mean_std": [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]],
}


def config(kind: str, **params: Any) -> dict[str, Any]:
    """Return the description that lies beside the tensors."""
    values = {**SHARED, "with_prev_mask": kind != "DeeplabModel", **params}
    entries = {key: {"type": "builtin", "value": value, "specified": True} for key, value in values.items()}
    return {"class": MODULES[kind], "params": entries}


def by_rule(shapes: Mapping[str, Iterable[int]], seed: int, adjust: Mapping[str, Any] = ()) -> dict[str, Any]:
    """Return tensors, each drawn by a generator of its own that its name and the seed start.

    ``adjust`` has a factor and a summand for some of them.
    """
    import torch

    made = {}
    for name, shape in shapes.items():
        value = _drawn(name, tuple(shape), seed)
        if name in dict(adjust):
            factor, summand = dict(adjust)[name]
            value = (value.astype(np.float64) * np.asarray(factor, np.float64) + summand).astype(value.dtype)
        made[name] = torch.from_numpy(np.array(value))
    return made


def _drawn(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return np.ones(shape, np.int64)
    start = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "little")
    normal = np.random.default_rng(start).standard_normal(shape)
    rules = {
        "running_mean": lambda: normal * 0.1,
        "running_var": lambda: 1 + np.abs(normal * 0.1),
        "scale": lambda: 1 + normal * 0.1,
        "bias": lambda: normal * 0.05,
        "weight": lambda: (
            0.75 + normal * 0.1 if len(shape) == 1 else normal * np.sqrt(2 / np.prod(shape[1:], dtype=int))
        ),
    }
    return np.asarray(rules[kind]()).astype(np.float32)


def ritm_shapes(width: int, ocr_width: int, small: bool) -> Shapes:
    from models._clicks.ritm import ClickNetwork

    return _shapes(ClickNetwork(width, ocr_width, small=small))


def focal_hrnet_shapes(width: int, ocr_width: int, small: bool) -> Shapes:
    return {**ritm_shapes(width, ocr_width, small), **_refiner(2 * ocr_width, gate=False)}


def cdnet_shapes() -> Shapes:
    from models._clicks.cdnet import DiffusionNetwork

    constant = {
        f"PDM.aff_{name}.kernel": (count, 1, 3, 3) for name, count in (("x", 8), ("m", 8), ("std", 9))
    }
    return {**_shapes(DiffusionNetwork()), **constant}


def segformer_shapes(version: str) -> Shapes:
    """Return names and shapes of FocalClick's SegFormer as its authors call them."""
    depths = {"b0": (2, 2, 2, 2), "b1": (2, 2, 2, 2), "b2": (3, 4, 6, 3), "b3": (3, 4, 18, 3)}
    depths |= {"b4": (3, 8, 27, 3), "b5": (3, 6, 40, 3)}
    widths = (32, 64, 160, 256) if version == "b0" else (64, 128, 320, 512)
    channels = 256 if version == "b0" else 512
    found: Shapes = {}

    def layer(name: str, *shape: int) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = shape, shape[:1]

    backbone, head = "feature_extractor.backbone", "feature_extractor.decode_head"
    layer(f"{backbone}.patch_embed_side1.proj", widths[0], 3, 7, 7)
    layer(f"{backbone}.patch_embed_side1.norm", widths[0])
    for stage, (width, depth) in enumerate(zip(widths, depths[version], strict=True), 1):
        kernel = 7 if stage == 1 else 3
        layer(
            f"{backbone}.patch_embed{stage}.proj",
            width,
            3 if stage == 1 else widths[stage - 2],
            kernel,
            kernel,
        )
        layer(f"{backbone}.patch_embed{stage}.norm", width)
        layer(f"{backbone}.norm{stage}", width)
        for number in range(depth):
            block = f"{backbone}.block{stage}.{number}"
            for norm in ("norm1", "norm2"):
                layer(f"{block}.{norm}", width)
            layer(f"{block}.attn.q", width, width)
            layer(f"{block}.attn.kv", 2 * width, width)
            layer(f"{block}.attn.proj", width, width)
            if stage < 4:
                reduction = 2 ** (4 - stage)
                layer(f"{block}.attn.sr", width, width, reduction, reduction)
                layer(f"{block}.attn.norm", width)
            layer(f"{block}.mlp.fc1", 4 * width, width)
            layer(f"{block}.mlp.dwconv.dwconv", 4 * width, 1, 3, 3)
            layer(f"{block}.mlp.fc2", width, 4 * width)
        layer(f"{head}.linear_c{stage}.proj", channels, width)
    found[f"{head}.linear_fuse.conv.weight"] = (channels, 4 * channels, 1, 1)
    layer(f"{head}.linear_fuse.bn", channels)
    for name in ("running_mean", "running_var"):
        found[f"{head}.linear_fuse.bn.{name}"] = (channels,)
    found[f"{head}.linear_fuse.bn.num_batches_tracked"] = ()
    layer(f"{head}.linear_pred", 1, channels, 1, 1)
    layer("maps_transform.0", 16, 3, 3, 3)
    layer("maps_transform.2", 32, 16, 3, 3)
    found["maps_transform.3.scale"] = (1,)
    return {**found, **_refiner(channels, gate=True)}


def _refiner(channels: int, *, gate: bool) -> Shapes:
    from models._clicks.refiner import Refiner

    return {f"refiner.{name}": shape for name, shape in _shapes(Refiner(channels, gate=gate)).items()}


def _shapes(network: Any) -> Shapes:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


# What makes random networks answer with masks that are neither nothing nor everything: factors and summands.
_RITM = {
    "maps_transform.0.weight": [[[[[0.1]], [[1.0]], [[1.0]]]], 0.0],
    "maps_transform.3.scale": [20.0, 0.0],
    "feature_extractor.conv1.weight": [0.2, 0.0],
}
_FOCAL_SEGFORMER = {
    "feature_extractor.backbone.patch_embed_side1.proj.weight": [[[[[0.02]], [[1.0]], [[1.0]]]], 0.0],
    "feature_extractor.backbone.patch_embed_side1.proj.bias": [3.0, 0.0],
    "feature_extractor.backbone.patch_embed_side1.norm.weight": [3.0, 0.0],
    "feature_extractor.backbone.norm1.weight": [0.2, 0.0],
    "feature_extractor.decode_head.linear_c1.proj.weight": [0.2, 0.0],
    "feature_extractor.decode_head.linear_pred.weight": [-9.58474, 0.0],
    "feature_extractor.decode_head.linear_pred.bias": [-9.58474, 1.509251],
}
# Kind, parameters, seed, adjustments: small networks of each family whose numbers are known.
KNOWN: dict[str, tuple[str, dict[str, Any], int, dict[str, Any]]] = {
    "ritm_hrnet18s_itermask": (
        "HRNetModel",
        {"width": 18, "ocr_width": 48, "small": True},
        207,
        {
            **_RITM,
            "feature_extractor.aux_head.3.weight": [0.205666, 0.0],
            "feature_extractor.aux_head.3.bias": [0.205666, 0.0],
            "feature_extractor.cls_head.weight": [0.202728, 0.0],
            "feature_extractor.cls_head.bias": [0.202728, -12.838194],
        },
    ),
    "focalclick_hrnet18s_S2": (
        "HRNetModel",
        {"pipeline_version": "s2", "width": 18, "ocr_width": 48, "small": True},
        302,
        {
            **_RITM,
            "maps_transform.0.weight": [[[[[0.02]], [[1.0]], [[1.0]]]], 0.0],
            "maps_transform.3.scale": [60.0, 0.0],
            "feature_extractor.aux_head.3.weight": [0.087658, 0.0],
            "feature_extractor.aux_head.3.bias": [0.087658, 0.0],
            "feature_extractor.cls_head.weight": [-0.117171, 0.0],
            "feature_extractor.cls_head.bias": [-0.117171, -9.757308],
        },
    ),
    "focalclick_segformerB0_S2": (
        "SegFormerModel",
        {"pipeline_version": "s2", "model_version": "b0"},
        218,
        _FOCAL_SEGFORMER,
    ),
    "cdnet_resnet34": (
        "DeeplabModel",
        {"backbone": "resnet34", "deeplab_ch": 128},
        402,
        {
            "maps_transform.3.scale": [20.0, 0.0],
            "feature_extractor.backbone.conv1.weight": [0.2, 0.0],
            "head.layers.2.weight": [0.448115, 0.0],
            "head.layers.2.bias": [0.448115, 0.208595],
        },
    ),
}


def shapes_of(kind: str, params: Mapping[str, Any], *, focal: bool = False) -> Shapes:
    if kind == "SegFormerModel":
        return segformer_shapes(params["model_version"])
    if kind == "DeeplabModel":
        return cdnet_shapes()
    shapes = focal_hrnet_shapes if focal else ritm_shapes
    return shapes(params["width"], params["ocr_width"], params["small"])


def known(name: str) -> dict[str, Any]:
    """Return the checkpoint of one of the networks whose numbers are known."""
    import torch

    kind, params, seed, adjust = KNOWN[name]
    shapes = shapes_of(kind, params, focal=name.startswith("focalclick"))
    fixed = {key: torch.zeros(shape) for key, shape in shapes.items() if key.startswith("PDM.")}
    drawn = {key: shape for key, shape in shapes.items() if key not in fixed}
    return {"state_dict": {**by_rule(drawn, seed, adjust), **fixed}, "config": config(kind, **params)}


def untrained(kind: str, params: Mapping[str, Any], *, focal: bool = False, seed: int = 0) -> dict[str, Any]:
    """Return a checkpoint of any variant with quickly made weights that say nothing."""
    import torch

    generator, made = torch.Generator().manual_seed(seed), {}
    for name, shape in shapes_of(kind, params, focal=focal).items():
        last = name.rpartition(".")[2]
        if last == "num_batches_tracked":
            made[name] = torch.ones((), dtype=torch.long)
        elif last in ("running_var", "scale") or (last == "weight" and len(shape) == 1):
            made[name] = torch.ones(shape)
        elif len(shape) > 1:
            spread = (2 / max(1, int(np.prod(shape[1:])))) ** 0.5
            made[name] = torch.empty(shape).uniform_(-spread, spread, generator=generator)
        else:
            made[name] = torch.zeros(shape)
    return {"state_dict": made, "config": config(kind, **params)}
