"""Shapes and datasets to write and read back, and how a format is read in a test."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from hypothesis import strategies as st

from studio.annotations import Alpha, Annotation, Box, Keypoints, Mask, Polygon
from studio.formats import Dataset, DatasetImage
from studio.formats.pngs import png_bytes
from studio.geometry import shape_mask
from studio.images import digest

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12).filter(
    lambda name: name.isprintable()
)
CLASS_NAMES = ["cat", "big dog", "Füße", "猫", "a&b<c>"]


def spans(limit: int, whole: bool) -> st.SearchStrategy[tuple[float, float]]:
    """Two numbers from 0 to ``limit``, at least 1 apart."""
    if whole:
        return st.integers(0, limit - 1).flatmap(lambda a: st.tuples(st.just(a), st.integers(a + 1, limit)))
    numbers = st.floats(0, limit - 1.0, allow_nan=False)
    return numbers.flatmap(lambda a: st.tuples(st.just(a), st.floats(min(a + 1.0, limit), limit)))


def boxes(width: int, height: int, whole: bool = False) -> st.SearchStrategy[Box]:
    return st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), spans(width, whole), spans(height, whole))


def masks(width: int, height: int) -> st.SearchStrategy[Mask]:
    def build(seed: int, fill: float) -> Mask:
        pixels = np.random.default_rng(seed).random((height, width)) < fill
        pixels[seed % height, seed % width] = True
        return Mask.from_array(pixels)

    return st.builds(build, st.integers(0, 2**20), st.floats(0, 1))


def polygons(width: int, height: int, rings: int = 2) -> st.SearchStrategy[Polygon]:
    """Star-shaped rings, one in each of ``rings`` columns, so that they do not overlap."""

    def build(seed: int, count: int, corners: int) -> Polygon:
        rng = np.random.default_rng(seed)
        found = []
        for index in range(count):
            centre = ((index + 0.5) * width / count, height / 2)
            turns = np.sort(rng.random(corners) + np.arange(corners)) * 2 * np.pi / corners
            reach = (0.2 + 0.25 * rng.random((corners, 1))) * (width / count, height)
            ring = centre + reach * np.stack([np.cos(turns), np.sin(turns)], 1)
            found.append(tuple(map(tuple, ring.tolist())))
        return Polygon(tuple(found))

    return st.builds(build, st.integers(0, 2**20), st.integers(1, rings), st.integers(4, 9))


def keypoints(width: int, height: int) -> st.SearchStrategy[Keypoints]:
    one = st.tuples(st.integers(0, width), st.integers(0, height), st.sampled_from([0, 1, 2]))
    seen = st.tuples(st.integers(0, width), st.integers(0, height), st.just(2))
    return st.builds(lambda first, rest: Keypoints((first, *rest)), seen, st.lists(one, max_size=4))


def datasets(shapes, **fields) -> st.SearchStrategy[Dataset]:
    """Up to three images with annotations; ``shapes(width, height)`` gives the shapes' strategy."""

    @st.composite
    def build(draw) -> Dataset:
        images = []
        for name in draw(st.lists(NAMES, max_size=3, unique_by=lambda n: n.casefold())):
            width, height = draw(st.integers(6, 60)), draw(st.integers(6, 60))
            kinds = st.builds(
                Annotation,
                st.sampled_from(CLASS_NAMES),
                shapes(width, height),
                **{"source": st.just("import"), **fields},
            )
            found = tuple(draw(st.lists(kinds, max_size=4)))
            images.append(DatasetImage(name.replace("/", "_") + ".jpg", width, height, found))
        return Dataset("test", tuple(CLASS_NAMES[:2]), tuple(images))

    return build()


def sizes_of(dataset: Dataset) -> dict[str, tuple[int, int]]:
    return {image.name: (image.width, image.height) for image in dataset.images}


def bare(annotation: Annotation) -> Annotation:
    """Return the annotation without what belongs to one store alone."""
    return annotation.with_(id="", revision=0, created_by=None)


def one_image(*annotations: Annotation, name: str = "a.jpg", size: tuple[int, int] = (40, 30)) -> Dataset:
    return Dataset("test", (), (DatasetImage(name, *size, annotations),))


class Drawn:
    """The pixels behind a dataset of mattes: grey pictures, and the files that ``matted`` made."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.sizes: dict[str, tuple[int, int]] = {}

    def picture(self, image: str) -> np.ndarray:
        return np.full((*self.sizes[image], 3), 90, np.uint8)

    def file(self, image: str, digest: str) -> bytes:
        return self.files[digest]


def matted(name: str, dataset: Dataset) -> Dataset:
    """Return a dataset as it is, but for the format matting with every outline as a matte of soft edges."""
    if not name.startswith("matting"):
        return dataset
    drawn, images = Drawn(), []
    for image in dataset.images:
        drawn.sizes[image.name] = (image.height, image.width)
        made = []
        for annotation in image.annotations:
            if isinstance(annotation.shape, Mask | Polygon):
                pixels = shape_mask(annotation.shape, image.height, image.width).to_array()
                values = cv2.blur(pixels.astype(np.uint8) * 255, (3, 3))
                data = png_bytes(values)
                drawn.files[digest(data)] = data
                half = Mask.from_array(values >= 128)
                annotation = annotation.with_(
                    shape=Alpha(image.height, image.width, digest(data), digest(data), half)
                )
            made.append(annotation)
        images.append(replace(image, annotations=tuple(made)))
    return replace(dataset, images=tuple(images), pictures=drawn)
