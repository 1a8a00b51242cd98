"""Files that are written while they are downloaded: tables and archives of a ranking or a sorting."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote
from weakref import WeakKeyDictionary

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse

from studio.studio import Studio

MOST = 20  # files that wait to be fetched; each holds what it is made of


@dataclass(frozen=True)
class PreparedFile:
    """A file for one person: its name and kind, and what yields its parts."""

    person: str
    name: str
    kind: str
    parts: Callable[[], Iterable[bytes | str]]


_FILES: WeakKeyDictionary[Studio, OrderedDict[str, PreparedFile]] = WeakKeyDictionary()
_LOCK = threading.Lock()


def prepare(studio: Studio, file: PreparedFile) -> str:
    """Keep a file to be fetched, and return its address."""
    token = secrets.token_hex(16)
    with _LOCK:
        files = _FILES.setdefault(studio, OrderedDict())
        files[token] = file
        while len(files) > MOST:
            files.popitem(last=False)
    return f"media/prepared/{token}"


def prepared_routes(studio: Studio) -> APIRouter:
    """Serve ``media/prepared/TOKEN`` to the person it was prepared for."""
    router = APIRouter()

    @router.get("/media/prepared/{token}")
    def fetch(token: str, request: Request) -> StreamingResponse:
        with _LOCK:
            file = _FILES.get(studio, OrderedDict()).get(token)
        if file is None or file.person != studio.person(request):
            raise HTTPException(404, "This file is not here any more. Export it again.")
        headers = {
            "content-disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
        }
        return StreamingResponse(file.parts(), media_type=file.kind, headers=headers)

    return router
