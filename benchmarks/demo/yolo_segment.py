"""The demo YOLO11n-seg, which finds boxes and masks."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.demo import yolo
from benchmarks.demo.scenes import Drawn
from studio.adapters import Detector

__all__ = ["measure", "train"]
train = yolo.train_segmenter


def measure(adapter: Detector, scenes: Sequence[Drawn]) -> dict[str, float]:
    """Return seg_ap50 and seg_ap of the masks, and seg_box_ap50 and seg_box_ap of the boxes they come with."""
    figures = {"seg_ap50": 0.0, "seg_ap": 0.0} | yolo.measure(adapter, scenes)
    return {name.replace("det_", "seg_box_"): value for name, value in figures.items()}
