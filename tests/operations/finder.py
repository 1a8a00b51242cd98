"""A stand-in that finds things: the same three boxes for whatever it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from studio.adapters import Card, Detection, Embedding
from studio.annotations import Box, Mask, Prompt
from tests.fakes import DiscSegmenter, disc_card

FOUND = [(0.9, Box(10, 10, 50, 50)), (0.6, Box(60, 60, 100, 90)), (0.2, Box(200, 100, 260, 180))]


@dataclass
class Finder(DiscSegmenter):
    """Finds the same three boxes for whatever it is asked; with ``outlined``, their masks too."""

    outlined: bool = False
    found: list[tuple[float, Box]] = field(default_factory=lambda: list(FOUND))
    phrases: list[list[str]] = field(default_factory=list)
    examples: list[list] = field(default_factory=list)
    during: Callable[[], None] = lambda: None

    def detect_text(self, images, phrases, *, floor=0.05):
        self.phrases.append(list(phrases))
        self.during()
        return [[d for phrase in phrases for d in self._all(image, phrase, floor)] for image in images]

    def detect_like(self, images, examples, *, floor=0.05):
        self.examples.append(list(examples))
        return [self._all(image, "", floor) for image in images]

    def _all(self, image, name, floor):
        found = []
        for score, box in self.found:
            if score >= floor:
                mask = self._draw(Embedding(*image.shape[:2], None, 0), Prompt(box=box), 1)
                found.append(Detection(name, score, box, Mask.from_array(mask) if self.outlined else None))
        return found


def finder_card(finder: Finder, card_id: str, *roles: str) -> Card:
    return disc_card(
        finder,
        card_id,
        title=card_id.title(),
        roles=(*roles, "text-detector", "example-detector"),
        prompts=("point", "box", "text", "reference") if roles else ("text", "reference"),
    )
