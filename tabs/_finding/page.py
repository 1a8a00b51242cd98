"""What the page of a tab that finds things shows just now, as the parts of the tab are told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studio.annotations import Box
from tabs._classmap import READ as READ_CLASSES
from tabs._options import READ as READ_OPTIONS


@dataclass(frozen=True)
class Place:
    """Where a tab's parts stand on the page: the prefix of their ids, and the scripts that read them.

    ``more`` is a script of the tab's own: an expression whose value comes as ``Page.more``.
    """

    prefix: str
    more: str = "null"

    def id(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    @property
    def here(self) -> str:
        return self.here_at(0)

    def here_at(self, place: int) -> str:
        """Return the script that puts what only the page knows among an event's inputs, for a hidden textbox there.

        So it is the state of the moment a button is pressed, with nothing under way that could come too late. Gradio
        puts a set of inputs in the order in which they were made.
        """
        read = f"""const options = {READ_OPTIONS}, classes = {READ_CLASSES};
const at = document.querySelector("#{self.id("findings")} .of-looking")?.dataset ?? {{}};
const chosen = document.querySelector("#gallery [data-chosen]")?.dataset.chosen;
const told = JSON.stringify({{image: at.image ?? "", region: at.region ? JSON.parse(at.region) : null,
  options: options("{self.id("option-form")}"), classes: classes("{self.id("class-table")}"),
  chosen: chosen ? chosen.split(" ") : [], more: {self.more}}});"""
        return f"(...inputs) => {{ {read} inputs[{place}] = told; return inputs; }}"

    # Two sliders for one threshold, in the settings and beside the picture: each tells the other within the page.

    @property
    def to_picture(self) -> str:
        return f"""(value) => {{ document.querySelector("#{self.id("findings")} .of-looking")
?.dispatchEvent(new CustomEvent("onelabel:threshold", {{detail: value}})); }}"""

    @property
    def from_picture(self) -> str:
        return f"""(value) => {{
const told = document.querySelector("#{self.id("findings")} .of-looking")?.dataset.threshold;
return told === undefined ? value : Number(told); }}"""

    # Scripts that save a person who goes from image to image the way to the mouse.

    @property
    def focus_picture(self) -> str:
        return f"""() => {{ if (!document.activeElement?.closest("input, textarea, select"))
document.querySelector("#{self.id("findings")} .of-view")?.focus({{preventScroll: true}}); }}"""

    def focus(self, name: str) -> str:
        """Return the script that brings the keys to a button once it is shown."""
        return f"""() => {{ const go = (left) => {{ const at = document.querySelector("#{self.id(name)}");
if (at?.offsetParent) at.focus(); else if (left) setTimeout(() => go(left - 1), 50); }}; go(20); }}"""

    def press_when_shown(self, name: str) -> str:
        """Return the script that presses a button once the image, whose id it is given, is the one shown."""
        return f"""(image) => {{ const go = (left) => {{
const shown = document.querySelector("#{self.id("findings")} .of-looking")?.dataset.image;
if (shown === image) document.querySelector("#{self.id(name)}")?.click();
else if (left) setTimeout(() => go(left - 1), 50); }}; go(100); }}"""


@dataclass(frozen=True)
class Page:
    """The image looked at, a region of it, the options and class names as they stand, and the gallery's choice.

    ``classes`` are as ``_classmap.READ`` gives them, without any where the table has not been filled. ``more`` is what
    the tab's own script told, unchecked.
    """

    image: str = ""
    region: Box | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    classes: Mapping[str, Any] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    more: Any = None


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
            told.get("more"),
        )
    except (ValueError, AttributeError, TypeError):
        return Page()
