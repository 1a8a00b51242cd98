"""The addresses images are served at, each checked against the person who asks."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, Response

from studio.errors import StudioError
from studio.studio import Studio

_KINDS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"RIFF": "image/webp",
}


def media_routes(studio: Studio) -> APIRouter:
    """Serve ``media/image/ID`` and ``media/thumb/ID``. An image's bytes never change, so browsers keep them."""
    router = APIRouter()

    @router.get("/media/image/{image_id}")
    def image(image_id: str, request: Request) -> Response:
        return _file(request, image_id, studio.store.display_path)

    @router.get("/media/thumb/{image_id}")
    def thumb(image_id: str, request: Request) -> Response:
        return _file(request, image_id, studio.store.thumbnail_path)

    def _file(request: Request, image_id: str, path_of) -> Response:
        try:
            record = studio.image_for(image_id, studio.person(request))
        except StudioError as error:
            raise HTTPException(404, str(error)) from None
        etag = f'"{record.digest[:32]}"'
        headers = {
            "etag": etag,
            "cache-control": "private, max-age=31536000, immutable",
            # The bytes came from a person: never to be read as a page.
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; sandbox",
        }
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        path = path_of(record)
        if not path.exists():
            raise HTTPException(404, "The file of this image is missing from the studio's data folder.")
        return FileResponse(path, media_type=_media_type(path), headers=headers)

    return router


def _media_type(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4)
    return next(
        (kind for start, kind in _KINDS.items() if head.startswith(start)), "application/octet-stream"
    )
