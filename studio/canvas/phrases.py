"""Phrases to look for, as chips, in a gr.HTML component that lives in the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from studio.project import LabelClass
from studio.scripts import version

FOLDER = Path(__file__).resolve().parent

ON_LOAD = """
const tell = {emptied: d => trigger('emptied', d)};
import(new URL('static/canvas/v-%s/phrases/main.js', document.baseURI).href).then(
  m => m.mount({element, props, trigger: (name, data) => tell[name](data), watch}),
  error => { console.error(error);
    element.textContent = 'This part of the page could not be loaded. Reload the page.'; });
"""


def phrases_view(*, elem_id: str, looking: str) -> gr.HTML:
    """Return the component. Phrases live in the page, and this person's browser keeps them by project.

    The prop ``project`` (what ``project_of()`` returns) says whose they are. The event ``emptied`` {} comes when there
    is none any more, or one again. ``looking`` is the id of the findings
    with a threshold for each name: their thresholds and counts are the phrases' as well. Whatever is pressed on the
    page may read ``data-words`` of the element ``.op-phrases`` inside: a JSON list of objects with the fields of
    ``operations.words.Word``.
    """
    return gr.HTML(
        html_template='<div style="min-height: 90px"></div>',
        css_template="",
        js_on_load=ON_LOAD % version(FOLDER),
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
        project="",
        looking=looking,
    )


def project_of(project_id: str, classes: Sequence[LabelClass]) -> str:
    """Return the prop ``project``: an id, "" for none, and the classes that phrases may be tied to."""
    return json.dumps({"id": project_id, "classes": [[c.name, c.colour] for c in classes]})


def words_on(elem_id: str) -> str:
    """Return a script: an expression for the phrases that stand in a component, null where there is none."""
    return f"JSON.parse(document.querySelector('#{elem_id} .op-phrases')?.dataset.words || 'null')"
