"""The routes. Each is thin: it reads a request, calls one operation, and says what came of it.

``GET /api/v1/openapi.json`` describes them. Whoever asks is known as on the page: on one's own machine everybody is
the same person, on a shared studio a program sends the cookie ``onelabel_person`` of the browser it acts for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from studio import __version__, images
from studio.adapters import Role
from studio.gate import Turn
from studio.intake import guard as intake
from studio.operations import jobs
from studio.operations.describing import Told
from studio.operations.predict import FIRST_THRESHOLD, Recipe, find_in, sure
from studio.operations.recipe import named_or_described
from studio.operations.reports import report
from studio.operations.words import words_in
from studio.rest.asking import asking
from studio.rest.filtering import filtering
from studio.rest.guard import LARGEST_JSON, Guard, SentenceRoute, answer_to, bytes_of
from studio.rest.mattes import MATTE_UPLOAD, matte_routes
from studio.rest.wire import (
    JobBody,
    PredictBody,
    detection_json,
    image_json,
    job_json,
    model_json,
    project_json,
    region_of,
    report_json,
)
from studio.studio import Studio

PREFIX = "/api/v1"
UPLOAD = "/predict/upload"
AT_ONCE = 4  # predictions in hand; the others wait without a thread, so that pages never wait for one
MOST_LISTED = 1000

T = TypeVar("T")


def api(studio: Studio) -> FastAPI:
    """Return the app to be mounted at ``PREFIX``."""
    app = FastAPI(title="Onelabel Studio", version=__version__, docs_url=None, redoc_url=None)
    app.include_router(_reading(studio))
    app.include_router(_predicting(studio))
    app.include_router(asking(studio))
    app.include_router(matte_routes(studio, partial(_told, studio)))
    app.include_router(_working(studio))
    app.include_router(filtering(studio))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return answer_to(error)

    largest = min(images.MAX_BYTES, bytes_of(studio.settings.max_file_size))
    app.add_middleware(
        Guard, most=lambda path: largest if path.endswith((UPLOAD, MATTE_UPLOAD)) else LARGEST_JSON
    )
    return app


def _reading(studio: Studio) -> APIRouter:
    router = APIRouter(route_class=SentenceRoute)

    @router.get("/projects")
    def projects(request: Request) -> list[dict[str, Any]]:
        """The projects you may see."""
        return [project_json(p) for p in studio.store.projects(studio.person(request))]

    @router.get("/projects/{project}/images")
    def project_images(
        request: Request,
        project: str,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
    ) -> list[dict[str, Any]]:
        """One page of a project's images, in the order they were added."""
        found = studio.store.project_for(project, studio.person(request))
        return [image_json(i) for i in studio.store.images(found.id, offset=offset, limit=limit)]

    @router.get("/models")
    def models(request: Request, role: Role | None = None) -> list[dict[str, Any]]:
        """The models, the best of each role first; and whether their files are here."""
        studio.person(request)
        return [model_json(studio, card) for card in studio.registry.cards(role)]

    return router


def _predicting(studio: Studio) -> APIRouter:
    router = APIRouter(route_class=SentenceRoute)
    room = anyio.CapacityLimiter(AT_ONCE)

    async def in_a_thread(work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=room)

    @router.post("/predict")
    async def predict(request: Request, body: PredictBody) -> dict[str, Any]:
        """What models find on an image of a project. Nothing is saved; masks are COCO run lengths."""
        person = studio.person(request)

        def work() -> dict[str, Any]:
            image, recipe = studio.image_for(body.image, person), body.recipe(studio)
            findings = jobs.look(studio, image, recipe, region=region_of(body.region), turn=Turn.BATCH)
            return _found(recipe, image.width, image.height, findings.detections, findings.told)

        return await in_a_thread(work)

    upload = {"requestBody": {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}}

    @router.post(UPLOAD, openapi_extra=upload)
    async def predict_upload(
        request: Request,
        model: Annotated[list[str], Query(description="May be given several times, for an ensemble.")],
        segmenter: str = "",
        pose: str = "",
        threshold: float = FIRST_THRESHOLD,
        words: Annotated[
            str | None, Query(description="“red apple, mug=cup, -plate”; empty: what a caption names.")
        ] = None,
        task: str = "",
    ) -> dict[str, Any]:
        """What models find on a picture that is the body of the request, and is not kept."""
        studio.person(request)
        recipe = Recipe(tuple(model), segmenter, pose, threshold, words=words_in(words or ""), task=task)
        if words is not None:
            recipe = named_or_described(studio, recipe)
        # Before the picture is taken in; in a thread, for where models are missing the hub is asked about them.
        await in_a_thread(partial(_check, studio, recipe))
        data = await request.body()
        return await in_a_thread(partial(_upload, studio, recipe, data))

    return router


