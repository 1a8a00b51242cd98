"""The demo YOLO11n, which finds boxes."""

from __future__ import annotations

from benchmarks.demo.yolo import measure, train_detector

__all__ = ["measure", "train"]
train = train_detector
