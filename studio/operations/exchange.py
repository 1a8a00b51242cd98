"""Take annotations in from files of other programs, and give a project's out."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

import numpy as np
from PIL import Image

from studio.annotations import Alpha, Annotation
from studio.errors import BadInput, Cancelled, StudioError, unknown
from studio.formats import Dataset, DatasetImage, Format, Imported, detect, format_of
from studio.formats.base import file_names
from studio.formats.matting import AS_KEPT, VARIANTS, MattingOptions
from studio.formats.zipped import unpacked
from studio.images import decode
from studio.operations.merging import SAME_IMPORTED, Policy, merge, policy_of
from studio.operations.zipping import info_of
from studio.project import ImageRecord, Store

Selection = Literal["all", "labelled", "done"]
Progress = Callable[[int, int], None]
_PAGE = 500


@dataclass(frozen=True)
class ImportReport:
    """What came in. ``group`` takes all of it back: ``store.undo_group(report.group, person)``."""

    format: str
    images: int
    annotations: int
    replaced: int
    skipped: int
    classes: list[str]
    problems: list[str]
    group: str


@dataclass(frozen=True)
class ExportReport:
    """What was written, and where; ``problems`` says what the format could not keep."""

    format: str
    path: Path
    images: int
    annotations: int
    problems: list[str] = field(default_factory=list)


# ---- import -----------------------------------------------------------------------------------------


def import_annotations(
    store: Store,
    project_id: str,
    person: str,
    path: Path,
    format: str = "auto",
    policy: str = "append",
    *,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ImportReport:
    """Read a file, folder or zip and put what is sound on the project's images, undone as one.

    ``policy`` says what happens on an image that has annotations: ``append`` beside them; ``merge`` leaves
    out what is there already (same class, overlap of at least 0.8); ``skip`` leaves the image as it is;
    ``replace-drafts`` and ``replace-all`` delete first. Raises BadInput where nothing can be read.
    """
    chosen = policy_of(policy)
    images = {image.name: image for image in _images(store, project_id)}
    sizes = {name: (image.width, image.height) for name, image in images.items()}
    with _read(Path(path), format, sizes) as (found, imported):
        return _put_all(store, project_id, person, chosen, found, imported, images, progress, cancel)


def _put_all(
    store: Store,
    project_id: str,
    person: str,
    chosen: Policy,
    found: str,
    imported: Imported,
    images: dict[str, ImageRecord],
    progress: Progress | None,
    cancel: Callable[[], bool] | None,
) -> ImportReport:
    there = {entry.name for entry in store.classes(project_id)}
    problems = list(imported.problems)
    for name in imported.classes:
        if name not in there:
            store.add_class(project_id, name)
    work = _Putting(store, person, chosen, uuid.uuid4().hex, imported.files)
    entries = list(imported.annotations.items())
    for index, (name, incoming) in enumerate(entries):
        if cancel is not None and cancel():
            raise Cancelled(f"Stopped: {work.images:,} images have their annotations. Undo takes them back.")
        try:
            problems += work.put(images[name], incoming)
        except StudioError as error:
            problems.append(f"Image “{name}”: nothing was imported: {error}")
        if progress is not None:
            progress(index + 1, len(entries))
    return ImportReport(
        found,
        work.images,
        work.annotations,
        work.replaced,
        work.skipped,
        imported.classes,
        problems,
        work.group,
    )


def _images(store: Store, project_id: str) -> Iterator[ImageRecord]:
    offset = 0
    while page := store.images(project_id, offset=offset, limit=_PAGE, order="name"):
        yield from page
        offset += len(page)


@contextmanager
def _read(path: Path, format: str, sizes: dict[str, tuple[int, int]]) -> Iterator[tuple[str, Imported]]:
    """Give what a file, folder or zip holds, and the names of its formats; files of it can be read until the end."""
    with unpacked(path) as (roots, left):
        chosen: list[tuple[Path, Format]] = []
        refusals: list[BadInput] = []
        for root in roots:
            try:
                chosen.append((root, detect(root) if format == "auto" else format_of(format)))
            except BadInput as error:
                refusals.append(error)
        parts = []
        for root, found in chosen:
            try:
                parts.append((found.id, found.read(root, sizes)))
            except BadInput as error:
                refusals.append(error)
        if not parts:
            raise BadInput(_named(str(refusals[0]), roots[0].name, path.name))
        yield ", ".join(dict.fromkeys(name for name, _ in parts)), _together([p for _, p in parts], left)


def _together(parts: Sequence[Imported], left: Sequence[str]) -> Imported:
    annotations: dict[str, list[Annotation]] = {}
    classes: dict[str, None] = {}
    problems = list(left)
    files: dict[str, Callable[[], bytes]] = {}
    for part in parts:
        for name, entries in part.annotations.items():
            annotations.setdefault(name, []).extend(entries)
        classes.update(dict.fromkeys(part.classes))
        problems += part.problems
        files |= part.files
    return Imported(annotations, list(classes), problems, files)


def _named(text: str, ours: str, theirs: str) -> str:
    return text.replace(f"“{ours}”", f"“{theirs}”")


@dataclass
class _Putting:
    """Puts what was read on one image after another, all of it one group."""

    store: Store
    person: str
    policy: Policy
    group: str
    files: Mapping[str, Callable[[], bytes]]
    images: int = 0
    annotations: int = 0
    replaced: int = 0
    skipped: int = 0

    def put(self, image: ImageRecord, annotations: list[Annotation]) -> list[str]:
        """Change one image and return what the person should know."""
        merged = merge(image, self.store.annotations(image.id), annotations, self.policy, SAME_IMPORTED)
        if merged.skipped:
            self.skipped += bool(annotations)
            return []
        changes = merged.changes()
        if not changes:
            return []
        shapes = [a.shape for a in merged.kept if isinstance(a.shape, Alpha)]
        files = {digest: self.files[digest]() for shape in shapes for digest in shape.digests}
        applied = self.store.apply(
            image.id, self.person, changes, verb="import", group=self.group, files=files
        )
        self.images += 1
        self.annotations += len(merged.kept)
        self.replaced += len(merged.gone)
        return [f"Image “{image.name}”: {conflict}" for conflict in applied.conflicts]


# ---- export -----------------------------------------------------------------------------------------


def export_annotations(
    store: Store,
    project_id: str,
    format: str,
    path: Path,
    *,
    with_images: bool = False,
    drafts: bool = False,
    only: Selection = "all",
    mattes: MattingOptions | None = None,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ExportReport:
    """Write a project to a folder, or to a zip if the path ends in .zip. It is there whole or not at all.

    ``only`` takes all images, those with annotations, or those marked done. A folder that holds files
    already is refused; a zip is replaced. ``mattes`` say what the format matting writes of each matte.
    """
    chosen = format_of(format)
    path = Path(path)
    if chosen.id.partition("-")[0] == "matting":
        from studio.operations.matting.export import export_dataset  # it stands on this module

        options = mattes or VARIANTS.get(chosen.id.partition("-")[2], AS_KEPT)
        return export_dataset(
            store,
            project_id,
            path,
            options,
            format=chosen.id,
            with_images=with_images,
            drafts=drafts,
            only=only,
            progress=progress,
            cancel=cancel,
        )
    images = selected(store, project_id, only, drafts)
    step = Steps(progress, cancel, len(images) * (2 if with_images else 1))
    dataset = dataset_of(store, project_id, images, drafts, step)
    with arriving(path) as folder:
        written = chosen.write(dataset, folder)
        notes = list(written.notes)
        if with_images:
            notes += copy_images(store, images, chosen.images, folder, step)
    return ExportReport(chosen.id, path, len(images), written.annotations, notes)


def selected(store: Store, project_id: str, only: Selection, drafts: bool) -> list[ImageRecord]:
    """Return the images of a project that are to be written."""
    return [image for image in _images(store, project_id) if _selected(image, only, drafts)]


def dataset_of(
    store: Store,
    project_id: str,
    images: Sequence[ImageRecord],
    drafts: bool,
    step: Callable[[], None] = lambda: None,
) -> Dataset:
    """Return images of a project with what is labelled on them, as a format writes them."""
    labelled = []
    for image in images:
        kept = tuple(a for a in store.annotations(image.id) if drafts or not a.draft)
        labelled.append(DatasetImage(image.name, image.width, image.height, kept))
        step()
    classes = tuple(entry.name for entry in store.classes(project_id))
    pictures = _Pictures(store, {image.name: image for image in images})
    return Dataset(store.project(project_id).name, classes, tuple(labelled), pictures)


@dataclass(frozen=True)
class _Pictures:
    """The pixels of a project's images and their mattes, for formats that write pictures."""

    store: Store
    images: Mapping[str, ImageRecord]

    def picture(self, image: str) -> np.ndarray:
        return decode(self.store.original_path(self.images[image]), image)

    def file(self, image: str, digest: str) -> bytes:
        return self.store.alpha_path(self.images[image].id, digest).read_bytes()


