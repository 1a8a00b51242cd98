"""Stand-ins with behaviour: a segmenter and a detector that need no weights and count what they are asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from studio.adapters import Candidate, Card, Detection, Embedding
from studio.annotations import Box, Mask, Prompt
from studio.errors import BadInput


@dataclass
class DiscSegmenter:
    """Answers a click with a disc, a negative click cuts one out, a box fills itself; three sizes for one click."""

    radius: int = 60
    embeds: list[tuple[int, int]] = field(default_factory=list)
    asked: list[tuple[Prompt, np.ndarray | None]] = field(default_factory=list)

    def embed(self, image: np.ndarray) -> Embedding:
        self.embeds.append(image.shape[:2])
        return Embedding(*image.shape[:2], data=None, nbytes=1000)

    def segment(
        self, embedding: Embedding, prompt: Prompt, previous: np.ndarray | None = None
    ) -> list[Candidate]:
        self.asked.append((prompt, previous))
        ambiguous = len(prompt.points) == 1 and prompt.box is None and prompt.mask is None
        scales = (1.0, 0.5, 1.6) if ambiguous else (1.0,)
        return [
            Candidate(
                Mask.from_array(self._draw(embedding, prompt, s)), 0.9 / s, np.full((4, 4), s, np.float32)
            )
            for s in scales
        ]

    def _draw(self, embedding: Embedding, prompt: Prompt, scale: float) -> np.ndarray:
        ys, xs = np.mgrid[: embedding.height, : embedding.width]
        drawn = np.zeros((embedding.height, embedding.width), bool)
        if prompt.mask is not None:
            drawn |= prompt.mask.to_array()
        if prompt.box is not None:
            b = prompt.box
            drawn |= (xs >= b.x0) & (xs < b.x1) & (ys >= b.y0) & (ys < b.y1)
        for p in prompt.points:
            disc = (xs - p.x) ** 2 + (ys - p.y) ** 2 < (self.radius * scale) ** 2
            drawn = drawn | disc if p.positive else drawn & ~disc
        return drawn


def disc_card(segmenter: DiscSegmenter | None = None, card_id: str = "disc", **changes) -> Card:
    """Return a card for a disc segmenter; every load gives the same object, so that a test can look at it."""
    shared = segmenter or DiscSegmenter()
    facts = dict(
        id=card_id,
        title="Disc",
        family="fake",
        roles=("segmenter",),
        prompts=("point", "box", "mask"),
        licence="MIT",
        load=lambda folder, device, options: shared,
        memory_bytes=1000,
        rank=0,
    )
    return Card(**{**facts, **changes})


@dataclass
class BoxDetector:
    """Finds the same boxes on every image, given as shares of its sides, surest first.

    It counts what it is asked, takes ``seconds`` for an image, and fails on images whose width ``refuse`` names.
    """

    found: list[tuple[str, float, tuple[float, float, float, float]]] = field(
        default_factory=lambda: [
            ("apple", 0.9, (0.05, 0.1, 0.3, 0.5)),
            ("pear", 0.6, (0.4, 0.4, 0.7, 0.9)),
            ("apple", 0.35, (0.75, 0.05, 0.95, 0.3)),
            ("pear", 0.1, (0.0, 0.7, 0.2, 1.0)),
        ]
    )
    names: tuple[str, ...] = ("apple", "pear", "plum")
    seconds: float = 0.0
    refuse: frozenset[int] = frozenset()
    asked: list[tuple[int, int]] = field(default_factory=list)

    def detect(self, images: Sequence[np.ndarray], *, floor: float = 0.05) -> list[list[Detection]]:
        return [self._on(image, floor) for image in images]

    def _on(self, image: np.ndarray, floor: float) -> list[Detection]:
        height, width = image.shape[:2]
        self.asked.append((height, width))
        time.sleep(self.seconds)
        if width in self.refuse:
            raise BadInput(f"An image {width} pixels wide is more than this model can bear.")
        sides = np.array([width, height, width, height])
        return [
            Detection(name, score, Box(*(np.array(share) * sides)))
            for name, score, share in self.found
            if score >= floor
        ]


def box_card(detector: BoxDetector | None = None, card_id: str = "boxer", **changes) -> Card:
    """Return a card for a box detector; every load gives the same object."""
    shared = detector or BoxDetector()
    facts = dict(title="Boxer", roles=("detector",), prompts=(), load=lambda folder, device, options: shared)
    return disc_card(card_id=card_id, **{**facts, **changes})
