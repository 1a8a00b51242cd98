"""Brings images into a project: files, folders, zips, addresses and Hugging Face datasets.

Files are read one at a time and decoded in the guard's processes while the next are read, so that 10,000
take no more memory than ten.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from studio.errors import BadInput, StudioError
from studio.images import Derived
from studio.intake import guard
from studio.intake.guard import Guard
from studio.intake.hub_dataset import DatasetChoice, HubDataset, Row
from studio.intake.names import clean_name, with_ending
from studio.intake.sources import Item, Listing, Source
from studio.intake.web import Fetcher
from studio.project import Store

MAX_ADDRESSES = 5_000
FETCHES = 8
SPARE = 2  # images read and decoded beyond those in work, so that no process waits for the disk

Progress = Callable[[int, int, str], None]  # how many are done, of how many, the name of the last


@dataclass
class IntakeReport:
    """What became of each file; ``added`` holds image ids, the others hold names and reasons.

    ``left`` are files that are no images but may matter, such as annotations, with what to do.
    """

    added: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    cancelled: bool = False

    def sentence(self) -> str:
        """Return the whole in one line for the person."""
        parts = [f"{len(self.added):,} added"]
        if self.repeated:
            parts.append(f"{len(self.repeated):,} already there")
        if self.refused:
            parts.append(f"{len(self.refused):,} refused")
        if self.left:
            parts.append(f"{len(self.left):,} left aside")
        return ", ".join(parts) + (" before it was stopped." if self.cancelled else ".")


def add_files(
    store: Store,
    project_id: str,
    person: str,
    sources: Iterable[Source | Path | str],
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    guarded: Guard | None = None,
) -> IntakeReport:
    """Add files, folders with what is in them, and the images in zips; report on each.

    A folder's images keep the folder's name and their place in it. One bad file never stops the others.
    """
    with Listing(sources) as found:
        report = IntakeReport(refused=found.refused, left=found.left)
        run = _Intake(store, project_id, person, report, progress, cancel, guarded)
        return run.run(found.items, len(found.items))


def add_urls(
    store: Store,
    project_id: str,
    person: str,
    addresses: Iterable[str] | str,
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    guarded: Guard | None = None,
    fetcher: Fetcher | None = None,
) -> IntakeReport:
    """Fetch images from public web addresses, given as a list or one a line, and add them."""
    lines = addresses.splitlines() if isinstance(addresses, str) else list(addresses)
    wanted = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not wanted:
        raise BadInput("No address was given. Write one a line, each beginning with http:// or https://.")
    if len(wanted) > MAX_ADDRESSES:
        raise BadInput(f"{len(wanted):,} addresses were given; {MAX_ADDRESSES:,} can be fetched at once.")
    fetcher = fetcher or Fetcher()
    items = [Item(_address_name(address), partial(_fetched, fetcher, address)) for address in wanted]
    run = _Intake(store, project_id, person, IntakeReport(), progress, cancel, guarded, FETCHES)
    return run.run(items, len(items))


def add_dataset(
    store: Store,
    project_id: str,
    person: str,
    dataset: str,
    *,
    config: str | None = None,
    split: str | None = None,
    column: str | None = None,
    limit: int = 100,
    token: str | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    guarded: Guard | None = None,
    fetcher: Fetcher | None = None,
) -> IntakeReport:
    """Add the first ``limit`` images of a Hugging Face dataset, "owner/name".

    What is None is chosen: "default" or the first configuration, "train" or the first split, the first column
    of images. ``token`` is the person's own, for gated datasets. Raises NotFound, BadInput or Unreachable
    where the dataset itself cannot be read; when the hub stops half way, what came is kept and the report
    says so.
    """
    hub = HubDataset(DatasetChoice(dataset, config, split, column, limit), token=token, fetcher=fetcher)
    settled, total = hub.look()
    report = IntakeReport()

    def items() -> Iterator[Item]:
        try:
            for row in hub.rows(settled):
                yield Item(row.name, partial(_of_row, hub, row))
        except StudioError as error:
            report.refused.append((settled.dataset, str(error)))

    return _Intake(store, project_id, person, report, progress, cancel, guarded, FETCHES).run(items(), total)


# ---- one run ------------------------------------------------------------------------------------


class _Intake:
    """Reads and decodes a few items ahead, and writes them to the store in their order."""

    def __init__(
        self,
        store: Store,
        project_id: str,
        person: str,
        report: IntakeReport,
        progress: Progress | None,
        cancel: threading.Event | None,
        guarded: Guard | None,
        ahead: int = 0,
    ) -> None:
        self._store = store
        self._project_id = project_id
        self._person = person
        self._report = report
        self._progress = progress or (lambda done, total, name: None)
        self._cancel = cancel or threading.Event()
        self._guard = guarded or guard.shared()
        self._threads = max(ahead, self._guard.workers)

    def run(self, items: Iterable[Item], total: int) -> IntakeReport:
        waiting: deque[tuple[str, Future[tuple[bytes, Derived]]]] = deque()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="intake")
        done, coming = 0, iter(items)
        try:
            while not self._cancel.is_set():
                item = next(coming, None)
                if item is not None:
                    waiting.append((item.name, pool.submit(self._read, item)))
                    if len(waiting) < self._threads + SPARE:
                        continue
                if not waiting:
                    break
                name = self._finish(*waiting.popleft())
                if name is None:
                    break
                done += 1
                self._progress(done, max(total, done), name)
        finally:
            # A fetch that hangs ends by its own limit; nobody who stopped the work waits for it.
            pool.shutdown(wait=False, cancel_futures=True)
        self._report.cancelled = self._cancel.is_set() and done < total
        return self._report

    def _read(self, item: Item) -> tuple[bytes, Derived]:
        data = item.read()
        return data, self._guard.derive(data)

    def _finish(self, name: str, future: Future[tuple[bytes, Derived]]) -> str | None:
        """Store one image or note why not; return its name, or None where the person stopped meanwhile."""
        while not wait([future], timeout=0.1).done:
            if self._cancel.is_set():
                return None
        name = clean_name(name)
        try:
            data, derived = future.result()
        except StudioError as error:
            self._report.refused.append((name, str(error)))
            return name
        name = with_ending(name, derived.format)
        try:
            self._keep(name, data, derived)
        except BadInput as error:
            self._report.refused.append((name, str(error)))
        return name

    def _keep(self, name: str, data: bytes, derived: Derived) -> None:
        record, new = self._store.add_image(
            self._project_id,
            name,
            data,
            width=derived.width,
            height=derived.height,
            display=derived.display,
            thumbnail=derived.thumbnail,
            person=self._person,
        )
        if new:
            self._report.added.append(record.id)
        else:
            self._report.repeated.append(name)


def _fetched(fetcher: Fetcher, address: str) -> bytes:
    fetched = fetcher.fetch(address)
    if fetched.content_type == "text/html" and fetched.data.lstrip()[:1] == b"<":
        raise BadInput("The address leads to a web page. Open the image by itself and copy its address.")
    return fetched.data


def _of_row(hub: HubDataset, row: Row) -> bytes:
    return hub.fetch(row).data


def _address_name(address: str) -> str:
    path = address.partition("?")[0].partition("#")[0].rstrip("/")
    return unquote(path.rsplit("/", 1)[-1], errors="replace") or "image"
