"""Who may use the processor next: in short turns, clicks before batch images before training steps."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class Turn(IntEnum):
    """How urgent a turn is; the lower goes first."""

    CLICK = 0
    BATCH = 1
    TRAIN = 2


class _Ticket:
    __slots__ = ("called", "level")

    def __init__(self, level: Turn) -> None:
        self.level = level
        self.called = threading.Event()


class Gate:
    """One lock handed out by urgency, in order of arrival within one.

    The next turn goes to the most urgent level that waits. So that nothing waits for ever, a level that was
    passed over ``patience`` times in a row while somebody waited there gets the next turn. The lock is handed
    over directly: whoever asks in the meantime cannot slip in. The thread that holds it may ask again.

    A person clicks several times in a row, and a long turn begun in between would hold up the next click. So
    after a click other turns are not begun for ``courtesy`` seconds, though none is put off longer than ``longest``.
    """

    def __init__(self, patience: int = 16, *, courtesy: float = 0.0, longest: float = 15.0) -> None:
        self._patience = patience
        self.courtesy, self.longest = courtesy, longest
        self._clicked = float("-inf")
        self._lock = threading.Lock()
        self._waiting: dict[Turn, deque[_Ticket]] = {level: deque() for level in Turn}
        self._passed: dict[Turn, int] = dict.fromkeys(Turn, 0)
        self._owner: int | None = None
        self._busy = False
        self._depth = 0

    @contextmanager
    def turn(self, level: Turn = Turn.CLICK, *, begun: bool = False) -> Iterator[None]:
        """Hold the processor for the block. Keep it short, and wait for nobody inside.

        ``begun`` says that it goes on with a work of many short turns, each as short as a click: these let clicks go
        first, but are not put off for those that may come.
        """
        level = Turn(level)
        if level is not Turn.CLICK and not begun and self._owner != threading.get_ident():
            self._wait_for_quiet()
        self._enter(level)
        try:
            yield
        finally:
            if level is Turn.CLICK:
                self._clicked = time.monotonic()
            self._leave()

    def _wait_for_quiet(self) -> None:
        latest = time.monotonic() + self.longest
        while (now := time.monotonic()) < latest and (quiet := self._clicked + self.courtesy) > now:
            time.sleep(min(quiet, latest) - now)

    def waiting(self, level: Turn) -> int:
        """Return how many threads wait for a turn of this level."""
        with self._lock:
            return len(self._waiting[level])

    def _enter(self, level: Turn) -> None:
        me = threading.get_ident()
        with self._lock:
            if self._owner == me:
                self._depth += 1
                return
            if not self._busy:
                self._busy, self._owner, self._depth = True, me, 1
                return
            ticket = _Ticket(level)
            self._waiting[level].append(ticket)
        try:
            ticket.called.wait()
        except BaseException:
            self._abandon(ticket)
            raise
        with self._lock:
            self._owner, self._depth = me, 1

    def _abandon(self, ticket: _Ticket) -> None:
        with self._lock:
            if ticket.called.is_set():
                self._call_next()
            else:
                self._waiting[ticket.level].remove(ticket)

    def _leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._owner = None
                self._call_next()

    def _call_next(self) -> None:
        queued = [level for level in Turn if self._waiting[level]]
        if not queued:
            self._busy = False
            return
        overdue = [level for level in queued if self._passed[level] >= self._patience]
        chosen = (overdue or queued)[0]
        for level in Turn:
            if level not in queued or level == chosen:
                self._passed[level] = 0
            elif level > chosen:
                self._passed[level] += 1
        self._waiting[chosen].popleft().called.set()