def _selected(image: ImageRecord, only: str, drafts: bool) -> bool:
    match only:
        case "all":
            return True
        case "labelled":
            return image.count > 0 or (drafts and image.drafts > 0)
        case "done":
            return image.status == "done"
    raise unknown("selection", only, get_args(Selection))


class Steps:
    """Counts what is done, tells it, and raises Cancelled where somebody wants an end."""

    def __init__(self, progress: Progress | None, cancel: Callable[[], bool] | None, total: int) -> None:
        self._progress, self._cancel, self._total, self._done = progress, cancel, total, 0

    def __call__(self) -> None:
        if self._cancel is not None and self._cancel():
            raise Cancelled("Stopped. Nothing was written.")
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


def copy_images(
    store: Store, images: Sequence[ImageRecord], place: str, folder: Path, step: Callable[[], None]
) -> list[str]:
    """Copy the originals to a format's ``place`` for them.

    One that is turned by its EXIF is written upright, as its annotations are.
    """
    names = file_names(image.name for image in images)
    turned = 0
    for image in images:
        name = PurePosixPath(names[image.name])
        target = folder / place.format(name=name, stem=name.with_suffix(""))
        target.parent.mkdir(parents=True, exist_ok=True)
        original = store.original_path(image)
        if _is_turned(original):
            turned += 1
            kind = "PNG" if name.suffix.lower() == ".png" else "JPEG"
            Image.fromarray(decode(original, image.name)).save(target, kind, quality=95)
        else:
            shutil.copyfile(original, target)
        step()
    if not turned:
        return []
    return [f"{turned:,} images that their EXIF data turns were written upright, as they are labelled."]


