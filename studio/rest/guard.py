"""What stands before the API: no request of another site, none that is too large, and each error in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from studio.devices import size_text
from studio.errors import (
    BadInput,
    Conflict,
    MissingPackage,
    NotAllowed,
    NotFound,
    OutOfMemory,
    StudioError,
    Unreachable,
)
from studio.failures import sentence
from studio.hub.hub import NeedsDownload

LARGEST_JSON = 16_000_000  # bytes: the ids of some 400,000 images
_STATUS: tuple[tuple[type[StudioError], int], ...] = (
    (NeedsDownload, 409),
    (Unreachable, 503),
    (OutOfMemory, 503),
    (MissingPackage, 501),
    (NotFound, 404),
    (NotAllowed, 403),
    (Conflict, 409),
    (BadInput, 400),
    (StudioError, 500),
)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)


class Guard:
    """ASGI middleware: refuses what a page of another site sends in a person's name, and bodies over a limit.

    A browser says with each request that changes something where it comes from (Origin); programs say nothing.
    So a body must also be of a kind (JSON, an image) that no form of another site can send unasked. ``most`` gives
    the largest body in bytes for a path.
    """

    def __init__(self, app: Any, most: Callable[[str], int]) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        limit = self.most(scope["path"])
        refusal = _foreign(headers) or _unfit(headers) or _declared_too_large(headers, limit)
        if refusal:
            await _refused(*refusal)(scope, receive, send)
            return
        taken = 0

        async def counted() -> dict:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise HTTPException(*_too_large(limit))
            return message

        await self.app(scope, counted, send)


class SentenceRoute(APIRoute):
    """A route whose errors are JSON: ``{"error": a sentence, "kind": …}``, and never a trace."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:
                return answer_to(error)

        return handle


def answer_to(error: Exception) -> JSONResponse:
    """Return what a program is told of an error."""
    if isinstance(error, HTTPException):
        return _refused(error.status_code, str(error.detail))
    if isinstance(error, RequestValidationError):
        return _refused(422, f"The request cannot be read: {_wrong(error)}.")
    known = isinstance(error, StudioError)
    status = next(code for kind, code in _STATUS if isinstance(error, kind)) if known else 500
    return _refused(status, sentence(error), type(error).__name__ if known else "Bug")


def bytes_of(size: str) -> int:
    """Return the bytes of a size such as "500mb" or "2 GB". Raises BadInput."""
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise BadInput(f"“{size}” is no size. Write it as in 500mb.")
    return int(float(found[1]) * 1000 ** " kmgt".index(found[2].lower() or " "))


def _foreign(headers: dict[str, str]) -> tuple[int, str] | None:
    origin = headers.get("origin")
    hosts = {headers.get("host", ""), headers.get("x-forwarded-host", "")} - {""}
    same = origin is None or urlsplit(origin).netloc in hosts
    if same and headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return None
    return 403, "A page of another site may not do that in your name."


def _unfit(headers: dict[str, str]) -> tuple[int, str] | None:
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind == "application/octet-stream" or kind.startswith("image/"):
        return None
    return 415, "Send application/json, or a picture as image/… or application/octet-stream."


def _declared_too_large(headers: dict[str, str], limit: int) -> tuple[int, str] | None:
    declared = headers.get("content-length", "0")
    return _too_large(limit) if declared.isdigit() and int(declared) > limit else None


def _too_large(limit: int) -> tuple[int, str]:
    return 413, f"That is too large: a request may have {size_text(limit)} here."


def _refused(status: int, text: str, kind: str = "BadInput") -> JSONResponse:
    kinds = {403: "NotAllowed", 404: "NotFound"}
    return JSONResponse({"error": text, "kind": kinds.get(status, kind)}, status)


def _wrong(error: RequestValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first.get("loc", ())[1:]) or "the body"
    return f"{where}: {first.get('msg', 'it is not what it should be')}".rstrip(".")
