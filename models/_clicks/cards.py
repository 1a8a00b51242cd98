"""What the cards of RITM, FocalClick and CDNet have in common. Imports nothing heavy before a model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.adapters import Card, NoOptions
from studio.errors import BadInput

# ClickSEG's authors give their files on Google Drive only, without plain addresses; this is another's copy of some.
CLICKSEG_COPY = "https://github.com/supervisely-ecosystem/serve-clickseg/releases/download/v1.1.12"
CLICKS = "Takes clicks, no boxes; corrects a mask that is there already."


def clicks_card(*, id: str, title: str, family: str, weights: int, note: str, **facts: Any) -> Card:
    """Return a card; ``weights`` is the size of the file in bytes."""
    return Card(
        **{
            "id": id,
            "title": title,
            "family": family,
            "roles": ("segmenter",),
            "prompts": ("point", "mask"),
            "licence": "as its authors say",
            "load": load_clicks,
            "memory_bytes": 400_000_000 + 2 * weights,
            "options": NoOptions,
            "note": note,
            **facts,
        }
    )


def load_clicks(folder: str | None, device: str, options: Any) -> Any:
    """Load the one checkpoint that lies in a folder, whichever of the three networks it is of."""
    from models._clicks.checkpoint import read
    from models._clicks.segmenter import ClickSegmenter

    files = sorted(Path(folder or "").glob("*.pth"))
    if len(files) != 1:
        raise BadInput(f"One .pth file is needed in {Path(folder or '').name}; there are {len(files)}.")
    return ClickSegmenter(read(files[0]), device)


def examined(pipeline: str, saved: Any) -> str | None:
    """Return the variant that a file is of, where it is for this pipeline and works; else None.

    Raises BadInput where it is for this pipeline and cannot be used.
    """
    from models._clicks.checkpoint import build, pipeline_of

    if pipeline_of(saved) != pipeline:
        return None
    return build(saved, "This file").variant
