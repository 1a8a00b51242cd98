"""The routes of the filter: embed a project, rank it by what is looked for, sort it into classes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from studio.operations import jobs
from studio.operations.filtering import classify, collection, embedding, exporting, search
from studio.operations.filtering.query import PHOTO, Query, read_phrases
from studio.rest.guard import SentenceRoute
from studio.rest.wire import Body, job_json
from studio.studio import Studio

BINARY = "application/octet-stream"
MOST_SHOWN = 10_000


class EmbedBody(Body):
    """Give the images of a project vectors, those that have none yet."""

    project: str = Field(description="The project's id.")
    model: str = Field(description="An embedder's id.")
    images: list[str] | None = Field(None, description="Ids of some of its images; without it, all.")


class FilterBody(Body):
    """What to look for: ``text`` as typed, such as “lions AND grass NOT zoo”, or ``query`` with its terms."""

    project: str
    model: str
    text: str = ""
    query: dict[str, Any] | None = None
    templates: list[str] = []
    top: int = Field(100, ge=1, le=MOST_SHOWN)
    threshold: float | None = None
    with_hidden: bool = False

    def asked(self) -> Query:
        return read_phrases(self.text, self.templates) if self.query is None else Query.from_json(self.query)


class ClassifyBody(Body):
    """Classes to sort the images of a project into, by their names."""

    project: str
    model: str
    classes: list[str]
    phrases: dict[str, list[str]] = {}
    templates: list[str] = list(PHOTO)
    least: float = 0.0


def filtering(studio: Studio) -> APIRouter:
    """Return the routes."""
    router = APIRouter(route_class=SentenceRoute)

    @router.post("/embed", status_code=201)
    def embed(request: Request, body: EmbedBody) -> dict[str, Any]:
        """Begin a job that embeds. Its job is null where each image has a vector already."""
        person = studio.person(request)
        project = studio.store.project_for(body.project, person)
        job = embedding.begin(studio, person, project.id, body.model, body.images)
        state = collection.state(studio, person, project.id, body.model)
        told = None if job is None else job_json(job, jobs.running(studio, job.id))
        return {"job": told, "images": state.total, "embedded": state.embedded}

    @router.post("/filter", response_model=None)
    def filter_(request: Request, body: FilterBody) -> dict[str, Any] | Response:
        """The images of a project ranked, best first. With “application/octet-stream” accepted: all, packed."""
        person = studio.person(request)
        project = studio.store.project_for(body.project, person)
        ranking = search.rank(
            studio, person, project.id, body.model, body.asked(), with_hidden=body.with_hidden
        )
        if BINARY in request.headers.get("accept", ""):
            return Response(ranking.packed(), media_type=BINARY)
        reached = ranking.top(body.top) if body.threshold is None else ranking.above(body.threshold)
        named = exporting.named(studio, project.id, reached[: body.top])
        return {
            "scale": ranking.scale,
            "total": len(ranking.order),
            "reached": len(ranking.order) if body.threshold is None else len(reached),
            "missing": ranking.collection.missing,
            "images": [{"id": image.id, "name": image.name, "score": score} for image, score in named],
        }

    @router.get("/filter/ids", response_class=Response)
    def ids(request: Request, project: str, model: str, with_hidden: bool = False) -> Response:
        """The ids that packed scores are of, in their order: 16 bytes each."""
        person = studio.person(request)
        found = studio.store.project_for(project, person)
        these = collection.collection(studio, person, found.id, model, with_hidden=with_hidden)
        return Response(collection.packed_ids(these), media_type=BINARY, headers={"x-stamp": these.stamp})

    @router.post("/classify")
    def sorted_(request: Request, body: ClassifyBody) -> dict[str, Any]:
        """The images of a project with the class whose name fits best. Nothing is saved."""
        person = studio.person(request)
        project = studio.store.project_for(body.project, person)
        naming = classify.Naming.from_json(
            body.model_dump(include={"classes", "phrases", "templates", "least"})
        )
        found = classify.classify(studio, person, project.id, body.model, naming)
        images = (
            {
                "id": image_id,
                "class": found.name_of(place) or None,
                "confidence": float(found.confidence[place]),
            }
            for place, image_id in enumerate(found.collection.ids)
        )
        return {"counts": found.counts(), "missing": found.collection.missing, "images": list(images)}

    return router
