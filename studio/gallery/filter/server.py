"""What the Filter page asks of the studio, put together as one server function."""

from __future__ import annotations

from collections.abc import Callable

from studio.answers import Answer, answering
from studio.gallery.filter import doing, looking, readying, sorting, viewing
from studio.studio import Studio


def answer_filter(studio: Studio) -> Callable[[dict], Answer]:
    """Return the Filter page's server function, called ``filter``."""
    parts = (readying, looking, viewing, sorting, doing)
    return answering("filter", {name: act for part in parts for name, act in part.operations(studio).items()})
