"""The Matting tab: an alpha that keeps every hair, of one object at a time or of a whole dataset."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from studio.app import Connect, Shared
from studio.studio import Studio
from tabs._finding.opening import lead_listed, open_project
from tabs._finding.page import Place
from tabs._matting_export import MattingExport
from tabs._matting_many import ManyMattes
from tabs._matting_one import OneMatte
from tabs._stage import image_to_open
from tabs._work import QUIET

TITLE = "Matting"
ORDER = 60
PLACE = Place("matting")


def build(studio: Studio, shared: Shared) -> Connect:
    return _Page(studio, shared).connect


class _Page:
    """One image on a stage, many images as jobs, and files to take along."""

    def __init__(self, studio: Studio, shared: Shared) -> None:
        self._studio, self._shared = studio, shared
        self._here = gr.Textbox(
            visible=False
        )  # the first of all inputs, where PLACE.here puts what the page knows
        self._project = gr.State("")
        with gr.Tabs(elem_classes=["finding-tabs"]) as self._tabs:
            with gr.Tab("One image", id=PLACE.id("one")):
                self._one = OneMatte(studio, PLACE)
            with gr.Tab("Many images", id=PLACE.id("many")):
                self._many = ManyMattes(studio, PLACE, self._here, self._project)
            with gr.Tab("Files", id=PLACE.id("files")):
                self._export = MattingExport(studio, self._project)
        self._one.stage.opened(
            self._opened, None, shared.image, trigger_mode="always_last", **QUIET
        )  # what the stage opened is remembered, and never sent back to it

    def connect(self, tab: gr.Tab, others: frozenset[str]) -> None:
        """Show what belongs to the open project whenever the tab is, and lead to the Segment tab."""
        shared, many = self._shared, self._many
        inputs = {*many.inputs, shared.project, shared.image}
        outputs = [self._project, self._one.stage, *many.outputs, *self._export.outputs]
        # What the page opened with was made before this tab, so those two come before the hidden textbox.
        tab.select(self._shown, inputs, outputs, js=PLACE.here_at(2), **QUIET)
        drafts = many.dataset.drafts
        drafts.button.click(
            self._review, drafts.project, [self._one.stage, shared.image, self._tabs], **QUIET
        )
        if "segment" in others:
            lead_listed(shared, many.dataset.jobs)

    def _shown(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        person = self._studio.person(request)
        project = open_project(self._studio, self._shared, values, person)
        image = image_to_open(self._studio, values[self._shared.image] or "", project, person)
        now = time.time_ns()
        # All of it each time: of a component that is not there yet, Gradio keeps the last update only.
        stage = gr.HTML(image=f"{image}#{now}" if image else "", refresh=now)
        values = {**values, self._project: project}
        many = self._many.show(values, project, person, request)
        return project, stage, *many, *self._export.show(project)

    def _review(self, project: str, request: gr.Request) -> tuple[Any, ...]:
        """Open the first image that has drafts, and begin to go through them."""
        image, now = self._many.dataset.drafts.first(project, request), time.time_ns()
        if not image:
            return (gr.skip(),) * 3
        stage = gr.HTML(image=f"{image}#{now}", review=f"{image}#{now}")
        return stage, image, gr.Tabs(selected=PLACE.id("one"))

    @staticmethod
    def _opened(event: gr.EventData) -> str:
        data = event._data if isinstance(event._data, dict) else {}
        return str(data.get("image") or "")
