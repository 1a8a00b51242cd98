"""What goes into a file format and what comes out of one, whichever it is."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from studio.annotations import Alpha, Annotation

Sizes = Mapping[str, tuple[int, int]]  # image name → (width, height)


@dataclass(frozen=True)
class DatasetImage:
    """One image to be written, with what is labelled on it, in the order it was drawn."""

    name: str
    width: int
    height: int
    annotations: tuple[Annotation, ...] = ()


class Pictures(Protocol):
    """The pixels behind a dataset, for formats that write pictures."""

    def picture(self, image: str) -> np.ndarray:
        """Return an image of this name, uint8 RGB (h, w, 3), upright."""
        ...

    def file(self, image: str, digest: str) -> bytes:
        """Return the file of an alpha or a trimap of an image of this name."""
        ...


@dataclass(frozen=True)
class Dataset:
    """What a format writes. ``classes`` keep their order; names that only annotations use come after.

    ``pictures`` give the pixels, None where there are none to be had.
    """

    name: str
    classes: tuple[str, ...]
    images: tuple[DatasetImage, ...]
    pictures: Pictures | None = None

    def all_classes(self) -> list[str]:
        """Return every class name once, the dataset's own first."""
        names = dict.fromkeys(self.classes)
        names.update(dict.fromkeys(a.class_name for image in self.images for a in image.annotations))
        return list(names)


@dataclass(frozen=True)
class Imported:
    """What a file held for the images it was read against.

    ``annotations`` has an entry for each image the file speaks of, empty where it has nothing on it.
    ``problems`` names each thing that was left out or changed, by file, entry and reason. ``files`` has those that
    alphas among the annotations name, by digest, each to be read when it is needed.
    """

    annotations: dict[str, list[Annotation]]
    classes: list[str]
    problems: list[str]
    files: dict[str, Callable[[], bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Written:
    """The files a format wrote, how many annotations they hold, and what the format could not keep."""

    files: list[Path]
    annotations: int
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Writer:
    """A further way to write a format. ``images`` is where its readers look for an image."""

    name: str
    title: str
    write: Callable[[Dataset, Path], Written]
    images: str = "images/{name}"


class Notes:
    """Counts what a format could not keep and says it in one sentence each."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, one: str, many: str, count: int = 1) -> None:
        """Count something; ``many`` holds ``{n}``."""
        self._counts[one, many] = self._counts.get((one, many), 0) + count

    def sentences(self) -> list[str]:
        return [one if n == 1 else many.format(n=f"{n:,}") for (one, many), n in self._counts.items()]


def masks_for_alphas(dataset: Dataset, notes: Notes) -> Dataset:
    """Return a dataset for a format that knows no mattes: each becomes the mask of where it is at least a half."""
    if not any(isinstance(a.shape, Alpha) for image in dataset.images for a in image.annotations):
        return dataset

    def masked(annotation: Annotation) -> Annotation:
        if not isinstance(annotation.shape, Alpha) or annotation.shape.mask is None:
            return annotation
        notes.add(
            "One matte was written as a mask of where it is at least a half; the format matting keeps it.",
            "{n} mattes were written as masks of where they are at least a half; the format matting keeps them.",
        )
        return annotation.with_(shape=annotation.shape.mask)

    images = (replace(each, annotations=tuple(map(masked, each.annotations))) for each in dataset.images)
    return replace(dataset, images=tuple(images))


def clean(text: str, limit: int = 200) -> str:
    """Return text without control characters, lone surrogates and doubled spaces."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" or c in "\u200c\u200d" else " " for c in text)
    return " ".join(kept.split())[:limit].strip()


def clean_class(name: str) -> str:
    """Return a class name as the store takes it: one line of at most 100 characters, composed."""
    return clean(unicodedata.normalize("NFC", name), 100)


def safe_path(name: str) -> str:
    """Return an image's name as a relative path that every file system takes."""
    parts = [_safe_part(part) for part in name.replace("\\", "/").split("/") if part.strip(". ")]
    return "/".join(parts) or "image"


def _safe_part(part: str) -> str:
    kept = "".join("_" if c in '<>:"|?*' else c for c in clean(part)) or "_"
    return "_" + kept[1:] if kept[0] == "." else kept  # a hidden file would be passed over by readers


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Return a safe relative path for each image name, no two with the same stem.

    Labels lie beside images under the same stem, so ``a.jpg`` and ``a.png`` cannot both be ``a.txt``: they
    become ``a.jpg.jpg`` and ``a.png.png`` with ``a.jpg.txt`` and ``a.png.txt``, which still match by name.
    """
    paths = {name: PurePosixPath(safe_path(name)) for name in names}
    counts = Counter(_stem_key(path) for path in paths.values())
    taken: set[str] = set()
    for name, path in paths.items():
        if counts[_stem_key(path)] > 1:
            path = path.with_name(path.name + (path.suffix or "_"))
        while _stem_key(path) in taken:
            path = path.with_name(path.name + (path.suffix or "_"))
        taken.add(_stem_key(path))
        paths[name] = path
    return {name: str(path) for name, path in paths.items()}


def _stem_key(path: PurePosixPath) -> str:
    return str(path.with_suffix("")).casefold()
