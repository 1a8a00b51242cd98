"""Small pictures inside of HTML, as panels show them."""

from __future__ import annotations

import base64
import io

import gradio as gr
import numpy as np
from PIL import Image


def block(text: str) -> gr.HTML:
    """Return the update that shows some HTML, or takes no room where there is none."""
    return gr.HTML(text, visible=bool(text))


def source(picture: np.ndarray) -> str:
    """Return a picture, uint8 of shape (h, w, 3), as the source of an ``img``."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
