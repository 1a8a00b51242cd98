"""Vectors of images, kept by (image digest, model, version) in files that only grow; safe to kill, and to share.

A model has a folder of its own with ``vectors.f32`` (rows of float32) and ``index`` (for each row the image's digest
and a checksum). A row counts once its line of the index is whole. It is written, and on the disk, after its row, so
whoever is killed in between leaves a row that does not count, and that the next writer cuts off. Files are read
through the page cache of the operating system: a million vectors of 512 numbers take no memory of the process.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock

from studio.errors import BadInput, StudioError

LINE = np.dtype([("digest", "u1", 32), ("check", "<u4")])  # of the index
UNIT = 1e-3  # how far from 1 a vector's length may be
LOOKED_OVER = 1024  # rows at the end whose checksums are compared when a file is opened
RECENT = 20_000  # rows that are found by a dictionary before they are sorted in among the others
LOCK_SECONDS = 60.0


class VectorFile:
    """The vectors of one model and version. Any number of threads and processes may read it and append to it."""

    def __init__(self, folder: Path, model: str, version: str) -> None:
        self.model, self.version = model, version
        self._folder = folder
        self._lock = threading.RLock()
        self._length = 0
        self._lines = np.zeros(0, LINE)
        self._matrix: np.ndarray | None = None
        self._keys, self._places = np.zeros(0, np.uint64), np.zeros(0, np.int64)  # sorted by key
        self._recent: dict[bytes, int] = {}

    def __len__(self) -> int:
        with self._lock:
            self._catch_up()
            return len(self._lines)

    @property
    def length(self) -> int:
        """How many numbers a vector has; 0 while there is none."""
        with self._lock:
            self._catch_up()
            return self._length

    def matrix(self) -> np.ndarray:
        """Return all vectors, float32 of shape (n, d), mapped from the disk and not to be written to."""
        with self._lock:
            self._catch_up()
            rows = len(self._lines)
            if not rows:
                return np.zeros((0, self._length), np.float32)
            if self._matrix is None or len(self._matrix) < rows:
                self._matrix = np.memmap(self._vectors, "<f4", "r", shape=(rows, self._length))
            return self._matrix[:rows]

    def rows(self, digests: Sequence[str]) -> np.ndarray:
        """Return the row of each image, int64; −1 where it has no vector."""
        if not len(digests):
            return np.zeros(0, np.int64)
        wanted = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
        with self._lock:
            self._catch_up()
            found = self._sorted_rows(wanted)
            if self._recent:
                for i in np.flatnonzero(found < 0):
                    found[i] = self._recent.get(wanted[i].tobytes(), -1)
        return found

    def append(self, digests: Sequence[str], vectors: np.ndarray) -> int:
        """Keep vectors of images and return how many were new; an image that has one keeps it.

        When this returns they are on the disk. Raises BadInput for vectors that are not finite, not of unit length or
        of another length than those that are there, and StudioError where the disk is full.
        """
        vectors = check_vectors(vectors)
        if len(vectors) != len(digests):
            raise BadInput(f"{len(digests)} images came with {len(vectors)} vectors.")
        if not len(digests):
            return 0
        with self._lock, _errors_of_the_disk(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / "lock", timeout=LOCK_SECONDS):
                self._catch_up()
                self._describe(vectors.shape[1])
                first = np.unique(np.array(digests), return_index=True)[1]
                first.sort()  # the same picture twice in a batch is one
                new = first[self.rows([digests[i] for i in first]) < 0]
                if len(new):
                    self._write([digests[i] for i in new], vectors[new])
                    self._catch_up()
        return len(new)

    def damaged(self) -> list[int]:
        """Return the rows whose numbers are not what was written: what a failing disk leaves."""
        return _unlike(self.matrix(), self._lines["check"])

    # ---- files ----

    @property
    def _vectors(self) -> Path:
        return self._folder / "vectors.f32"

    @property
    def _index(self) -> Path:
        return self._folder / "index"

    def _describe(self, length: int) -> None:
        """Write down what the folder holds, before its first row."""
        if self._length and length != self._length:
            raise BadInput(
                f"{self.model} gave vectors of {length} numbers; those kept of it have {self._length}. Its version "
                "must change with its vectors."
            )
        if not self._length:
            about = {"model": self.model, "version": self.version, "length": length}
            writing = self._folder / "about.writing"
            writing.write_text(json.dumps(about), "utf-8")
            os.replace(writing, self._folder / "about.json")
            self._length = length

    def _write(self, digests: Sequence[str], vectors: np.ndarray) -> None:
        """Append under the lock: rows first, and their lines of the index when they are on the disk."""
        there = len(self._lines)
        lines = np.zeros(len(digests), LINE)
        lines["digest"] = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)
        lines["check"] = [zlib.crc32(row.tobytes()) for row in vectors]
        with _opened(self._vectors) as rows, _opened(self._index) as index:
            for file, size, data in (
                (rows, there * self._length * 4, vectors.tobytes()),
                (index, there * LINE.itemsize, lines.tobytes()),
            ):
                file.truncate(size)  # what somebody who was killed left
                file.seek(size)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

    def _catch_up(self) -> None:
        """Take in what was appended since, by this process or another."""
        if not self._length:
            try:
                self._length = int(json.loads((self._folder / "about.json").read_text("utf-8"))["length"])
            except FileNotFoundError:
                return
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise StudioError(
                    f"What is noted in {self._folder} of the vectors of {self.model} cannot be read ({error}). Delete "
                    "that folder: they are then computed anew."
                ) from error
        there, known = self._whole_rows(), len(self._lines)
        if there <= known:
            return
        with self._index.open("rb") as file:
            file.seek(known * LINE.itemsize)
            fresh = np.frombuffer(file.read((there - known) * LINE.itemsize), LINE)
        fresh = fresh[: self._sound(known, fresh)]
        self._lines = np.concatenate([self._lines, fresh])
        for number, digest in enumerate(fresh["digest"], known) if len(fresh) <= RECENT else ():
            self._recent[digest.tobytes()] = number
        if len(fresh) > RECENT or len(self._recent) > RECENT:
            keys = _keys(self._lines["digest"])
            self._places = np.argsort(keys, kind="stable")
            self._keys = keys[self._places]
            self._recent = {}

    def _whole_rows(self) -> int:
        try:
            lines = self._index.stat().st_size // LINE.itemsize
            return min(lines, self._vectors.stat().st_size // (4 * self._length))
        except FileNotFoundError:
            return 0

    def _sound(self, known: int, fresh: np.ndarray) -> int:
        """Return how many new rows count: those before the first that a power failure left half written."""
        start = max(0, len(fresh) - LOOKED_OVER)
        rows = np.memmap(self._vectors, "<f4", "r", shape=(known + len(fresh), self._length))
        bad = _unlike(rows[known + start :], fresh["check"][start:])
        return start + bad[0] if bad else len(fresh)

    def _sorted_rows(self, wanted: np.ndarray) -> np.ndarray:
        found = np.full(len(wanted), -1, np.int64)
        if not len(self._keys):
            return found
        keys, digests = _keys(wanted), self._lines["digest"]
        at = np.searchsorted(self._keys, keys)
        left = np.arange(len(wanted))
        while len(left):  # a second turn only where two digests begin with the same 8 bytes
            left = left[at[left] < len(self._keys)]
            left = left[self._keys[at[left]] == keys[left]]
            rows = self._places[at[left]]
            same = (digests[rows] == wanted[left]).all(1)
            found[left[same]] = rows[same]
            left = left[~same]
            at[left] += 1
        return found


class Vectors:
    """The vectors of all models, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[str, str], VectorFile] = {}
        self._lock = threading.Lock()

    def of(self, model: str, version: str) -> VectorFile:
        """Return the vectors of a model; another version of it has others."""
        with self._lock:
            key = model, version
            if key not in self._files:
                self._files[key] = VectorFile(self.folder(model, version), model, version)
            return self._files[key]

    def folder(self, model: str, version: str) -> Path:
        """Return where a model's vectors lie, and what is worked out from them."""
        return self._folder / hashlib.sha256(f"{model}\n{version}".encode()).hexdigest()[:32]


