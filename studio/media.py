"""The addresses images are served at, each checked against the person who asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, Response

from studio.errors import StudioError
from studio.operations.matting.stored import cutout_shown
from studio.project import ImageRecord
from studio.studio import Studio

_KINDS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"RIFF": "image/webp",
}


def media_routes(studio: Studio) -> APIRouter:
    """Serve ``media/image/ID``, ``media/thumb/ID``, and of an image's mattes ``media/alpha/ID/DIGEST``, which a trimap
    has too, and ``media/cutout/ID/DIGEST``. The bytes of an address never change, so browsers keep them.
    """
    router = APIRouter()

    @router.get("/media/image/{image_id}")
    def image(image_id: str, request: Request) -> Response:
        return _file(request, image_id, studio.store.display_path)

    @router.get("/media/thumb/{image_id}")
    def thumb(image_id: str, request: Request) -> Response:
        return _file(request, image_id, studio.store.thumbnail_path)

    @router.get("/media/alpha/{image_id}/{digest}")
    def alpha(image_id: str, digest: str, request: Request) -> Response:
        return _file(request, image_id, lambda image: studio.store.alpha_path(image.id, digest), digest)

    @router.get("/media/cutout/{image_id}/{digest}")
    def cutout(image_id: str, digest: str, request: Request) -> Response:
        return _file(request, image_id, lambda image: cutout_shown(studio, image, digest), f"cutout {digest}")

    def _file(
        request: Request, image_id: str, path_of: Callable[[ImageRecord], Path], of: str = ""
    ) -> Response:
        try:
            record = studio.image_for(image_id, studio.person(request))
            etag = f'"{(of or record.digest)[:40]}"'
            headers = {
                "etag": etag,
                "cache-control": "private, max-age=31536000, immutable",
                # The bytes came from a person: never to be read as a page.
                "x-content-type-options": "nosniff",
                "content-security-policy": "default-src 'none'; sandbox",
            }
            path = path_of(record)
        except StudioError as error:
            raise HTTPException(404, str(error)) from None
        if not path.exists():
            raise HTTPException(404, "The file of this image is missing from the studio's data folder.")
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return FileResponse(path, media_type=_media_type(path), headers=headers)

    return router


def _media_type(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4)
    return next(
        (kind for start, kind in _KINDS.items() if head.startswith(start)), "application/octet-stream"
    )