def _check(studio: Studio, recipe: Recipe) -> None:
    jobs.check(studio, recipe)
    jobs.ready(studio, recipe)


def _upload(studio: Studio, recipe: Recipe, data: bytes) -> dict[str, Any]:
    # Nobody vouches for these bytes: another process reads them first, whose crash or hang costs nobody anything.
    intake.shared().derive(data, "The picture")
    picture = images.decode(data, "The picture")
    told: list[Told] = []
    found = find_in(studio, recipe, picture, None, turn=Turn.BATCH, heard=told.append)
    return _found(recipe, picture.shape[1], picture.shape[0], found, told[0] if told else None)


def _found(
    recipe: Recipe, width: int, height: int, detections: Any, told: Told | None = None
) -> dict[str, Any]:
    kept = [detection_json(d, said) for said, d in sure(recipe, detections)]
    text = {} if told is None else {"text": told.text}
    return {"width": width, "height": height, "detections": kept, **text}


def _working(studio: Studio) -> APIRouter:
    router = APIRouter(prefix="/jobs", route_class=SentenceRoute)

    told = partial(_told, studio)

    @router.get("")
    def listed(request: Request, project: str) -> list[dict[str, Any]]:
        """A project's jobs, the newest first."""
        found = studio.store.project_for(project, studio.person(request))
        return [job_json(j, jobs.running(studio, j.id)) for j in studio.store.jobs(found.id)]

    @router.post("", status_code=201)
    def begin(request: Request, body: JobBody) -> dict[str, Any]:
        """Begin a job: it predicts images of a project and saves what it finds as drafts."""
        person = studio.person(request)
        project = studio.store.project_for(body.project, person)
        wanted = jobs.images_of(studio, project.id, body.images)
        job = jobs.begin(studio, person, project.id, body.recipe(studio), wanted, title=body.title)
        return told(job.id, person)

    @router.get("/{job}")
    def one(request: Request, job: str) -> dict[str, Any]:
        """How far a job is."""
        return told(job, studio.person(request))

    @router.get("/{job}/report")
    def reported(request: Request, job: str) -> dict[str, Any]:
        """What came of a job, and which images failed and why."""
        return report_json(report(studio, studio.person(request), job))

    @router.post("/{job}/pause")
    def pause(request: Request, job: str) -> dict[str, Any]:
        """Stop after the images in hand; it can go on later."""
        person = studio.person(request)
        jobs.pause(studio, person, job)
        return told(job, person)

    @router.post("/{job}/go-on")
    def go_on(request: Request, job: str) -> dict[str, Any]:
        """Go on where it stood, and try images that failed once more."""
        person = studio.person(request)
        jobs.go_on(studio, person, job)
        return told(job, person)

    @router.post("/{job}/cancel")
    def cancel(request: Request, job: str) -> dict[str, Any]:
        """Stop for good; what it did stays until it is undone."""
        person = studio.person(request)
        jobs.cancel(studio, person, job)
        return told(job, person)

    @router.post("/{job}/undo")
    def undo(request: Request, job: str) -> dict[str, Any]:
        """Take back all that a job did."""
        return {"images": jobs.undo(studio, studio.person(request), job)}

    @router.delete("/{job}", status_code=204)
    def forget(request: Request, job: str) -> None:
        """Take a job off the list; what it did stays."""
        jobs.forget(studio, studio.person(request), job)

    return router


def _told(studio: Studio, job_id: str, person: str) -> dict[str, Any]:
    return job_json(jobs.job_for(studio, job_id, person), jobs.running(studio, job_id))