def check_vectors(vectors: Any) -> np.ndarray:
    """Return vectors as float32 of shape (n, d). Raises BadInput where one is not finite or not of unit length."""
    vectors = np.ascontiguousarray(vectors, dtype="<f4")
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise BadInput(f"Vectors have the shape (n, d); these have {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise BadInput(
            "The model gave a vector with a number that is not finite, which nothing can be compared to."
        )
    lengths = np.linalg.norm(vectors, axis=1)
    if len(lengths) and np.abs(lengths - 1).max() > UNIT:
        raise BadInput(
            f"The model gave a vector of length {lengths[np.abs(lengths - 1).argmax()]:.3g}; all are to be of length 1."
        )
    return vectors


def _keys(digests: np.ndarray) -> np.ndarray:
    """Return the first 8 bytes of digests, (n, 32), as numbers."""
    return np.ascontiguousarray(digests[:, :8]).view(np.uint64)[:, 0]


def _unlike(rows: np.ndarray, checks: np.ndarray) -> list[int]:
    return [i for i, check in enumerate(checks) if zlib.crc32(rows[i].tobytes()) != check]


def _opened(path: Path) -> BinaryIO:
    """Open a file to write in the middle of it, made where it is not there."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644), "r+b")


class _errors_of_the_disk:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if not isinstance(error, OSError):
            return False
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StudioError(
                "The disk of the studio's data folder is full. Free some space and try again."
            ) from error
        reason = error.strerror or str(error) or type(error).__name__
        raise StudioError(f"{self._folder} cannot be written: {reason}. Check its permissions.") from error
