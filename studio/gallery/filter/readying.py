"""How many images of a project a model has looked at, and the job that makes it look at the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from studio.answers import Answer, Request
from studio.gallery.filter.wire import collected, model, project, with_roster
from studio.operations import jobs
from studio.operations.filtering import collection, embedding, keeping
from studio.operations.filtering.collection import EMBED
from studio.project import Job
from studio.studio import Studio

MOST_NAMES = 500
MOST_HIDDEN = 500  # images out of view that the page is told of

Operations = dict[str, Callable[[Request], Answer]]


def operations(studio: Studio) -> Operations:
    def state(request: Request) -> Answer:
        person, project_id, model_id = studio.person(), project(studio, request), model(studio, request)
        now = collection.state(studio, person, project_id, model_id)
        job = _job(studio, project_id, model_id)
        return {
            "total": now.total,
            "embedded": now.embedded,
            "hidden": now.hidden,
            "job": _line(studio, job) if job else None,
            "classes": classes(studio, project_id),
        }

    def begin(request: Request) -> Answer:
        embedding.begin(studio, studio.person(), project(studio, request), model(studio, request))
        return state(request)

    def acting(act: Callable[..., Any]) -> Callable[[Request], Answer]:
        def acted(request: Request) -> Answer:
            job = _job(studio, project(studio, request), model(studio, request))
            if job is not None:
                act(studio, studio.person(), job.id)
            return state(request)

        return acted

    def roster(request: Request) -> Answer:
        return with_roster(request, collected(studio, request), {})

    def names(request: Request) -> Answer:
        project_id, wanted = project(studio, request), request.get("ids")
        found = [str(each) for each in (wanted if isinstance(wanted, list) else ())][:MOST_NAMES]
        return {"names": _names(studio, project_id, found)}

    def hidden(request: Request) -> Answer:
        project_id = project(studio, request)
        found = keeping.hidden(studio, studio.person(), project_id, limit=MOST_HIDDEN)
        total = studio.store.count_images(project_id, hidden=True)
        return {"images": [{"id": image.id, "name": image.name} for image in found], "total": total}

    acts = {"pause": jobs.pause, "cancel": jobs.cancel, "go_on": jobs.go_on}
    return {
        "state": state,
        "begin": begin,
        "roster": roster,
        "names": names,
        "hidden": hidden,
        **{name: acting(act) for name, act in acts.items()},
    }


def classes(studio: Studio, project_id: str) -> list[Answer]:
    return [{"name": c.name, "colour": c.colour} for c in studio.store.classes(project_id)]


def _names(studio: Studio, project_id: str, ids: list[str]) -> Answer:
    found = {}
    for image in studio.store.images_by_id(ids).values():
        if image.project_id == project_id:
            found[image.id] = {"name": image.name, "width": image.width, "height": image.height}
    return found


def _job(studio: Studio, project_id: str, model_id: str) -> Job | None:
    """Return the newest job that embeds a project by a model."""
    found = studio.store.jobs(project_id, kind=EMBED)
    return next((job for job in found if job.settings.get("model") == model_id), None)


def _line(studio: Studio, job: Job) -> Answer:
    run = jobs.running(studio, job.id) if job.state == "running" else None
    return {
        "state": job.state,
        "done": job.done,
        "failed": job.failed,
        "total": job.total,
        "problem": job.problem or "",
        "left": run.progress.seconds_left if run else None,
    }
