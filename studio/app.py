"""The composition root: finds the tabs, builds the page, and wraps it in the server that runs it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import gradio as gr
from fastapi import FastAPI

from studio.access import PersonMiddleware
from studio.canvas.cut_route import cut_routes
from studio.failures import log
from studio.gallery.filter.prepared import prepared_routes
from studio.media import media_routes
from studio.opening import opening
from studio.rest import PREFIX, api
from studio.scripts import ScriptFiles
from studio.studio import Studio

TITLE = "Onelabel Studio"

# What a tab module's ``build`` returns. It is called once all tabs are there, with the module's own and the ids of
# the others, for events that hang on a tab or lead to another one.
Connect = Callable[[gr.Tab, frozenset[str]], None]


@dataclass
class Shared:
    """What the tabs have in common on one page: the open project and image, and the tabs to switch between.

    ``project`` and ``image`` are kept in this person's browser, so that a reload goes on where it was.
    What follows once a page has decided where it begins hangs on ``opened.then``; ``first_tab`` then names the
    tab that its address leads to, which that tab shows when it is ready.
    """

    project: gr.BrowserState
    image: gr.BrowserState
    tabs: gr.Tabs
    page: gr.Blocks
    first_tab: gr.State
    opened: Any = None

    def show(self, tab_id: str) -> gr.Tabs:
        """Return the update that brings a tab to the front."""
        return gr.Tabs(selected=tab_id)


def find_tabs(package: str = "tabs") -> list[ModuleType]:
    """Return the tab modules in their order. One that does not import is logged and left out."""
    found = []
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if info.name.startswith("_"):
            continue
        try:
            module = importlib.import_module(f"{package}.{info.name}")
        except Exception:
            log.exception("the tab %s could not be imported and is left out", info.name)
            continue
        if hasattr(module, "build"):
            found.append(module)
    return sorted(found, key=lambda m: m.ORDER)


def tab_id(module: ModuleType) -> str:
    """Return the id of a tab: its title in small letters, with hyphens for spaces."""
    return "-".join(module.TITLE.lower().split())


def build(studio: Studio) -> gr.Blocks:
    """Build the page: a header, and every tab found."""

    def begin(project: str, image: str, request: gr.Request) -> tuple[Any, ...]:
        first = opening(studio, project, image, dict(request.query_params), studio.person(request))
        return first.project, first.image, first.tab or ""

    # Uploads and prepared downloads pass through Gradio's cache; a day later they are cleared away.
    with gr.Blocks(title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.HTML(_asset("header.html").read_text("utf-8"), elem_id="onelabel-header", padding=False)
        # Made outside of the tabs: Gradio counts every child of gr.Tabs as a tab when it puts them in order.
        project = gr.BrowserState("", storage_key="onelabel-project", secret="onelabel")
        image = gr.BrowserState("", storage_key="onelabel-image", secret="onelabel")
        first_tab = gr.State("")
        connecting: list[tuple[gr.Tab, Connect]] = []
        with gr.Tabs(elem_id="onelabel-tabs") as tabs:
            shared = Shared(project, image, tabs, page, first_tab)
            shared.opened = page.load(
                begin, [project, image], [project, image, first_tab], show_progress="hidden"
            )
            for module in find_tabs():
                with gr.Tab(module.TITLE, id=tab_id(module)) as tab:
                    connecting.append((tab, module.build(studio, shared)))
        names = frozenset(tab.id for tab, _ in connecting)
        for tab, connect in connecting:
            connect(tab, names - {tab.id})
    return page


def serve(studio: Studio, root_path: str | None = None) -> FastAPI:
    """Return the ASGI app: the page, the images, the static files, the API, and who is asking."""
    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(media_routes(studio))
    app.include_router(cut_routes(studio))
    app.include_router(prepared_routes(studio))
    app.mount(PREFIX, api(studio))
    for name in ("canvas", "gallery"):
        folder = Path(str(resources.files(f"studio.{name}")))
        app.mount(f"/static/{name}", ScriptFiles(folder), name=name)
    page = build(studio)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        root_path=root_path,
        max_file_size=studio.settings.max_file_size,
        show_error=True,
        run_history=False,
        ssr_mode=False,
        footer_links=[],
        theme=theme(),
        css_paths=[_asset("studio.css")],
        favicon_path=str(_asset("icon.svg")),
    )
    app.add_middleware(PersonMiddleware, people=studio.settings.people)
    return app


def theme() -> gr.Theme:
    """Return the studio's look: the system's own fonts (no download), one accent, quiet borders."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "monospace"],
        radius_size="md",
        spacing_size="md",
    )


def _asset(name: str) -> Path:
    return Path(str(resources.files("assets"))) / name
