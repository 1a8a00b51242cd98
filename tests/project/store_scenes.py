"""What the store's tests put into it: pictures that are no pictures, and masks drawn by arithmetic."""

from __future__ import annotations

import numpy as np

from studio.annotations import Annotation, Box, Mask, Point, Prompt
from studio.project import Change, ImageRecord, Store

WIDTH, HEIGHT = 40, 30


def add(store: Store, project_id: str, name: str = "a.jpg", data: bytes | None = None) -> ImageRecord:
    """Add an image whose bytes follow from its name."""
    image, _ = store.add_image(
        project_id,
        name,
        name.encode() if data is None else data,
        width=WIDTH,
        height=HEIGHT,
        display=None,
        thumbnail=b"thumb",
        person="ann",
    )
    return image


def mask(size: int, width: int = WIDTH, height: int = HEIGHT) -> Mask:
    array = np.zeros((height, width), bool)
    array[: size % height + 1, : size % width + 1] = True
    return Mask.from_array(array)


def clicked(class_name: str = "cat", clicks: int = 1, **more) -> Annotation:
    """Return an object as a segmenter would leave it after some clicks."""
    points = tuple(Point(n, n, n % 2 == 0) for n in range(clicks))
    given = {"draft": True, "model": "m", "prompt": Prompt(points), "score": 0.5} | more
    return Annotation(class_name, mask(clicks), **given)


def boxed(class_name: str = "cat", x: float = 1.5) -> Annotation:
    return Annotation(class_name, Box(x, 2, x + 3, 7.25))


def put(store: Store, image: ImageRecord, *annotations: Annotation, person: str = "ann", **more):
    more = {"verb": "put"} | more
    return store.apply(image.id, person, [Change(a) for a in annotations], **more)


def remove(store: Store, image: ImageRecord, *annotations: Annotation, person: str = "ann"):
    changes = [Change(delete=a.id, revision=a.revision) for a in annotations]
    return store.apply(image.id, person, changes, verb="delete")


def content(store: Store, image: ImageRecord) -> list[tuple]:
    """Return what an image shows, without what counts the steps that led there."""
    return [
        (a.id, a.class_name, a.draft, a.shape, a.prompt, a.source, a.model, a.score, a.created_by)
        for a in store.annotations(image.id)
    ]
