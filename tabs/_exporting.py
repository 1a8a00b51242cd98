"""The panel that gives a project's annotations out as a file of another program."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from studio.app import Shared
from studio.failures import sentence
from studio.formats import all_formats
from studio.operations import exchange
from studio.studio import Studio
from tabs._work import LONG, QUIET, Work, many, report, trouble

SELECTIONS = [("All images", "all"), ("Images with annotations", "labelled"), ("Images marked done", "done")]


class Exporting:
    """What the panel's button does."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._store = studio.store

    async def prepared(
        self, project: str, kind: str, only: str, with_images: bool, drafts: bool, request: gr.Request
    ) -> AsyncIterator[Any]:
        """Yield updates of what was told, the buttons, the download, and the work."""
        offer, same = gr.DownloadButton(visible=False), gr.skip()
        try:
            self._store.project_for(project, self._studio.person(request))
            target = export_target(self._store.project(project).name, kind)

            def run(progress: Any, cancel: Any) -> exchange.ExportReport:
                return exchange.export_annotations(
                    self._store,
                    project,
                    kind,
                    target,
                    with_images=bool(with_images),
                    drafts=bool(drafts),
                    only=only,
                    progress=progress,
                    cancel=cancel.is_set,
                )

            work = Work("Preparing the file", run)
            yield work.bar(), gr.Button(interactive=False), gr.Button(visible=True), offer, work
            async for bar in work.watch():
                yield bar, same, same, same, same
            text = work.failure()
            if text is None:
                text = export_report(work.result)
                label = f"Download {target.name} ({size(target.stat().st_size)})"
                offer = gr.DownloadButton(label, value=str(target), visible=True)
        except Exception as error:
            text = trouble(sentence(error))
        yield text, gr.Button(interactive=True), gr.Button(visible=False), offer, None


def export_panel(studio: Studio, shared: Shared, opened: gr.State) -> None:
    """Build the panel: prepare a file, then download it. ``opened`` follows the open project."""
    formats = [(f.title, f.id) for f in all_formats().values()]
    with gr.Row():
        kind = gr.Dropdown(formats, value="coco", label="Format", min_width=130, elem_id="export-format")
        only = gr.Dropdown(SELECTIONS, value="all", label="What", min_width=130, elem_id="export-only")
    with gr.Row():
        with_images = gr.Checkbox(False, label="With the pictures", min_width=130, elem_id="export-images")
        drafts = gr.Checkbox(False, label="With drafts", min_width=110, elem_id="export-drafts")
    begin = gr.Button("Prepare the file", variant="primary", elem_id="export-begin")
    told = gr.HTML("", padding=False, elem_id="export-told")
    stop = gr.Button("Cancel", visible=False, size="sm")
    ready = gr.DownloadButton("Download", visible=False, variant="primary", elem_id="export-ready")
    work = gr.State(None)

    def clear(running: Work | None) -> tuple[Any, Any]:
        """What was prepared is not what is now chosen."""
        return (gr.skip(), gr.skip()) if running else ("", gr.DownloadButton(visible=False))

    chosen = [kind, only, with_images, drafts]
    begin.click(
        Exporting(studio).prepared, [shared.project, *chosen], [told, begin, stop, ready, work], **LONG
    )
    stop.click(lambda running: running.stop() if running else None, work, None, queue=False, **QUIET)
    changes = [opened.change, *(c.input for c in chosen)]
    gr.on(changes, clear, work, [told, ready], **QUIET)


def export_target(project: str, kind: str) -> Path:
    """Return a fresh path for an export, among the files Gradio may hand out and clears away later."""
    name = re.sub(r"[^\w-]+", "-", project).strip("-")[:60] or "project"
    folder = Path(get_upload_folder()) / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return folder / f"{name}-{re.sub(r'[^a-z-]', '', str(kind))[:40]}.zip"


def export_report(result: exchange.ExportReport) -> str:
    """Return what was written and what the format could not keep, as HTML."""
    headline = f"{many(result.annotations, 'annotation')} of {many(result.images, 'image')} written."
    heading = f"{many(len(result.problems), 'thing')} to know about"
    return report(headline, result.problems, heading=heading)


def size(number: int) -> str:
    """Return a file's size as people read it: 12 MB."""
    value = float(number)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
