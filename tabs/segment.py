"""The Segment tab: choose a model, click objects, correct them, name them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.app import Connect, Shared
from studio.canvas.canvas import prompt_canvas
from studio.canvas.server import canvas_function
from studio.studio import Studio
from tabs._comparing import ComparePanel
from tabs._concepts import ConceptPanel
from tabs._downloads import about_model, download_label, downloading
from tabs._everything import EverythingPanel
from tabs._gated import Access
from tabs._propagating import PropagatePanel
from tabs._stage import image_to_open
from tabs._work import LONG, QUIET

TITLE = "Segment"
ORDER = 20


def build(studio: Studio, shared: Shared) -> Connect:
    # What this person chose, not what was taken for want of a choice.
    chosen = gr.BrowserState("", storage_key="onelabel-segmenter", secret="onelabel")
    with gr.Row(elem_id="segment-bar", equal_height=True) as bar:
        model = gr.Dropdown(
            _choices(studio),
            label="Model",
            show_label=False,
            container=False,
            filterable=False,
            scale=1,
            min_width=220,
            elem_id="segment-model",
        )
        about = gr.HTML("", elem_id="segment-about", padding=False)
        fetch = gr.Button("Download", visible=False, scale=0, min_width=140, variant="primary", size="sm")
        stop = gr.Button("Cancel", visible=False, scale=0, min_width=90, size="sm")
    access = Access(studio, "segment-gated")
    everything = EverythingPanel(studio, model, bar)
    panels = (
        ComparePanel(studio, bar),
        PropagatePanel(studio, bar, shared.image),
        ConceptPanel(studio, model, bar),
    )
    canvas = prompt_canvas(canvas_function(studio), elem_id="canvas")
    for panel in panels:
        panel.connect(canvas)
    everything.connect(canvas)

    def show_model(model_id: str) -> tuple[Any, ...]:
        card = _card(studio, model_id)
        if card is None:
            return gr.HTML(), gr.HTML(""), gr.Button(visible=False)
        absent = studio.hub.state(card) == "absent"
        return (
            gr.HTML(model=card.id, model_title=card.title),
            gr.HTML(about_model(studio, card)),
            gr.Button(download_label(card), visible=absent),
        )

    def first_model(chosen_id: str, project_id: str, request: gr.Request) -> tuple[Any, str]:
        asked = _card(studio, dict(request.query_params).get("model", ""))
        chosen_id = asked.id if asked else chosen_id
        card = _model_for(studio, chosen_id, project_id)
        return gr.Dropdown(_choices(studio), value=card.id), chosen_id

    async def fetch_model(model_id: str, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        card = _card(studio, model_id)
        if card is None or studio.hub.state(card) != "absent":
            yield *fetched(model_id), None
            return
        work = downloading(studio, card, studio.person(request))
        yield gr.HTML(work.bar()), gr.Button(visible=False), gr.Button(visible=True), gr.skip(), work
        async for bar in work.watch():
            yield gr.HTML(bar), gr.skip(), gr.skip(), gr.skip(), gr.skip()
        told, *others = fetched(model_id)
        yield gr.HTML(work.failure()) if work.error else told, *others, None

    def fetched(model_id: str) -> tuple[Any, ...]:
        card = _card(studio, model_id)
        if card is None:
            return gr.HTML(), gr.Button(), gr.Button(visible=False), gr.HTML()
        absent = studio.hub.state(card) == "absent"
        # A new value of refresh makes the canvas encode the open image with the model that has just come.
        canvas = gr.HTML() if absent else gr.HTML(refresh=time.time_ns())
        return gr.HTML(about_model(studio, card)), gr.Button(visible=absent), gr.Button(visible=False), canvas

    def needed(event: gr.EventData) -> tuple[Any, Any, Any]:
        wanted = event._data if isinstance(event._data, dict) else {}
        card = _card(studio, str(wanted.get("model") or ""))
        if card is None:
            return gr.Dropdown(), 0, gr.skip()
        return gr.Dropdown(value=card.id), card.id if wanted.get("action") == "download" else "", card.id

    def opened(event: gr.EventData) -> str:
        data = event._data if isinstance(event._data, dict) else {}
        return str(data.get("image") or "")

    work = gr.State(None)
    fetching = [about, fetch, stop, canvas, work]
    model.change(show_model, model, [canvas, about, fetch], **QUIET)
    model.change(access.look, model, access.outputs, **QUIET)
    model.input(lambda model_id: model_id or "", model, chosen, **QUIET)
    to_fetch = gr.State("")
    asked = canvas.need_model(needed, None, [model, to_fetch, chosen], **QUIET)
    for fetches in (
        fetch.click(fetch_model, model, fetching, **LONG),
        asked.then(fetch_model, to_fetch, fetching, **LONG),
        access.given.then(fetch_model, access.ready, fetching, **LONG),
    ):
        fetches.then(access.look, model, access.outputs, **QUIET)
    stop.click(lambda running: running.stop() if running else None, work, None, queue=False, **QUIET)
    # What the canvas opened is remembered, and never sent back to it: the person may be further by then.
    canvas.opened(opened, None, shared.image, trigger_mode="always_last", **QUIET)
    ready = shared.opened.then(first_model, [chosen, shared.project], [model, chosen], **QUIET)
    # Not before the model is known: to be shown makes this tab open its image with one.
    ready.then(
        lambda name: shared.show(name) if name == "segment" else gr.skip(),
        shared.first_tab,
        shared.tabs,
        **QUIET,
    )

    def connect(tab: gr.Tab, others: frozenset[str]) -> None:
        def show_all(image_id: str, project_id: str, chosen_id: str, request: gr.Request) -> tuple[Any, Any]:
            card = _model_for(studio, chosen_id, project_id)
            # All of it each time: until the tab is first shown the canvas is not there, and Gradio keeps only
            # the last update of a component that is not. Classes may have changed on the other tabs, too.
            now = time.time_ns()
            image = image_to_open(studio, image_id, project_id, studio.person(request))
            shown = gr.HTML(
                image=f"{image}#{now}" if image else "",  # the mark opens an image again that was set before
                model=card.id,
                model_title=card.title,
                refresh=now,
            )
            return shown, gr.Dropdown(_choices(studio), value=card.id)

        tab.select(show_all, [shared.image, shared.project, chosen], [canvas, model], **QUIET)

    return connect


def _choices(studio: Studio) -> list[tuple[str, str]]:
    """Return title and id of each model, those added since the page was built too."""
    return [(card.title, card.id) for card in studio.registry.cards("segmenter")]


def _card(studio: Studio, model_id: str) -> Card | None:
    return next((c for c in studio.registry.cards("segmenter") if c.id == model_id), None)


def _model_for(studio: Studio, chosen_id: str, project_id: str) -> Card:
    """Return the model this person chose, else the best that works here; a demo only where it knows its way."""
    card = _card(studio, chosen_id)
    if card is None or (card.demo and not studio.is_sample(project_id)):
        return studio.default_model("segmenter", project_id)
    return card
