"""Run a job over images: read ahead, work in batches, write behind; pause, cancel, go on after a crash."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from studio import images
from studio.annotations import Annotation
from studio.errors import Conflict
from studio.failures import sentence
from studio.operations.merging import Policy, merge
from studio.project import ImageRecord, Job, Store

READERS = 2  # threads that decode; Pillow and OpenCV let go of the interpreter while they do
AHEAD = 3  # batches that are decoded before they are needed
BEHIND = 64  # results that may wait to be written
BEAT = 3.0  # seconds between two signs of life
RECENT = 30.0  # seconds over which the speed is taken
VERB = "predict"


class ImageWork(Protocol):
    """What a job does with images. ``batch`` is how many it takes at once.

    One that needs something else than decoded images has a method ``read(bytes or path, name)``, which makes it.
    """

    batch: int
    policy: Policy
    same: float

    def annotate(
        self, records: Sequence[ImageRecord], pictures: Sequence[np.ndarray]
    ) -> list[list[Annotation]]:
        """Return what is found on each of the images, uint8 RGB."""
        ...


@dataclass
class Progress:
    """How far a job is. ``seconds_left`` is None while nobody can tell."""

    done: int = 0
    failed: int = 0
    total: int = 0
    added: int = 0
    merged: int = 0
    dropped: int = 0
    now: str = ""
    seconds_left: float | None = None
    _times: deque[float] = field(default_factory=lambda: deque(maxlen=500), repr=False)

    def step(self) -> None:
        now = time.monotonic()
        self._times.append(now)
        while self._times and now - self._times[0] > RECENT and len(self._times) > 2:
            self._times.popleft()
        if len(self._times) > 1:
            each = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
            self.seconds_left = each * max(0, self.total - self.done - self.failed)


class Run:
    """One job while a process works on it, in threads of its own. Whoever holds it may watch and stop it."""

    def __init__(self, store: Store, job: Job, work: ImageWork) -> None:
        self.job_id = job.id
        self.progress = Progress(job.done, job.failed, job.total)
        self._store, self._work = store, work
        self._wanted: str | None = None  # what it is to become when it stops early
        self._stop = threading.Event()
        self._results: queue.Queue[tuple[ImageRecord, list[Annotation]] | None] = queue.Queue(BEHIND)
        self._error: BaseException | None = None
        store.set_job_state(job.id, "running", only=("paused", "failed", "cancelled"))
        self._ended = threading.Event()
        threading.Thread(target=self._live, name=job.title, daemon=True).start()

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    def pause(self) -> None:
        """Stop after the batch in hand; it can go on later."""
        self._end("paused")

    def cancel(self) -> None:
        """Stop after the batch in hand, for good. What was done stays until it is undone."""
        self._end("cancelled")

    def wait(self, timeout: float | None = None) -> None:
        self._ended.wait(timeout)  # unlike a thread's join, it bears Ctrl+C

    def _end(self, state: str) -> None:
        self._wanted = self._wanted or state
        self._stop.set()

    # ---- the threads ----

    def _live(self) -> None:
        try:
            self._go()
        finally:
            self._ended.set()

    def _go(self) -> None:
        over = threading.Event()
        threading.Thread(target=self._beat, args=(over,), name="says it lives", daemon=True).start()
        writer = threading.Thread(target=self._write, name="writes results", daemon=True)
        writer.start()
        state, problem = "done", None
        try:
            self._work_through()
        except BaseException as error:  # told to whoever looks at the job
            state, problem = "failed", sentence(error)
        finally:
            self._results.put(None)
            writer.join()
            over.set()
        if self._error is not None and problem is None:
            state, problem = "failed", sentence(self._error)
        if state == "done" and (wanted := self._wanted or self._cancelled_elsewhere()):
            state = wanted
        self._store.set_job_state(self.job_id, state, problem=problem)

    def _cancelled_elsewhere(self) -> str | None:
        """Return "cancelled" where another process wants it so since the last beat: what it then saw is to hold."""
        with suppress(Exception):
            if self._store.beat_job(self.job_id) == "cancelled":
                return "cancelled"
        return None

    def _beat(self, over: threading.Event) -> None:
        """Say that this process lives, and hear what another one wants of the job."""
        while not over.wait(BEAT):
            with suppress(Exception):  # a busy database; the next one will get through
                if (wanted := self._store.beat_job(self.job_id)) in ("paused", "cancelled"):
                    self._end(wanted)

    def _work_through(self) -> None:
        """Go through the images that are left, until all are done or the run is to stop."""
        for records, pictures in self._batches():
            self.progress.now = records[0].name
            for record, found in annotate_each(self._work, records, pictures):
                if isinstance(found, Exception):
                    self._failed(record, found)
                else:
                    self._results.put((record, found))
            if self._error is not None:
                raise self._error

    def _batches(self) -> Iterator[tuple[list[ImageRecord], list[np.ndarray]]]:
        """Yield decoded batches, in the order of the job; an image that cannot be read is written down."""
        with ThreadPoolExecutor(READERS, "reads ahead") as readers:
            waiting: deque[tuple[ImageRecord, Future[np.ndarray]]] = deque()
            todo = self._todo()
            try:
                while not self._stop.is_set():
                    while len(waiting) < AHEAD * self._work.batch and (record := next(todo, None)):
                        waiting.append((record, readers.submit(self._read, record)))
                    if not waiting:
                        return
                    records, pictures = [], []
                    while waiting and len(records) < self._work.batch:
                        record, decoded = waiting.popleft()
                        try:
                            pictures.append(decoded.result())
                        except Exception as error:
                            self._failed(record, error)
                        else:
                            records.append(record)
                    if records:
                        yield records, pictures
            finally:
                for _, decoded in waiting:
                    decoded.cancel()

    def _todo(self) -> Iterator[ImageRecord]:
        after = -1
        while page := self._store.job_todo(self.job_id, after=after):
            yield from (entry.image for entry in page)
            after = page[-1].position

    def _read(self, record: ImageRecord) -> Any:
        return reader_of(self._work)(self._store.original_path(record), record.name)

    def _write(self) -> None:
        while (result := self._results.get()) is not None:
            if self._error is not None:
                continue  # let the others through, so that nobody waits for room
            record, annotations = result
            try:
                self._finish(record, annotations)
            except Exception as error:
                try:
                    self._failed(record, error)
                except Exception as worse:
                    self._error = worse

    def _finish(self, record: ImageRecord, annotations: list[Annotation]) -> None:
        there = self._store.annotations(record.id)
        now = self._store.image(record.id)
        merged = merge(now, there, annotations, self._work.policy, self._work.same)
        counts = {"added": len(merged.kept), "merged": len(merged.dropped), "dropped": len(merged.gone)}
        done = self._store.finish_job_image(
            self.job_id, record.id, merged.changes(), verb=VERB, counts=counts
        )
        if done is not None:
            self._count(counts)

    def _count(self, counts: Mapping[str, int]) -> None:
        """Note that one more image is done."""
        progress = self.progress
        progress.done += 1
        progress.added += counts.get("added", 0)
        progress.merged += counts.get("merged", 0)
        progress.dropped += counts.get("dropped", 0)
        progress.step()

    def _failed(self, record: ImageRecord, error: BaseException) -> None:
        self._store.fail_job_image(self.job_id, record.id, sentence(error))
        self.progress.failed += 1
        self.progress.step()


def reader_of(work: ImageWork) -> Callable[[bytes | Path, str], Any]:
    """Return what reads an image for a work, in threads of its own."""
    return getattr(work, "read", images.decode)


def annotate_each(
    work: ImageWork, records: Sequence[ImageRecord], pictures: Sequence[np.ndarray]
) -> Iterator[tuple[ImageRecord, list[Annotation] | Exception]]:
    """Yield for each image what is found on it, or what went wrong.

    Where a batch fails, each of its images is tried alone: one of them may be what does not work.
    """
    try:
        found = work.annotate(records, pictures)
    except Exception as error:
        if len(records) == 1:
            yield records[0], error
            return
    else:
        yield from zip(records, found, strict=True)
        return
    for record, picture in zip(records, pictures, strict=True):
        yield from annotate_each(work, [record], [picture])


class Runs:
    """The jobs that this process works on, one run each."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()

    def start(
        self,
        store: Store,
        job: Job,
        make: Callable[[], ImageWork],
        kind: Callable[[Store, Job, ImageWork], Run] = Run,
    ) -> Run:
        """Begin or go on with a job; ``kind`` says how it runs. Raises Conflict where it is running."""
        with self._lock:
            known = self._runs.get(job.id)
            if known is not None and known.running:
                raise Conflict(f"“{job.title}” is running already.")
            run = self._runs[job.id] = kind(store, job, make())
            return run

    def get(self, job_id: str) -> Run | None:
        with self._lock:
            return self._runs.get(job_id)

    def stop_all(self) -> None:
        """Pause everything and wait: for the end of the process."""
        with self._lock:
            runs = [run for run in self._runs.values() if run.running]
        for run in runs:
            run.pause()
        for run in runs:
            run.wait(30)
