"""What a model must be able to do, as structural protocols, and Card, which says the rest.

An adapter is any class with the methods of a protocol; there is nothing to inherit. Images are uint8
RGB arrays of shape (height, width, 3), upright. Heavy imports belong inside ``Card.load``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from studio.annotations import Mask, Prompt

Role = Literal["segmenter"]
PromptKind = Literal["point", "box", "mask", "text", "reference"]


@dataclass(frozen=True)
class Embedding:
    """What a segmenter's encoder made of one image, with its true size in memory.

    ``data`` belongs to the adapter that made it; nobody else looks inside.
    """

    height: int
    width: int
    data: Any
    nbytes: int


@dataclass(frozen=True)
class Candidate:
    """One mask proposed for a prompt.

    ``score`` is the model's own estimate of quality, 0 to 1. ``logits`` is the model's low-resolution
    answer, float32 of shape (h, w), to be handed back as ``previous`` with the next click; None where the
    model takes none.
    """

    mask: Mask
    score: float
    logits: np.ndarray | None = None


@runtime_checkable
class Segmenter(Protocol):
    """Cuts out the object a person points at."""

    def embed(self, image: np.ndarray) -> Embedding:
        """Encode an image: dear, once an image."""
        ...

    def segment(
        self, embedding: Embedding, prompt: Prompt, previous: np.ndarray | None = None
    ) -> list[Candidate]:
        """Return candidates, best first: cheap, every click, and stateless.

        ``previous`` holds the logits this model gave for the same object a click earlier.
        """
        ...


PROTOCOLS: dict[Role, type] = {"segmenter": Segmenter}


@dataclass(frozen=True)
class Download:
    """Where a model's files come from. ``bytes`` is what travels, a first guess for the page."""

    hub_id: str
    bytes: int
    revision: str = "main"
    patterns: tuple[str, ...] = ("*.json", "*.safetensors", "*.txt")
    gated: bool = False


@dataclass(frozen=True)
class NoOptions:
    """A model with nothing to set."""


@dataclass(frozen=True)
class Card:
    """All the page needs to know about a model before anything heavy is imported.

    ``load(folder, device, options)`` builds the adapter; ``folder`` is where the files of ``download`` lie,
    or None for a model without any. ``device`` is "cpu", "cuda:0" or "mps". ``memory_bytes`` is the first
    guess of what it needs when loaded; the pool's own measurements replace it. ``options`` is a dataclass
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
