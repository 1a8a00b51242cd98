"""Zip archives, read one member at a time and refused as a whole where anything in them is off.

A zip says twice how large a member is, and can lie both times; sizes are therefore checked as declared
before anything is read, and again as bytes come out.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from studio import images
from studio.errors import BadInput
from studio.intake.names import suffix

MAX_ENTRIES = 20_000
MAX_DIRECTORY = 8 * 2**20  # zipfile turns each 46 bytes of it into an object of 600
MAX_TOTAL = 64 * 2**30
MAX_RATIO = 200
RATIO_FLOOR = 64 * 2**20  # below this no ratio is suspicious: a blank scan packs very small
CHUNK = 1 << 20
ARCHIVES = frozenset(".zip .tar .tgz .gz .bz2 .xz .7z .rar .zst".split())
ANNOTATIONS = frozenset(".json .jsonl .ndjson .xml .csv .tsv .yaml .yml .mat .names .txt".split())
LABEL_FOLDERS = frozenset(("labels", "annotations", "annotation", "anns", "ann"))
IMPORT_LATER = "left for import: it may hold annotations"
NESTED = "an archive within an archive is not opened; unpack it and add it by itself"


@dataclass(frozen=True)
class Member:
    """One image in an archive, not read yet."""

    name: str
    size: int
    _info: zipfile.ZipInfo = field(repr=False)


class Archive:
    """An opened zip whose directory has been found in order.

    ``members`` are its likely images, ``skipped`` (name, reason) of files a person should hear of;
    what no person would miss (folders, __MACOSX, .DS_Store, plain text) is in ``quiet``.
    """

    def __init__(self, path: Path, name: str = "") -> None:
        """Open and check. Raises BadInput with the reason when the archive is refused."""
        self.name = name or path.name
        self.members: list[Member] = []
        self.skipped: list[tuple[str, str]] = []
        self.quiet: list[str] = []
        self._out = 0
        self._packed = path.stat().st_size
        self._file: BinaryIO = path.open("rb")
        try:
            self._zip = self._opened()
            self._check()
            self._sort()
        except BaseException:
            self.close()
            raise

    def read(self, member: Member) -> bytes:
        """Return a member's bytes. Raises BadInput when it is damaged, or larger than the archive said."""
        parts, size = [], 0
        try:
            with self._zip.open(member._info) as stream:
                while chunk := stream.read(CHUNK):
                    parts.append(chunk)
                    size += len(chunk)
                    self._out += len(chunk)
                    if size > min(member.size, images.MAX_BYTES) or self._out > MAX_TOTAL:
                        raise BadInput("The file unpacks to more than its archive says it would.")
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError):
            raise BadInput("The file is damaged within its archive. Pack it anew.") from None
        if size != member.size:
            raise BadInput(f"The file unpacks to {size:,} bytes, not the {member.size:,} its archive says.")
        return b"".join(parts)

    def close(self) -> None:
        if hasattr(self, "_zip"):
            self._zip.close()
        self._file.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self) -> zipfile.ZipFile:
        entries, directory = _end_record(self._file, self._packed, self.name)
        if entries > MAX_ENTRIES:
            raise self._too_many(entries)
        if directory > MAX_DIRECTORY:
            raise BadInput(
                f"“{self.name}” has a table of contents of {directory / 2**20:,.0f} MB; "
                f"{MAX_DIRECTORY // 2**20} MB is the limit. Pack it in several."
            )
        try:
            opened = zipfile.ZipFile(self._file)
        except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError, LookupError):
            raise BadInput(f"“{self.name}” is not a sound zip archive. Pack it anew.") from None
        if len(opened.infolist()) > MAX_ENTRIES:
            raise self._too_many(len(opened.infolist()))
        return opened

    def _too_many(self, entries: int) -> BadInput:
        return BadInput(
            f"“{self.name}” holds {entries:,} entries; an archive may hold {MAX_ENTRIES:,}. "
            "Pack it in several, or add the folder itself."
        )

    def _check(self) -> None:
        infos = self._zip.infolist()
        for info in infos:
            self._check_entry(info)
        total = sum(info.file_size for info in infos)
        if total > MAX_TOTAL:
            raise BadInput(
                f"“{self.name}” would unpack to {total / 2**30:,.0f} GB; an archive may unpack to "
                f"{MAX_TOTAL // 2**30} GB. Pack it in several."
            )
        if total > RATIO_FLOOR and total > MAX_RATIO * self._packed:
            raise BadInput(
                f"“{self.name}” would unpack to {total / max(1, self._packed):,.0f} times its size, as a zip "
                f"bomb does; {MAX_RATIO} times is the limit. Add its images as files."
            )
        self._check_overlap(infos)

    def _check_entry(self, info: zipfile.ZipInfo) -> None:
        raw = info.orig_filename.replace("\\", "/")
        shown = raw[:80].replace("\0", "")
        mode = info.external_attr >> 16
        kind = stat.S_IFMT(mode)
        if ".." in raw.split("/"):
            reason = f"its entry “{shown}” points outside with “..”"
        elif raw.startswith("/") or raw[1:2] == ":":
            reason = f"its entry “{shown}” has an absolute path"
        elif kind == stat.S_IFLNK:
            reason = f"its entry “{shown}” is a symbolic link"
        elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            reason = f"its entry “{shown}” is no ordinary file"
        elif info.flag_bits & 0x41:
            reason = f"its entry “{shown}” is encrypted; pack it without a password"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            reason = f"its entry “{shown}” is packed in an unusual way; pack it as an ordinary zip (deflate)"
        else:
            return
        raise BadInput(f"“{self.name}” is refused: {reason}.")

    def _check_overlap(self, infos: list[zipfile.ZipInfo]) -> None:
        end = 0
        for info in sorted(infos, key=lambda i: i.header_offset):
            if info.header_offset < end:
                raise BadInput(f"“{self.name}” is refused: its entries overlap, as those of a zip bomb do.")
            end = info.header_offset + 30 + info.compress_size  # 30 bytes: the least a local header takes

    def _sort(self) -> None:
        names = (info.filename for info in self._zip.infolist())
        stems = {PurePosixPath(name).stem for name in names if suffix(name) in images.SUFFIXES}
        for info in self._zip.infolist():
            name = info.filename.replace("\\", "/")
            path = PurePosixPath(name)
            if info.is_dir() or is_litter(path):
                self.quiet.append(name)
            elif suffix(name) in images.SUFFIXES:
                self._take(name, info)
            elif suffix(name) in ARCHIVES:
                self.skipped.append((name, NESTED))
            elif may_hold_annotations(path, stems):
                self.skipped.append((name, IMPORT_LATER))
            else:
                self.quiet.append(name)

    def _take(self, name: str, info: zipfile.ZipInfo) -> None:
        if info.file_size > images.MAX_BYTES:
            limit = f"an image may have {images.MAX_BYTES // 2**20} MB"
            self.skipped.append((name, f"it has {info.file_size / 2**20:,.0f} MB; {limit}"))
        else:
            self.members.append(Member(name, info.file_size, info))


