"""Published checkpoints of RITM and ClickSEG: tensors and a description, from which the network is built.

A file holds ``state_dict`` and ``config``; the description names a class, which is looked up in a table here and never
imported, and its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from models._clicks.cdnet import DiffusionNetwork
from models._clicks.focal import FocalNetwork
from models._clicks.layers import MEAN, STD
from models._clicks.refiner import Refiner
from models._clicks.ritm import ClickNetwork
from models._clicks.segformer import DEPTHS, SegFormerClicks, renamed
from studio.errors import BadInput
from studio.weights import open_weights

Pipeline = Literal["ritm", "focalclick", "cdnet"]

WIDEST = 64  # HRNet's channels; the published ones have 18, 32, 48 or 64
RADIUS = 5
# FocalClick's disks have radii of its own: these where the network sees half of each side, else RADIUS.
HALVED_RADIUS = {"HRNetModel": 2, "SegFormerModel": 3}
# What else a description may say, and the only value of it that these networks know. Checked where it is said.
KNOWN: dict[str, Any] = {
    "use_disks": True,
    "use_rgb_conv": False,
    "use_leaky_relu": True,
    "binary_prev_mask": False,
    "clicks_groups": None,
    "conv_extend": False,
    "norm_mean_std": [list(MEAN), list(STD)],
}


@dataclass(frozen=True)
class ClickCheckpoint:
    """A network ready to use, the pipeline that goes around it, and its name, such as “HRNet18s”."""

    pipeline: Pipeline
    network: nn.Module
    variant: str


def read(path: Path) -> ClickCheckpoint:
    """Load a checkpoint file. Nothing in it is run; raises BadInput that says what is wrong with it."""
    return build(open_weights(path), path.name)


def pipeline_of(saved: Any) -> Pipeline | None:
    """Say which pipeline a file of RITM or ClickSEG is for; None where it is no such file.

    Raises BadInput where it is one and its network is not known here.
    """
    if not isinstance(saved, Mapping):
        return None
    tensors, config = saved.get("state_dict"), saved.get("config")
    if not isinstance(tensors, Mapping) or not isinstance(config, Mapping) or "class" not in config:
        return None
    kind = _class_of(config)
    if kind not in BUILDERS:
        known = ", ".join(BUILDERS)
        raise BadInput(f"It is of the class “{kind}”; the click networks known here are {known}.")
    if kind == "DeeplabModel":
        return "cdnet"
    return "focalclick" if any(str(key)[:8] == "refiner." for key in _named(tensors)) else "ritm"


def build(saved: Any, name: str = "The checkpoint") -> ClickCheckpoint:
    """Return the network that a checkpoint describes, with its weights. Raises BadInput where it describes none."""
    if pipeline_of(saved) is None:
        raise BadInput(
            f"{name} holds no “state_dict” with a “config” beside it, as RITM's and ClickSEG's do."
        )
    tensors, config = _named(saved["state_dict"]), saved["config"]
    described = config.get("params")
    params = {
        key: entry.get("value")
        for key, entry in (described if isinstance(described, Mapping) else {}).items()
        if isinstance(entry, Mapping)
    }
    _check(params, needs_mask=_class_of(config) != "DeeplabModel")
    try:
        made = BUILDERS[_class_of(config)](params, tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"{name} does not fit its own description: {reason}") from None
    made.network.eval().requires_grad_(False)
    return made


def _class_of(config: Mapping[str, Any]) -> str:
    return _text(config.get("class")).rpartition(".")[2]


def _named(tensors: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {k: v for k, v in tensors.items() if isinstance(k, str) and isinstance(v, Tensor)}


def _text(value: Any) -> str:
    """Return a value of a description in a few characters; what is nested could be endless when written out."""
    plain = value is None or isinstance(value, str | int | float)
    return str(value)[:60] if plain else type(value).__name__


def _check(params: Mapping[str, Any], *, needs_mask: bool) -> None:
    for key, wanted in {**KNOWN, "with_prev_mask": needs_mask}.items():
        found = params.get(key, wanted)
        if isinstance(found, tuple):
            found = [list(part) if isinstance(part, tuple) else part for part in found[:2]]
        if found != wanted:
            raise BadInput(
                f"The checkpoint has {key} = {_text(found)}; the networks known here have {_text(wanted)}."
            )


def _number(params: Mapping[str, Any], key: str, default: int, most: int) -> int:
    value = params.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise BadInput(f"The checkpoint's “{key}” is {_text(value)}; a whole number up to {most} is needed.")
    return value


def _hrnet(params: Mapping[str, Any], tensors: dict[str, Tensor]) -> ClickCheckpoint:
    width, ocr_width = _number(params, "width", 48, WIDEST), _number(params, "ocr_width", 256, 512)
    small = bool(params.get("small"))
    own = {k: v for k, v in tensors.items() if not k.startswith("refiner.")}
    focal = len(own) < len(tensors)
    halved = focal and _halved(params)
    radius = _focal_radius("HRNetModel", halved) if focal else _number(params, "norm_radius", RADIUS, 100)
    network = ClickNetwork(width, ocr_width, small=small, radius=radius, halved=halved)
    network.load_state_dict(own)
    name = f"HRNet{width}{'s' if small else ''}"
    if not focal:
        return ClickCheckpoint("ritm", network, name)
    return _focal(network, tensors, 2 * ocr_width, name)


def _segformer(params: Mapping[str, Any], tensors: dict[str, Tensor]) -> ClickCheckpoint:
    version = _text(params.get("model_version", "b0")).lower()
    if version not in DEPTHS:
        raise BadInput(f"The checkpoint is a SegFormer “{version}”; there are {', '.join(DEPTHS)}.")
    halved = _halved(params)
    network = SegFormerClicks(version, radius=_focal_radius("SegFormerModel", halved), halved=halved)
    network.load_state_dict(renamed(tensors))
    return _focal(network, tensors, network.feature_channels, f"SegFormer-{version.upper()}")


def _deeplab(params: Mapping[str, Any], tensors: dict[str, Tensor]) -> ClickCheckpoint:
    backbone = _text(params.get("backbone", "resnet34"))
    if backbone != "resnet34":
        raise BadInput(f"CDNet with the backbone “{backbone}” is not known here: resnet34 is.")
    channels = _number(params, "deeplab_ch", 128, 512)
    network = DiffusionNetwork(channels, radius=_number(params, "norm_radius", RADIUS, 100))
    network.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("PDM.")})
    return ClickCheckpoint("cdnet", network, "ResNet34")


def _focal(network: nn.Module, tensors: dict[str, Tensor], channels: int, name: str) -> ClickCheckpoint:
    own = {k.removeprefix("refiner."): v for k, v in tensors.items() if k.startswith("refiner.")}
    refiner = Refiner(channels, gate=any(key.startswith("feature_gate.") for key in own))
    refiner.load_state_dict(own)
    variant = f"{name} S{1 if network.halved else 2}"
    return ClickCheckpoint("focalclick", FocalNetwork(network, refiner, RADIUS), variant)


def _halved(params: Mapping[str, Any]) -> bool:
    return (
        _text(params.get("pipeline_version", "s1")).lower() == "s1"
    )  # as its class does where nothing is said


def _focal_radius(kind: str, halved: bool) -> int:
    return HALVED_RADIUS[kind] if halved else RADIUS


BUILDERS: dict[str, Callable[[Mapping[str, Any], dict[str, Tensor]], ClickCheckpoint]] = {
    "HRNetModel": _hrnet,
    "SegFormerModel": _segformer,
    "DeeplabModel": _deeplab,
}
