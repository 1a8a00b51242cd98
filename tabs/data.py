"""The Data tab: projects, adding photographs, classes, the gallery, import and export."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.app import Connect, Shared
from studio.errors import NotFound
from studio.gallery.gallery import class_list, gallery
from studio.studio import Studio
from tabs._adding import add_panel
from tabs._exporting import export_panel
from tabs._importing import import_panel
from tabs._projects import project_row
from tabs._work import QUIET

TITLE = "Data"
ORDER = 10


def build(studio: Studio, shared: Shared) -> Connect:
    row = project_row(studio, shared)
    # A BrowserState tells of a "change" whenever something on the page appears or disappears, a State only
    # when its value is another. So what follows a change of project hangs on this one.
    opened = gr.State("")
    shared.project.change(lambda project: project, shared.project, opened, **QUIET)
    with gr.Row(elem_id="data-main"):
        with gr.Column(scale=7, min_width=340):
            pictures = gallery(studio)
        with gr.Column(scale=3, min_width=330):
            with gr.Accordion("Add photographs", open=True, elem_id="panel-add"):
                add_panel(studio, shared, opened, row, pictures)
            with gr.Accordion("Classes", open=True, elem_id="panel-classes"):
                classes = class_list(studio)
            with gr.Accordion("Import annotations", open=False, elem_id="panel-import"):
                import_panel(studio, shared, [pictures, classes])
            with gr.Accordion("Export annotations", open=False, elem_id="panel-export"):
                export_panel(studio, shared, opened)

    def show(project: str, request: gr.Request) -> tuple[Any, Any]:
        try:
            project = studio.store.project_for(project, studio.person(request)).id
        except NotFound:
            project = ""
        return gr.HTML(project=project), gr.HTML(project=project)

    opened.change(show, opened, [pictures, classes], **QUIET)
    shared.opened.then(show, shared.project, [pictures, classes], **QUIET)

    def open_image(event: gr.EventData) -> tuple[str, Any]:
        data = event._data if isinstance(event._data, dict) else {}
        return str(data.get("image") or ""), shared.show("segment")

    def connect(tab: gr.Tab, others: frozenset[str]) -> None:
        if "segment" in others:
            pictures.open(open_image, None, [shared.image, shared.tabs], **QUIET)

    return connect
