"""A studio whose model answers questions about bright squares on black: how many, where, and whatever else is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models._answers import florence, molmo
from studio.adapters import Reading
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import BoxDetector, DiscSegmenter, box_card, disc_card
from tests.predict.squares import squares
from tests.predict.world import card

NUMBERS = ("none", "one", "two", "three")


def counted(image: np.ndarray) -> str:
    return NUMBERS[len(squares(image))]


def boxed(image: np.ndarray) -> str:
    """Return the squares as Florence-2 writes boxes."""
    side = image.shape[0]
    places = ["".join(f"<loc_{int(v / side * 1000)}>" for v in found.box.xyxy) for found in squares(image)]
    return "".join(f"a square{place}" for place in places) or "There is nothing."


def pointed(image: np.ndarray) -> str:
    """Return the squares' middles as Molmo 2 writes points."""
    side = image.shape[0]
    middles = [((f.box.x0 + f.box.x1) / 2, (f.box.y0 + f.box.y1) / 2) for f in squares(image)]
    coords = " ".join(
        f"{n + 1} {x / side * 1000:.0f} {y / side * 1000:.0f}" for n, (x, y) in enumerate(middles)
    )
    return f'Here: <points coords="1 {coords}">squares</points>' if middles else "There are none."


@dataclass
class Teller:
    """Answers word by word; ``answers`` has, by question, what it says of an image. It notes what it is asked."""

    answers: dict[str, Callable[[np.ndarray], str]] = field(
        default_factory=lambda: {
            "How many squares?": counted,
            "Where?": boxed,
            "Point to the squares": pointed,
            "Any?": lambda image: "Yes, there are." if squares(image) else "No.",
            "": lambda image: f"a picture of {counted(image)} squares",
        }
    )
    seconds: float = 0.0  # for each word
    asked: list[tuple[str, tuple[int, int]]] = field(default_factory=list)
    words: int = 0
    closed: int = 0

    def answer(self, image: np.ndarray, question: str) -> Iterator[str]:
        self.asked.append((question, image.shape[:2]))
        try:
            for piece in self.answers[question](image).split(" "):
                time.sleep(self.seconds)
                self.words += 1
                yield piece + " "
        finally:
            self.closed += 1

    def read(self, text: str, height: int, width: int) -> Reading:
        if "!!" in text:
            raise RuntimeError("what cannot be read")
        return (molmo if "<point" in text else florence).read(text, height, width)


def studio_of_answers(folder: Path, teller: Teller | None = None) -> tuple[Studio, Teller, DiscSegmenter]:
    made, disc = teller or Teller(), DiscSegmenter(radius=5)
    registry = Registry(
        [
            card("teller", "answerer", made),
            card("second", "answerer", Teller(), rank=200),
            disc_card(disc),
            disc_card(DiscSegmenter(), "clicker", title="Clicker", prompts=("point",)),
            box_card(BoxDetector()),
        ]
    )
    return Studio(Settings(folder, sample=False), registry=registry), made, disc
