"""A studio whose models find squares of an example's colour: made for it, an embedder, one bound to its own image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from studio.adapters import Detection, Example
from studio.annotations import Box
from studio.errors import BadInput
from studio.project import ImageRecord, Store
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import DiscSegmenter, disc_card
from tests.operations.test_matching import colours
from tests.predict.world import card

RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)
SIDE = 96
SQUARE = 20
SPOTS = [(6, 6), (60, 10), (34, 40), (8, 66), (64, 64)]
# What each image shows, by number: colours at the spots.
SHOWN = [(RED, GREEN, RED), (GREEN, RED), (BLUE, GREEN), (RED, RED, BLUE, RED), (), (BLUE, RED)]


def box_at(spot: int) -> Box:
    x, y = SPOTS[spot]
    return Box(x, y, x + SQUARE, y + SQUARE)


def picture(number: int) -> np.ndarray:
    image = np.full((SIDE, SIDE, 3), 128, np.uint8)
    for (x, y), colour in zip(SPOTS, SHOWN[number % len(SHOWN)], strict=False):
        image[y : y + SQUARE, x : x + SQUARE] = colour
    image[-1, -1] = number % 251, 7, 7  # no two pictures have the same bytes
    return image


def reds(number: int) -> list[tuple[float, ...]]:
    """Return the boxes of what is red on an image."""
    return sorted(box_at(n).xyxy for n, c in enumerate(SHOWN[number % len(SHOWN)]) if c == RED)


def add_pictures(store: Store, project_id: str, count: int = 6, person: str = "ann") -> list[ImageRecord]:
    records = []
    for number in range(count):
        out = io.BytesIO()
        Image.fromarray(picture(number)).save(out, "PNG")
        data = out.getvalue()
        record, _ = store.add_image(
            project_id, f"{number:04}.png", data, width=SIDE, height=SIDE, display=None, thumbnail=data, person=person
        )  # fmt: skip
        records.append(record)
    return records


def coloured(image: np.ndarray) -> list[tuple[Box, np.ndarray]]:
    """Return each square of one colour with its box."""
    found = []
    for colour in (RED, GREEN, BLUE):
        labels, _ = ndimage.label((image == colour).all(2))
        for rows, columns in ndimage.find_objects(labels):
            found.append((Box(columns.start, rows.start, columns.stop, rows.stop), np.array(colour)))
    return found


def colour_of(example: Example) -> np.ndarray:
    x0, y0, x1, y1 = (round(v) for v in example.box.xyxy)
    return np.median(example.image[y0:y1, x0:x1].reshape(-1, 3), axis=0)


@dataclass
class Matcher:
    """Finds squares of the colours of positive examples, surer by 0.9 than of any other; encodes them once."""

    encoded: list[int] = field(default_factory=list)
    looked: int = 0
    sure: float = 0.9

    def detect_like(self, images, examples, *, floor=0.05):
        return self.detect_encoded(images, [self.encode_examples(examples)], floor=floor)

    def encode_examples(self, examples: Sequence[Example]) -> list[tuple[tuple, bool]]:
        self.encoded.append(len(examples))
        return [(tuple(colour_of(e)), e.positive) for e in examples]

    def detect_encoded(self, images, encoded, *, floor=0.05):
        signs = [sign for part in encoded for sign in part]
        if not any(positive for _, positive in signs):
            raise BadInput("Give at least one example of what to look for.")
        self.looked += len(images)
        return [self._on(image, signs, floor) for image in images]

    def _on(self, image, signs, floor):
        found = []
        for box, colour in coloured(image):
            near = {
                sign: min((np.abs(colour - c).sum() for c, p in signs if p is sign), default=1000)
                for sign in (True, False)
            }
            score = self.sure if near[True] == 0 else 0.2
            if near[False] >= near[True] and score >= floor:
                found.append(Detection("", score, box))
        return sorted(found, key=lambda d: -d.score)


class Bound:
    """Like SAM 3: takes examples of the image itself only, and no encoded ones."""

    def detect_like(self, images, examples, *, floor=0.05):
        matcher, answers = Matcher(), []
        for image in images:
            own = [e for e in examples if e.image is image]
            answers.append(matcher.detect_like([image], own, floor=floor)[0] if own else [])
        return answers


@dataclass
class Anew:
    """Takes the examples anew with each image, as a model that somebody adds may."""

    given: list[list[Example]] = field(default_factory=list)

    def detect_like(self, images, examples, *, floor=0.05):
        self.given.append(list(examples))
        return Matcher().detect_like(images, examples, floor=floor)


class Colours:
    """An embedder that sees little but colours."""

    def embed_images(self, images):
        return colours(images)

    def embed_texts(self, texts):
        raise NotImplementedError


@dataclass
class Models:
    matcher: Matcher = field(default_factory=Matcher)
    second: Matcher = field(default_factory=lambda: Matcher(sure=0.7))
    anew: Anew = field(default_factory=Anew)
    disc: DiscSegmenter = field(default_factory=lambda: DiscSegmenter(radius=8))


def studio_of_colours(folder: Path, models: Models | None = None) -> tuple[Studio, Models]:
    made = models or Models()
    registry = Registry(
        [
            card("matcher", "example-detector", made.matcher, rank=1),
            card("second", "example-detector", made.second, rank=2),
            card("anew", "example-detector", made.anew, rank=3),
            card("bound", "example-detector", Bound(), rank=4, examples_travel=False),
            card("colours", "embedder", Colours(), rank=5),
            disc_card(made.disc),
        ]
    )
    return Studio(Settings(folder, sample=False), registry=registry), made
