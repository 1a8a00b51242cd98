"""What encoders made of images, kept by (model, image) within a budget of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from studio.adapters import Embedding
from studio.devices import CpuDevice

LARGEST_DEFAULT = 4 << 30


@dataclass(frozen=True)
class CacheStats:
    """``makes`` counts encodings, ``hits`` answers without one; ``bytes`` of ``items`` are kept now."""

    hits: int = 0
    makes: int = 0
    items: int = 0
    bytes: int = 0
    evicted: int = 0
    budget: int = 0


class _Flight:
    """One encoding under way, which everybody asking for the same key waits for."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.embedding: Embedding | None = None


class EmbeddingCache:
    """Keeps the most recently used embeddings; safe to use from many threads.

    ``budget_bytes`` is by default a quarter of the memory free now, at most 4 GiB.
    """

    def __init__(self, budget_bytes: int | None = None) -> None:
        if budget_bytes is None:
            budget_bytes = min(CpuDevice().free() // 4, LARGEST_DEFAULT)
        self._lock = threading.Lock()
        self._items: OrderedDict[Hashable, Embedding] = OrderedDict()
        self._flights: dict[Hashable, _Flight] = {}
        self._stats = CacheStats(budget=max(0, budget_bytes))

    @property
    def stats(self) -> CacheStats:
        with self._lock:
            return self._stats

    def get(self, key: Hashable, make: Callable[[], Embedding]) -> Embedding:
        """Return the embedding of a key, making it where it is not kept.

        Of several threads asking at once one makes it and the others wait; where making fails, the next of
        them tries. An embedding larger than the whole budget is returned and not kept. ``make`` may wait for
        a turn of the gate, so never call this inside a turn: a thread that holds the gate would wait for one
        that needs it.
        """
        while True:
            with self._lock:
                kept = self._items.get(key)
                if kept is not None:
                    self._items.move_to_end(key)
                    self._stats = replace(self._stats, hits=self._stats.hits + 1)
                    return kept
                flight = self._flights.get(key)
                if flight is None:
                    flight = self._flights[key] = _Flight()
                    break
            flight.done.wait()
            if flight.embedding is not None:
                with self._lock:
                    self._stats = replace(self._stats, hits=self._stats.hits + 1)
                return flight.embedding
        try:
            flight.embedding = make()
            self._keep(key, flight)
        finally:
            with self._lock:
                if self._flights.get(key) is flight:
                    del self._flights[key]
            flight.done.set()
        return flight.embedding

    def discard(self, key: Hashable) -> None:
        """Forget a key; one that is being made is returned to those who wait for it, and not kept."""
        with self._lock:
            self._flights.pop(key, None)
            gone = self._items.pop(key, None)
            if gone is not None:
                self._count(bytes=-gone.nbytes)

    def discard_where(self, matches: Callable[[Hashable], bool]) -> int:
        """Forget the keys that match, and return how many there were."""
        with self._lock:
            keys = [key for key in (*self._items, *self._flights) if matches(key)]
        for key in keys:
            self.discard(key)
        return len(keys)

    def _keep(self, key: Hashable, flight: _Flight) -> None:
        embedding = flight.embedding
        with self._lock:
            self._count(makes=1)
            wanted = self._flights.get(key) is flight
            if embedding is None or not wanted or embedding.nbytes > self._stats.budget:
                return
            self._items[key] = embedding
            self._count(bytes=embedding.nbytes)
            while self._stats.bytes > self._stats.budget:
                _, oldest = self._items.popitem(last=False)
                self._count(bytes=-oldest.nbytes, evicted=1)

    def _count(self, *, makes: int = 0, bytes: int = 0, evicted: int = 0) -> None:
        now = self._stats
        self._stats = replace(
            now,
            makes=now.makes + makes,
            bytes=now.bytes + bytes,
            evicted=now.evicted + evicted,
            items=len(self._items),
        )
