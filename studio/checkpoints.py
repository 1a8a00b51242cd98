"""Checkpoint files that people added: kept in a folder of their own each, with a note of what they are.

``<data>/checkpoints/<digest>/`` holds the file and ``added.json``. A folder appears whole or not at all: it is made
ready under another name, and renamed when all of it is on the disk. Reading the notes loads nothing heavy.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from studio.adapters import CHECKPOINT_FILE, Card
from studio.devices import size_text
from studio.errors import BadInput, Cancelled, Conflict, NotFound, StudioError
from studio.registry import Registry
from studio.weights import open_weights

NOTE = "added.json"
UNFINISHED = ".adding-"
PIECE = 4 << 20
LONGEST_TITLE = 80
RANK = 48  # before what needs no download anyway, behind what is fetched
LICENCE = "as its authors say"
_FOLDER = re.compile(r"[0-9a-f]{32}")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u2069\ufeff<>]")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Added:
    """What is noted of a file. ``kind`` is the id of a CheckpointKind, ``added`` is in seconds since 1970."""

    kind: str
    variant: str
    title: str
    bytes: int
    sha256: str
    added: float

    @property
    def id(self) -> str:
        """Return the id of its card."""
        return f"own-{self.sha256[:12]}"


class Checkpoints:
    """The added files of one studio. ``most_bytes`` is how large one may be."""

    def __init__(self, folder: Path, registry: Registry, most_bytes: int) -> None:
        self._folder = folder
        self._registry = registry
        self._most = most_bytes

    def read(self) -> list[Added]:
        """Return what was added, the latest first; what cannot be read is listed in the registry's failures."""
        found = []
        for folder in sorted(self._folder.glob("*")) if self._folder.is_dir() else []:
            if not _FOLDER.fullmatch(folder.name):
                continue
            try:
                found.append(_note_of(folder))
            except (OSError, ValueError) as error:
                self._registry.failures[f"checkpoints/{folder.name}"] = f"its note cannot be read: {error}"
        return sorted(found, key=lambda each: -each.added)

    def offer(self) -> None:
        """Put a card for each added file into the registry, where it is not in yet."""
        known = {card.id for card in self._registry.cards()}
        for added in self.read():
            if added.kind not in self._registry.kinds:
                self._registry.failures[f"checkpoints/{added.sha256[:32]}"] = (
                    f"“{added.title}” is of the kind “{added.kind}”, which is not known here any more"
                )
            elif added.id not in known:
                self._offer(added)

    def add(
        self,
        path: Path,
        name: str = "",
        title: str = "",
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Card:
        """Take a copy of a file in, and return its card, which is in the registry then.

        ``name`` is what the person calls the file. Raises BadInput where it is of no kind that is known, asks to run
        something, or is too large; Conflict where it is here already; Cancelled; StudioError for a full disk.
        """
        name = clean_title(name) or clean_title(path.name) or "The file"
        size = self._size(path, name)
        with _errors_of_the_disk(self._folder), self._alone():
            making = self._folder / f"{UNFINISHED}{secrets.token_hex(8)}"
            making.mkdir()
            try:
                file = making / CHECKPOINT_FILE
                digest = self._copy(path, file, name, size, progress, cancelled)
                target = self._folder / digest[:32]
                if target.exists():
                    raise Conflict(f"{name} was added before, as “{self._title_of(target)}”.")
                kind, variant = self._recognised(file, name)
                # What describes the file to people is made with the real size: the copy decides, not the upload.
                described = self._registry.kinds[kind].card(variant, file.stat().st_size)
                added = Added(
                    kind,
                    variant,
                    clean_title(title) or f"{described.title}: {Path(name).stem}"[:LONGEST_TITLE],
                    file.stat().st_size,
                    digest,
                    time.time(),
                )
                _write(making / NOTE, json.dumps(asdict(added), ensure_ascii=False, indent=1))
                os.replace(making, target)
            finally:
                shutil.rmtree(making, ignore_errors=True)
        return self._offer(added)

    def remove(self, model_id: str) -> None:
        """Delete an added file and take its card out of the registry."""
        for added in self.read():
            if added.id == model_id:
                break
        else:
            raise NotFound("This checkpoint is not here any more.")
        self._registry.discard(model_id)
        with _errors_of_the_disk(self._folder), self._alone():
            # Renamed first: a folder that is half deleted is no added file any more.
            leaving = self._folder / f"{UNFINISHED}{secrets.token_hex(8)}"
            os.replace(self._folder / added.sha256[:32], leaving)
            shutil.rmtree(leaving, ignore_errors=True)

    def accepted(self) -> str:
        """Return which kinds of files can be added, in words."""
        return "; ".join(kind.accepts for kind in self._registry.kinds.values())

    def _size(self, path: Path, name: str) -> int:
        if not path.is_file():
            raise BadInput(f"There is no file {name}.")
        size = path.stat().st_size
        if size > self._most:
            raise BadInput(
                f"{name} has {size_text(size)}; a checkpoint may have at most {size_text(self._most)} here."
            )
        return size

    def _copy(
        self,
        path: Path,
        file: Path,
        name: str,
        size: int,
        progress: Progress | None,
        cancelled: Callable[[], bool] | None,
    ) -> str:
        free = shutil.disk_usage(self._folder).free
        if size > free:
            raise StudioError(
                f"{name} has {size_text(size)}, and on the disk of {self._folder} {size_text(free)} are free."
            )
        digest, done = hashlib.sha256(), 0
        with path.open("rb") as source, file.open("xb") as out:
            while piece := source.read(PIECE):
                done += len(piece)
                if done > self._most:
                    raise BadInput(f"{name} grows while it is read. Add it when it is finished.")
                if cancelled and cancelled():
                    raise Cancelled(f"{name} was not added.")
                digest.update(piece)
                out.write(piece)
                if progress:
                    progress(done, max(size, done))
            out.flush()
            os.fsync(out.fileno())
        return digest.hexdigest()

    def _recognised(self, file: Path, name: str) -> tuple[str, str]:
        """Return which kind a file is of, and which variant."""
        saved = open_weights(file, name)
        for kind in self._registry.kinds.values():
            try:
                variant = kind.examine(saved)
            except BadInput as error:
                raise BadInput(f"{name} cannot be used. {error}") from None
            if variant:
                return kind.id, variant
        raise BadInput(f"{name} is of no kind that is known here. Known are: {self.accepted()}.")

    def _offer(self, added: Added) -> Card:
        described = self._registry.kinds[added.kind].card(added.variant, added.bytes)
        when = time.strftime("%Y-%m-%d", time.localtime(added.added))
        card = replace(
            described,
            id=added.id,
            title=added.title,
            licence=LICENCE,
            version=added.sha256[:12],
            download=None,
            folder=self._folder / added.sha256[:32],
            note=f"Your own {described.title}, added on {when}. {described.note}",
            rank=RANK,
            demo=False,
        )
        self._registry.add(card, "checkpoints")
        return card

    def _title_of(self, folder: Path) -> str:
        try:
            return _note_of(folder).title
        except (OSError, ValueError):
            return folder.name

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from adding meanwhile, and clear away what one that died left behind."""
        from filelock import FileLock

        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / ".lock"):
            for left in self._folder.glob(f"{UNFINISHED}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield


def clean_title(text: str) -> str:
    """Return a title as it can be shown anywhere: one line, no markup, not too long."""
    last = text.replace("\\", "/").rpartition("/")[2]
    return " ".join(_UNSEEN.sub(" ", last).split())[:LONGEST_TITLE].strip()


def _note_of(folder: Path) -> Added:
    """Read a note. Raises ValueError where it is not sound, or its file is not there whole."""
    found = json.loads((folder / NOTE).read_text("utf-8"))
    if not isinstance(found, dict) or set(found) != set(Added.__dataclass_fields__):
        raise ValueError("it lacks a field, or has one too many")
    added = Added(**found)
    texts = (added.kind, added.variant, added.title, added.sha256)
    if not all(isinstance(text, str) and text for text in texts) or not isinstance(added.bytes, int):
        raise ValueError("a field is not what it should be")
    if not re.fullmatch(r"[0-9a-f]{64}", added.sha256) or added.sha256[:32] != folder.name:
        raise ValueError("it is of another file")
    if (folder / CHECKPOINT_FILE).stat().st_size != added.bytes:
        raise ValueError("its file is not whole")
    return replace(added, title=clean_title(added.title) or added.kind, added=float(added.added))


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def _errors_of_the_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StudioError(f"The disk of {folder} is full. Free some of it and try again.") from error
        raise StudioError(f"{folder} cannot be written to: {error.strerror or error}.") from error
