"""Work that a page's own component begins, watches and may stop: no answer is waited for longer than a moment."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from studio.answers import Answer
from studio.errors import Cancelled, NotFound, StudioError
from studio.failures import sentence

KEPT_SECONDS = 600.0  # how long an outcome waits to be fetched
MOST_KEPT = 200

Told = Callable[[float], None]
Asked = Callable[[], bool]
Doing = Callable[[Told, Asked], Answer]


class Task:
    """One operation in a thread of its own. ``share`` is how far it is, 0 to 1, or None while nobody can say."""

    def __init__(self, person: str, do: Doing) -> None:
        self.person = person
        self.share: float | None = None
        self.outcome: Answer | None = None
        self.ended: float | None = None
        self._stop = threading.Event()
        self._do = do
        threading.Thread(target=self._run, name="matting", daemon=True).start()

    def _run(self) -> None:
        try:
            self.outcome = self._do(self._told, self._stop.is_set)
        except Cancelled as error:
            self.outcome = {"stopped": True, "error": str(error) or "Stopped."}
        except Exception as error:
            kind = type(error).__name__ if isinstance(error, StudioError) else "Bug"
            self.outcome = {"error": sentence(error), "kind": kind}
        self.ended = time.monotonic()

    def _told(self, share: float) -> None:
        self.share = min(1.0, max(0.0, float(share)))

    def stop(self) -> None:
        self._stop.set()


class Tasks:
    """The tasks that pages have begun here, each known to the person who began it alone."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()

    def begin(self, person: str, do: Doing) -> str:
        """Begin, and return the name by which to ask for it."""
        name, task = uuid.uuid4().hex, Task(person, do)
        with self._lock:
            self._forget()
            self._tasks[name] = task
        return name

    def look(self, person: str, name: str) -> dict[str, Any]:
        """Return ``{share}`` while it is under way, then its outcome as ``{ended: True, …}``. Raises NotFound."""
        task = self._find(person, name)
        if task.outcome is None:
            return {"share": task.share}
        return {"ended": True, **task.outcome}

    def stop(self, person: str, name: str) -> None:
        """Ask it to stop; it does so at its next step."""
        self._find(person, name).stop()

    def _find(self, person: str, name: str) -> Task:
        with self._lock:
            task = self._tasks.get(name)
        if task is None or task.person != person:
            raise NotFound(
                "This work is not known here any more. What it saved is kept; begin again otherwise."
            )
        return task

    def _forget(self) -> None:
        now, ended = time.monotonic(), [(n, t) for n, t in self._tasks.items() if t.ended is not None]
        old = [n for n, t in ended if now - (t.ended or now) > KEPT_SECONDS]
        more = len(ended) - len(old) - MOST_KEPT
        for name in [*old, *[n for n, _ in ended if n not in old][: max(0, more)]]:
            del self._tasks[name]
