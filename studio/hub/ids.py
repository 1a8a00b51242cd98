"""The ids of models on the hub: an owner and a name."""

from __future__ import annotations

import re

from studio.errors import BadInput

PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
HUB_ID = re.compile(f"{PART}/{PART}")


def check_id(text: str) -> str:
    """Return the id of a model on the hub, as typed. Raises BadInput for what is none: no address, no path."""
    text = text.strip()
    if not HUB_ID.fullmatch(text) or "--" in text or ".." in text or text.endswith(".git"):
        raise BadInput(
            "The id of a model on the hub is its owner and its name, as in “facebook/detr-resnet-50”, without the "
            "address of the hub before it."
        )
    return text
