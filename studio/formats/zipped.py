"""Annotation files out of a zip: checked as any zip is, unpacked into a folder that goes away again."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from studio.errors import BadInput
from studio.formats.base import clean
from studio.formats.files import find
from studio.intake.archive import Archive

MOST_UNPACKED = 8 * 2**30
_ENDINGS = frozenset((".json", ".xml", ".txt", ".yaml", ".yml", ".names", ".csv", ".png"))
_CHUNK = 1 << 20


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[list[Path], list[str]]]:
    """Give the folders or files to read, and what was left out of a zip.

    A zip gives a folder with its annotation files; a folder gives itself and one for each zip in it.
    Raises BadInput where a zip is refused.
    """
    if not path.exists():
        raise BadInput(f"There is no file or folder “{path.name}”.")
    zips = [path] if path.suffix.lower() == ".zip" and path.is_file() else []
    zips = zips or ([file.path for file in find(path, ".zip")] if path.is_dir() else [])
    roots = [] if zips == [path] else [path]
    left: list[str] = []
    with tempfile.TemporaryDirectory(prefix="onelabel-") as folder:
        for index, packed in enumerate(zips):
            target = Path(folder, str(index), clean(packed.stem, 60).replace("/", "_") or "zip")
            target.mkdir(parents=True)
            left += _unpack(packed, target)
            roots.append(target)
        yield roots, left


def _unpack(path: Path, target: Path) -> list[str]:
    with Archive(path):  # refuses what leads outside, links, bombs, too many entries
        pass
    left, total = [], 0
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            name = PurePosixPath(info.filename.replace("\\", "/"))
            if info.is_dir() or name.suffix.lower() not in _ENDINGS or "__MACOSX" in name.parts:
                continue
            try:
                total += _write(opened, info, target.joinpath(*name.parts), MOST_UNPACKED - total)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError):
                left.append(
                    f"{path.name}: “{clean(str(name))}” is damaged or has a name that cannot be used."
                )
    return left


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path, room: int) -> int:
    size = 0
    file.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(info) as packed, file.open("xb") as out:
        while chunk := packed.read(_CHUNK):
            size += len(chunk)
            if size > info.file_size or size > room:
                raise BadInput(f"“{clean(info.filename)}” unpacks to more than it should. Pack the zip anew.")
            out.write(chunk)
    return size
