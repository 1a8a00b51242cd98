"""Models of the hub that people added by their id: a note of each, and a card made from it.

``<data>/hub-models/<digest>.json`` says what one is. Nothing is asked again when the studio starts, and the version is
the commit that was there when it was added: the same model answers tomorrow.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.adapters import Card, Download
from studio.errors import BadInput, Conflict, NotFound, StudioError
from studio.hub.cache import COMMIT
from studio.hub.hub import Hub
from studio.hub.ids import HUB_ID
from studio.registry import Registry

if TYPE_CHECKING:
    from studio.hub.inquiry import Inquiry

RANK = 47  # before checkpoint files that were added, behind what is known here
_NOTE = re.compile(r"[0-9a-f]{32}\.json")


@dataclass(frozen=True)
class Added:
    """What is noted of a model. ``kind`` is the id of a HubKind, ``added`` is in seconds since 1970."""

    kind: str
    variant: str
    hub_id: str
    commit: str
    patterns: tuple[str, ...]
    bytes: int
    licence: str
    commercial: bool
    gated: bool
    added: float

    @property
    def id(self) -> str:
        """Return the id of its card."""
        name = re.sub(r"[^a-z0-9.]+", "-", self.hub_id.rpartition("/")[2].lower()).strip("-")
        return f"hub-{name}-{self.digest[:6]}"

    @property
    def digest(self) -> str:
        """Return what its note is called by."""
        return hashlib.sha256(self.hub_id.encode()).hexdigest()[:32]


class HubModels:
    """The added models of one studio."""

    def __init__(self, folder: Path, registry: Registry, hub: Hub) -> None:
        self._folder = folder
        self._registry = registry
        self._hub = hub

    def read(self) -> list[Added]:
        """Return what was added, the latest first; what cannot be read is listed in the registry's failures."""
        found = []
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []:
            if not _NOTE.fullmatch(path.name):
                continue
            try:
                found.append(_read(path))
            except (OSError, ValueError, TypeError) as error:
                self._registry.failures[f"hub-models/{path.name}"] = f"its note cannot be read: {error}"
        return sorted(found, key=lambda each: -each.added)

    def offer(self) -> None:
        """Put a card for each added model into the registry, where it is not in yet."""
        known = {card.id for card in self._registry.cards()}
        for added in self.read():
            if added.kind not in self._registry.hub_kinds:
                self._registry.failures[f"hub-models/{added.hub_id}"] = (
                    f"it is of the kind “{added.kind}”, which is not known here any more"
                )
            elif added.id not in known:
                self._offer(added)

    def add(self, hub_id: str, person: str = "") -> Card:
        """Ask the hub what a model is, and return its card, which is in the registry then. Nothing is loaded.

        Raises BadInput for what is no id, holds no safetensors or does work that is not known here; NotFound, Gated
        and Unreachable; Conflict where it is here already; StudioError for a full disk.
        """
        found = self._hub.inquire(hub_id, person)
        self._refuse_twice(found.hub_id)
        kind, variant = self._recognised(found)
        added = Added(
            kind,
            variant,
            found.hub_id,
            found.commit,
            found.patterns,
            found.bytes,
            found.licence,
            found.commercial,
            found.gated,
            time.time(),
        )
        self._write(added)
        return self._offer(added)

    def remove(self, model_id: str) -> None:
        """Forget an added model and take its card out of the registry. Its files stay in the hub's cache."""
        for added in self.read():
            if added.id == model_id:
                break
        else:
            raise NotFound("This model is not here any more.")
        self._registry.discard(model_id)
        with _errors_of_the_disk(self._folder):
            (self._folder / f"{added.digest}.json").unlink(missing_ok=True)

    def accepted(self) -> str:
        """Return which kinds of models can be added, in words."""
        return ", ".join(kind.accepts for kind in self._registry.hub_kinds.values())

    def _refuse_twice(self, hub_id: str) -> None:
        for card in self._registry.cards():
            whole = card.download and not any(
                "*" not in p and p.endswith(".pt") for p in card.download.patterns
            )
            if whole and card.download and card.download.hub_id.lower() == hub_id.lower():
                raise Conflict(f"{hub_id} is here already, as “{card.title}”.")

    def _recognised(self, found: Inquiry) -> tuple[str, str]:
        """Return which kind a model is of, and which variant."""
        for kind in self._registry.hub_kinds.values():
            try:
                variant = kind.examine(found.hub_id, found.config)
            except BadInput as error:
                raise BadInput(f"{found.hub_id} cannot be used. {error}") from None
            if variant:
                return kind.id, variant
        raise BadInput(
            f"{found.hub_id} {_own_words(found.config)}, which is no work that is known here. Known are: "
            f"{self.accepted()}."
        )

    def _offer(self, added: Added) -> Card:
        described = self._registry.hub_kinds[added.kind].card(added.variant, added.bytes)
        beside = described.download.patterns if described.download else ()
        when = time.strftime("%Y-%m-%d", time.localtime(added.added))
        card = replace(
            described,
            id=added.id,
            title=added.hub_id,
            licence=added.licence,
            commercial=added.commercial,
            version=added.commit[:12],
            download=Download(
                added.hub_id,
                added.bytes,
                added.commit,
                patterns=(*beside, *added.patterns),
                gated=added.gated,
            ),
            folder=None,
            note=f"{described.note} From the hub, added on {when}.",
            rank=RANK,
            demo=False,
        )
        self._registry.add(card, "hub-models")
        return card

    def _write(self, added: Added) -> None:
        with _errors_of_the_disk(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{added.digest}.json"
            writing = path.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}.writing")
            with writing.open("x", encoding="utf-8") as out:
                out.write(json.dumps(asdict(added), ensure_ascii=False, indent=1))
                out.flush()
                os.fsync(out.fileno())
            os.replace(writing, path)


def _own_words(config: Any) -> str:
    """Say what a model's config.json says that it is, as the beginning of a sentence."""
    named = config.get("architectures")
    name = str(named[0])[:60] if isinstance(named, list) and named else ""
    if config.get("auto_map"):
        return f"wants code of its own to be run ({name or 'it does not say what for'})"
    return f"is a {name}" if name else "does not say what it is"


def _read(path: Path) -> Added:
    """Read a note. Raises ValueError where it is not sound."""
    found = json.loads(path.read_text("utf-8"))
    if not isinstance(found, dict) or set(found) != set(Added.__dataclass_fields__):
        raise ValueError("it lacks a field, or has one too many")
    texts = ("kind", "variant", "hub_id", "commit", "licence")
    if not all(isinstance(found[name], str) and found[name] for name in texts):
        raise ValueError("a field is not what it should be")
    patterns = found["patterns"]
    if not isinstance(patterns, list) or not all(isinstance(p, str) for p in patterns):
        raise ValueError("its files are not what they should be")
    added = Added(**{**found, "patterns": tuple(patterns), "added": float(found["added"])})
    sound = HUB_ID.fullmatch(added.hub_id) and COMMIT.fullmatch(added.commit) and type(added.bytes) is int
    if not sound or f"{added.digest}.json" != path.name:
        raise ValueError("it is of another model")
    return added


@contextmanager
def _errors_of_the_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StudioError(f"The disk of {folder} is full. Free some of it and try again.") from error
        raise StudioError(f"{folder} cannot be written to: {error.strerror or error}.") from error
