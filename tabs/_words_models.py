"""The part of the Words tab that says who looks: models that read words, or one that describes, and a segmenter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import gradio as gr

from studio.adapters import Card, Task
from studio.canvas.phrases import phrases_view
from studio.operations.describing import GROUNDED, PLAIN
from studio.operations.fusion import MOST_MODELS
from studio.operations.predict import FIRST_THRESHOLD
from studio.studio import Studio
from tabs._finding.fetching import Fetching
from tabs._finding.page import Page, Place, page_of

Mode = Literal["words", "free"]
MODES: list[tuple[str, Mode]] = [("Find what I name", "words"), ("What is there?", "free")]
TASKS: dict[Task, str] = {
    "things": "Whatever is there",
    "regions": "Every region in words",
    GROUNDED: "A caption, its things marked",
    "written words": "What is written",
    "caption": "A caption",
    "detailed caption": "A longer caption",
    "long caption": "A long caption",
}
NO_MASKS = ("As the model gives them", "")
NEW = [("Add them to the project", "add"), ("Leave them out", "drop")]
WITHOUT = "Where no phrase is given, it writes a caption, and what that names is looked for."

Values = Mapping[Any, Any]


class WordsModels:
    """What to look for, who looks, captions and cuts out, and how sure; ``here`` is the hidden textbox of the page.

    ``inputs`` are what a recipe is read from; ``cards()`` reads what is chosen.
    """

    def __init__(self, studio: Studio, place: Place, phrases: str) -> None:
        self._studio = studio
        self.here: Any = None
        self.mode = gr.Radio(
            MODES, value="words", show_label=False, container=False, elem_id=place.id("mode")
        )
        self.phrases = phrases_view(elem_id=phrases, looking=place.id("findings"))
        with gr.Column(elem_classes=["finding-settings"]) as self._naming:
            self.models = gr.Dropdown(
                [], value=[], label="Model", info="Two to five together make an ensemble.", multiselect=True,
                max_choices=MOST_MODELS, elem_id=place.id("models"),
            )  # fmt: skip
        with gr.Column(visible=False, elem_classes=["finding-settings"]) as self._free:
            self.teller = gr.Dropdown([], value=None, label="Model", elem_id=place.id("teller"))
            self.task = gr.Radio([], value=None, label="What to tell", elem_id=place.id("task"))
            self.caption = gr.Textbox(
                "", label="A caption of your own", placeholder="else the model writes one", lines=2, visible=False,
                elem_id=place.id("caption"),
            )  # fmt: skip
            self.all_as = gr.Textbox(
                "", label="Class of all of it", placeholder="each by its own words", max_lines=1,
                elem_id=place.id("all-as"),
            )  # fmt: skip
            self.new = gr.Radio(
                NEW, value="add", label="Classes that are new here", elem_id=place.id("new"), visible=False
            )
        self.fetching = Fetching(studio, place)
        self.fetching.cards = self.cards
        self.segmenter = gr.Dropdown([NO_MASKS], value="", label="Masks by", elem_id=place.id("masks"))
        self.threshold = gr.Slider(
            0, 1, FIRST_THRESHOLD, step=0.01, label="How sure, at least", elem_id=place.id("sure"),
            info="A phrase may have a threshold of its own: move its slider beside the picture, or press its chip.",
        )  # fmt: skip
        with gr.Accordion("Without a phrase", open=False, elem_id=place.id("without")) as self._without:
            self.describer = gr.Dropdown(
                [], value=None, label="Caption by", elem_id=place.id("describer"), info=WITHOUT
            )
        self.inputs = [
            self.mode, self.models, self.teller, self.task, self.caption, self.all_as, self.new, self.segmenter,
            self.threshold, self.describer,
        ]  # fmt: skip

    # ---- what is chosen ----

    def cards(self, values: Values) -> list[Card]:
        """Return all that takes part, the segmenter last."""
        known = {card.id: card for card in self._studio.registry.cards()}
        return [known[each] for each in self.ids(values) if each in known]

    def ids(self, values: Values) -> list[str]:
        finders = [values[self.teller]] if self.free(values) else list(values[self.models] or ())
        if not self.free(values) and not words_of(page_of(values[self.here])):
            finders.append(values[self.describer])
        return [each for each in dict.fromkeys([*finders, values[self.segmenter]]) if each]

    def free(self, values: Values) -> bool:
        return values[self.mode] == "free"

    # ---- what the page shows of it ----

    @property
    def outputs(self) -> list[Any]:
        """What ``shown`` updates."""
        return [
            self._naming, self._free, self._without, self.models, self.teller, self.task, self.caption, self.all_as,
            self.new, self.segmenter, self.threshold, self.describer,
        ]  # fmt: skip

    def shown(self, values: Values, project: str) -> tuple[dict[Any, Any], tuple[Any, ...]]:
        """Return the values as they are then, a model chosen where none was, and the updates."""
        finders, tellers = (self._studio.registry.cards(role) for role in ("text-detector", "describer"))
        ids = [each for each in values[self.models] or () if each in {c.id for c in finders}]
        if not ids and finders:
            ids = [self._studio.default_model("text-detector", project).id]
        teller, describer = (
            self._one_of(values[which], tellers, project) for which in (self.teller, self.describer)
        )
        able = next((c.tasks for c in tellers if c.id == teller), ())
        task = values[self.task] if values[self.task] in able else next((t for t in TASKS if t in able), None)
        values = {
            **values, self.models: ids, self.teller: teller, self.describer: describer, self.task: task,
        }  # fmt: skip
        cutters = [c for c in self._studio.registry.cards("segmenter") if "box" in c.prompts]
        free = self.free(values)
        marks = free and task not in PLAIN
        return values, (
            gr.Column(visible=not free),
            gr.Column(visible=free),
            gr.Accordion(visible=not free),
            gr.Dropdown([(c.title, c.id) for c in finders], value=ids),
            gr.Dropdown([(c.title, c.id) for c in tellers], value=teller or None),
            gr.Radio([(label, t) for t, label in TASKS.items() if t in able], value=task),
            gr.Textbox(visible=free and task == GROUNDED),
            gr.Textbox(visible=marks),
            gr.Radio(visible=marks and task != "written words"),
            gr.Dropdown([NO_MASKS, *((c.title, c.id) for c in cutters)], visible=not free or marks),
            gr.Slider(visible=not free),
            gr.Dropdown([(c.title, c.id) for c in tellers], value=describer or None),
        )

    def _one_of(self, chosen: Any, cards: Sequence[Card], project: str) -> str:
        if chosen in {c.id for c in cards} or not cards:
            return str(chosen or "")
        return self._studio.default_model("describer", project).id


def words_of(page: Page) -> list[Any]:
    """Return the phrases that stand on the page, unchecked."""
    return page.more if isinstance(page.more, list) else []
