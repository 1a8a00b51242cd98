"""What there is to read in the files, folders and zips a person gave, listed before any of it is read."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from studio import images
from studio.errors import BadInput
from studio.intake import archive
from studio.intake.archive import Archive
from studio.intake.names import clean_name, suffix

LINK = "The file is a link to another; links are not followed."
MAX_FILES = 200_000
MAX_ARCHIVES = 100  # each keeps its file open until the end


@dataclass(frozen=True)
class Source:
    """A file or folder on this machine's disk, and the name its sender gave it, "cats/one.jpg"."""

    path: Path
    name: str


@dataclass(frozen=True)
class Item:
    """One image to come: its name as it was given, and how to get its bytes (which may raise StudioError)."""

    name: str
    read: Callable[[], bytes]


class Listing:
    """The images of all sources as ``items``, with what is ``refused`` or ``left`` aside, and why.

    A folder's files keep the folder's name before theirs; a zip's members keep theirs. The items can be
    read until the listing is closed.
    """

    def __init__(self, sources: Iterable[Source | Path | str]) -> None:
        """List. Raises BadInput when there are too many files."""
        self.items: list[Item] = []
        self.refused: list[tuple[str, str]] = []
        self.left: list[tuple[str, str]] = []
        self._archives = 0
        files = self._files(sources)
        self._stems = {PurePosixPath(f.name).stem for f in files if suffix(f.name) in images.SUFFIXES}
        with ExitStack() as opened:
            self._opened = opened
            for file in files:
                self._add(file)
                _check_count(len(self.items))
            self._opened = opened.pop_all()

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _files(self, sources: Iterable[Source | Path | str]) -> list[Source]:
        files: list[Source] = []
        for source in sources:
            source = source if isinstance(source, Source) else Source(Path(source), Path(source).name)
            for file in self._walk(source) if source.path.is_dir() else [source]:
                files.append(file)
                _check_count(len(files))
        return files

    def _walk(self, folder: Source) -> Iterator[Source]:
        """Yield a folder's files in order, without following links."""
        for parent, folders, files in os.walk(folder.path):
            folders[:] = sorted(f for f in folders if not archive.is_litter(PurePosixPath(f)))
            for file in sorted(files):
                path = Path(parent, file)
                name = f"{folder.name}/{path.relative_to(folder.path).as_posix()}"
                if path.is_symlink():
                    self.refused.append((clean_name(name), LINK))
                elif path.is_file():
                    yield Source(path, name)

    def _add(self, source: Source) -> None:
        name = clean_name(source.name, "file")
        if archive.is_litter(PurePosixPath(name)):
            return
        try:
            if archive.is_zip(source.path):
                self._add_zip(source.path, name)
            elif why := self._why_left(name):
                self.left.append((name, why))
            else:
                self.items.append(Item(name, partial(_from_disk, source.path)))
        except BadInput as error:
            self.refused.append((name, str(error)))
        except OSError as error:
            self.refused.append((name, _unread(error)))

    def _add_zip(self, path: Path, name: str) -> None:
        if self._archives >= MAX_ARCHIVES:
            raise BadInput(f"At most {MAX_ARCHIVES} zips can be added at once. Add this one in another turn.")
        zipped = self._opened.enter_context(Archive(path, name))
        self._archives += 1
        if not zipped.members and not zipped.skipped:
            raise BadInput("The file is a zip archive without images.")
        self.left.extend((clean_name(inner), reason) for inner, reason in zipped.skipped)
        lock = threading.Lock()  # its members share one open file

        def read(member: archive.Member) -> bytes:
            with lock:
                return zipped.read(member)

        self.items.extend(Item(member.name, partial(read, member)) for member in zipped.members)

    def _why_left(self, name: str) -> str | None:
        """Return why a file is not even tried, or None where it is."""
        if suffix(name) in images.SUFFIXES:
            return None
        if archive.may_hold_annotations(PurePosixPath(name), self._stems):
            return archive.IMPORT_LATER
        if suffix(name) in archive.ARCHIVES:
            return "of archives, only zips are opened; unpack it, or pack it as a zip"
        if "/" in name:  # a file of a folder; one that was chosen by itself is tried, and told what it is
            return "its ending is not that of an image"
        return None


def _check_count(files: int) -> None:
    if files > MAX_FILES:
        raise BadInput(f"More than {MAX_FILES:,} files were given at once. Add them in several turns.")


def _from_disk(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > images.MAX_BYTES:
            limit = f"an image may have {images.MAX_BYTES // 2**20} MB"
            raise BadInput(f"The file has {size / 2**20:,.0f} MB; {limit}. Save it with more compression.")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(_unread(error)) from None


def _unread(error: OSError) -> str:
    return f"The file cannot be read from the disk: {error.strerror or type(error).__name__}."
