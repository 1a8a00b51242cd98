"""What the page of the Predict tab shows just now, as the parts of the tab are told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studio.annotations import Box
from tabs._classmap import READ as READ_CLASSES
from tabs._options import READ as READ_OPTIONS

FINDINGS, CLASSES, OPTIONS = "predict-findings", "predict-class-table", "model-options"

_READ = f"""const options = {READ_OPTIONS}, classes = {READ_CLASSES};
const at = document.querySelector("#{FINDINGS} .of-looking")?.dataset ?? {{}};
const chosen = document.querySelector("#gallery [data-chosen]")?.dataset.chosen;
const told = JSON.stringify({{image: at.image ?? "", region: at.region ? JSON.parse(at.region) : null,
  options: options("{OPTIONS}"), classes: classes("{CLASSES}"),
  chosen: chosen ? chosen.split(" ") : []}});"""


def here(place: int = 0) -> str:
    """Return the script that puts what only the page knows among an event's inputs, for a hidden textbox at a place.

    So it is the state of the moment a button is pressed, with nothing under way that could come too late. Gradio puts
    a set of inputs in the order in which they were made.
    """
    return f"(...inputs) => {{ {_READ} inputs[{place}] = told; return inputs; }}"


HERE = here()

# Two sliders for one threshold, in the settings and beside the picture: each tells the other within the page.
TO_PICTURE = f"""(value) => {{ document.querySelector("#{FINDINGS} .of-looking")
?.dispatchEvent(new CustomEvent("onelabel:threshold", {{detail: value}})); }}"""
FROM_PICTURE = f"""(value) => {{
const told = document.querySelector("#{FINDINGS} .of-looking")?.dataset.threshold;
return told === undefined ? value : Number(told); }}"""


@dataclass(frozen=True)
class Page:
    """The image looked at, a region of it, the options and class names as they stand, and the gallery's choice.

    ``classes`` are as ``_classmap.READ`` gives them, without any where the table has not been filled.
    """

    image: str = ""
    region: Box | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    classes: Mapping[str, Any] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()


def page_of(text: str) -> Page:
    """Read what the page told; nonsense counts as nothing there."""
    try:
        told = json.loads(text or "{}")
        region = told.get("region")
        return Page(
            str(told.get("image") or ""),
            Box(*region) if region else None,
            {str(k): dict(v) for k, v in (told.get("options") or {}).items()},
            dict(told.get("classes") or {}),
            tuple(map(str, told.get("chosen") or ())),
        )
    except (ValueError, AttributeError, TypeError):
        return Page()
