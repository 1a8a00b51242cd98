"""What panels of the Segment tab share: small pictures inside of HTML, and what the stage shows just now."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass

import gradio as gr
import numpy as np
from PIL import Image

# Which image is open and which object is selected only the page knows: this goes before the other values of an
# event, in the place of a hidden textbox. What is chosen in the gallery stands on its element.
PLACE = """(_, ...rest) => { const s = globalThis.__onelabel?.stage;
const chosen = document.querySelector("#gallery [data-chosen]")?.dataset.chosen;
return [JSON.stringify({image: s?.image?.id ?? "", object: s?.selected ?? "",
chosen: chosen ? chosen.split(" ") : []}), ...rest]; }"""


@dataclass(frozen=True)
class Place:
    """The image open on the stage, the object selected there, and the images chosen in the gallery: ids."""

    image: str = ""
    object: str = ""
    chosen: tuple[str, ...] = ()


def place_of(text: str) -> Place:
    """Read what the page told; nonsense counts as nothing open."""
    try:
        told = json.loads(text or "{}")
        ids = told.get("chosen") or ()
        return Place(str(told.get("image") or ""), str(told.get("object") or ""), tuple(map(str, ids)))
    except (ValueError, AttributeError, TypeError):
        return Place()


def block(text: str) -> gr.HTML:
    """Return the update that shows some HTML, or takes no room where there is none."""
    return gr.HTML(text, visible=bool(text))


def source(picture: np.ndarray) -> str:
    """Return a picture, uint8 of shape (h, w, 3), as the source of an ``img``."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
