"""The Models tab: what there is, under which licence, what is loaded, and a way to unload it."""

from __future__ import annotations

import time

import gradio as gr

from studio.adapters import Card, Role
from studio.app import Connect, Shared
from studio.devices import size_text
from studio.errors import StudioError
from studio.studio import Studio
from tabs._checkpoints import own_checkpoints
from tabs._gated import Access
from tabs._hub_models import added_models
from tabs._work import QUIET

TITLE = "Models"
ORDER = 90

# What a person gets from a model of each role.
GIVES: dict[Role, str] = {
    "segmenter": "masks from clicks and boxes",
    "follower": "objects found again on the next pictures",
    "detector": "boxes of its own classes",
    "text-detector": "boxes from words",
    "example-detector": "boxes from an example",
    "semantic": "a class for every pixel",
    "classifier": "a class for the whole picture",
    "pose": "keypoints in a box",
    "matter": "alpha from a trimap",
    "cutter": "alpha of what stands out",
    "embedder": "pictures ranked by words",
    "answerer": "answers to questions",
    "describer": "captions, and whatever there is",
}


def build(studio: Studio, shared: Shared) -> Connect:
    gr.Markdown(
        "Every model is loaded when it is first used and shares one device with the others. "
        "The one not used for longest leaves first when room is needed."
    )
    table = gr.Dataframe(
        headers=["Model", "Gives", "Licence", "Size", "State"],
        column_widths=["24%", "28%", "18%", "10%", "20%"],
        datatype="str",
        interactive=False,
        wrap=True,
        label="All models",
        max_height=420,
        elem_id="models-all",
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            loaded = gr.Dataframe(
                headers=["Loaded", "Memory", "Device", "In use"],
                datatype="str",
                interactive=False,
                wrap=True,
                label="Loaded now",
            )
            with gr.Row():
                which = gr.Dropdown([], label="Unload", show_label=False, container=False, scale=2)
                unload = gr.Button("Unload", scale=0, min_width=110)
                refresh = gr.Button("Refresh", scale=0, min_width=110)
        with gr.Column(scale=1, min_width=300):
            events = gr.Textbox(label="What the pool decided", lines=8, max_lines=8, interactive=False)
    gr.Markdown(_failures(studio))

    def show() -> tuple:
        studio.checkpoints.offer()  # one may have been added at the command line meanwhile
        studio.hub_models.offer()
        here = studio.pool.loaded()
        choices = [(m.title, m.id) for m in here]
        return (
            [_row(studio, card) for card in _by_work(studio.registry.cards())],
            [[m.title, size_text(m.bytes), m.device, "yes" if m.pins else ""] for m in here],
            gr.Dropdown(choices=choices, value=choices[0][1] if choices else None),
            "\n".join(
                f"{time.strftime('%H:%M:%S', time.localtime(e.time))}  {e.text}" for e in studio.pool.events
            ),
        )

    def leave(model_id: str | None) -> tuple:
        if not model_id:
            gr.Info("No model is loaded. One is loaded when it is first used.")
            return show()
        try:
            studio.pool.unload(model_id)
        except StudioError as error:
            gr.Warning(str(error))
        return show()

    shown = [table, loaded, which, events]
    refresh.click(show, None, shown, **QUIET)
    unload.click(leave, which, shown, **QUIET)
    panels = [added_models(studio, show, shown), own_checkpoints(studio, show, shown)]
    with gr.Accordion("Gated models and your access token", open=False):
        access = Access(studio, "models-gated")

    def connect(tab: gr.Tab, others: frozenset[str]) -> None:
        tab.select(show, None, shown, **QUIET)
        tab.select(access.look_at_all, None, access.outputs, **QUIET)
        for refresh_list, outputs in filter(None, panels):
            tab.select(refresh_list, None, outputs, **QUIET)

    return connect


def _row(studio: Studio, card: Card) -> list[str]:
    licence = card.licence + ("" if card.commercial else " (not for commercial use)")
    size = size_text(card.download.bytes) if card.download else "none"
    states = {"ready": "downloaded", "absent": "not downloaded", "no download": "ready"}
    state = "demo: knows only the sample scenes" if card.demo else states[studio.hub.state(card)]
    return [card.title, "; ".join(GIVES[role] for role in card.roles), licence, size, state]


def _by_work(cards: list[Card]) -> list[Card]:
    """Return the cards of the same work together, each group in the order it is offered."""
    return sorted(cards, key=lambda card: list(GIVES).index(card.roles[0]))


def _failures(studio: Studio) -> str:
    if not studio.registry.failures:
        return ""
    lines = [f"- `{name}`: {reason}" for name, reason in studio.registry.failures.items()]
    return "**Could not be loaded**\n" + "\n".join(lines)
