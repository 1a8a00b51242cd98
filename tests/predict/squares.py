"""Pictures of bright squares on black, and a detector whose answers anybody can check."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from scipy import ndimage

from studio.adapters import Detection
from studio.annotations import Annotation, Box, Mask
from studio.operations.merging import SAME_FOUND, Policy
from studio.project import ImageRecord, Store

SIDE = 64


def picture(number: int, side: int = SIDE) -> np.ndarray:
    """Return a picture, uint8 (side, side, 3), of ``number`` % 4 squares."""
    random = np.random.default_rng(number)
    image = np.zeros((side, side, 3), np.uint8)
    for row in range(number % 4):
        x = int(random.integers(0, side - 12))
        image[row * 16 + 2 : row * 16 + 12, x : x + 10] = 255
    image[-1, -1] = number % 251, number // 251, 7  # no two pictures have the same bytes
    return image


def add_pictures(store: Store, project_id: str, count: int, person: str = "ann") -> list[ImageRecord]:
    records = []
    for number in range(count):
        out = io.BytesIO()
        Image.fromarray(picture(number)).save(out, "PNG")
        data = out.getvalue()
        record, _ = store.add_image(
            project_id,
            f"{number:04}.png",
            data,
            width=SIDE,
            height=SIDE,
            display=None,
            thumbnail=data,
            person=person,
        )
        records.append(record)
    return records


def squares(image: np.ndarray) -> list[Detection]:
    """Return each bright square with its mask, the upper ones surer."""
    labels, count = ndimage.label(image.min(2) > 200)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels)):
        box = Box(columns.start, rows.start, columns.stop, rows.stop)
        found.append(Detection("square", 0.9 - 0.1 * number, box, Mask.from_array(labels == number + 1)))
    return found


@dataclass
class Squares:
    """A job's work: an annotation for each square. ``refuse`` names images on which it fails."""

    batch: int = 4
    policy: Policy = "append"
    same: float = SAME_FOUND
    refuse: set[str] = field(default_factory=set)
    seen: list[list[str]] = field(default_factory=list)

    def annotate(
        self, records: Sequence[ImageRecord], pictures: Sequence[np.ndarray]
    ) -> list[list[Annotation]]:
        names = [record.name for record in records]
        self.seen.append(names)
        if self.refuse & set(names):
            raise RuntimeError("the kernel has a bad day")
        return [
            [
                Annotation(d.name, d.box, source="model", draft=True, model="squares", score=d.score)
                for d in squares(image)
            ]
            for image in pictures
        ]
