"""The part of the Predict tab that says what models' classes are called in the project."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import gradio as gr

from tabs._classmap import ADD, DROP, class_table, mapping, rule_of, said, table
from tabs._finding.page import Page, Place

RULES = [("Add them to the project", ADD), ("Leave them out", DROP)]
UNKNOWN_YET = (
    "<p>What the models know is shown here once they are loaded: press “Find”, or open this again.</p>"
)


class ClassNames:
    """An accordion with the rule for classes that are new to the project, and a line for each that models know."""

    def __init__(self, place: Place) -> None:
        self._table_id = place.id("class-table")
        with gr.Accordion("Classes", open=False, elem_id=place.id("classes")) as self.accordion:
            self.rule = gr.Radio(RULES, value=ADD, label="Classes that are new here")
            self.table = class_table(self._table_id)

    def names(
        self, names: Sequence[str], own: Sequence[str], mapped: Mapping[str, str | None], rule: str
    ) -> str:
        return table(names, own, mapped, rule_of(rule), self._table_id) if names else UNKNOWN_YET

    def mapped(
        self, page: Page, rule: str, own: Collection[str], remembered: Mapping[str, str | None]
    ) -> dict[str, str | None]:
        """Return what classes are called: as the table says, and where it has not been filled, as remembered."""
        rest = {name: called for name, called in remembered.items() if name not in page.classes}
        return {**rest, **said(page.classes, rule_of(rule), own)}

    def said(
        self,
        values: Mapping[Any, Any],
        page: Page,
        own: Collection[str],
        remembered: Mapping[str, str | None],
    ) -> dict[str, Any]:
        """Return the fields of a recipe that say what classes are called."""
        rule = rule_of(values[self.rule])
        return {"classes": mapping(self.mapped(page, rule, own, remembered), rule, own), "unknown": rule}
