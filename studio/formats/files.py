"""Reading files that somebody else wrote: bounded, and with a sentence for whatever is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from studio.errors import BadInput

MOST_FILES = 1_000_000
MOST_BYTES = 2 * 1024**3
_SNIFFED = 1024 * 1024


@dataclass(frozen=True)
class Found:
    """A file below the folder that was given. ``name`` is its path from there, with forward slashes."""

    path: Path
    name: str

    @property
    def ending(self) -> str:
        return PurePosixPath(self.name).suffix.lower()

    @property
    def folders(self) -> tuple[str, ...]:
        return PurePosixPath(self.name).parts[:-1]


def find(root: Path, *endings: str) -> list[Found]:
    """List the file, or a folder's files with these endings, sorted; hidden ones are passed over."""
    if root.is_file():
        return [Found(root, root.name)] if not endings or root.suffix.lower() in endings else []
    if not root.is_dir():
        raise BadInput(f"There is no file or folder “{root.name}”.")
    found, count = [], 0
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(d for d in inside if not d.startswith(".") and d != "__MACOSX")
        for file in sorted(files):
            count += 1
            if count > MOST_FILES:
                raise BadInput(
                    f"“{root.name}” holds more than {MOST_FILES:,} files; import a part at a time."
                )
            if not file.startswith(".") and (not endings or file.lower().endswith(endings)):
                path = Path(folder, file)
                found.append(Found(path, path.relative_to(root).as_posix()))
    return sorted(found, key=lambda f: f.name)


def read_text(file: Found, limit: int = MOST_BYTES) -> tuple[str, str | None]:
    """Return a file's text and what had to be guessed about it. Raises BadInput where it cannot be read."""
    try:
        size = file.path.stat().st_size
        if size > limit:
            raise BadInput(f"it has {size / 1e6:,.0f} MB; at most {limit / 1e6:,.0f} MB are read.")
        data = file.path.read_bytes()
    except OSError as error:
        raise BadInput(f"it cannot be opened ({error.strerror or type(error).__name__}).") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace"), None
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        return data.decode("latin-1"), f"it is not UTF-8 (byte {error.start:,}); read as Latin-1."


def sniff(file: Found, *words: str) -> list[bool]:
    """Say which words occur in a file's first or last megabyte."""
    try:
        with file.path.open("rb") as stream:
            data = stream.read(_SNIFFED)
            length = stream.seek(0, os.SEEK_END)
            if length > _SNIFFED:
                stream.seek(max(_SNIFFED, length - _SNIFFED))
                data += stream.read(_SNIFFED)
    except OSError:
        return [False] * len(words)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.replace(b"\0", b"")
    return [word.encode() in data for word in words]


def read_json(text: str, lists: tuple[str, ...]) -> tuple[Any, str | None]:
    """Parse JSON; of a broken file return what stands before the break in the named top-level lists.

    The second value says what is wrong, or is None.
    """
    try:
        return json.loads(text), None
    except RecursionError:
        wrong = "it is nested too deeply to be read."
    except ValueError as error:
        place = f" at line {error.lineno:,}, column {error.colno:,}" if hasattr(error, "lineno") else ""
        wrong = f"it is not whole JSON: {getattr(error, 'msg', error)}{place}."
    saved = {key: list(_entries(text, key)) for key in lists}
    count = sum(map(len, saved.values()))
    return saved, f"{wrong} {count:,} entries before the break were read." if count else wrong


def _entries(text: str, key: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    place = text.find("[", text.find(f'"{key}"')) if f'"{key}"' in text else -1
    while 0 <= place < len(text):
        place += 1
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
        try:
            entry, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return
        yield entry
        place -= 1
