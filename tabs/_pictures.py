"""Small pictures inside of HTML, as panels show them."""

from __future__ import annotations

import base64
import io

import gradio as gr
import numpy as np
from PIL import Image

# Buttons and remarks inside of a panel's own HTML, which Gradio's styles do not reach.
BUTTONS = """
button { border-radius: 6px; border: 1px solid var(--border-color-primary); cursor: pointer;
  font-size: 13px; background: var(--button-secondary-background-fill); color: var(--body-text-color); }
button:hover:enabled { border-color: var(--color-accent); }
button:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 1px; }
button:disabled { opacity: .6; cursor: default; }
p { margin: 8px 0 0; font-size: 13px; color: var(--body-text-color-subdued); }
"""


def block(text: str) -> gr.HTML:
    """Return the update that shows some HTML, or takes no room where there is none."""
    return gr.HTML(text, visible=bool(text))


def source(picture: np.ndarray) -> str:
    """Return a picture, uint8 of shape (h, w, 3), as the source of an ``img``."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
