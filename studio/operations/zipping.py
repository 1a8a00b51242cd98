"""Zips that are written as their files come: to a disk, or to whoever downloads, without a copy of it all beside."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

PACKED = (".jpg", ".jpeg", ".png", ".webp")  # they do not become smaller
EPOCH = (1980, 1, 1, 0, 0, 0)  # so that the same files give the same bytes


def info_of(name: str) -> zipfile.ZipInfo:
    """Return the entry of a file in a zip."""
    info = zipfile.ZipInfo(name, EPOCH)
    stored = PurePosixPath(name).suffix.lower() in PACKED
    info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def zip_into(out: BinaryIO, files: Iterable[tuple[str, bytes]]) -> int:
    """Write files into a zip one by one, and return how many there were."""
    count = 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for name, data in files:
            packed.writestr(info_of(name), data)
            count += 1
    return count


def streamed(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield the bytes of a zip as its files come; what is held at once is one file."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for name, data in files:
            packed.writestr(info_of(name), data)
            yield sink.taken()
    yield sink.taken()


class _Sink:
    """A file that cannot be sought in, out of which is taken what was written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data
