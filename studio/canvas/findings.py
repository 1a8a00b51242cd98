"""What was found on one image, as a gr.HTML component to look at, sift and keep."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gradio as gr

from studio.adapters import Detection
from studio.annotations import Box, shape_to_json
from studio.errors import BadInput
from studio.project import ImageRecord, LabelClass
from studio.project.names import next_colour
from studio.scripts import version

FOLDER = Path(__file__).resolve().parent

# Gradio takes an event's name only where it stands quoted in js_on_load: 'keep', 'moved'.
ON_LOAD = """
const tell = {keep: d => trigger('keep', d), moved: d => trigger('moved', d),
  example: d => trigger('example', d), point: d => trigger('point', d)};
import(new URL('static/canvas/v-%s/findings/main.js', document.baseURI).href).then(
  m => m.mount({element, props, trigger: (name, data) => tell[name](data), watch}),
  error => { console.error(error);
    element.textContent = 'This part of the page could not be loaded. Reload the page.'; });
"""


def findings_view(
    *, elem_id: str = "findings", each: bool = False, pointing: bool = False, graded: bool = True
) -> gr.HTML:
    """Return the component. It asks the server nothing: thresholds and what is taken out live in the page.

    Props that Python may set: ``shown`` (what ``shown()`` or ``nothing()`` returns) and ``kept`` (any new value: what
    was asked to be kept has been dealt with). With ``each``, every class has a threshold of its own; without ``graded``
    there is none at all. Events: ``keep``
    {token, chosen: [number of each finding to keep], threshold}, and ``moved`` {} after a threshold was moved.
    With ``pointing``, a box that is drawn shows something to look for, rather than where to look. The events are then
    also ``example`` {image, token, positive, box or chosen: [number of each finding meant]}, and ``point``
    {image, x, y} after a click where nothing was found; the prop ``aim`` (what ``aimed()`` returns) draws the box.
    Words elsewhere that speak of findings light them up by sending the element ``.of-looking`` the DOM event
    "onelabel:hover" with their numbers as ``detail``; from it comes "onelabel:hovered", which bubbles, with the number
    of the one that the pointer is over, or null.
    Whatever is pressed elsewhere on the page may read ``data-image``, ``data-region`` (a box as JSON, "" for the
    whole image) and ``data-threshold`` of the element ``.of-looking`` inside, and set the threshold by sending that
    element the DOM event "onelabel:threshold" with the number as ``detail``, or with ``each`` {own: {name: number, null
    for that of all}}. From it come then, bubbling, "onelabel:own-threshold" {name, value} after one was moved here, and
    "onelabel:counted" {own, counts: {name: how many reach theirs}}.
    """
    return gr.HTML(
        html_template='<div style="min-height: 360px"></div>',
        css_template="",
        js_on_load=ON_LOAD % version(FOLDER),
        apply_default_css=False,
        padding=False,
        elem_id=elem_id,
        elem_classes=["finding-flat"],
        shown="",
        kept=0,
        each=each,
        pointing=pointing,
        graded=graded,
        aim="",
    )


def nothing(title: str, hint: str) -> str:
    """Return the prop ``shown`` where no image is open."""
    return json.dumps({"image": None, "blank": [title, hint]})


def shown(
    image: ImageRecord,
    found: Sequence[Detection] | None,
    classes: Sequence[LabelClass] = (),
    *,
    token: str = "",
    hint: str = "",
    threshold: float | None = None,
    tags: bool = False,
    called: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the prop ``shown``: an image, and what was found on it; None where nobody has looked yet.

    ``hint`` is said then. ``token`` comes back with what is kept. With ``tags`` a finding says something of the whole
    image. ``called`` says of which class a name is, where it is no class itself. As text: Gradio walks through every
    number of a structured value, in Python and again in the page.
    """
    told: dict[str, Any] = {
        "token": token,
        "image": {
            "id": image.id,
            "name": image.name,
            "url": f"media/image/{image.id}?{image.digest[:12]}",
            "width": image.width,
            "height": image.height,
        },
        "hint": hint,
    }
    if threshold is not None:
        told["threshold"] = threshold
    if found is not None:
        told["items"] = [_item(d, tags) for d in found]
        told["classes"] = [{"name": n, "colour": c} for n, c in _colours(found, classes, called).items()]
    return json.dumps(told, separators=(",", ":"))


def aimed(image_id: str, box: Box | None) -> str:
    """Return the prop ``aim``: the box drawn on an image, none where it was dealt with."""
    return json.dumps({"image": image_id, "box": box and box.xyxy, "at": time.time_ns()})


@dataclass(frozen=True)
class Chosen:
    """What a person wants to keep: numbers of findings, and the threshold that stood then."""

    token: str
    numbers: tuple[int, ...]
    threshold: float


def chosen_of(event: gr.EventData) -> Chosen:
    """Read the event ``keep``. Raises BadInput where the page sent something else."""
    data = event._data if isinstance(event._data, dict) else {}
    try:
        numbers = tuple(int(n) for n in data["chosen"])
        return Chosen(str(data.get("token") or ""), numbers, float(data["threshold"]))
    except (KeyError, TypeError, ValueError):
        raise BadInput("The page did not say what to keep. Reload the page and look again.") from None


def _item(detection: Detection, tag: bool) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": detection.name,
        "score": round(float(detection.score), 4),
        "box": [round(v, 2) for v in detection.box.xyxy],
    }
    if tag:
        item["tag"] = True
    if detection.mask is not None:
        item["mask"] = shape_to_json(detection.mask)
    if detection.keypoints is not None:
        points = detection.keypoints.points
        scores = detection.keypoint_scores or (1.0,) * len(points)
        item["points"] = [
            [round(x, 2), round(y, 2), seen, round(float(score), 3)]
            for (x, y, seen), score in zip(points, scores, strict=True)
        ]
    return item


def _colours(
    found: Sequence[Detection], classes: Sequence[LabelClass], called: Mapping[str, str]
) -> dict[str, str]:
    """Return each found name's colour: its class's own, or for a new class the one that it would get."""
    known = {c.name: c.colour for c in classes}
    colours: dict[str, str] = {}
    for name in dict.fromkeys(d.name for d in found):
        of = called.get(name, name)
        if of not in known:
            known[of] = next_colour(set(known.values()))
        colours[name] = known[of]
    return colours
