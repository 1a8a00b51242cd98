"""The panel that adds a model of the Hugging Face hub by its id, and lets go of it again."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from studio.adapters import Card
from studio.devices import size_text
from studio.errors import BadInput
from studio.failures import sentence
from studio.operations import hub_models
from studio.studio import Studio
from tabs._work import LONG, QUIET, Work, report, trouble


class AddedModels:
    """What the panel's buttons do. ``show`` brings ``shown`` components of the page up to date."""

    def __init__(self, studio: Studio, show: Callable[[], tuple[Any, ...]], shown: int) -> None:
        self._studio = studio
        self._show = show
        self._shown = shown

    async def add(self, hub_id: str, request: gr.Request) -> AsyncIterator[Any]:
        """Add a model. Yields updates of what is told, the list of added ones and its row, the field, and the page."""
        same = [gr.skip()] * self._shown
        typed: Any = gr.skip()  # what was refused stays, to be mended
        try:
            if not (hub_id or "").strip():
                raise BadInput("Type the id of a model, such as facebook/detr-resnet-50.")
            person = self._studio.person(request)
            work = Work("Asking the hub", lambda *_: hub_models.add(self._studio, person, hub_id))
            async for bar in work.watch():
                yield bar, *[gr.skip()] * 3, *same
            text = work.failure()
            if text is None:
                text, typed = report(self._welcome(work.result)), ""
        except Exception as error:
            text = trouble(sentence(error))
        yield text, *self.choices(), typed, *self._show()

    def _welcome(self, card: Card) -> str:
        terms = "" if card.commercial else " (not for commercial use)"
        size = size_text(card.download.bytes) if card.download else ""
        return f"{card.title} was added. Licence: {card.licence}{terms}. {size} are fetched when it is first used."

    def ask(self, model_id: str | None) -> tuple[Any, Any]:
        """Return the question that comes before removing."""
        titles = {key: title for title, key in hub_models.added(self._studio)}
        if model_id not in titles:
            gr.Info("No model of the hub was added yet.")
            return gr.Row(visible=False), gr.HTML()
        title = html.escape(titles[model_id])
        question = f"Remove “{title}”? What it labelled stays, and so do its files in the hub's cache."
        return gr.Row(visible=True), gr.HTML(question)

    def removed(self, model_id: str | None, request: gr.Request) -> tuple[Any, ...]:
        try:
            title = hub_models.remove(self._studio, self._studio.person(request), model_id or "")
            text = report(f"{title} was removed.")
        except Exception as error:
            text = trouble(sentence(error))
        return gr.Row(visible=False), text, *self.choices(), *self._show()

    def choices(self) -> tuple[gr.Dropdown, gr.Row]:
        """Return the updates of the list of added ones, and of its row, which is there where one was added."""
        found = hub_models.added(self._studio)
        return gr.Dropdown(choices=found, value=found[0][1] if found else None), gr.Row(visible=bool(found))


def added_models(studio: Studio, show: Callable[[], tuple[Any, ...]], shown: list[Any]) -> Any:
    """Build the panel for whoever runs the studio; a visitor of a shared one gets none.

    Returns what brings its list up to date, a function and the components it updates, or None.
    """
    if studio.settings.people != "one":
        return None
    panel = AddedModels(studio, show, len(shown))
    with gr.Accordion("Add a model from the Hugging Face hub", open=False, elem_id="hub-models"):
        gr.Markdown(
            f"Known are: {studio.hub_models.accepted()}. Weights are taken as safetensors alone, and no code that "
            "comes with a model is run."
        )
        with gr.Row(equal_height=True):
            typed = gr.Textbox(
                label="Id of the model",
                placeholder="owner/name",
                max_lines=1,
                scale=3,
                min_width=220,
                elem_id="hub-id",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
            )
            add = gr.Button("Add it", variant="primary", scale=0, min_width=110, elem_id="hub-add")
        told = gr.HTML("", padding=False, elem_id="hub-told")
        with gr.Row(visible=bool(hub_models.added(studio))) as there:
            which = gr.Dropdown(
                [], label="Added", show_label=False, container=False, scale=2, elem_id="hub-added"
            )
            remove = gr.Button("Remove", scale=0, min_width=110, elem_id="hub-remove")
        with gr.Row(visible=False, elem_id="hub-removing") as removing:
            question = gr.HTML("", padding=False)
            sure = gr.Button("Remove it", variant="stop", scale=0, min_width=140, elem_id="hub-sure")
            keep = gr.Button("Keep it", scale=0, min_width=110)
    gr.on([add.click, typed.submit], panel.add, typed, [told, which, there, typed, *shown], **LONG)
    remove.click(panel.ask, which, [removing, question], **QUIET)
    keep.click(lambda: gr.Row(visible=False), None, removing, **QUIET)
    sure.click(panel.removed, which, [removing, told, which, there, *shown], **QUIET)
    return panel.choices, [which, there]
