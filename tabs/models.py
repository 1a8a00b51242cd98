"""The Models tab: what there is, under which licence, what is loaded, and a way to unload it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.app import Shared
from studio.devices import size_text
from studio.errors import StudioError
from studio.studio import Studio
from tabs._work import QUIET

TITLE = "Models"
ORDER = 90


@dataclass
class ModelsTab:
    tab: gr.Tab | None = None
    connect: Any = None


def build(studio: Studio, shared: Shared) -> ModelsTab:
    gr.Markdown(
        "Every model is loaded when it is first used and shares one device with the others. "
        "The one not used for longest leaves first when room is needed."
    )
    with gr.Row():
        with gr.Column(scale=3, min_width=360):
            table = gr.Dataframe(
                headers=["Model", "Does", "Takes", "Licence", "Size", "State"],
                datatype="str",
                interactive=False,
                wrap=True,
                label="All models",
            )
        with gr.Column(scale=2, min_width=300):
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
            events = gr.Textbox(label="What the pool decided", lines=8, max_lines=8, interactive=False)
    gr.Markdown(_failures(studio))

    def show() -> tuple:
        here = studio.pool.loaded()
        choices = [(m.title, m.id) for m in here]
        return (
            [_row(studio, card) for card in studio.registry.cards()],
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
    built = ModelsTab()
    built.connect = lambda others: built.tab.select(show, None, shown, **QUIET)
    return built


def _row(studio: Studio, card: Card) -> list[str]:
    licence = card.licence + ("" if card.commercial else " (not for commercial use)")
    size = size_text(card.download.bytes) if card.download else "none"
    states = {"ready": "downloaded", "absent": "not downloaded", "no download": "ready"}
    state = "demo: knows only the sample scenes" if card.demo else states[studio.hub.state(card)]
    return [card.title, ", ".join(card.roles), ", ".join(card.prompts), licence, size, state]


def _failures(studio: Studio) -> str:
    if not studio.registry.failures:
        return ""
    lines = [f"- `{name}`: {reason}" for name, reason in studio.registry.failures.items()]
    return "**Could not be loaded**\n" + "\n".join(lines)
