"""One handler for everything that goes wrong: what the person reads, and what the log keeps."""

from __future__ import annotations

import logging
import secrets

from studio.errors import StudioError

log = logging.getLogger("studio")


def sentence(error: BaseException) -> str:
    """Return what to show a person. Errors that are not meant for people are logged under a reference."""
    if isinstance(error, StudioError):
        return str(error)
    reference = secrets.token_hex(3)
    log.error("unexpected error, reference %s", reference, exc_info=error)
    return f"Something went wrong in the studio (reference {reference}). Your work is saved; try again."
