"""Cards: all that the page needs to know about a model before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Role = Literal[
    "segmenter",
    "follower",
    "detector",
    "text-detector",
    "example-detector",
    "semantic",
    "classifier",
    "pose",
    "matter",
    "cutter",
    "embedder",
    "answerer",
    "describer",
]
PromptKind = Literal["point", "box", "mask", "text", "reference"]
Task = Literal[
    "caption",
    "detailed caption",
    "long caption",
    "things",
    "regions",
    "grounded caption",
    "written words",
]


@dataclass(frozen=True)
class Address:
    """A file that lies at a plain address; ``sha256`` is its digest where its authors tell it."""

    url: str
    bytes: int
    sha256: str = ""


@dataclass(frozen=True)
class Download:
    """Where a model's files come from. ``bytes`` is what travels, a first guess for the page.

    They come from the hub by ``hub_id``, or where there are ``addresses`` from these.
    """

    hub_id: str
    bytes: int
    revision: str = "main"
    patterns: tuple[str, ...] = ("*.json", "*.safetensors", "*.txt")
    gated: bool = False
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True)
class NoOptions:
    """A model with nothing to set."""


@dataclass(frozen=True)
class Card:
    """All the page needs to know about a model before anything heavy is imported.

    ``load(folder, device, options)`` builds the adapter; ``folder`` is where the files of ``download`` lie,
    or ``folder`` of the card for a model that comes with the studio, or None for one without files.
    ``device`` is "cpu", "cuda:0" or "mps". ``memory_bytes`` is the first guess of what it needs when loaded;
    the pool's own measurements replace it. ``options`` is a dataclass
    whose fields have defaults and carry ``metadata`` with "help" and, for numbers, "min", "max" and "step".
    """

    id: str
    title: str
    family: str
    roles: tuple[Role, ...]
    prompts: tuple[PromptKind, ...]
    licence: str
    load: Callable[[str | None, str, Any], Any]
    memory_bytes: int
    version: str = "1"
    download: Download | None = None
    options: type = NoOptions
    packages: tuple[str, ...] = ()
    commercial: bool = True
    note: str = ""
    rank: int = 100  # within its role, lower is offered first
    folder: Path | None = None
    demo: bool = False  # knows only the scenes of the sample project; offered after all others
    examples_travel: bool = True  # what an example on one image shows is found on others, too
    tasks: tuple[Task, ...] = ()  # of a describer: the ways in which it says what is in an image


@dataclass(frozen=True)
class CheckpointKind:
    """A kind of checkpoint file that people may add to their studio.

    ``examine(saved)`` is given what a file holds, and returns the name of its variant where it is of this kind
    and works, or None where it is of another; it raises BadInput where it is of this kind and cannot be used.
    ``card(variant, bytes)`` describes such a file; the studio puts in the id, the title, the licence and the
    folder, in which the file then lies under the name CHECKPOINT_FILE. ``accepts`` names the kind to people.
    """

    id: str
    accepts: str
    examine: Callable[[Any], str | None]
    card: Callable[[str, int], Card]


@dataclass(frozen=True)
class HubKind:
    """A kind of models on the hub that people may add to their studio by their id.

    ``examine(hub_id, config)`` is given what the model's config.json holds, and returns the name of its variant
    where it is of this kind and works, or None where it is of another; it raises BadInput where it is of this kind
    and cannot be used. ``card(variant, bytes)`` describes such a model, and imports nothing heavy; the studio puts
    in the id, the title, the licence and where its files come from. ``accepts`` names the kind to people.
    """

    id: str
    accepts: str
    examine: Callable[[str, Mapping[str, Any]], str | None]
    card: Callable[[str, int], Card]


CHECKPOINT_FILE = "checkpoint.pth"
