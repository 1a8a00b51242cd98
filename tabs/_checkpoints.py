"""The panel that takes a checkpoint file of one's own in as a model, and lets go of it again."""

from __future__ import annotations

import html
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.devices import size_text
from studio.errors import BadInput
from studio.failures import sentence
from studio.gallery.gallery import drop_zone
from studio.operations import checkpoints
from studio.studio import Studio
from tabs._adding import readable
from tabs._uploads import Upload, uploads
from tabs._work import LONG, QUIET, Progress, Work, report, trouble

MEGABYTE = 1_000_000


class OwnCheckpoints:
    """What the panel's buttons do. ``shown`` are components of the page that ``show`` brings up to date."""

    def __init__(self, studio: Studio, show: Callable[[], tuple[Any, ...]], shown: int) -> None:
        self._studio = studio
        self._show = show
        self._shown = shown

    async def dropped(self, title: str, request: gr.Request, event: gr.EventData) -> AsyncIterator[Any]:
        """Add what was dropped. Yields updates of what is told, the button that stops, the work, the list of added
        ones and its row, the name, and the page."""
        same = [gr.skip()] * self._shown
        try:
            sent = uploads(event._data)
            if len(sent.files) != 1:
                reasons = "".join(f" {name}: {reason}." for name, reason in sent.failed[:3])
                raise BadInput(f"Give one checkpoint file at a time.{reasons}")
            person = self._studio.person(request)
            work = Work("Adding a checkpoint, in MB", partial(self._add, person, sent.files[0], title or ""))
            yield work.bar(), gr.Button(visible=True), work, *[gr.skip()] * 3, *same
            async for bar in work.watch():
                yield bar, *[gr.skip()] * 5, *same
            text = work.failure() or report(
                f"{work.result.title} was added. It is among the models of Segment now."
            )
        except Exception as error:
            text = trouble(sentence(error))
        yield text, gr.Button(visible=False), None, *self.choices(), "", *self._show()

    def _add(
        self, person: str, file: Upload, title: str, progress: Progress, cancel: threading.Event
    ) -> Card:
        def told(done: int, total: int) -> None:
            progress(done // MEGABYTE, max(total // MEGABYTE, 1), file.name)

        try:
            return checkpoints.add(
                self._studio,
                person,
                file.path,
                name=file.name,
                title=title,
                progress=told,
                cancel=cancel,
            )
        finally:
            with suppress(OSError):  # what was uploaded has done its work, and may take gigabytes
                file.path.unlink()

    def ask(self, model_id: str | None) -> tuple[Any, Any]:
        """Return the question that comes before removing."""
        titles = {key: title for title, key in checkpoints.added(self._studio)}
        if model_id not in titles:
            gr.Info("No checkpoint of your own was added yet.")
            return gr.Row(visible=False), gr.HTML()
        question = f"Remove “{html.escape(titles[model_id])}”? Its file is deleted; what it labelled stays."
        return gr.Row(visible=True), gr.HTML(question)

    def removed(self, model_id: str | None, request: gr.Request) -> tuple[Any, ...]:
        try:
            title = checkpoints.remove(self._studio, self._studio.person(request), model_id or "")
            text = report(f"{title} was removed.")
        except Exception as error:
            text = trouble(sentence(error))
        return gr.Row(visible=False), text, *self.choices(), *self._show()

    def choices(self) -> tuple[gr.Dropdown, gr.Row]:
        """Return the updates of the list of added ones, and of its row, which is there where one was added."""
        found = checkpoints.added(self._studio)
        return gr.Dropdown(choices=found, value=found[0][1] if found else None), gr.Row(visible=bool(found))


def own_checkpoints(studio: Studio, show: Callable[[], tuple[Any, ...]], shown: list[Any]) -> Any:
    """Build the panel for whoever runs the studio; a visitor of a shared one gets none.

    Returns what brings its list up to date, a function and the components it updates, or None.
    """
    if studio.settings.people != "one":
        return None
    panel = OwnCheckpoints(studio, show, len(shown))
    most = size_text(studio.settings.max_checkpoint_bytes)
    with gr.Accordion("Add a checkpoint", open=False, elem_id="own-checkpoints"):
        gr.Markdown(
            f"Known are: {studio.checkpoints.accepted()}. Nothing in a file is run. A file has at most {most}; one "
            f"larger than {readable(studio.settings.max_file_size)} is added at the command line: "
            "`studio add-model FILE`."
        )
        name = gr.Textbox(
            label="Name", placeholder="made from the file's name", max_lines=1, elem_id="own-name"
        )
        zone = drop_zone(
            "Drop a checkpoint",
            ".pth or .pt",
            files_label="Choose a file",
            accept=".pth,.pt",
            elem_id="own-file",
        )
        told = gr.HTML("", padding=False, elem_id="own-told")
        stop = gr.Button("Cancel", visible=False, size="sm", elem_id="own-stop")
        with gr.Row(visible=bool(checkpoints.added(studio))) as there:
            which = gr.Dropdown(
                [], label="Added", show_label=False, container=False, scale=2, elem_id="own-added"
            )
            remove = gr.Button("Remove", scale=0, min_width=110, elem_id="own-remove")
        with gr.Row(visible=False, elem_id="own-removing") as removing:
            question = gr.HTML("", padding=False)
            sure = gr.Button("Remove it", variant="stop", scale=0, min_width=140, elem_id="own-sure")
            keep = gr.Button("Keep it", scale=0, min_width=110)
    work = gr.State(None)
    zone.dropped(panel.dropped, name, [told, stop, work, which, there, name, *shown], **LONG)
    stop.click(lambda running: running.stop() if running else None, work, None, queue=False, **QUIET)
    remove.click(panel.ask, which, [removing, question], **QUIET)
    keep.click(lambda: gr.Row(visible=False), None, removing, **QUIET)
    sure.click(panel.removed, which, [removing, told, which, there, *shown], **QUIET)
    return panel.choices, [which, there]
