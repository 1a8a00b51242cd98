"""A studio whose models find bright squares: detectors, a segmenter, a pose estimator, a classifier, pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from studio.adapters import Card, ClassScore, Detection
from studio.annotations import Box, Keypoints
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import DiscSegmenter, disc_card
from tests.predict.squares import squares


@dataclass(frozen=True)
class SquareOptions:
    shrink: int = field(default=0, metadata={"help": "Pixels off each side.", "min": 0, "max": 4, "step": 1})


@dataclass
class SquareDetector:
    """Finds bright squares, moved by ``off`` pixels, ``sure`` times as sure as ``squares`` is."""

    names: tuple[str, ...] = ("square", "circle")
    off: float = 0.0
    sure: float = 1.0
    shrink: int = 0
    calls: list[tuple[int, float]] = field(default_factory=list)

    def detect(self, images: Sequence[np.ndarray], *, floor: float = 0.05) -> list[list[Detection]]:
        self.calls.append((len(images), floor))
        return [[self._changed(d) for d in squares(i) if d.score * self.sure >= floor] for i in images]

    def _changed(self, found: Detection) -> Detection:
        b, s = found.box, self.shrink
        box = Box(b.x0 + self.off + s, b.y0 + s, b.x1 + self.off - s, b.y1 - s)
        return replace(found, name=self.names[0], box=box, score=found.score * self.sure, mask=None)


class Pixels:
    names = ("dark", "bright")

    def classify_pixels(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [(image.min(2) > 200).astype(np.uint16) for image in images]


class Corners:
    keypoint_names = ("first", "last")

    def estimate(self, image: np.ndarray, boxes: Sequence[Box]) -> list[tuple[Keypoints, tuple[float, ...]]]:
        return [(Keypoints(((b.x0, b.y0, 2), (b.x1, b.y1, 2))), (0.9, 0.8)) for b in boxes]


class Counter:
    names = ("empty", "full")

    def classify(self, images: Sequence[np.ndarray], *, most: int = 5) -> list[list[ClassScore]]:
        return [
            [ClassScore("full", 0.9), ClassScore("empty", 0.1)][:most]
            if squares(i)
            else [ClassScore("empty", 0.95), ClassScore("full", 0.05)][:most]
            for i in images
        ]


def card(card_id: str, role: str, model: object, **changes) -> Card:
    facts = dict(
        id=card_id,
        title=card_id.title(),
        family="fake",
        roles=(role,),
        prompts=(),
        licence="MIT",
        load=lambda folder, device, options: model,
        memory_bytes=1000,
    )
    return Card(**{**facts, **changes})


def _with_options(folder, device, options) -> SquareDetector:
    return SquareDetector(shrink=options.shrink)


def studio_of_squares(folder: Path) -> tuple[Studio, SquareDetector, DiscSegmenter]:
    """Return a studio, and its first detector and its segmenter, which say what they were asked."""
    detector, segmenter = SquareDetector(), DiscSegmenter()
    registry = Registry(
        [
            card("squares", "detector", detector),
            card("beside", "detector", SquareDetector(off=1.0, sure=0.5)),
            card("shrinking", "detector", None, load=_with_options, options=SquareOptions),
            card("pixels", "semantic", Pixels()),
            card("corners", "pose", Corners()),
            card("counter", "classifier", Counter()),
            disc_card(segmenter),
        ]
    )
    return Studio(Settings(folder), registry=registry), detector, segmenter
