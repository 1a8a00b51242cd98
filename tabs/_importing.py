"""The panel that takes annotations in from files of other programs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from studio.app import Shared
from studio.errors import BadInput
from studio.failures import sentence
from studio.formats import all_formats
from studio.gallery.gallery import drop_zone
from studio.operations import exchange
from studio.studio import Studio
from tabs._uploads import Uploads, laid_out, uploads
from tabs._work import LONG, QUIET, Work, many, report, ticked, trouble

POLICIES = [
    ("Add beside what is there", "append"),
    ("Add only what is not there yet", "merge"),
    ("Leave labelled images alone", "skip"),
    ("Replace drafts", "replace-drafts"),
    ("Replace everything", "replace-all"),
]


class Importing:
    """What the panel's buttons do. ``refreshed`` are components that show what came in."""

    def __init__(self, studio: Studio, refreshed: list[Any]) -> None:
        self._studio = studio
        self._store = studio.store
        self._refreshed = refreshed

    def arrived(self, event: gr.EventData) -> tuple[Any, ...]:
        """Keep what was dropped until the person starts the import."""
        nothing = gr.Button(visible=False)
        try:
            sent = uploads(event._data)
            if not sent.files:
                raise BadInput("Nothing arrived. Try again, or choose smaller files.")
        except Exception as error:
            return None, trouble(sentence(error)), nothing, "", nothing
        names = ", ".join(file.name for file in sent.files[:3]) + (" …" if len(sent.files) > 3 else "")
        details = [f"{name}: {reason}" for name, reason in sent.failed]
        ready = report(f"Ready: {names}", details, heading="Did not arrive")
        begin = gr.Button(f"Import {many(len(sent.files), 'file')}", visible=True)
        return sent, ready, begin, "", nothing

    async def imported(
        self, sent: Uploads | None, project: str, kind: str, policy: str, request: gr.Request
    ) -> AsyncIterator[Any]:
        """Yield updates of what was told, the buttons, what waited, the work and its group."""
        off, on, same = gr.Button(visible=False), gr.Button(visible=True), gr.skip()
        unmoved, group = [same] * len(self._refreshed), ""
        try:
            person = self._studio.person(request)
            work = Work("Importing", self._order(sent, project, person, kind, policy))
            yield work.bar(), off, on, off, "", None, work, "", *unmoved
            async for bar in work.watch():
                yield bar, *[same] * 7, *unmoved
            text = work.failure()
            if text is None:
                text, group = import_report(work.result), work.result.group
        except Exception as error:
            text = trouble(sentence(error))
        back = gr.Button(visible=bool(group))
        yield text, off, off, back, "", None, None, group, *(ticked() for _ in self._refreshed)

    def _order(self, sent: Uploads | None, project: str, person: str, kind: str, policy: str) -> Any:
        self._store.project_for(project, person)
        if sent is None:
            raise BadInput("Drop a file first.")

        def run(progress: Any, cancel: Any) -> exchange.ImportReport:
            with laid_out(sent.files) as path:
                return exchange.import_annotations(
                    self._store, project, person, path, kind, policy, progress=progress, cancel=cancel.is_set
                )

        return run

    def taken_back(self, group: str, request: gr.Request) -> tuple[Any, ...]:
        """Undo the import as a whole."""
        try:
            person = self._studio.person(request)
            touched = self._store.undo_group(group, person) if group else 0
            text = report(f"Taken back on {many(touched, 'image')}.")
        except Exception as error:
            text = trouble(sentence(error))
        return text, gr.Button(visible=False), "", *(ticked() for _ in self._refreshed)


def import_panel(studio: Studio, shared: Shared, refreshed: list[Any]) -> None:
    """Build the panel."""
    formats = [(f.title, f.id) for f in all_formats().values() if "-" not in f.id]
    zone = drop_zone(
        "Drop annotations here",
        "COCO, YOLO, Pascal VOC, labelme or mask pictures. Images are matched by name.",
        folder=True,
        elem_id="import-files",
    )
    with gr.Row():
        kind = gr.Dropdown([("Find out", "auto"), *formats], value="auto", label="Format", min_width=130)
        policy = gr.Dropdown(POLICIES, value="append", label="Where there are some already", min_width=150)
    ready = gr.HTML("", padding=False, elem_id="import-ready")
    begin = gr.Button("Import", variant="primary", visible=False, elem_id="import-begin")
    told = gr.HTML("", padding=False, elem_id="import-told")
    stop = gr.Button("Cancel", visible=False, size="sm")
    back = gr.Button("Take it back", visible=False, size="sm", elem_id="import-back")
    waiting, work, group = gr.State(None), gr.State(None), gr.State("")

    importing = Importing(studio, refreshed)
    zone.dropped(importing.arrived, None, [waiting, ready, begin, told, back], **QUIET)
    begin.click(
        importing.imported,
        [waiting, shared.project, kind, policy],
        [told, begin, stop, back, ready, waiting, work, group, *refreshed],
        **LONG,
    )
    back.click(importing.taken_back, group, [told, back, group, *refreshed], **LONG)
    stop.click(lambda running: running.stop() if running else None, work, None, queue=False, **QUIET)


def import_report(result: exchange.ImportReport) -> str:
    """Return what came in, what it replaced, and what was left out, as HTML."""
    parts = [f"{many(result.annotations, 'annotation')} on {many(result.images, 'image')} came in"]
    if result.replaced:
        parts.append(f"{result.replaced:,} replaced")
    if result.skipped:
        parts.append(f"{many(result.skipped, 'labelled image')} left alone")
    heading = f"{many(len(result.problems), 'thing')} left out, and why"
    return report(", ".join(parts) + ".", result.problems, heading=heading)
