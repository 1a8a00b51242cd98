"""The errors a person may see. Their text says what happened, the numbers, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StudioError(Exception):
    """Its message is shown to the person as it stands. Anything else that is raised is a bug."""


class BadInput(StudioError):
    """A file, address, name or value that came from outside cannot be used."""


class NotFound(StudioError):
    """A project, image, class or model that was asked for does not exist."""


class NotAllowed(StudioError):
    """This person may not do that."""


class Conflict(StudioError):
    """Somebody else changed the same thing in the meantime; nothing was overwritten."""


class MissingPackage(StudioError):
    """An optional package is needed; the message holds the exact pip command."""


class Unreachable(StudioError):
    """A network address did not answer; the message offers what works without it."""


class OutOfMemory(StudioError):
    """A model does not fit; the message holds the sizes and what to choose instead."""


class Cancelled(StudioError):
    """The person stopped the work; what was finished is kept."""


def unknown(kind: str, name: str, known: Iterable[str]) -> NotFound:
    """Return a NotFound that names the nearest known name: ``raise unknown("model", "sam9", ids)``."""
    choices = sorted(set(known))
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    if near:
        hint = f"Did you mean “{near[0]}”?"
    elif choices:
        hint = "There is: " + ", ".join(choices[:12]) + (" …" if len(choices) > 12 else "") + "."
    else:
        hint = f"There is no {kind} yet."
    return NotFound(f"There is no {kind} “{name}”. {hint}")
