"""Cards of the checkpoints that come with the studio and know only the drawn scenes."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

from studio.adapters import Card

NOTE = "Demo: knows only the sample scenes. On pictures of your own it will be wrong; choose a model to download."
LICENCE = "part of the studio"


def folder_of(name: str) -> Path:
    """Return where the demo checkpoint of a name lies."""
    return Path(str(resources.files("assets"))) / "demo" / name


def demo_cards(name: str, real: Card, *, title: str, **changes: Any) -> list[Card]:
    """Return the card of a demo checkpoint, made like that of the real model; none where it is not there."""
    folder = folder_of(name)
    try:
        weights = (folder / "model.safetensors").stat().st_size
        facts = json.loads((folder / "card.json").read_text("utf-8"))
    except (OSError, ValueError):
        return []
    facts_of_demo: dict[str, Any] = dict(
        id=f"demo-{name.replace('_', '-')}",
        title=title,
        licence=LICENCE,
        commercial=True,
        download=None,
        folder=folder,
        demo=True,
        note=NOTE,
        version=str(facts.get("version", "1")),
        memory_bytes=40_000_000 + 6 * weights,  # float32 in memory is twice the file; the rest is for working
        rank=1000 + real.rank,
    )
    return [dataclasses.replace(real, **{**facts_of_demo, **changes})]
