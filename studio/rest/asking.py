"""The routes of questions: ask about one image, or about many, and read what was answered."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from studio.errors import NotFound
from studio.gate import Turn
from studio.operations import ask, ask_jobs, jobs
from studio.operations.answer_files import write_answers
from studio.project import ColumnFilter, ImageColumn
from studio.rest.guard import SentenceRoute
from studio.rest.wire import (
    AskBody,
    AskJobBody,
    answer_json,
    answered_json,
    column_json,
    job_json,
    region_of,
)
from studio.studio import Studio

AT_ONCE = 2  # questions in hand; the others wait without a thread
MOST_LISTED = 500


def asking(studio: Studio) -> APIRouter:
    router = APIRouter(route_class=SentenceRoute)
    room = anyio.CapacityLimiter(AT_ONCE)

    @router.post("/ask")
    async def answered(request: Request, body: AskBody) -> dict[str, Any]:
        """What a model answers about an image of a project, and where what it speaks of lies. Nothing is saved."""
        person = studio.person(request)

        def work() -> dict[str, Any]:
            image, region = studio.image_for(body.image, person), region_of(body.region)
            return answer_json(ask.answer(studio, image, body.query(), region=region, turn=Turn.BATCH))

        return await anyio.to_thread.run_sync(work, limiter=room)

    @router.post("/ask/jobs", status_code=201)
    def begin(request: Request, body: AskJobBody) -> dict[str, Any]:
        """Begin a job that asks about images of a project; it is watched and undone under /jobs."""
        person = studio.person(request)
        project = studio.store.project_for(body.project, person)
        wanted = jobs.images_of(studio, project.id, body.images)
        job = ask_jobs.begin(
            studio, person, project.id, body.asked(), wanted, column_name=body.column, title=body.title
        )
        return job_json(job, jobs.running(studio, job.id))

    @router.get("/projects/{project}/columns")
    def columns(request: Request, project: str) -> list[dict[str, Any]]:
        """The columns of a project."""
        found = studio.store.project_for(project, studio.person(request))
        return [column_json(column) for column in studio.store.columns(found.id)]

    @router.get("/projects/{project}/columns/{column}")
    def answers(
        request: Request,
        project: str,
        column: str,
        order: Literal["added", "name", "value"] = "added",
        way: Literal["is", "holds", "any", "none"] | None = None,
        text: str = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
    ) -> dict[str, Any]:
        """One page of a column's answers; the column by its id or name. ``way`` and ``text`` filter by the answer."""
        found = studio.store.project_for(project, studio.person(request))
        known = _column(studio, found.id, column)
        only = {"column": ColumnFilter(known.id, way, text)} if way else {}
        page, total = studio.store.column_page(known.id, order=order, offset=offset, limit=limit, **only)
        return {"total": total, "answers": [answered_json(image, cell) for image, cell in page]}

    @router.get("/projects/{project}/answers")
    def exported(
        request: Request, project: str, format: Literal["csv", "jsonl"] = "jsonl"
    ) -> StreamingResponse:
        """All answers and tags of a project as a file: CSV, or a line of JSON for each image."""
        found = studio.store.project_for(project, studio.person(request))
        folder = tempfile.TemporaryDirectory(prefix="onelabel-")
        try:
            written = write_answers(studio.store, found.id, Path(folder.name) / f"answers.{format}", format)
        except BaseException:
            folder.cleanup()
            raise
        kind = "text/csv" if format == "csv" else "application/x-ndjson"
        name = {"Content-Disposition": f'attachment; filename="answers.{format}"'}
        return StreamingResponse(
            _sent(folder, written.path), media_type=f"{kind}; charset=utf-8", headers=name
        )

    return router


def _column(studio: Studio, project_id: str, named: str) -> ImageColumn:
    found = next((c for c in studio.store.columns(project_id) if named in (c.id, c.name)), None)
    if found is None:
        raise NotFound(
            "This column is not in the project. GET /projects/PROJECT/columns lists those that are."
        )
    return found


def _sent(folder: tempfile.TemporaryDirectory, path: Path) -> Iterator[bytes]:
    with folder, path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
