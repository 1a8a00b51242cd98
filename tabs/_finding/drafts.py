"""The way from what jobs left behind to where a person looks through it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.studio import Studio
from tabs._finding.page import Place
from tabs._finding.which import FILTERS
from tabs._work import QUIET, many


class Drafts:
    """A button that is there while drafts wait. Whoever wires ``button`` to where they are opened sets ``leads``."""

    def __init__(self, studio: Studio, place: Place) -> None:
        self._studio = studio
        self.leads = False
        with gr.Row(visible=False, elem_id=place.id("drafts")) as self._row:
            self.button = gr.Button("Look through the drafts", size="sm", scale=0, min_width=260)
        self.project: Any = None
        self.outputs = [self._row, self.button]

    def connect(self, project: Any, *changes: Any) -> None:
        """Count anew whenever one of some events comes; ``project`` is the state with the open one."""
        self.project = project
        for change in changes:
            change(self._counted, project, self.outputs, **QUIET)

    def show(self, project: str) -> tuple[Any, Any]:
        """Return the updates for a project that the person may see, "" for none."""
        left = len(self._studio.store.image_ids(project, **FILTERS["drafts"])) if project else 0
        label = f"Look through the drafts of {many(left, 'image')}"
        return gr.Row(visible=self.leads and left > 0), gr.Button(label)

    def first(self, project: str, request: gr.Request) -> str:
        """Return the id of the first image with drafts, "" where no draft is left."""
        found = (
            self._studio.store.image_ids(project, **FILTERS["drafts"]) if self._may(project, request) else []
        )
        return found[0] if found else ""

    def _counted(self, project: str, request: gr.Request) -> tuple[Any, Any]:
        return self.show(project if self._may(project, request) else "")

    def _may(self, project: str, request: gr.Request) -> bool:
        return bool(project) and self._studio.store.may_see(project, self._studio.person(request))
