"""Names of open_clip, an architecture and what it was trained on, as ids of the hub where their weights lie."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

from studio.errors import BadInput, unknown

_NAME = re.compile(r"(?P<model>[A-Za-z0-9][\w.-]*)(?:\s*[:/,]\s*(?P<tag>[\w.-]+))?")


def hub_id_of(text: str) -> str | None:
    """Return where the weights of a name lie: "ViT-B-32/laion2b_s34b_b79k", or with a colon. None where it is no name.

    Raises NotFound for an architecture without such weights, BadInput where the weights are not named, or lie in files
    that may run anything when they are opened.
    """
    found = _NAME.fullmatch(text.strip())
    if found is None or found["model"] not in _architectures():
        return None
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    model, tag = found["model"], found["tag"] or ""
    tags = list_pretrained_tags_by_model(model)
    if not tag:
        offered = f"{model}/{tags[-1]}" if tags else ""
        raise BadInput(
            f"Say which weights of {model} are meant, as in “{offered}”. There are: {', '.join(tags)}."
            if tags
            else f"open_clip knows no weights for {model}. Choose another architecture."
        )
    if tag not in tags:
        raise unknown(f"weights of {model}", tag, tags)
    place = str(get_pretrained_cfg(model, tag).get("hf_hub") or "").strip("/").split("/")
    if len(place) == 2:
        return "/".join(place)
    raise BadInput(
        f"The weights of {model}/{tag} lie only in a file that may run anything when it is opened. Only safetensors "
        "are taken: choose other weights."
    )


@cache
def _architectures() -> frozenset[str]:
    """Return the names that open_clip has a description of, without importing it, which would take seconds."""
    spec = importlib.util.find_spec("open_clip")
    folders = spec.submodule_search_locations or () if spec else ()
    return frozenset(path.stem for folder in folders for path in Path(folder, "model_configs").glob("*.json"))
