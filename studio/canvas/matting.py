"""The matting stage as a gr.HTML component: point an object out, see its unknown band, and get its alpha."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from studio.scripts import version

FOLDER = Path(__file__).resolve().parent

# Gradio takes an event's name only where it stands quoted in js_on_load.
ON_LOAD = """
const tell = {opened: d => trigger('opened', d), saved: d => trigger('saved', d), chose: d => trigger('chose', d),
  need_model: d => trigger('need_model', d)};
import(new URL('static/canvas/v-%s/matting/main.js', document.baseURI).href).then(
  m => m.mount({element, props, trigger: (name, data) => tell[name](data), server, watch}),
  error => { console.error(error);
    element.textContent = 'The matting stage could not be loaded. Reload the page to try again.'; });
"""


def matting_stage(
    call: Callable[[dict[str, Any]], dict[str, Any]], *, elem_id: str = "matting", **props: Any
) -> gr.HTML:
    """Return the stage; ``call`` answers each request of the browser with a dict (see ``matting_function``).

    Props that Python may set: ``image`` (id to open, "" for none; "id#anything" opens it again), ``refresh`` (any new
    value reads the image and the state of the models again), and ``review`` ("id#anything" begins a review of the
    image's drafts once they are there). Events: ``opened`` {image}; ``chose`` {segmenter, matter, cutter, detector},
    ids of models, when the stage knows them and at each change; ``need_model`` {model, action: "download"}; ``saved``
    {image, version}.
    """

    def matting(request: dict[str, Any]) -> str:
        # As text: Gradio walks through every number of a structured answer, in Python and again in the page.
        return json.dumps(call(request), separators=(",", ":"))

    return gr.HTML(
        html_template='<div class="ol-mount" style="min-height:420px"></div>',
        css_template="",
        js_on_load=ON_LOAD % version(FOLDER),
        apply_default_css=False,
        padding=False,
        server_functions=[matting],
        elem_id=elem_id,
        **{"image": "", "refresh": 0, "review": "", **props},
    )
