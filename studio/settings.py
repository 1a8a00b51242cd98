"""How this studio runs: where its data lies, who may come in, what it accepts."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


def default_data_folder() -> Path:
    """Return STUDIO_DATA where it is set, else the folder this system keeps application data in."""
    if os.environ.get("STUDIO_DATA"):
        return Path(os.environ["STUDIO_DATA"]).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"))
    return base / "onelabel-studio"


@dataclass(frozen=True)
class Settings:
    """``people`` is "one" where whoever reaches the page is the same person (a studio on one's own machine),
    "each" where every browser is a person with projects of his own (a shared link, a Space). With ``sample``
    each person finds the sample project at the first visit. ``max_file_size`` is of what is uploaded through the
    page, ``max_checkpoint_bytes`` of a checkpoint that is added, whichever way.
    """

    data: Path = field(default_factory=default_data_folder)
    database: str | None = None
    people: Literal["one", "each"] = "one"
    max_file_size: str = "2gb"
    embedding_bytes: int | None = None
    sample: bool = True
    max_checkpoint_bytes: int = 8_000_000_000
