"""The labelling stage as a gr.HTML component, and the static files it is made of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, MutableMapping
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).resolve().parent
SERVED = {".js", ".css"}
VERSIONED = re.compile(r"^v-[0-9a-f]{12}/")

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


@cache
def version() -> str:
    """Return twelve hex digits that change with any file of the stage."""
    digest = hashlib.sha256()
    for path in sorted(p for p in FOLDER.rglob("*") if p.suffix in SERVED):
        digest.update(path.relative_to(FOLDER).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class CanvasFiles(StaticFiles):
    """Serves the stage's scripts and style; below ``v-<version>/`` they may be cached for good."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    async def get_response(self, path: str, scope: MutableMapping[str, Any]) -> Response:
        path = path.replace("\\", "/")
        plain = VERSIONED.sub("", path)
        if Path(plain).suffix not in SERVED:
            return Response("Not found", status_code=404)
        response = await super().get_response(plain, scope)
        fixed = path != plain and path.startswith(f"v-{version()}/")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if fixed else "no-cache"
        return response


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
    ``refresh`` (any new value reads the image, its classes and the model's state again), ``height``
    (CSS length; without it the stage fills the window). Events: ``opened`` {image}, ``saved`` {image,
    version}, ``need_model`` {model, action: "download" | "use"}. ``opened`` tells of a move that has
    already happened: it must not be echoed into ``image``.
    """

    def canvas(request: dict[str, Any]) -> str:
        # As text: Gradio walks through every number of a structured answer, in Python and again in the page.
        return json.dumps(call(request), separators=(",", ":"))

    known = {"image": "", "model": "", "model_title": "", "refresh": 0, "height": ""}
    return gr.HTML(
        html_template=SHELL,
        css_template="",
        js_on_load=ON_LOAD % {"static": json.dumps(static.rstrip("/")), "version": version()},
        apply_default_css=False,
        server_functions=[canvas],
        elem_id=elem_id,
        **{**known, **props},
    )
