"""Decodes files nobody vouches for in processes of their own, so that a crash or hang costs one file."""

from __future__ import annotations

import functools
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from studio.errors import BadInput, MissingPackage
from studio.images import Derived

log = logging.getLogger(__name__)

SECONDS = 4.5
START_SECONDS = 30.0
READY = b"ready\n"
MEGABYTES = 1024
MAX_WORKERS = 4
MAX_ANSWER = 256 * 2**20
KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMPDIR", "LANG")


class Guard:
    """A few decoding processes, started when first needed and again after each death.

    Thread-safe: as many callers are served at once as there are workers, and the others wait.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        seconds: float = SECONDS,
        megabytes: int = MEGABYTES,
        command: Sequence[str] | None = None,
    ) -> None:
        self.workers = workers or min(MAX_WORKERS, os.cpu_count() or 1)
        command = (*(command or (sys.executable, "-P", "-m", "studio.intake.worker")), str(megabytes))
        self._all = [_Worker(command, seconds) for _ in range(self.workers)]
        # Last in, first out: a light load keeps to one process and never starts the others.
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._all:
            self._idle.put(worker)

    def derive(self, data: bytes, name: str = "") -> Derived:
        """Decode a file elsewhere; return its size and small copies.

        Raises BadInput when the file cannot be decoded, or not within the limits of time and memory.
        """
        worker = self._idle.get()
        try:
            return worker.derive(data, name)
        finally:
            self._idle.put(worker)

    def pids(self) -> list[int]:
        """Return the process ids of the workers now running."""
        return [w.process.pid for w in self._all if w.process is not None and w.process.poll() is None]

    def close(self) -> None:
        """End all workers; a file being decoded is refused."""
        for worker in self._all:
            worker.stop()

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@functools.cache
def shared() -> Guard:
    """Return the guard everybody in this process shares; its workers end with the process."""
    return Guard()


class _Worker:
    """One process; used by one caller at a time."""

    def __init__(self, command: Sequence[str], seconds: float) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._command = command
        self._seconds = seconds
        self._lock = threading.Lock()
        self._turn = 0  # counts requests, so that a late timer never kills the next one
        self._late = False

    def derive(self, data: bytes, name: str) -> Derived:
        process = self._running()
        with self._lock:
            self._turn += 1
            self._late = False
            timer = threading.Timer(self._seconds, self._give_up, (self._turn,))
        timer.daemon = True
        timer.start()
        try:
            head, display, thumbnail = _ask(process, data, name)
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            self.stop()
            raise self._lost(name) from None
        finally:
            with self._lock:
                self._turn += 1
            timer.cancel()
        if "error" in head:
            raise _refusal(head, name)
        return Derived(head["width"], head["height"], head["format"], display or None, thumbnail)

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            _end(process)

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.process.poll() is not None:
            self.stop()
        if self.process is None:
            self.process = self._started()
        return self.process

    def _started(self) -> subprocess.Popen[bytes]:
        """Start a process and wait until it is ready, so that no file pays for a slow start."""
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        said = process.stdout.readline(len(READY))
        timer.cancel()
        if said != READY:
            _end(process)
            raise RuntimeError(f"the decoding process did not start: {' '.join(self._command)}")
        return process

    def _give_up(self, turn: int) -> None:
        with self._lock:
            if turn == self._turn and self.process is not None:
                self._late = True
                self.process.kill()

    def _lost(self, name: str) -> BadInput:
        who = _who(name)
        if self._late:
            return BadInput(
                f"{who} took longer than {self._seconds:g} s to decode and was given up. "
                "Scale it down, or save it anew as JPEG."
            )
        return BadInput(f"{who} made its decoder crash, so it is damaged or harmful. Save it anew as PNG.")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):  # what was still to be written has no reader any more
            pipe.close()


def _ask(process: subprocess.Popen[bytes], data: bytes, name: str) -> tuple[dict, bytes, bytes]:
    """Send one file and return the answer, believing nothing of its sizes. Raises when the worker dies."""
    process.stdin.write(json.dumps({"bytes": len(data), "name": name}).encode() + b"\n")
    process.stdin.write(data)
    process.stdin.flush()
    line = process.stdout.readline(65536)
    if not line.endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    if "error" in head:
        return head, b"", b""
    sizes = [head["display"], head["thumbnail"]]
    if not all(isinstance(n, int) for n in (*sizes, head["width"], head["height"])):
        raise ValueError("an answer's numbers are not whole")
    if min(sizes) < 0 or sum(sizes) > MAX_ANSWER or min(head["width"], head["height"]) < 1:
        raise ValueError("an answer's numbers are out of range")
    display, thumbnail = (process.stdout.read(n) for n in sizes)
    if [len(display), len(thumbnail)] != sizes:
        raise EOFError
    head["format"] = str(head["format"])[:16]
    return head, display, thumbnail


def _refusal(head: dict, name: str) -> BadInput | MissingPackage:
    said = str(head["error"])[:1000]
    if head.get("kind") == "MissingPackage":
        return MissingPackage(said)
    if head.get("kind") == "BadInput":
        return BadInput(said)
    log.error("Decoding %r failed in a way that was not foreseen: %s", name, said)
    return BadInput(f"{_who(name)} is damaged in a way its decoder did not foresee. Save it anew as PNG.")


def _environment() -> dict[str, str]:
    """Return what a worker needs to start and nothing else: no token of anybody's."""
    kept = {key: os.environ[key] for key in KEPT_ENVIRONMENT if key in os.environ}
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return {**kept, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _who(name: str) -> str:
    return f"“{name[:200]}”" if name else "The file"
