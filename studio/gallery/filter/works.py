"""Work that takes longer than a moment, in a thread of its own: the page asks how far it is, and may stop it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from studio.answers import Answer
from studio.errors import Cancelled, NotFound
from studio.studio import Studio

Told = Callable[[float], None]
Run = Callable[[Told, Callable[[], bool]], Answer]
KEPT = 600.0  # seconds that what came of a work is kept for
MOST = 100


class LongWork:
    """One work. ``run(told, cancelled)`` calls ``told(share)`` as it goes, and returns what the page is told."""

    def __init__(self, person: str, run: Run) -> None:
        self.person = person
        self.share = 0.0
        self.stopped_at = ""
        self.touched = time.monotonic()
        self._run = run
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._go, name="work of the Filter page", daemon=True)
        self._thread.start()

    def _go(self) -> None:
        try:
            self._answer = self._run(self._told, self._stopped.is_set)
        except Cancelled as error:
            self.stopped_at = str(error)
        except BaseException as error:  # raised to whoever looks
            self._error = error

    def _told(self, share: float) -> None:
        self.share = float(share)

    def stop(self) -> None:
        self._stopped.set()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def look(self) -> Answer:
        """Return how far it is, or what came of it: a sentence where it was stopped. Raises what it failed with."""
        self.touched = time.monotonic()
        if self.running:
            return {"ended": False, "share": self.share}
        if self._error is not None:
            raise self._error
        return {"ended": True, "result": self._answer, "stopped": self.stopped_at}


class Works:
    """The works of one studio, by tokens that nobody can guess."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: dict[str, LongWork] = {}

    def begin(self, person: str, run: Run) -> str:
        token = secrets.token_hex(16)
        with self._lock:
            self._tidy()
            self._works[token] = LongWork(person, run)
        return token

    def get(self, token: str, person: str) -> LongWork:
        """Return a work. Raises NotFound, alike where it is another's."""
        with self._lock:
            found = self._works.get(token)
        if found is None or found.person != person:
            raise NotFound("The studio was started anew, and this work ended with it. Begin it again.")
        return found

    def _tidy(self) -> None:
        now = time.monotonic()
        ended = [t for t, w in self._works.items() if not w.running]
        for token in ended:
            if now - self._works[token].touched > KEPT or len(self._works) > MOST:
                del self._works[token]


_WORKS: WeakKeyDictionary[Studio, Works] = WeakKeyDictionary()
_LOCK = threading.Lock()


def works(studio: Studio) -> Works:
    with _LOCK:
        return _WORKS.setdefault(studio, Works())
