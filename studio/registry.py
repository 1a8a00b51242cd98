"""Which models there are: cards from the models folder, installed packages, and the user's folder."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from studio.adapters import PROTOCOLS, Card, CheckpointKind, HubKind, Role
from studio.errors import unknown

ENTRY_POINTS = "studio.models"
PACKAGES = ("models",)


def user_folder() -> Path:
    """Return the folder where a person may put model files of his own."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "onelabel-studio" / "models"


class Registry:
    """Cards by id. ``failures`` says why a file, or one card of it, is not among them.

    ``kinds`` are the kinds of checkpoint files that people may add, and ``hub_kinds`` those of models on the hub,
    by id.
    """

    def __init__(self, cards: Iterable[Card] = ()) -> None:
        self._cards: dict[str, Card] = {}
        self.failures: dict[str, str] = {}
        self.kinds: dict[str, CheckpointKind] = {}
        self.hub_kinds: dict[str, HubKind] = {}
        for card in cards:
            self.add(card)

    @classmethod
    def discover(
        cls,
        packages: Iterable[str] = PACKAGES,
        folder: Path | None = None,
        entry_points: str | None = ENTRY_POINTS,
    ) -> Registry:
        """Find cards: the packages first, then entry points, then the files of ``folder`` (the user's own).

        Each module offers a list ``CARDS``, and may offer a list ``CHECKPOINTS`` of CheckpointKind and one ``HUB``
        of HubKind. One that does not import is listed in ``failures`` and left out; of cards with the same id the
        first is kept.
        """
        registry = cls()
        for package in packages:
            for name in registry._modules_of(package):
                registry._collect(name, lambda name=name: importlib.import_module(name))
        if entry_points:
            for entry in importlib.metadata.entry_points(group=entry_points):
                registry._collect(f"{entry.name} ({entry.value})", entry.load)
        for path in sorted((folder or user_folder()).glob("*.py")):
            if not path.name.startswith("_"):
                registry._collect(str(path), lambda path=path: _import_file(path))
        return registry

    def add(self, card: Card, origin: str = "") -> None:
        """Take a card in, or list in ``failures`` why it cannot be."""
        problem = _problem(card)
        if problem is None and card.id in self._cards:
            problem = f"there already is a model with this id, “{self._cards[card.id].title}”; it was kept"
        if problem is None:
            # A new dictionary each time: others may be looking through this one.
            self._cards = {**self._cards, card.id: card}
            return
        name = getattr(card, "id", None)
        self.failures[f"{origin or 'added'}: {name if isinstance(name, str) else type(card).__name__}"] = (
            problem
        )

    def discard(self, model_id: str) -> None:
        """Take a card out, where it is in."""
        self._cards = {key: card for key, card in self._cards.items() if key != model_id}

    def card(self, model_id: str) -> Card:
        try:
            return self._cards[model_id]
        except KeyError:
            raise unknown("model", model_id, self._cards) from None

    def cards(self, role: Role | None = None) -> list[Card]:
        """Return the cards, or those of a role, in the order they are to be offered."""
        found = [card for card in self._cards.values() if role is None or role in card.roles]
        return sorted(found, key=lambda card: (card.demo, card.rank, card.title))

    def instead_of(self, card: Card) -> Card | None:
        """Return the best-ranked other card for the same work that needs no download, or None.

        A demo model is no answer: it does the work on the sample scenes only.
        """
        for other in self._alike(card):
            if other.download is None and not other.demo:
                return other
        return None

    def smaller_than(self, card: Card) -> list[Card]:
        """Return the cards for the same work that need less memory, the largest of them first."""
        smaller = [other for other in self._alike(card) if other.memory_bytes < card.memory_bytes]
        return sorted(smaller, key=lambda other: -other.memory_bytes)

    def _alike(self, card: Card) -> list[Card]:
        return [c for c in self.cards() if c.id != card.id and set(c.roles) & set(card.roles)]

    def _modules_of(self, package: str) -> Iterator[str]:
        try:
            module = importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                self.failures[package] = _reason(error)
            return
        except (Exception, SystemExit) as error:
            self.failures[package] = _reason(error)
            return
        found = pkgutil.iter_modules(getattr(module, "__path__", []))
        names = [info.name for info in found if not info.ispkg]  # a folder is some family's private part
        yield from (f"{package}.{name}" for name in sorted(names) if not name.startswith("_"))

    def _collect(self, origin: str, load: Callable[[], Any]) -> None:
        # Somebody else's file may do anything while it is imported, leave the program included.
        try:
            found = load()
            if isinstance(found, ModuleType) and not hasattr(found, "CARDS"):
                self.failures[origin] = (
                    "it has no list CARDS; where it is no model, let its name begin with _"
                )
                return
            cards = list(found.CARDS if isinstance(found, ModuleType) else found)
            kinds = [*getattr(found, "CHECKPOINTS", ()), *getattr(found, "HUB", ())]
        except (Exception, SystemExit) as error:
            self.failures[origin] = _reason(error)
            return
        for card in cards:
            self.add(card, origin)
        for kind in kinds:
            if isinstance(kind, CheckpointKind):
                self.kinds.setdefault(kind.id, kind)
            elif isinstance(kind, HubKind):
                self.hub_kinds.setdefault(kind.id, kind)
            else:
                self.failures[f"{origin}: CHECKPOINTS, HUB"] = (
                    f"they hold a {type(kind).__name__}, neither a CheckpointKind nor a HubKind"
                )


def _import_file(path: Path) -> ModuleType:
    name = f"studio_user_models_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _problem(card: object) -> str | None:
    """Return what is wrong with a card, or None."""
    if not isinstance(card, Card):
        return f"CARDS holds a {type(card).__name__}, not a Card"
    if not card.id or not card.title or not card.licence.strip():
        return "a card needs an id, a title and a licence"
    strange = [role for role in card.roles if role not in PROTOCOLS]
    if strange or not card.roles:
        known = ", ".join(PROTOCOLS)
        return f"its roles {list(card.roles)} are not among those known: {known}"
    try:
        card.options()
    except Exception as error:
        return f"its options cannot be built with their defaults: {_reason(error)}"
    return None


def _reason(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{where}"
