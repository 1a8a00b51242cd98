"""The choice of one image of a project: back, forth, by its name, and the picture that is shown then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from studio.canvas.findings import nothing, shown
from studio.errors import NotFound
from studio.project import ImageRecord
from studio.studio import Studio
from tabs._finding.page import Place
from tabs._work import QUIET

OFFERED = 200  # images that the list offers by name; others are found by typing
EMPTY = "Add photographs in Data; then come back to label them by a model."


class Picking:
    """Two arrows, a list of images, and which of how many is shown. ``hint`` is said beside a picture just opened."""

    def __init__(self, studio: Studio, place: Place, hint: str) -> None:
        self._studio, self._hint = studio, hint
        self._back = gr.Button("‹", size="sm", scale=0, min_width=44, elem_id=place.id("back"))
        self.picker = gr.Dropdown(
            [], label="Image", show_label=False, container=False, allow_custom_value=True, scale=3,
            min_width=180, elem_id=place.id("image"),
        )  # fmt: skip
        self._forth = gr.Button("›", size="sm", scale=0, min_width=44, elem_id=place.id("forth"))
        self._place = gr.HTML("", padding=False, elem_id=place.id("place"), elem_classes=["finding-place"])
        self.project = gr.State("")

    def outputs(self, view: Any) -> list[Any]:
        """Return what ``show`` updates; ``view`` is where the picture is shown."""
        return [self.picker, self._place, view, self.project]

    def connect(
        self,
        view: Any,
        outputs: list[Any],
        show: Callable[[str, str, str], tuple[Any, ...]],
    ) -> None:
        """Wire the arrows and the list to what shows an image of a project: ``show(project, image, person)``."""
        for button, step in ((self._back, -1), (self._forth, 1)):
            button.click(self._step(step, show), [self.picker, self.project], outputs, **QUIET)
        self.picker.input(self._picked(show, len(outputs)), [self.picker, self.project], outputs, **QUIET)

    def onward(
        self, button: Any, outputs: list[Any], show: Callable[[str, str, str], tuple[Any, ...]]
    ) -> Any:
        """Let another button go to the next image, too; returns the event after which it is shown."""
        return button.click(self._step(1, show), [self.picker, self.project], outputs, **QUIET)

    def show(self, project: str, image_id: str, person: str) -> tuple[Any, ...]:
        """Return the updates that show an image of a project, the first one to do where that is not there."""
        image = self.image(project, image_id, person)
        if image is None:
            none = nothing("No image yet", EMPTY)
            return gr.Dropdown([], value=None), gr.HTML(""), gr.HTML(shown=none), project
        store = self._studio.store
        _, _, place, total = store.neighbours(image.id)
        around = store.images(image.project_id, offset=max(0, place - OFFERED // 2), limit=OFFERED)
        choices = [(each.name, each.id) for each in around]
        return (
            gr.Dropdown(choices, value=image.id),
            gr.HTML(f'<span class="finding-count">{place + 1:,} of {total:,}</span>'),
            gr.HTML(shown=shown(image, None, hint=self._hint)),
            project,
        )

    def image(self, project: str, image_id: str, person: str) -> ImageRecord | None:
        """Return an image of a project, where it is not there the first to do; None where this person sees none."""
        if not project or not self._studio.store.may_see(project, person):
            return None
        try:
            image = self._studio.image_for(image_id, person)
            if image.project_id == project:
                return image
        except NotFound:
            pass
        store = self._studio.store
        first = store.images(project, limit=1, status="todo") or store.images(project, limit=1)
        return first[0] if first else None

    def _step(self, step: int, show: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        def stepped(image_id: str, project: str, request: gr.Request) -> tuple[Any, ...]:
            person = self._studio.person(request)
            image = self.image(project, image_id or "", person)
            if image is not None:
                before, after, _, _ = self._studio.store.neighbours(image.id)
                image_id = (before if step < 0 else after) or image.id
            return show(project, image_id or "", person)

        return stepped

    def _picked(self, show: Callable[..., tuple[Any, ...]], outputs: int) -> Callable[..., tuple[Any, ...]]:
        def picked(said: str, project: str, request: gr.Request) -> tuple[Any, ...]:
            """Show the image that was chosen, or whose name, or a part of it, was typed."""
            person, store = self._studio.person(request), self._studio.store
            image_id = said or ""
            if project and store.may_see(project, person) and image_id:
                try:
                    store.image(image_id)
                except NotFound:
                    named = store.image_by_name(project, image_id)
                    found = [named] if named else store.images(project, text=image_id, limit=1, order="name")
                    if not found:
                        gr.Warning(f"No image here is called “{image_id[:80]}”.")
                        return (gr.skip(),) * outputs
                    image_id = found[0].id
            return show(project, image_id, person)

        return picked
