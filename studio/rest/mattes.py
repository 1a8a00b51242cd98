"""The routes of mattes: one made and not kept, those of a project given out, and jobs that make many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import anyio
import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from studio import images
from studio.cutouts import Kind
from studio.errors import BadInput, NotFound
from studio.formats.matting import MattingOptions, What, parts
from studio.formats.pngs import png_bytes
from studio.gate import Turn
from studio.intake import guard as intake
from studio.operations import jobs
from studio.operations.matting import jobs as mattes
from studio.operations.matting import matte
from studio.operations.matting.export import export_one, stream_dataset
from studio.operations.matting.jobs import MatteRecipe
from studio.operations.matting.looking import picture_of
from studio.operations.matting.stored import kept
from studio.operations.matting.trimaps import Band
from studio.rest.guard import SentenceRoute
from studio.rest.wire import Body, ImagesBody, RecipeBody
from studio.studio import Studio

MATTE_UPLOAD = "/matte/upload"
AT_ONCE = 2  # mattes in hand: each takes seconds and up to a gigabyte
TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}

T = TypeVar("T")


class BandBody(Body):
    """How wide the unknown band is."""

    width: float = 1.0
    pixels: float | None = None
    see_through: list[str] = Field([], description="Phrases such as “glass”.")
    detector: str = ""


class MatteBody(Body):
    """Matte an object of an image of a project; nothing is saved."""

    image: str = Field(description="The image's id.")
    annotation: str = Field(description="The object's id: it has a mask, a polygon, a box or a matte.")
    matter: str
    options: dict[str, Any] = {}
    band: BandBody = BandBody()
    what: Literal["cutout", "alpha", "trimap", "foreground"] = "cutout"
    bits: Literal[8, 16] = 8


class MatteJobBody(ImagesBody):
    """Matte images of a project, and save the mattes as drafts."""

    matter: str = Field("", description="Empty with take “alone”: a guess that needs no download.")
    take: Literal["found", "labels", "alone"] = "found"
    find: RecipeBody | None = None
    segmenter: str = ""
    classes: list[str] = []
    class_name: str = "object"
    options: dict[str, Any] = {}
    band: BandBody = BandBody()
    policy: Literal["append", "merge", "skip", "replace-drafts"] = "merge"
    same: float = mattes.SAME
    bits: Literal[8, 16] = 8

    def recipe(self, studio: Studio) -> MatteRecipe:
        made = MatteRecipe.from_json(self.model_dump(exclude={"project", "images", "title", "find"}))
        return made if self.find is None else replace(made, find=self.find.recipe(studio))


def matte_routes(studio: Studio, told: Callable[[str, str], dict[str, Any]]) -> APIRouter:
    """Return the routes; ``told`` says how far a job is."""
    router = APIRouter(route_class=SentenceRoute)
    room = anyio.CapacityLimiter(AT_ONCE)

    async def in_a_thread(work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=room)

    @router.post("/matte", response_class=Response)
    async def matte_one(request: Request, body: MatteBody) -> Response:
        """A part of the matte of an object, as PNG. Nothing is saved."""
        person = studio.person(request)
        return await in_a_thread(partial(_matted, studio, person, body))

    upload = {"requestBody": {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}}

    @router.post(MATTE_UPLOAD, openapi_extra=upload, response_class=Response)
    async def matte_upload(
        request: Request, cutter: str = "", what: Literal["cutout", "alpha", "foreground"] = "cutout"
    ) -> Response:
        """What stands out in a picture that is the body of the request, as PNG; the picture is not kept."""
        studio.person(request)
        if cutter:
            await in_a_thread(partial(matte.checked, studio, cutter, "cutter"))
        data = await request.body()
        return await in_a_thread(partial(_uploaded, studio, cutter, what, data))

    @router.get("/mattes/{image}/{annotation}", response_class=Response)
    async def stored(
        request: Request,
        image: str,
        annotation: str,
        what: What = "cutout",
        kind: Kind = "png",
        bits: Literal[8, 16] = 8,
        background: Annotated[str, Query(description="#rrggbb, or the id of an image of the project.")] = "",
    ) -> Response:
        """A part of a matte that is in a project."""
        person = studio.person(request)

        def work() -> Response:
            found = studio.image_for(image, person)
            there = studio.store.annotation(found.id, annotation)
            if there is None:
                raise NotFound("This object is not on the image any more.")
            data, _ = export_one(
                studio, found, there, what, kind=kind, bits=bits, background=background or None
            )
            return Response(data, media_type=TYPES[kind])

        return await in_a_thread(work)

    @router.get("/projects/{project}/mattes.zip", response_class=StreamingResponse)
    def dataset(
        request: Request,
        project: str,
        what: Annotated[list[What] | None, Query()] = None,
        kind: Kind = "png",
        bits: Literal[0, 8, 16] = 0,
        background: str = "#ffffff",
        drafts: bool = False,
    ) -> StreamingResponse:
        """All mattes of a project as a zip, sent as it is made; matting.json in it is read back by an import."""
        found = studio.store.project_for(project, studio.person(request))
        options = MattingOptions(tuple(what or ("cutout", "alpha", "trimap")), kind, bits, background)
        stream = stream_dataset(studio.store, found.id, options, drafts=drafts)
        headers = {"content-disposition": 'attachment; filename="mattes.zip"'}
        return StreamingResponse(stream, media_type="application/zip", headers=headers)

    @router.post("/jobs/matte", status_code=201)
    def begin(request: Request, body: MatteJobBody) -> dict[str, Any]:
        """Begin a job that mattes images of a project; it is watched, paused and undone as every job is."""
        person = studio.person(request)
        project = studio.store.project_for(body.project, person)
        chosen = jobs.images_of(studio, project.id, body.images)
        job = mattes.begin(studio, person, project.id, body.recipe(studio), chosen, title=body.title)
        return told(job.id, person)

    return router


def _matted(studio: Studio, person: str, body: MatteBody) -> Response:
    image = studio.image_for(body.image, person)
    card = matte.checked(studio, body.matter, "matter")
    levels = matte.trimap(studio, image, body.annotation, Band.from_json(body.band.model_dump()))
    if body.what == "trimap":
        return Response(png_bytes(levels), media_type="image/png")
    pixels = picture_of(studio, image)
    alpha = matte.matted(studio, card, pixels, levels, body.options, turn=Turn.BATCH)
    return _part(pixels, alpha, body.what, body.bits)


def _uploaded(studio: Studio, cutter: str, what: str, data: bytes) -> Response:
    # Nobody vouches for these bytes: another process reads them first, whose crash or hang costs nobody anything.
    intake.shared().derive(data, "The picture")
    pixels = images.decode(data, "The picture")
    _, _, alpha, _ = matte.stand_out(studio, "", pixels, cutter, turn=Turn.BATCH)
    return _part(pixels, alpha, what, 8)


def _part(pixels: np.ndarray, alpha: np.ndarray, what: str, bits: Literal[8, 16]) -> Response:
    if what == "alpha":
        given = kept(alpha, None, bits)
        return Response(given.files[given.shape.digest], media_type="image/png")
    if bits == 16:
        raise BadInput("Coloured pictures have 8 bits. Ask for the alpha to have 16.")
    ((_, _, data),) = parts(pixels, alpha, MattingOptions((what,)), (what,))
    return Response(data, media_type="image/png")
