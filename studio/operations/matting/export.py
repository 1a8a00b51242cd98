"""Mattes given out: one as a file to keep, or a whole dataset of them as a folder or a zip."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from studio import images
from studio.annotations import Alpha, Annotation
from studio.cutouts import Kind, encoded
from studio.errors import BadInput
from studio.formats import Dataset
from studio.formats.base import Notes, clean, safe_path
from studio.formats.matting import AS_KEPT, MattingOptions, What, entries, in_bits, parts
from studio.formats.pngs import read_png
from studio.operations import exchange
from studio.operations.exchange import ExportReport, Progress, Selection
from studio.operations.matting.stored import alpha_of
from studio.operations.zipping import streamed, zip_into
from studio.project import ImageRecord, Store
from studio.studio import Studio


def export_one(
    studio: Studio,
    image: ImageRecord,
    annotation: Annotation,
    what: What,
    *,
    kind: Kind = "png",
    bits: int = 8,
    background: str | np.ndarray | None = None,
) -> tuple[bytes, str]:
    """Return a part of a matte as a file, and its name.

    ``background`` of a composite is a colour such as "#ffffff", the id of an image of the same project, or a
    picture, uint8 (h, w, 3). Raises BadInput where the annotation is no matte, has no trimap, or the kind of picture
    cannot hold it.
    """
    shape = annotation.shape
    if not isinstance(shape, Alpha):
        raise BadInput("This object has no matte yet. Make one first.")
    options = MattingOptions((what,), kind, bits, behind(studio, image, background))
    name = _name(image, annotation, what, kind)
    if what in ("alpha", "trimap"):
        return _grey(studio, image, shape, what, kind, bits), name
    pixels = images.decode(studio.store.original_path(image), image.name)
    ((_, _, data),) = parts(pixels, alpha_of(studio, image, shape), options, (what,))
    return data, name


def behind(studio: Studio, image: ImageRecord, background: str | np.ndarray | None) -> str | np.ndarray:
    """Return what is laid under a composite: a colour or a picture. Raises BadInput and NotFound."""
    if background is None:
        return "#ffffff"
    if isinstance(background, np.ndarray) or background.startswith("#"):
        return background
    other = studio.store.image(background)
    if other.project_id != image.project_id:
        raise BadInput("The picture for the background is of another project. Choose one of this project.")
    return images.decode(studio.store.original_path(other), other.name)


def export_dataset(
    store: Store,
    project_id: str,
    path: Path,
    options: MattingOptions = AS_KEPT,
    *,
    format: str = "matting",
    with_images: bool = False,
    drafts: bool = False,
    only: Selection = "all",
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ExportReport:
    """Write a project's mattes to a folder, or to a zip if the path ends in .zip, which is written as they come.

    It is there whole or not at all. Images and annotations are chosen as for every other format.
    """
    path = Path(path)
    chosen, dataset = _dataset(store, project_id, drafts, only)
    step = exchange.Steps(progress, cancel, len(chosen) * (2 if with_images else 1))
    notes = Notes()
    told = entries(dataset, options, notes, step)
    count = sum(isinstance(a.shape, Alpha) for each in dataset.images for a in each.annotations)
    if path.suffix.lower() == ".zip" and not with_images:
        _zipped(path, told)
        return ExportReport(format, path, len(chosen), count, notes.sentences())
    with exchange.arriving(path) as folder:
        for name, data in told:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        more = exchange.copy_images(store, chosen, "images/{name}", folder, step) if with_images else []
    return ExportReport(format, path, len(chosen), count, notes.sentences() + more)


def stream_dataset(
    store: Store,
    project_id: str,
    options: MattingOptions = AS_KEPT,
    *,
    drafts: bool = False,
    only: Selection = "all",
) -> Iterator[bytes]:
    """Yield a zip of a project's mattes as it is made, for whoever downloads it. Nothing is kept beside it."""
    _, dataset = _dataset(store, project_id, drafts, only)
    yield from streamed(entries(dataset, options, Notes()))


def _dataset(
    store: Store, project_id: str, drafts: bool, only: Selection
) -> tuple[list[ImageRecord], Dataset]:
    chosen = exchange.selected(store, project_id, only, drafts)
    return chosen, exchange.dataset_of(store, project_id, chosen, drafts)


def _zipped(path: Path, files: Iterator[tuple[str, bytes]]) -> None:
    if path.is_dir():
        raise BadInput(f"“{path.name}” is a folder. Choose a name that ends in .zip.")
    unfinished = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(
            prefix=f".{path.stem[:40]}-", suffix=".zip", dir=path.parent
        )
        with os.fdopen(descriptor, "wb") as out:
            zip_into(out, files)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
        unfinished = None
    except OSError as error:
        raise BadInput(
            f"“{path.name}” cannot be written: {error.strerror or type(error).__name__}."
        ) from error
    finally:
        if unfinished is not None:
            Path(unfinished).unlink(missing_ok=True)


def _grey(studio: Studio, image: ImageRecord, shape: Alpha, what: What, kind: Kind, bits: int) -> bytes:
    digest = shape.digest if what == "alpha" else shape.trimap_digest
    if digest is None:
        raise BadInput("This matte has no trimap: it was made without one.")
    data = studio.store.alpha_path(image.id, digest).read_bytes()
    data = in_bits(data, bits) if what == "alpha" else data
    if kind == "png":
        return data
    if bits == 16:
        raise BadInput(f"{kind} holds 8 bits. Choose PNG for 16.")
    return encoded(read_png(data, images.MAX_PIXELS), kind)


def _name(image: ImageRecord, annotation: Annotation, what: What, kind: Kind) -> str:
    stem = PurePosixPath(safe_path(image.name)).stem
    thing = clean("".join(c if c.isalnum() else "-" for c in annotation.class_name), 40).strip("-")
    return "-".join(filter(None, (stem, thing, "" if what == "cutout" else what))) + f".{kind}"
