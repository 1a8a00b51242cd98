"""Loaded models on one device, for everybody: loaded when asked for, pinned while used, evicted for room."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

from studio.adapters import Card
from studio.devices import Device, Usage, best_device, size_text
from studio.errors import Conflict, MissingPackage, NotFound, OutOfMemory, StudioError
from studio.gate import Gate, Turn
from studio.hub import Hub
from studio.registry import Registry

log = logging.getLogger(__name__)

T = TypeVar("T")
Key = tuple[str, str]

EVENTS_KEPT = 200
_END = object()  # what a stream of pieces ends with


@dataclass(frozen=True)
class Loaded:
    """A model in memory. ``bytes`` is what it was measured to hold, ``last_used`` in seconds since 1970."""

    id: str
    title: str
    bytes: int
    pins: int
    device: str
    last_used: float


@dataclass(frozen=True)
class Event:
    """A decision of the pool, in words, and when it was taken (seconds since 1970)."""

    time: float
    text: str


@dataclass(eq=False)
class _Slot:
    """A loaded model, and who pins it."""

    card: Card
    adapter: Any
    bytes: int
    load_peak: int
    last_used: float = field(default_factory=time.time)
    holders: Counter[int] = field(default_factory=Counter)  # pins by thread

    @property
    def pins(self) -> int:
        return self.holders.total()


class Pool:
    """The only way to a loaded model.

    Where memory is short, whole models leave, the one longest unused first, and never one in use; when all
    are in use, a request waits up to ``patience`` seconds for one to be released.
    """

    def __init__(
        self, registry: Registry, hub: Hub, device: Device | None = None, *, patience: float = 30.0
    ) -> None:
        self.registry = registry
        self.hub = hub
        self.gate = Gate()
        self._device = device
        self._patience = patience
        self._slots: dict[Key, _Slot] = {}
        self._changed = threading.Condition()
        # Building a model patches torch for the whole process, so one is built at a time.
        self._building = threading.RLock()
        self._needs: dict[tuple[str, str], int] = {}  # measured peaks by (model, device)
        self._working = 0  # measured pieces of work going on now, and begun so far
        self._begun = 0
        self._releases = 0
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        if device is not None:
            self._be_courteous(device)

    @property
    def device(self) -> Device:
        if self._device is None:
            with self._building:
                self._device = self._device or best_device()
            self._be_courteous(self._device)
        return self._device

    def _be_courteous(self, device: Device) -> None:
        """Let long turns wait for a person's next click: on a processor one takes seconds, on a card hardly any."""
        self.gate.courtesy, self.gate.longest = (2.0, 15.0) if device.name == "cpu" else (0.3, 1.0)

    @property
    def events(self) -> list[Event]:
        """Return the latest decisions, the newest first."""
        with self._changed:
            return list(reversed(self._events))

    def loaded(self) -> list[Loaded]:
        """Return the models in memory, the one used last first."""
        with self._changed:
            slots = sorted(self._slots.values(), key=lambda slot: -slot.last_used)
        return [
            Loaded(slot.card.id, slot.card.title, slot.bytes, slot.pins, self.device.name, slot.last_used)
            for slot in slots
        ]

    def need(self, card: Card) -> int:
        """Return the bytes a model needs: its measured peak here, before that its card's guess."""
        return self._needs.get((card.id, self.device.name), card.memory_bytes)

    # ---- using ----

    @contextmanager
    def use(self, model_id: str, options: Any = None) -> Iterator[Any]:
        """Give the loaded adapter, which stays in memory for the block. Nested use is safe.

        Keep no reference to it afterwards: evicting it would then free nothing.
        ``options`` is an instance of the card's options. Raises NeedsDownload or Unreachable where files are
        missing, OutOfMemory where it does not fit, MissingPackage, and StudioError where loading fails.
        """
        card = self.registry.card(model_id)
        slot = self._pin(card, options)
        try:
            yield slot.adapter
        finally:
            self._release(slot)

    def run(
        self, model_id: str, work: Callable[[Any], T], *, turn: Turn | None = Turn.CLICK, options: Any = None
    ) -> T:
        """Load the model, wait for a turn, and return what ``work(adapter)`` returns.

        ``turn=None`` works beside the turns and keeps nobody waiting. Where the memory does not suffice, the
        models not in use leave and ``work`` is called once more; so it must not mind being started twice.
        """
        card = self.registry.card(model_id)
        slot = self._pin(card, options)
        try:
            for last in (False, True):
                with nullcontext() if turn is None else self.gate.turn(turn):
                    try:
                        with self._measured() as usage:
                            result = work(slot.adapter)
                    except Exception as error:
                        if not self.device.is_out_of_memory(error):
                            raise
                    else:
                        self._learn(slot, usage)
                        return result
                # Only here is the exception gone, whose traceback held the tensors of the failed try.
                self._after_out_of_memory(card, "working", retry=not last)
            raise self._too_large(card, tried=True)
        finally:
            self._release(slot)

    def stream(
        self,
        model_id: str,
        work: Callable[[Any], Iterator[T]],
        *,
        turn: Turn = Turn.CLICK,
        options: Any = None,
    ) -> Iterator[T]:
        """Load the model and yield what ``work(adapter)`` yields, each piece in a turn of its own.

        So whoever waits for a turn waits for a piece at most, if the model works only while one is asked for. The
        model is pinned until the last piece, or until this is closed; it is to be read and closed by one thread.
        Errors are those of ``run``; out of memory is tried once more as long as nothing has been yielded.
        """
        card = self.registry.card(model_id)
        slot = self._pin(card, options)
        try:
            for last in (False, True):
                pieces, begun = None, False
                try:
                    while True:
                        with self.gate.turn(turn, begun=begun):
                            try:
                                if pieces is None:
                                    pieces = work(slot.adapter)
                                with nullcontext() if begun else self._measured() as usage:
                                    piece = next(pieces, _END)
                                if not begun:
                                    self._learn(slot, usage)
                            except Exception as error:
                                if not self.device.is_out_of_memory(error):
                                    raise
                                break
                        if piece is _END:
                            return
                        begun = True
                        yield piece
                finally:
                    if isinstance(pieces, Generator):
                        pieces.close()
                    pieces = None
                self._after_out_of_memory(card, "working", retry=not last and not begun)
                if begun:
                    break
            raise self._too_large(card, tried=True)
        finally:
            self._release(slot)

    def unload(self, model_id: str) -> int:
        """Drop a model and return the bytes that became free. Raises Conflict while it is in use."""
        card = self.registry.card(model_id)
        with self._building:
            with self._changed:
                slots = {key: slot for key, slot in self._slots.items() if slot.card.id == model_id}
                pins = sum(slot.pins for slot in slots.values())
                if not slots:
                    raise NotFound(f"{card.title} is not loaded.")
                if pins:
                    times = "once" if pins == 1 else f"{pins} times"
                    raise Conflict(f"{card.title} is in use ({times}). Unload it when that is finished.")
                for key in slots:
                    del self._slots[key]
            return sum(self._drop(slot, "it was unloaded by hand") for slot in slots.values())

    # ---- loading ----

    def _pin(self, card: Card, options: Any) -> _Slot:
        options = card.options() if options is None else options
        key = (card.id, repr(options))
        deadline: float | None = None
        while True:
            with self._changed:
                releases = self._releases
                if key in self._slots:
                    return self._hold(key)
            folder = self._folder(card)
            with self._building:
                with self._changed:
                    if key in self._slots:  # somebody else built it while this thread waited
                        return self._hold(key)
                if self._make_room(card):
                    slot = self._load(card, folder, options)
                    with self._changed:
                        self._slots[key] = slot
                        return self._hold(key)
            # Out of the lock, so that others may go on loading, and with it let go of what they pin.
            if deadline is None:
                deadline = time.monotonic() + self._patience
                self._note(f"{card.title} waits: every loaded model is in use.")
            self._wait_for_release(card, releases, deadline)

    def _hold(self, key: Key) -> _Slot:
        slot = self._slots[key]
        slot.holders[threading.get_ident()] += 1
        slot.last_used = time.time()
        return slot

    def _release(self, slot: _Slot) -> None:
        with self._changed:
            me = threading.get_ident()
            slot.holders[me] -= 1
            if not slot.holders[me]:
                del slot.holders[me]
            slot.last_used = time.time()
            self._releases += 1
            self._changed.notify_all()

    def _folder(self, card: Card) -> str | None:
        if self.hub.state(card) == "absent":
            raise self.hub.absent(card, self.registry.instead_of(card))
        return self.hub.folder(card)

    def _load(self, card: Card, folder: str | None, options: Any) -> _Slot:
        for last in (False, True):
            started = time.perf_counter()
            try:
                with self._measured() as usage:
                    adapter = card.load(folder, self.device.name, options)
            except StudioError:
                raise
            except Exception as error:
                if not self.device.is_out_of_memory(error):
                    raise _load_error(card, error) from error
            else:
                held = usage.held if usage.alone else card.memory_bytes
                seconds = time.perf_counter() - started
                self._note(
                    f"{card.title} was loaded on {self.device.name} in {seconds:.1f} s ({size_text(held)})."
                )
                return _Slot(card, adapter, held, usage.peak if usage.alone else 0)
            self._after_out_of_memory(card, "being loaded", retry=not last)
        raise self._too_large(card, tried=True)

    # ---- room ----

    def _make_room(self, card: Card) -> bool:
        """Evict until the model fits; return False where only what others use stands in the way."""
        need, device = self.need(card), self.device
        if device.free() < need:
            gc.collect()
            device.empty_cache()
        while (free := device.free()) < need:
            why = f"{card.title} needs {size_text(need)} and {size_text(free)} were free"
            if not self._evict_oldest(why):
                break
        if free >= need:
            return True
        me = threading.get_ident()
        with self._changed:
            if any(thread != me for slot in self._slots.values() for thread in slot.holders):
                return False
        if (card.id, device.name) in self._needs or not device.raises_out_of_memory:
            raise self._too_large(card)
        self._note(
            f"{card.title} may need {size_text(need)} and {size_text(free)} are free: it is tried anyway."
        )
        return True

    def _evict_oldest(self, why: str) -> bool:
        with self._changed:
            unused = [key for key, slot in self._slots.items() if not slot.pins]
            if not unused:
                return False
            oldest = min(unused, key=lambda key: self._slots[key].last_used)
            slot = self._slots.pop(oldest)
        self._drop(slot, why)
        return True

    def _drop(self, slot: _Slot, why: str) -> int:
        before = self.device.free()
        slot.adapter = None
        self.device.empty_cache()
        if self.device.free() - before < slot.bytes:  # parts of it refer to each other
            gc.collect()
            self.device.empty_cache()
        freed = max(0, self.device.free() - before)
        self._note(f"{slot.card.title} left {self.device.name}, {size_text(freed)} became free: {why}.")
        return freed

    def _after_out_of_memory(self, card: Card, doing: str, *, retry: bool) -> None:
        self._note(f"{card.title} ran out of memory on {self.device.name} while {doing}.")
        if retry:
            with self._building:
                while self._evict_oldest(f"{card.title} ran out of memory"):
                    pass
                gc.collect()
                self.device.empty_cache()

    def _wait_for_release(self, card: Card, releases: int, deadline: float) -> None:
        """Wait until somebody lets go of a model. Raises OutOfMemory at the deadline."""
        with self._changed:
            left = deadline - time.monotonic()
            released = self._changed.wait_for(lambda: self._releases != releases, timeout=max(0.0, left))
        if not released:
            raise self._too_large(card)

    def _too_large(self, card: Card, *, tried: bool = False) -> OutOfMemory:
        """Return the error; ``tried`` says that what the model needs is more than there was."""
        with self._changed:
            others = [slot for slot in self._slots.values() if slot.card.id != card.id]
            own = [slot for slot in self._slots.values() if slot.card.id == card.id]
        leaving = [*own, *(slot for slot in others if not slot.pins)]
        room = self.device.free() + sum(slot.bytes for slot in leaving)
        busy = sorted({slot.card.title for slot in others if slot.pins})
        total = size_text(self.device.total())
        if tried:
            what = f"more than {size_text(room)} on {self.device.name}, all that could be freed of {total}"
        else:
            need = size_text(self.need(card))
            what = f"{need} on {self.device.name}; {size_text(room)} of {total} can be freed"
        fitting = [other.title for other in self.registry.smaller_than(card) if self.need(other) <= room]
        advice = [f"choose {' or '.join(fitting[:2])}"] if fitting else []
        advice += [f"wait until {' and '.join(busy)} can be unloaded"] if busy else []
        advice = advice or ["close other programs that use its memory"]
        text = ", or ".join(advice)
        return OutOfMemory(f"{card.title} needs {what}. {text[0].upper()}{text[1:]}.")

    # ---- measuring and recording ----

    @contextmanager
    def _measured(self) -> Iterator[Usage]:
        with self._changed:
            alone = self._working == 0
            self._working += 1
            self._begun += 1
            mark = self._begun
        usage = Usage()
        try:
            with self.device.measured() as usage:
                yield usage
        finally:
            with self._changed:
                self._working -= 1
                usage.alone = alone and self._begun == mark

    def _learn(self, slot: _Slot, usage: Usage) -> None:
        if usage.alone:
            key = (slot.card.id, self.device.name)
            peak = max(slot.load_peak, slot.bytes + usage.peak)
            self._needs[key] = max(self._needs.get(key, 0), peak)

    def _note(self, text: str) -> None:
        log.info(text)
        with self._changed:
            self._events.append(Event(time.time(), text))


def _load_error(card: Card, error: Exception) -> StudioError:
    """Return what the person should read where a model's own code failed."""
    if isinstance(error, ImportError):
        packages = card.packages or (error.name or "").partition(".")[:1]
        if all(packages):
            return MissingPackage(
                f"{card.title} needs a package that is not installed. Run: pip install {' '.join(packages)}"
            )
    log.exception("%s could not be loaded", card.id)
    return StudioError(
        f"{card.title} could not be loaded: {type(error).__name__}: {error}. If its files are damaged, "
        "delete them from the hub's cache and download it again."
    )
