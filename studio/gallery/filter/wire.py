"""How the Filter page and the studio write to each other: ids of many images, arrays of numbers, and queries."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from studio.answers import Answer, Request
from studio.errors import BadInput
from studio.gallery.wire import project_of, text
from studio.operations.filtering import collection, query
from studio.operations.filtering.collection import Collection
from studio.operations.filtering.query import TEMPLATES, Query
from studio.studio import Studio

ID = 16  # bytes of an image's id
LARGEST_PICTURE = 40_000_000  # bytes, of one to look for


def project(studio: Studio, request: Request) -> str:
    return project_of(request, studio.store, studio.person())


def model(studio: Studio, request: Request) -> str:
    """Return the id of the request's model. Raises NotFound where nobody knows it."""
    return collection.embedder(studio, text(request, "model")).id


def collected(studio: Studio, request: Request) -> Collection:
    """Return the images that take part, those out of view left out."""
    return collection.collection(studio, studio.person(), project(studio, request), model(studio, request))


def with_roster(request: Request, found: Collection, answer: Answer) -> Answer:
    """Add the ids that the answer's rows stand for, where the page has not got them."""
    if request.get("stamp") == found.stamp:
        return answer
    return {"roster": {"stamp": found.stamp, "ids": packed(collection.packed_ids(found))}, **answer}


def packed(data: bytes | np.ndarray) -> str:
    """Return base64 of bytes, or of an array's numbers in little endian."""
    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data, data.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(data).decode("ascii")


def ids_of(studio: Studio, request: Request, key: str = "images") -> list[str]:
    """Return the images that a request is about, each once, without those that are not in the project any more."""
    raw = unpacked(request, key)
    if len(raw) % ID:
        raise BadInput("The page sent no list of images. Reload the page.")
    found = [raw[i : i + ID].hex() for i in range(0, len(raw), ID)]
    there = set(studio.store.image_ids(project(studio, request)))
    return [each for each in dict.fromkeys(found) if each in there]


def unpacked(request: Request, key: str) -> bytes:
    try:
        return base64.b64decode(request.get(key) or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise BadInput(f"The page sent no data for “{key}”. Reload the page.") from None


def query_of(data: Any) -> Query:
    """Read a query; its templates come by their name."""
    if not isinstance(data, Mapping):
        raise BadInput("Say what to look for: type a phrase, or choose an image.")
    found = Query.from_json({**data, "templates": templates_of(data.get("templates"))})
    query.check(found)
    return found


def templates_of(name: Any) -> tuple[str, ...]:
    if not isinstance(name, str) or name not in TEMPLATES:
        raise BadInput(f"A wording is one of {', '.join(TEMPLATES)}. Choose one.")
    return TEMPLATES[name]


def query_line(asked: Query) -> Answer:
    """Return a query as the page keeps it: its templates by their name."""
    names = [name for name, templates in TEMPLATES.items() if templates == asked.templates]
    return {**asked.to_json(), "templates": names[0] if names else "as written"}
