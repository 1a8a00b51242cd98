"""A device of pretended memory, models that hold some of it, and a hub without a network."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from studio.adapters import Card
from studio.devices import Usage
from studio.errors import StudioError, Unreachable
from studio.pool import Pool
from studio.registry import Registry

MB = 1_000_000


class FakeOutOfMemory(RuntimeError):
    pass


class Block:
    """A piece of the device's memory, given back when nothing refers to it any more."""

    def __init__(self, device: FakeDevice, size: int) -> None:
        self.size = size
        weakref.finalize(self, device.give_back, size)


class FakeDevice:
    name = "fake:0"
    raises_out_of_memory = True

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = self.peak = 0
        self.emptied = 0
        self._lock = threading.RLock()

    def allocate(self, size: int) -> Block:
        with self._lock:
            if self.used + size > self.capacity:
                raise FakeOutOfMemory(f"{size} asked for, {self.capacity - self.used} free")
            self.used += size
            self.peak = max(self.peak, self.used)
        return Block(self, size)

    def give_back(self, size: int) -> None:
        with self._lock:
            self.used -= size

    def total(self) -> int:
        return self.capacity

    def free(self) -> int:
        return self.capacity - self.used

    def empty_cache(self) -> None:
        self.emptied += 1

    @contextmanager
    def measured(self) -> Iterator[Usage]:
        usage, start = Usage(), self.used
        self.peak = self.used
        try:
            yield usage
        finally:
            usage.held, usage.peak = max(0, self.used - start), max(0, self.peak - start)

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, FakeOutOfMemory)


class FakeModel:
    def __init__(self, name: str, block: Block, options: Any) -> None:
        self.name, self.block, self.options = name, block, options


class FakeHub:
    """Files are here unless their card's id is in ``missing``."""

    def __init__(self) -> None:
        self.missing: set[str] = set()

    def state(self, card: Card) -> str:
        if card.download is None:
            return "no download"
        return "absent" if card.id in self.missing else "ready"

    def folder(self, card: Card) -> str | None:
        return None if card.download is None else "/files"

    def absent(self, card: Card, instead: Card | None) -> StudioError:
        return Unreachable(f"{card.title} is absent; use {instead.title if instead else 'nothing'}")


class Shop:
    """Builds a pool over a fake device and cards of given sizes, and counts loads."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.loading = self.most_at_once = 0
        self.device = FakeDevice(100 * MB)
        self.hub = FakeHub()
        self.cards: list[Card] = []
        self.during_load: Callable[[str], None] = lambda name: None
        self._lock = threading.Lock()

    def card(self, name: str, size: int, *, guess: int | None = None, **changes: Any) -> Card:
        def load(folder: str | None, device: str, options: Any) -> FakeModel:
            with self._lock:
                self.loads.append(name)
                self.loading += 1
                self.most_at_once = max(self.most_at_once, self.loading)
            try:
                self.during_load(name)
                return FakeModel(name, self.device.allocate(size), options)
            finally:
                with self._lock:
                    self.loading -= 1

        fields = dict(
            id=name,
            title=name.upper(),
            family="fake",
            roles=("segmenter",),
            prompts=("point",),
            licence="MIT",
            load=load,
            memory_bytes=size if guess is None else guess,
        )
        made = Card(**(fields | changes))
        self.cards.append(made)
        return made

    def pool(self, capacity: int = 100 * MB, **options: Any) -> Pool:
        self.device.capacity = capacity
        return Pool(Registry(self.cards), self.hub, self.device, **options)  # type: ignore[arg-type]
