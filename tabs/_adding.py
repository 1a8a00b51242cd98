"""The panel that brings photographs in from files, addresses and data sets, with progress and a report."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from studio.app import Shared
from studio.errors import BadInput
from studio.failures import sentence
from studio.gallery.gallery import drop_zone
from studio.intake.hub_dataset import MAX_LIMIT, DatasetChoice
from studio.operations import intake
from studio.studio import Studio
from tabs._projects import ProjectRow
from tabs._uploads import uploads
from tabs._work import LONG, QUIET, Progress, Work, many, report, ticked, trouble

FIRST_PROJECT = "My photographs"


Run = Callable[[str, Progress, threading.Event], intake.IntakeReport]


@dataclass(frozen=True)
class Order:
    """What to bring in: ``run(project, progress, cancel)``. ``failed`` did not even arrive."""

    title: str
    run: Run
    failed: tuple[tuple[str, str], ...] = ()


class Adding:
    """What the panel's buttons do. Each is a generator of updates for ``outputs``."""

    def __init__(self, studio: Studio, row: ProjectRow) -> None:
        self._studio = studio
        self._store = studio.store
        self._row = row
        self.outputs: list[Any] = []

    async def dropped(self, project: str, request: gr.Request, event: gr.EventData) -> AsyncIterator[Any]:
        def order(person: str) -> Order:
            sent = uploads(event._data)
            sources = [intake.Source(file.path, file.name) for file in sent.files]
            add = partial(intake.add_files, self._store, person=person, sources=sources)
            return Order("Adding photographs", _run(add), sent.failed)

        async for step in self._carry_out(project, request, order):
            yield step

    async def fetched(self, text: str, project: str, request: gr.Request) -> AsyncIterator[Any]:
        def order(person: str) -> Order:
            add = partial(intake.add_urls, self._store, person=person, addresses=text or "")
            return Order("Fetching photographs", _run(add))

        async for step in self._carry_out(project, request, order):
            yield step

    async def taken(
        self, name: str, split: str, column: str, limit: float, project: str, request: gr.Request
    ) -> AsyncIterator[Any]:
        def order(person: str) -> Order:
            choice = dataset_choice(name, split, column, limit)
            add = partial(intake.add_dataset, self._store, person=person, choice=choice)
            return Order(f"Fetching {choice.dataset}", _run(add))

        async for step in self._carry_out(project, request, order):
            yield step

    async def _carry_out(
        self, project: str, request: gr.Request, order: Callable[[str], Order]
    ) -> AsyncIterator[Any]:
        same = gr.skip()
        try:
            person = self._studio.person(request)
            ordered = order(person)
            async for step in self._follow(project, person, ordered):
                yield step
        except Exception as error:
            yield trouble(sentence(error)), gr.Button(visible=False), None, same, same, same

    async def _follow(self, project: str, person: str, order: Order) -> AsyncIterator[Any]:
        """Run an order, showing its progress, and the images as they come."""
        same, opened = gr.skip(), (gr.skip(), gr.skip())
        if project:
            self._store.project_for(project, person)
        else:  # whoever drops photographs on an empty studio need not know of projects
            project = self._store.create_project(FIRST_PROJECT, person).id
            opened = project, self._row.choices(person, project)
        work = Work(order.title, partial(order.run, project))
        yield work.bar(), gr.Button(visible=True), work, same, *opened
        shown, last = 0, time.monotonic()
        async for bar in work.watch():
            tick = same
            if work.done > shown and time.monotonic() - last > 2:
                shown, last, tick = work.done, time.monotonic(), ticked()
            yield bar, same, same, tick, same, same
        text = work.failure() or intake_report(work.result, order.failed)
        yield text, gr.Button(visible=False), None, ticked(), same, same


def add_panel(studio: Studio, shared: Shared, opened: gr.State, row: ProjectRow, gallery: gr.HTML) -> None:
    """Build the panel; what is dropped on the gallery is added, too. ``opened`` follows the open project."""
    with gr.Tabs(elem_id="add-ways"):
        with gr.Tab("Files"):
            limit_text = readable(studio.settings.max_file_size)
            zone = drop_zone(
                "Drop photographs, folders or a zip",
                f"JPEG, PNG, WebP, TIFF, HEIC … up to {limit_text} a file",
                folder=True,
                elem_id="add-files",
            )
        with gr.Tab("Addresses"):
            addresses = gr.Textbox(
                label="Addresses of pictures, one on each line",
                placeholder="https://example.org/photo.jpg",
                lines=4,
                max_lines=12,
                elem_id="add-addresses",
            )
            fetch = gr.Button("Fetch and add", variant="primary", elem_id="add-fetch")
        with gr.Tab("Data set"):
            name = gr.Textbox(
                label="Data set on Hugging Face", placeholder="owner/name", max_lines=1, elem_id="add-dataset"
            )
            with gr.Row():
                split = gr.Textbox(label="Split", placeholder="the first", max_lines=1, min_width=90)
                column = gr.Textbox(label="Column", placeholder="the first", max_lines=1, min_width=90)
                most = gr.Number(
                    100, label="At most", precision=0, minimum=1, maximum=MAX_LIMIT, min_width=90
                )
            take = gr.Button("Fetch and add", variant="primary", elem_id="add-take")
    told = gr.HTML("", padding=False, elem_id="add-told")
    stop = gr.Button("Cancel", visible=False, size="sm", elem_id="add-stop")
    work = gr.State(None)

    adding = Adding(studio, row)
    adding.outputs = [told, stop, work, gallery, shared.project, row.dropdown]
    zone.dropped(adding.dropped, shared.project, adding.outputs, **LONG)
    gallery.dropped(adding.dropped, shared.project, adding.outputs, **LONG)
    fetch.click(adding.fetched, [addresses, shared.project], adding.outputs, **LONG)
    take.click(adding.taken, [name, split, column, most, shared.project], adding.outputs, **LONG)
    # What was told about one project is of no use in the next.
    opened.change(lambda running: gr.skip() if running else "", work, told, **QUIET)
    stop.click(lambda running: running.stop() if running else None, work, None, queue=False, **QUIET)


def _run(add: Callable[..., intake.IntakeReport]) -> Run:
    return lambda project, progress, cancel: add(project_id=project, progress=progress, cancel=cancel)


def readable(size: str) -> str:
    """Return a size such as "2gb" as people write it: 2 GB."""
    return re.sub(r"(?<=\d)(?=[A-Z])", " ", size.upper())


def dataset_choice(
    name: str | None, split: str | None, column: str | None, limit: float | None
) -> DatasetChoice:
    """Return what the person asked for; an empty split or column means the first there is."""
    if not (name or "").strip():
        raise BadInput("Give the data set's name as it is on Hugging Face: owner/name.")
    split, column = (split or "").strip() or None, (column or "").strip() or None
    return DatasetChoice(name.strip(), split=split, column=column, limit=int(limit or 100))


def intake_report(result: intake.IntakeReport, failed: Sequence[tuple[str, str]] = ()) -> str:
    """Return what was added, and what was left out and why, as HTML. ``failed`` never arrived."""
    out = [*failed, *result.refused, *result.left]
    details = [f"{name}: {reason}" for name, reason in out]
    details += [f"{name}: already in this project" for name in result.repeated]
    headline = result.sentence()
    if failed:
        headline = f"{headline} {many(len(failed), 'file')} did not arrive."
    return report(headline, details, heading="What was left out, and why")
