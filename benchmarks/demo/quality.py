"""Which demo checkpoints there are, how each is measured, and the bars they are held to."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.demo.scenes import Drawn, drawn


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
    "yolo-detect": Demo("yolo_detect", "yolo", 100, {"det_ap50": 0.90, "det_ap": 0.70}),
    "yolo-segment": Demo("yolo_segment", "yolo", 60, {"seg_ap50": 0.90}),
    "dfine": Demo("dfine", "detr", 100, {"dfine_ap50": 0.90, "dfine_ap": 0.70}),
    "owlv2": Demo("owlv2", "owlv2", 60, {"words_ap50": 0.85, "example_ap50": 0.80}),
    "grounding_dino": Demo("grounding_dino", "grounding_dino", 40, {"gdino_words_ap50": 0.85}),
    "clip": Demo("clip", "clip", 200, {"filter_map": 0.90, "zeroshot_acc": 0.95}),
    "vitmatte": Demo(
        "vitmatte",
        "vitmatte",
        12,
        ceilings={"alpha_sad_vs_closed_form": 0.5, "alpha_sad_vs_threshold": 0.5},
    ),
    "vitpose": Demo("vitpose", "vitpose", 80, {"pck10": 0.90}),
    "segformer": Demo("segformer", "segformer", 80, {"sem_miou": 0.85}),
    "florence2": Demo("florence2", "florence2", 40, {"answers_acc": 0.85}),
}


def load(name: str, folder: Path, device: str = "cpu") -> Any:
    """Return the adapter of a demo checkpoint in a folder, loaded as the studio loads it."""
    model = importlib.import_module(f"models.{DEMOS[name].model}")
    cards = [card for card in model.CARDS if card.demo and card.folder and card.folder.name == name]
    if not cards:  # trained for the first time: the list of cards was made before it was there
        importlib.reload(model)
        cards = [card for card in model.CARDS if card.demo and card.folder and card.folder.name == name]
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
    low = [
        f"{k} is {figures[k]:.3f}, to be {v} at least" for k, v in demo.bars.items() if not figures[k] >= v
    ]
    high = [
        f"{k} is {figures[k]:.3f}, to be {v} at most" for k, v in demo.ceilings.items() if not figures[k] <= v
    ]
    return low + high
