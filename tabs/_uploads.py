"""Files that a page says it has sent: checked to be uploads, and laid out under their own names."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from gradio.utils import get_upload_folder

from studio.errors import BadInput

MOST_FILES = 100_000
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


@dataclass(frozen=True)
class Upload:
    """An uploaded file and the name, with folders, that it had on the person's machine."""

    path: Path
    name: str


@dataclass(frozen=True)
class Uploads:
    """What arrived, and (name, reason) of what did not."""

    files: tuple[Upload, ...]
    failed: tuple[tuple[str, str], ...]


def uploads(data: Any) -> Uploads:
    """Read a drop zone's event. Raises BadInput where a path is not that of an uploaded file.

    The paths come back from the browser, so they could name any file of this machine.
    """
    if not isinstance(data, dict) or not isinstance(data.get("files"), list):
        raise BadInput("The page sent no files. Reload it and try again.")
    if len(data["files"]) > MOST_FILES:
        raise BadInput(f"At most {MOST_FILES:,} files can be added at once; got {len(data['files']):,}.")
    folder = Path(get_upload_folder()).resolve()
    files = tuple(_upload(entry, folder) for entry in data["files"])
    failed = data.get("failed") if isinstance(data.get("failed"), list) else []
    told = tuple(
        (str(f.get("name"))[:300], str(f.get("reason"))[:300]) for f in failed[:1000] if isinstance(f, dict)
    )
    return Uploads(files, told)


def _upload(entry: Any, folder: Path) -> Upload:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or "\0" in entry["path"]:
        raise BadInput("The page sent a file that cannot be read. Reload it and try again.")
    path = Path(entry["path"])
    resolved = path.resolve()
    # Gradio lays each upload in a folder named by its digest; files beside those are not uploads.
    inside = resolved.relative_to(folder).parts if resolved.is_relative_to(folder) else ()
    if len(inside) < 2 or not resolved.is_file():
        raise BadInput(f"“{path.name[:100]}” was not uploaded, or is gone by now. Add it again.")
    name = entry.get("name")
    return Upload(resolved, clean_name(name if isinstance(name, str) else resolved.name) or resolved.name)


def clean_name(name: str) -> str:
    """Return a relative path without anything that could lead elsewhere."""
    parts = (_FORBIDDEN.sub("_", part).strip() for part in name.replace("\\", "/").split("/"))
    return "/".join([_shortened(part) for part in parts if part.strip(". ")][-20:])


def _shortened(part: str, most_bytes: int = 200) -> str:
    stem, suffix = os.path.splitext(part.encode("utf-8", "replace").decode("utf-8"))
    suffix = suffix[:20]
    room = most_bytes - len(suffix.encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + suffix


@contextmanager
def laid_out(files: Iterable[Upload]) -> Iterator[Path]:
    """Give a path to read: the file where there is one, else a folder with all under their own names."""
    files = list(files)
    if len(files) == 1 and files[0].path.suffix.lower() == ".zip":
        yield files[0].path
        return
    with TemporaryDirectory(prefix="onelabel-") as folder:
        laid = [_lay(file, Path(folder)) for file in files]
        yield laid[0] if len(laid) == 1 else Path(folder)


def _lay(file: Upload, folder: Path) -> Path:
    target = folder.joinpath(*PurePosixPath(file.name).parts)
    if any(parent.is_file() for parent in target.parents):
        raise BadInput(f"“{file.name}” cannot lie in a folder that is a file of the same upload.")
    stem, number = target, 2
    while target.exists():
        target, number = stem.with_name(f"{stem.stem} ({number}){stem.suffix}"), number + 1
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file.path, target)
    except OSError:  # another disk
        shutil.copyfile(file.path, target)
    return target
