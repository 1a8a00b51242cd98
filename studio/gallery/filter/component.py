"""The component of the Filter page: a gr.HTML whose scripts are ES modules of this folder."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from studio.gallery.filter.server import answer_filter
from studio.gallery.gallery import FOLDER, script
from studio.studio import Studio

STYLE = Path(__file__).resolve().parent / "filter.css"


def filter_page(studio: Studio, *, elem_id: str = "filter") -> gr.HTML:
    """Return the page. Set props by ``gr.HTML(project=id, model=id, title=its name, tick=n)``; a new tick looks anew.

    Events: ``open`` {image}; ``project`` {project} of a project to open; ``changed`` {} after images were tagged,
    hidden or deleted.
    """
    return gr.HTML(
        html_template='<div class="loading" style="min-height: 4rem"></div>',
        css_template=(FOLDER / "gallery.css").read_text("utf-8") + STYLE.read_text("utf-8"),
        js_on_load=script("filter/main.js", ("open", "project", "changed")),
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
        server_functions=[answer_filter(studio)],
        project="",
        model="",
        title="",
        tick=0,
    )
