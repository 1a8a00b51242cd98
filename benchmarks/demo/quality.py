"""Which demo checkpoints there are, how each is measured, and the bars they are held to."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.demo.scenes import Drawn, drawn
from models import _demo

SLACK = 0.03  # what a figure may move with another processor or a few scenes more


@dataclass(frozen=True)
class Demo:
    """``module`` names the file in benchmarks/demo and ``model`` that in models; ``bars`` are the least that a
    figure may be, ``ceilings`` the most. ``scenes`` is how many a test takes, steady to about a hundredth."""

    module: str
    model: str
    scenes: int
    bars: dict[str, float] = field(default_factory=dict)
    ceilings: dict[str, float] = field(default_factory=dict)

    def train(self, folder: Path, *, seed: int, quick: bool) -> None:
        importlib.import_module(f"benchmarks.demo.{self.module}").train(folder, seed=seed, quick=quick)


DEMOS: dict[str, Demo] = {
    "sam2": Demo("sam2", "sam2", 40, {"clicks_iou1": 0.90, "clicks_iou3": 0.95, "box_iou": 0.95}),
    # The segmenter first: the detector starts from its weights.
    "yolo-segment": Demo("yolo_segment", "yolo", 60, {"seg_ap50": 0.90}),
    "yolo-detect": Demo("yolo_detect", "yolo", 100, {"det_ap50": 0.90, "det_ap": 0.70}),
    "dfine": Demo("dfine", "detr", 100, {"dfine_ap50": 0.90, "dfine_ap": 0.70}),
    "owlv2": Demo("owlv2", "owlv2", 60, {"words_ap50": 0.85, "example_ap50": 0.80}),
    # Starts from OWLv2's picture half.
    "clip": Demo("clip", "clip", 200, {"filter_map": 0.90, "zeroshot_acc": 0.95}),
    "grounding_dino": Demo("grounding_dino", "grounding_dino", 40, {"gdino_words_ap50": 0.85}),
    "vitmatte": Demo(
        "vitmatte",
        "vitmatte",
        40,
        ceilings={"alpha_sad_vs_closed_form": 0.5, "alpha_sad_vs_threshold": 0.5},
    ),
    "vitpose": Demo("vitpose", "vitpose", 80, {"pck10": 0.90}),
    "segformer": Demo("segformer", "segformer", 80, {"sem_miou": 0.85}),
    "florence2": Demo("florence2", "florence2", 40, {"answers_acc": 0.85}),
}


def load(name: str, folder: Path, device: str = "cpu") -> Any:
    """Return the adapter of a demo checkpoint in a folder, loaded as the studio loads its own."""
    module = importlib.import_module(f"models.{DEMOS[name].model}")
    home = _demo.folder_of

    def place(other: str) -> Path:
        return folder if other == name else home(other)

    # Cards are made when their module is: it is made once more with this folder in place of the studio's.
    with patch.object(_demo, "folder_of", place):
        importlib.reload(module)
        cards = [card for card in module.CARDS if card.demo and card.folder == folder]
    importlib.reload(module)
    return cards[0].load(str(folder), device, cards[0].options())


def measure(name: str, folder: Path, scenes: Sequence[Drawn] | None = None) -> dict[str, float]:
    """Return a checkpoint's figures on unseen scenes, by default as many as a test takes."""
    demo = DEMOS[name]
    module = importlib.import_module(f"benchmarks.demo.{demo.module}")
    shown = drawn("test", demo.scenes) if scenes is None else scenes
    return module.measure(load(name, folder), shown)


def missed(name: str, figures: dict[str, float]) -> list[str]:
    """Return a sentence for each bar that the figures do not reach."""
    demo = DEMOS[name]
    return _short(figures, demo.bars, demo.ceilings)


def worsened(name: str, figures: dict[str, float], folder: Path) -> list[str]:
    """Return a sentence for each figure that neither reaches its bar nor what its card says it once was.

    A checkpoint that does not reach a bar yet is held to what it did reach, less what chance makes of a few scenes.
    """
    demo = DEMOS[name]
    scores = json.loads((folder / "card.json").read_text("utf-8"))["scores"]
    bars = {key: min(bar, scores.get(key, bar) - SLACK) for key, bar in demo.bars.items()}
    ceilings = {key: max(bar, scores.get(key, bar) + SLACK) for key, bar in demo.ceilings.items()}
    return _short(figures, bars, ceilings)


def _short(figures: dict[str, float], bars: dict[str, float], ceilings: dict[str, float]) -> list[str]:
    low = [f"{k} is {figures[k]:.3f}, to be {v:.3f} at least" for k, v in bars.items() if not figures[k] >= v]
    high = [
        f"{k} is {figures[k]:.3f}, to be {v:.3f} at most" for k, v in ceilings.items() if not figures[k] <= v
    ]
    return low + high
