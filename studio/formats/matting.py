"""Mattes: cut-outs as RGBA, alphas of 8 or 16 bits, trimaps, and a list of them, matting.json, that is read back.

    cutouts/NAME/01-CLASS.png      the object in its own colours, without a fringe of the old background
    alphas/NAME/01-CLASS.png       how much of each pixel belongs to it, 0 to white
    trimaps/NAME/01-CLASS.png      0 background, 128 unknown, 255 foreground
    foregrounds/, composites/      the colours alone; the cut-out over a colour or a picture
    matting.json                   of each: its image, class, models, prompt, and these files

Without matting.json every alpha below a folder alpha or alphas is read, and belongs to the image that it is named
after, or that the folder around it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np

from studio.annotations import Alpha, Annotation, Mask, annotation_from_json, annotation_to_json
from studio.cutouts import Kind, colour_of, composed, cutout_of, encoded
from studio.errors import BadInput, unknown
from studio.formats.base import (
    Dataset,
    DatasetImage,
    Imported,
    Notes,
    Sizes,
    Writer,
    Written,
    clean,
    file_names,
)
from studio.formats.files import Found, find, read_json, read_text
from studio.formats.importing import MOST_PIXELS, Import
from studio.formats.pngs import png_bytes, png_size, read_png
from studio.images import digest

TITLE = "Mattes: cut-outs, alphas, trimaps (PNG, WebP)"
ORDER = 5
LIST = "matting.json"
VERSION = 1
IMAGES = "images/{name}"
_FOLDERS = {"alpha", "alphas"}
_ALPHA_MODES = ("L", "I;16", "I", "I;16B")

What = Literal["cutout", "alpha", "trimap", "foreground", "composite"]
WHATS: tuple[What, ...] = get_args(What)


@dataclass(frozen=True)
class MattingOptions:
    """What is written of each matte. ``bits`` 0 keeps alphas as they are; ``kind`` is that of coloured pictures.

    ``background`` is a colour such as ``#ffffff``, or a picture, uint8 (h, w, 3), under what is composed.
    """

    what: tuple[What, ...] = ("cutout", "alpha", "trimap")
    kind: Kind = "png"
    bits: Literal[0, 8, 16] = 0
    background: str | np.ndarray = "#ffffff"

    def __post_init__(self) -> None:
        for what in self.what:
            if what not in WHATS:
                raise unknown("part of a matte", str(what), WHATS)
        if not self.what:
            raise BadInput("Choose what to write of each matte: cut-outs, alphas …")
        if self.bits not in (0, 8, 16):
            raise BadInput(f"An alpha has 8 or 16 bits, not {self.bits}.")
        if self.kind not in get_args(Kind):
            raise unknown("kind of picture", str(self.kind), get_args(Kind))
        if self.kind == "jpeg" and "cutout" in self.what:
            raise BadInput("JPEG knows no transparency. Choose PNG or WebP for cut-outs.")
        if isinstance(self.background, str):
            colour_of(self.background)


AS_KEPT = MattingOptions()


# ---- writing ----------------------------------------------------------------------------------------


def parts(
    picture: np.ndarray | None, alpha: np.ndarray, options: MattingOptions, wanted: tuple[What, ...]
) -> Iterator[tuple[What, str, bytes]]:
    """Yield the coloured parts of one matte: which, its ending, and its bytes. ``alpha`` is float32 0 to 1 (h, w)."""
    coloured = [what for what in wanted if what in ("cutout", "foreground", "composite")]
    if not coloured:
        return
    rgba = cutout_of(picture, alpha)
    for what in coloured:
        if what == "composite":
            under = options.background
            under = colour_of(under) if isinstance(under, str) else under
            shown = composed(rgba, under)
        else:
            shown = rgba if what == "cutout" else rgba[..., :3]
        yield what, options.kind, encoded(shown, options.kind)


def entries(
    dataset: Dataset, options: MattingOptions, notes: Notes, done: Callable[[], None] = lambda: None
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a dataset one by one, the list of them last; ``done`` is called after each image.

    Raises BadInput where the dataset has no pictures.
    """
    if dataset.pictures is None:
        raise BadInput("Mattes are written from a project, which has their pictures.")
    names = file_names(image.name for image in dataset.images)
    listed = []
    for image in dataset.images:
        own: dict[str, Any] = {"name": image.name, "width": image.width, "height": image.height, "mattes": []}
        picture = None
        stem = PurePosixPath(names[image.name]).with_suffix("")
        for annotation in image.annotations:
            if not isinstance(annotation.shape, Alpha):
                notes.add(
                    "One annotation without a matte was left out.",
                    "{n} annotations without a matte were left out.",
                )
                continue
            if picture is None and set(options.what) - {"alpha", "trimap"}:
                picture = dataset.pictures.picture(image.name)
            base = f"{stem}/{len(own['mattes']) + 1:02}-{_safe(annotation.class_name)}"
            files: dict[str, str] = {}
            for what, ending, data in _files(dataset, image, annotation.shape, picture, options):
                files[what] = f"{what}s/{base}.{ending}"
                yield files[what], data
            own["mattes"].append(_listed(annotation, files))
        if own["mattes"]:
            listed.append(own)
        done()
    data = {
        "format": "onelabel matting",
        "version": VERSION,
        "classes": dataset.all_classes(),
        "images": listed,
    }
    yield LIST, (json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _files(
    dataset: Dataset,
    image: DatasetImage,
    shape: Alpha,
    picture: np.ndarray | None,
    options: MattingOptions,
) -> Iterator[tuple[What, str, bytes]]:
    kept = dataset.pictures.file(image.name, shape.digest)
    if "alpha" in options.what:
        yield "alpha", "png", in_bits(kept, options.bits)
    if "trimap" in options.what and shape.trimap_digest is not None:
        yield "trimap", "png", dataset.pictures.file(image.name, shape.trimap_digest)
    if picture is not None:
        values = read_png(kept, MOST_PIXELS)
        alpha = values.astype(np.float32) / (255 if values.dtype == np.uint8 else 65535)
        yield from parts(picture, alpha, options, options.what)


def in_bits(data: bytes, bits: int) -> bytes:
    """Return an alpha's PNG with 8 or 16 bits; as it is where it has them, or ``bits`` is 0."""
    values = read_png(data, MOST_PIXELS)
    there = 8 if values.dtype == np.uint8 else 16
    if bits in (0, there):
        return data
    if bits == 16:
        return png_bytes((values.astype(np.uint16) * 257).astype(np.uint16))
    return png_bytes(((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))


def _listed(annotation: Annotation, files: dict[str, str]) -> dict[str, Any]:
    told = annotation_to_json(annotation)
    for key in ("shape", "created_by", "revision", "id"):
        del told[key]
    return told | {"files": files}


def _safe(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
    return kept.strip("-")[:40] or "object"


def write_with(dataset: Dataset, folder: Path, options: MattingOptions = AS_KEPT) -> Written:
    """Write what the options say into a folder."""
    notes, files, count = Notes(), [], 0
    for name, data in entries(dataset, options, notes):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        files.append(file)
    for image in dataset.images:
        count += sum(isinstance(a.shape, Alpha) for a in image.annotations)
    return Written(files, count, notes.sentences())


def write(dataset: Dataset, folder: Path) -> Written:
    """Write cut-outs as PNG, alphas as they are kept, trimaps, and the list."""
    return write_with(dataset, folder)


VARIANTS = {
    "webp": MattingOptions(kind="webp"),
    "alphas": MattingOptions(what=("alpha", "trimap")),
    "alphas16": MattingOptions(what=("alpha", "trimap"), bits=16),
}
WRITERS = (
    Writer("webp", "Mattes, cut-outs as WebP", partial(write_with, options=VARIANTS["webp"])),
    Writer(
        "alphas", "Mattes, alphas and trimaps only (PNG)", partial(write_with, options=VARIANTS["alphas"])
    ),
    Writer("alphas16", "Mattes, alphas of 16 bits (PNG)", partial(write_with, options=VARIANTS["alphas16"])),
)


# ---- reading ----------------------------------------------------------------------------------------


def recognise(path: Path) -> bool:
    """Say whether a file or folder holds mattes."""
    return bool(_lists(path)) or bool(_loose(path))


def read(path: Path, images: Sizes) -> Imported:
    """Read what ``write`` wrote, or alphas in a folder of that name."""
    into = Import(images)
    lists = _lists(path)
    for file in lists:
        _read_list(file, path, into)
    for file in [] if lists else _loose(path):
        _read_loose(file, into)
    if not lists and not _loose(path):
        raise BadInput(f"“{path.name}” holds no {LIST}, and no alphas (.png in a folder alphas).")
    return into.done()


def _lists(path: Path) -> list[Found]:
    return [f for f in find(path, ".json") if PurePosixPath(f.name).name == LIST]


def _loose(path: Path) -> list[Found]:
    files = find(path, ".png") if path.is_dir() else []
    found = [f for f in files if _FOLDERS & {folder.lower() for folder in f.folders}]
    return [f for f in found if (png_size(f.path) or (0, 0, ""))[2] in _ALPHA_MODES]


def _read_list(file: Found, root: Path, into: Import) -> None:
    data, wrong = read_json(read_text(file)[0], ("images",))
    if wrong:
        into.problem(file.name, wrong)
    if not isinstance(data, dict) or not isinstance(data.get("images"), list):
        into.problem(file.name, "left out: it has no list of images.")
        return
    below = file.path.parent
    classes = data.get("classes")
    for name in classes if isinstance(classes, list) else ():
        try:
            into.add_class(name)
        except BadInput as error:
            into.problem(file.name, f"a class was left out: {error}")
    for number, entry in enumerate(data["images"], 1):
        where = f"{file.name}, image {number}"
        mattes = entry.get("mattes") if isinstance(entry, dict) else None
        if not isinstance(mattes, list) or not isinstance(entry.get("name"), str):
            into.problem(where, "left out: it has no name or no list of mattes.")
            continue
        name = clean(entry["name"], 1000)
        frame = into.frame(name, into.size(entry.get("width"), entry.get("height"), where), where)
        if frame is None:
            into.missed(name, len(mattes))
            continue
        for index, matte in enumerate(mattes, 1):
            try:
                _read_matte(matte, below, frame, f"{where}, matte {index}", into)
            except BadInput as error:
                into.problem(f"{where}, matte {index}", f"left out: {error}")


def _read_matte(matte: Any, below: Path, frame: Any, where: str, into: Import) -> None:
    files = matte.get("files") if isinstance(matte, dict) else None
    if not isinstance(files, dict) or not isinstance(files.get("alpha"), str):
        raise BadInput("it names no alpha, which is needed to read it back.")
    alpha = _own(_below(below, files["alpha"]), trimap=False, into=into)
    trimap = None
    if isinstance(files.get("trimap"), str):
        try:
            trimap = _own(_below(below, files["trimap"]), trimap=True, into=into)
        except BadInput as error:
            into.problem(where, f"its trimap was left out: {error}")
    if trimap is not None and (trimap.height, trimap.width) != (alpha.height, alpha.width):
        into.problem(where, "its trimap was left out: it is of another size.")
        trimap = None
    shape = Alpha(alpha.height, alpha.width, alpha.digest, trimap.digest if trimap else None, alpha.mask)
    told = {**matte, "class": into.add_class(matte.get("class")), "shape": {"kind": "label"}}
    told.pop("id", None)
    read = annotation_from_json(told)
    start = read.prompt.mask if read.prompt is not None else None
    if start is not None and (start.height, start.width) != (alpha.height, alpha.width):
        read = read.with_(prompt=replace(read.prompt, mask=None))
    fields = {
        "source": read.source,
        "draft": read.draft,
        "model": _line(read.model),
        "model_version": _line(read.model_version),
        "prompt": read.prompt,
        "score": read.score,
    }
    into.add(frame, read.class_name, shape, where, **fields)


def _read_loose(file: Found, into: Import) -> None:
    place = next(i for i, folder in enumerate(file.folders) if folder.lower() in _FOLDERS)
    inner = PurePosixPath(*PurePosixPath(file.name).parts[place + 1 :])
    names = [str(inner.with_suffix("")), str(inner.parent) if len(inner.parts) > 1 else ""]
    name = into.choose(*names)
    try:
        frame = into.frame(name, None, file.name)
        if frame is None:
            into.missed(name)
            return
        into.add(frame, into.add_class("object"), _own(file.path, trimap=False, into=into), file.name)
    except BadInput as error:
        into.problem(file.name, f"left out: {error}")


def _own(path: Path, *, trimap: bool, into: Import) -> Alpha:
    """Return an alpha, or a trimap as one, of a file: what is kept of it is its pixels, written anew."""
    values = _pixels(path, trimap)
    data = png_bytes(values)
    named = digest(data)
    into.files[named] = lambda: png_bytes(_pixels(path, trimap))
    half = None if trimap else Mask.from_array(values >= (128 if values.dtype == np.uint8 else 32768))
    return Alpha(*values.shape, named, None, half)


def _pixels(path: Path, trimap: bool) -> np.ndarray:
    values = read_png(path)
    if values.dtype != np.uint8:
        if values.max(initial=0) > 65535 or values.min(initial=0) < 0:
            raise BadInput("its values are not of 16 bits.")
        values = values.astype(np.uint16)
    if trimap:
        top = 255 if values.dtype == np.uint8 else 65535
        return np.select([values <= top // 100, values >= top - top // 100], [0, 255], 128).astype(np.uint8)
    return values


def _below(folder: Path, name: str) -> Path:
    """Return a file below a folder. Raises BadInput where a name leads elsewhere, or to nothing."""
    named = PurePosixPath(name.replace("\\", "/"))
    shown = clean(name, 80)
    if named.is_absolute() or ".." in named.parts or ":" in name:
        raise BadInput(f"“{shown}” does not lie beside {LIST}.")
    path = folder.joinpath(*named.parts)
    try:
        there = path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        raise BadInput(f"“{shown}” is not there.")
    return path


def _line(text: Any) -> str | None:
    return None if text is None else clean(str(text), 300) or None
