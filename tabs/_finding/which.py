"""The choice of many images: all, by what is done with them, by name, by class, or those chosen in Data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio.errors import BadInput
from studio.failures import sentence
from studio.project import Filters, ImageRecord
from studio.studio import Studio
from tabs._finding.page import Page, Place, page_of
from tabs._work import QUIET, many, trouble

CHOSEN = "chosen"
WHICH: list[tuple[str, str]] = [
    ("All images", "all"),
    ("Without any label yet", "unlabelled"),
    ("Still to do", "todo"),
    ("With drafts", "drafts"),
    ("Done", "done"),
    ("Those chosen in Data", CHOSEN),
]
FILTERS: dict[str, Filters] = {
    "unlabelled": {"unlabelled": True},
    "todo": {"status": "todo"},
    "drafts": {"drafts": True},
    "done": {"status": "done"},
}
ANY_CLASS = ("Any", "")


class Which:
    """Three fields in a row, and below them how many images these are.

    ``here`` is the hidden textbox with what only the page knows, ``project`` a state with the open project; they are
    set by ``connect``.
    """

    def __init__(self, studio: Studio, place: Place) -> None:
        self._studio = studio
        with gr.Row():
            self._which = gr.Dropdown(
                WHICH, value="all", label="Which images", min_width=190, elem_id=place.id("which")
            )
            self._text = gr.Textbox("", label="Name holds", placeholder="any", max_lines=1, min_width=120)
            self._class = gr.Dropdown([ANY_CLASS], value="", label="Showing the class", min_width=140)
        self._count = gr.HTML("", padding=False, elem_id=place.id("count"))
        self.inputs = [self._which, self._text, self._class]

    @property
    def outputs(self) -> list[Any]:
        """What ``show`` updates."""
        return [self._class, self._count]

    def connect(self, here: Any, project: Any, js: str, *others: Any) -> None:
        """Count anew whenever a field changes, or one of some other events comes."""
        self._here, self._project = here, project
        counted = [here, project, *self.inputs]
        for changes in (self._which.input, self._text.input, self._class.input, *others):
            changes(self._counted, counted, self._count, js=js, trigger_mode="always_last", **QUIET)

    def show(self, values: Mapping[Any, Any], page: Page, project: str, person: str) -> tuple[Any, Any]:
        """Return the updates for a project: its classes, and how many images."""
        if not project:
            return gr.Dropdown([ANY_CLASS], value=""), gr.HTML(_many_images(0))
        classes = [ANY_CLASS, *((c.name, c.id) for c in self._studio.store.classes(project))]
        class_id = values[self._class] if values[self._class] in [key for _, key in classes] else ""
        found = self._images(page, project, values[self._which], values[self._text], class_id, person)
        return gr.Dropdown(classes, value=class_id), gr.HTML(_many_images(len(found)))

    def wanted(self, values: Mapping[Any, Any], request: gr.Request) -> tuple[str, list[str]]:
        """Return the project and the ids of the images asked for, in order. Raises BadInput where there is none."""
        person, project = self._studio.person(request), values[self._project]
        page, which = page_of(values[self._here]), values[self._which]
        found = self._images(page, project, which, values[self._text], values[self._class], person)
        if not found and which == CHOSEN:
            raise BadInput("No image is chosen. Choose some in Data, by the corner of their pictures.")
        if not found:
            raise BadInput("There is no such image. Choose fewer filters, or add photographs in Data.")
        return project, found

    def evenly(self, ids: list[str], most: int) -> list[ImageRecord]:
        """Return a few of some images, evenly out of all: not every record has to be read for that."""
        count = min(most, len(ids))
        places = [round(i * (len(ids) - 1) / max(1, count - 1)) for i in range(count)]
        return [self._studio.store.image(ids[place]) for place in dict.fromkeys(places)]

    def _counted(
        self, here: str, project: str, which: str, text: str, class_id: str, request: gr.Request
    ) -> Any:
        try:
            wanted = self._images(page_of(here), project, which, text, class_id, self._studio.person(request))
        except Exception as error:
            return trouble(sentence(error))
        return _many_images(len(wanted))

    def _images(
        self, page: Page, project: str, which: str, text: str, class_id: str, person: str
    ) -> list[str]:
        """Return the ids of the images asked for, in order. Raises NotFound."""
        if not project:
            return []
        store = self._studio.store
        project = store.project_for(project, person).id
        filters: Filters = {**FILTERS.get(which, {})}
        if (text or "").strip():
            filters["text"] = text.strip()
        if class_id in {c.id for c in store.classes(project)}:
            filters["class_id"] = class_id
        found = store.image_ids(project, **filters)
        if which != CHOSEN:
            return found
        chosen = set(page.chosen)
        return [each for each in found if each in chosen]


def _many_images(number: int) -> str:
    return f'<span class="finding-count">{many(number, "image")}</span>'
