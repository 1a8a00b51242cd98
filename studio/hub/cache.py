"""The hub's cache folder: blobs by content, snapshots that point at them, refs that name a snapshot.

The layout is the one huggingface_hub documents, so what another program fetched is used, and the other way
round.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from studio.adapters import Address, Download

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
COMMIT = re.compile(r"[0-9a-f]{40}")
ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def default_cache() -> Path:
    """Return the cache folder as huggingface_hub chooses it, without importing it."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.path.expandvars(os.environ[name])).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(base, "huggingface")
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def file_name(address: Address) -> str:
    """Return the name that a file at a plain address goes by."""
    return PurePosixPath(urlsplit(address.url).path).name


def wanted(name: str, download: Download) -> bool:
    if download.addresses:
        return any(name == file_name(address) for address in download.addresses)
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in download.patterns)


def is_safe(name: str) -> bool:
    """Say whether a file name from the network stays inside the folder it is put in."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and "\\" not in name and ".." not in parts


def size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Repository:
    """One model's place in the cache."""

    def __init__(self, cache: Path, download: Download) -> None:
        self._download = download
        name = "models--" + download.hub_id.replace("/", "--")
        if download.addresses:  # their commit is a digest of where they lie
            name = f"addresses--{address_commit(download)}"
        self.folder = cache / name
        self.blobs = self.folder / "blobs"
        self._locks = cache / ".locks" / name

    def complete(self) -> Path | None:
        """Return the snapshot's folder where all is there, else None."""
        if self._download.addresses:
            snapshot = self.folder / "snapshots" / address_commit(self._download)
            there = all((snapshot / file_name(address)).is_file() for address in self._download.addresses)
            return snapshot if there else None
        if os.path.isabs(self._download.hub_id):
            local = Path(self._download.hub_id)
            return local if local.is_dir() else None
        commit = self._download.revision
        if not COMMIT.fullmatch(commit):
            try:
                commit = (self.folder / "refs" / commit).read_text("utf-8").strip()
            except OSError:
                return None
        snapshot = self.folder / "snapshots" / commit
        return snapshot if self._has_weights(snapshot) else None

    def _has_weights(self, snapshot: Path) -> bool:
        # The downloads here put weights last, so they stand for the rest; huggingface_hub takes any order.
        files = {path.name for path in snapshot.glob("*") if path.is_file()}
        if not any(name.endswith(WEIGHTS) and wanted(name, self._download) for name in files):
            return False
        if "config.json" not in files and wanted("config.json", self._download):
            return not any(name.endswith(".safetensors") for name in files)
        for index in snapshot.glob("*.safetensors.index.json"):
            with suppress(OSError, ValueError, KeyError, AttributeError):
                shards = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
                if not shards <= files:
                    return False
        return True

    def blob(self, etag: str) -> Path:
        return self.blobs / etag

    def part(self, etag: str) -> Path:
        """Return where a file is gathered until it is whole."""
        return self.blobs / f"{etag}.incomplete"

    def lock(self, etag: str) -> Path:
        """Return the lock that huggingface_hub takes for the same file."""
        self._locks.mkdir(parents=True, exist_ok=True)
        return self._locks / f"{etag}.lock"

    def place(self, commit: str, name: str, etag: str) -> None:
        """Make a whole blob appear in a snapshot under its name."""
        target = self.folder / "snapshots" / commit / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            return
        target.unlink(missing_ok=True)
        try:
            target.symlink_to(os.path.relpath(self.blob(etag), target.parent))
        except OSError:  # Windows allows links only to some
            copy = target.with_name(target.name + ".copying")
            shutil.copyfile(self.blob(etag), copy)
            os.replace(copy, target)

    def name_commit(self, commit: str) -> None:
        """Let the revision's name point at a commit, unless the revision is a commit itself."""
        if self._download.addresses or COMMIT.fullmatch(self._download.revision):
            return
        path = self.folder / "refs" / self._download.revision
        path.parent.mkdir(parents=True, exist_ok=True)
        writing = path.with_name(path.name + ".writing")
        writing.write_text(commit, "utf-8")
        os.replace(writing, path)


def address_commit(download: Download) -> str:
    """Return what stands for a commit where files come from plain addresses: a digest of these."""
    text = "\n".join(address.url for address in download.addresses)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def digest(path: Path, etag: str) -> str:
    """Return what a file's etag must be: SHA-256 of large files, git's blob id of small ones."""
    if len(etag) == 64:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