def may_hold_annotations(path: PurePosixPath, image_stems: set[str]) -> bool:
    """Return whether a file beside images looks like labels; a .txt only where it goes with an image."""
    ending = path.suffix.lower()
    if ending == ".txt":
        return path.stem in image_stems or path.stem in ("classes", "obj", "labelmap") or _labelled(path)
    return ending in ANNOTATIONS


def _labelled(path: PurePosixPath) -> bool:
    return any(part.lower() in LABEL_FOLDERS for part in path.parts[:-1])


def is_litter(path: PurePosixPath) -> bool:
    """Return whether a file is one that systems leave lying about and no person asked for."""
    return (
        "__MACOSX" in path.parts
        or path.name.startswith(".")
        or path.name.lower() in ("thumbs.db", "desktop.ini")
    )


def is_zip(path: Path) -> bool:
    """Return whether a file begins as a zip does, whatever its name."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _end_record(file: BinaryIO, length: int, name: str) -> tuple[int, int]:
    """Return the number of entries and the directory's bytes as the archive's end states them.

    Read here because zipfile would hold a directory of millions of entries before it could be asked.
    """
    start = max(0, length - 65_557)
    file.seek(start)
    tail = file.read(65_557)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise BadInput(f"“{name}” is not a whole zip archive: its end is missing. Copy it again.")
    entries, directory = struct.unpack_from("<HI", tail, at + 10)
    locator = at - 20
    if locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
        record = struct.unpack_from("<Q", tail, locator + 8)[0]
        # zipfile reads the record just before its locator; whichever says more is believed
        for place in (record, start + locator - 56):
            if 0 <= place <= length - 56:
                file.seek(place)
                found = file.read(56)
                if found[:4] == b"PK\x06\x06":
                    counted, stated = struct.unpack_from("<QQ", found, 32)
                    entries = counted if entries == 0xFFFF else max(entries, counted)
                    directory = stated if directory == 0xFFFFFFFF else max(directory, stated)
    if directory <= MAX_DIRECTORY:  # the end may lie about the number; the table itself cannot
        file.seek(max(0, start + at - directory - 76))  # 76: zip64's record and locator lie between
        entries = max(entries, file.read(directory + 76).count(b"PK\x01\x02"))
    file.seek(0)
    return entries, directory