def _is_turned(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            return picture.format in ("JPEG", "PNG") and picture.getexif().get(0x0112, 1) not in (0, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False  # a kind that Pillow does not know goes out as it came in


@contextmanager
def arriving(path: Path) -> Iterator[Path]:
    """Give a folder beside the target, and move what it then holds to the target in one step."""
    zipped = path.suffix.lower() == ".zip"
    if path.is_dir() and (zipped or any(path.iterdir())):
        raise BadInput(f"“{path.name}” is a folder that holds files already. Choose a new one, or a .zip.")
    if path.is_file() and not zipped:
        raise BadInput(f"“{path.name}” is a file. Choose a folder, or a name that ends in .zip.")
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.stem[:40]}-", dir=path.parent))
        folder = beside / "export"
        folder.mkdir()
        yield folder
        if zipped:
            _pack(folder, beside / "export.zip")
            os.replace(beside / "export.zip", path)
        else:
            os.replace(folder, path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadInput(f"“{path.name}” cannot be written: {reason}.") from error
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)


def _pack(folder: Path, target: Path) -> None:
    """Zip a folder so that the same files give the same bytes."""
    with target.open("wb") as out:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
            for file in sorted(p for p in folder.rglob("*") if p.is_file()):
                info = info_of(file.relative_to(folder).as_posix())
                with file.open("rb") as source, packed.open(info, "w", force_zip64=True) as entry:
                    shutil.copyfileobj(source, entry, 1 << 20)
        out.flush()
        os.fsync(out.fileno())
