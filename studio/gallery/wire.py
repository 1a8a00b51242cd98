"""What the gallery's components send: each value read from the request, or refused with a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from studio.answers import Request
from studio.errors import BadInput


def text(request: Request, key: str, *, longest: int = 200, default: str | None = None) -> str:
    """Return a string of the request, without the blanks around it."""
    value = request.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise BadInput(f"The page sent no text for “{key}”. Reload the page.")
    if len(value) > longest:
        raise BadInput(f"“{key}” may have at most {longest} characters; this has {len(value)}.")
    if any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise BadInput(f"“{key}” holds characters that are not text.")
    return value.strip()


def whole(request: Request, key: str, low: int, high: int, default: int) -> int:
    """Return a whole number of the request between low and high, both included."""
    value = request.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"“{key}” must be a whole number.")
    if not low <= value <= high:
        raise BadInput(f"“{key}” must lie between {low} and {high}; the page sent {value}.")
    return value


def choice(request: Request, key: str, choices: Sequence[str], default: str) -> str:
    """Return one of the choices."""
    value = request.get(key) or default
    if not isinstance(value, str) or value not in choices:
        raise BadInput(f"“{key}” is one of {', '.join(choices)}, not “{str(value)[:40]}”.")
    return value


def project_of(request: Request, store: Any, person: str) -> str:
    """Return the request's project. Raises NotFound, alike where it is not theirs."""
    return store.project_for(request.get("project"), person).id
