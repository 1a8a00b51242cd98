"""The labelling stage as a gr.HTML component."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from studio.scripts import version

FOLDER = Path(__file__).resolve().parent

SHELL = '<div class="ol-mount" style="min-height:420px"></div>'

# Gradio takes an event's name only where it stands quoted in js_on_load: 'opened', 'saved', 'need_model'.
# A versioned path makes every module of one release come from the same release, whatever a cache holds.
ON_LOAD = """
const base = new URL(%(static)s, document.baseURI).href;
const tell = {opened: d => trigger('opened', d), saved: d => trigger('saved', d),
              need_model: d => trigger('need_model', d)};
import(base + '/v-%(version)s/main.js').catch(() => import(base + '/main.js?v=%(version)s')).then(
  m => m.mount({element, props, trigger: (name, data) => tell[name](data), server, watch}),
  error => { console.error(error);
    element.textContent = 'The labelling stage could not be loaded. Reload the page to try again.'; });
"""


def prompt_canvas(
    call: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    static: str = "static/canvas",
    elem_id: str = "canvas",
    **props: Any,
) -> gr.HTML:
    """Return the stage; ``call`` answers each request of the browser with a dict (see the wire).

    Props that Python may set: ``image`` (id to open, "" for none; "id#anything" opens an id again that was
    set before, since the page learns of changes only), ``model`` (id), ``model_title``,
    ``refresh`` (any new value reads the image, its classes and the model's state again), ``review`` ("id#anything"
    begins a review of the image's drafts once they are there), ``height``
    (CSS length; without it the stage fills the window). Events: ``opened`` {image}, ``saved`` {image,
    version}, ``need_model`` {model, action: "download" | "use"}. ``opened`` tells of a move that has
    already happened: it must not be echoed into ``image``.
    """

    def canvas(request: dict[str, Any]) -> str:
        # As text: Gradio walks through every number of a structured answer, in Python and again in the page.
        return json.dumps(call(request), separators=(",", ":"))

    known = {"image": "", "model": "", "model_title": "", "refresh": 0, "review": "", "height": ""}
    return gr.HTML(
        html_template=SHELL,
        css_template="",
        js_on_load=ON_LOAD % {"static": json.dumps(static.rstrip("/")), "version": version(FOLDER)},
        apply_default_css=False,
        server_functions=[canvas],
        elem_id=elem_id,
        **{**known, **props},
    )
