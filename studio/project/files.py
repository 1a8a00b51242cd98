"""Image files by content digest. A file has its name only when it is whole and on the disk."""

from __future__ import annotations

import errno
import hashlib
import os
import time
import uuid
from pathlib import Path

from studio.errors import StudioError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ORIGINAL, DISPLAY, THUMBNAIL = "", ".display", ".thumb"
STALE_SECONDS = 3600.0


class Files:
    """The files of all projects: ``ab/<sha256>`` with ``.display``, ``.thumb`` or what else is made of it beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfinished = folder / "unfinished"
        self._unfinished.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def path(self, digest: str, kind: str = ORIGINAL) -> Path:
        return self._folder / digest[:2] / (digest + kind)

    def complete(self, digest: str, contents: dict[str, bytes]) -> bool:
        return all(self.path(digest, kind).exists() for kind in contents)

    def write(self, digest: str, contents: dict[str, bytes]) -> None:
        """Store each kind that is not there yet. Raises StudioError where the disk is full or read-only."""
        missing = [kind for kind in contents if not self.path(digest, kind).exists()]
        if not missing:
            return
        folder = self.path(digest).parent
        try:
            if not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
                _sync_folder(folder.parent)
            for kind in missing:
                self._write(self.path(digest, kind), contents[kind])
            _sync_folder(folder)
        except OSError as error:
            raise _unwritable(error) from error

    def remove(self, digest: str) -> None:
        """Remove a file with all that is kept beside it, itself last."""
        for path in sorted(self.path(digest).parent.glob(f"{digest}*"), reverse=True):
            path.unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes) -> None:
        for attempt in range(3):
            unfinished = self._unfinished / f"{path.name}.{uuid.uuid4().hex[:8]}"
            try:
                with unfinished.open("xb") as file:
                    # Held while this process lives: by it another one's sweep tells work from leftovers.
                    _lock(file.fileno())
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    if fcntl is None:
                        file.close()  # Windows renames no open file
                    os.replace(unfinished, path)
                return
            except FileNotFoundError:  # swept between its making and its lock
                if attempt == 2:
                    raise
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise

    def _sweep(self) -> None:
        """Remove what a process that was killed left half-written."""
        for path in self._unfinished.iterdir():
            try:
                if fcntl is None:
                    stale = time.time() - path.stat().st_mtime > STALE_SECONDS
                else:
                    with path.open("rb") as file:
                        stale = _lock(file.fileno())
                if stale:
                    path.unlink()
            except FileNotFoundError:
                continue  # finished, or swept by another process
            except PermissionError:
                continue


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _lock(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(error: OSError) -> StudioError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StudioError("The disk of the studio's data folder is full. Free some space and try again.")
    reason = error.strerror or type(error).__name__
    return StudioError(f"The studio's data folder cannot be written: {reason}. Check its permissions.")
