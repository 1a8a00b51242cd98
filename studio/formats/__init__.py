"""File formats of annotations. Each module here that has TITLE, read and write is one.

``write`` is what a format writes by default; WRITERS holds its other ways, as ``masks-instances``.
``recognise`` says whether a file or folder is of the format; ORDER is the order in which they are asked.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from studio.errors import BadInput, unknown
from studio.formats.base import Dataset, DatasetImage, Imported, Sizes, Writer, Written

__all__ = [
    "Dataset",
    "DatasetImage",
    "Format",
    "Imported",
    "Writer",
    "Written",
    "all_formats",
    "detect",
    "format_of",
]


@dataclass(frozen=True)
class Format:
    """One way to read and write annotations. ``images`` is where its readers look for an image."""

    id: str
    title: str
    read: Callable[[Path, Sizes], Imported]
    write: Callable[[Dataset, Path], Written]
    recognise: Callable[[Path], bool]
    images: str


@cache
def all_formats() -> dict[str, Format]:
    """Return every format by its id, those that a file is easiest to recognise by first."""
    found = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if all(hasattr(module, name) for name in ("TITLE", "ORDER", "read", "write", "recognise")):
            found.append(module)
    formats: dict[str, Format] = {}
    for module in sorted(found, key=lambda m: m.ORDER):
        name = module.__name__.rpartition(".")[2]
        images = getattr(module, "IMAGES", Writer.images)
        formats[name] = Format(name, module.TITLE, module.read, module.write, module.recognise, images)
        for writer in getattr(module, "WRITERS", ()):
            ident = f"{name}-{writer.name}"
            formats[ident] = Format(
                ident, writer.title, module.read, writer.write, module.recognise, writer.images
            )
    return formats


def format_of(name: str) -> Format:
    """Return a format by its id. Raises NotFound with the nearest one."""
    formats = all_formats()
    if name not in formats:
        raise unknown("format", name, formats)
    return formats[name]


def detect(path: Path) -> Format:
    """Return the format of a file or folder. Raises BadInput that says what is understood."""
    for found in all_formats().values():
        if "-" not in found.id and found.recognise(path):
            return found
    raise BadInput(
        f"“{path.name}” holds no annotations that are understood. There can be: COCO or labelme (.json), "
        "Pascal VOC (.xml), YOLO (labels/*.txt with data.yaml or classes.txt), mattes (matting.json, or .png in a "
        "folder alphas), or mask pictures (.png in a folder masks, labels or instances)."
    )
