"""The address at which one cut-out is fetched as a file: with its alpha, laid over a colour, or over a picture."""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from studio import images
from studio.errors import BadInput, NotFound, StudioError
from studio.operations.matting.export import export_one
from studio.studio import Studio

LARGEST_PICTURE = 50_000_000  # bytes of a picture that somebody sends to be laid behind a cut-out
TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}


def cut_routes(studio: Studio) -> APIRouter:
    """Serve ``media/cut/IMAGE/ANNOTATION?what=…&kind=…&bits=…&background=…`` as a file to be kept.

    The words are those of ``export_one``; ``background`` is "#rrggbb" or the id of an image of the same project. To
    a POST the picture that is to lie behind the cut-out is the body. Errors are {"detail": a sentence}.
    """
    router = APIRouter()

    @router.get("/media/cut/{image_id}/{annotation_id}")
    async def cut(image_id: str, annotation_id: str, request: Request) -> Response:
        return await run_in_threadpool(
            _cut, studio, studio.person(request), image_id, annotation_id, dict(request.query_params), None
        )

    @router.post("/media/cut/{image_id}/{annotation_id}")
    async def cut_over(image_id: str, annotation_id: str, request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_PICTURE:
                raise HTTPException(
                    413, "The picture for the background is larger than 50 MB. Choose a smaller one."
                )
        return await run_in_threadpool(
            _cut,
            studio,
            studio.person(request),
            image_id,
            annotation_id,
            dict(request.query_params),
            bytes(body),
        )

    return router


def _cut(
    studio: Studio,
    person: str,
    image_id: str,
    annotation_id: str,
    asked: dict[str, str],
    picture: bytes | None,
) -> Response:
    try:
        image = studio.image_for(image_id, person)
        annotation = studio.store.annotation(image.id, annotation_id)
        if annotation is None:
            raise NotFound("This cut-out is not on its image any more.")
        kind, bits = asked.get("kind", "png"), asked.get("bits", "8")
        if kind not in TYPES or bits not in ("8", "16"):
            raise BadInput("A cut-out is kept as png, webp or jpeg, with 8 or 16 bits.")
        background = _background(studio, person, image.project_id, asked.get("background", ""), picture)
        data, name = export_one(
            studio,
            image,
            annotation,
            asked.get("what", "cutout"),
            kind=kind,
            bits=int(bits),
            background=background,
        )
    except NotFound as error:
        raise HTTPException(404, str(error)) from None
    except StudioError as error:
        raise HTTPException(400, str(error)) from None
    return Response(
        data,
        media_type=TYPES[kind],
        headers={
            "content-disposition": _disposition(name),
            "cache-control": "private, no-store",
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; sandbox",
        },
    )


def _background(studio: Studio, person: str, project: str, asked: str, picture: bytes | None) -> Any:
    if picture is not None:
        return np.ascontiguousarray(images.decode(picture, "the picture for the background"))
    if not asked or re.fullmatch(r"#[0-9a-fA-F]{6}", asked):
        return asked or None
    behind = studio.image_for(asked, person)
    if behind.project_id != project:
        raise BadInput("The picture for the background is of another project. Choose one of this project.")
    return behind.id


def _disposition(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    plain = re.sub(r"[^\w. -]+", "-", plain) or "cutout"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
