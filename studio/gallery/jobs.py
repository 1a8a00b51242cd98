"""What the list of jobs asks of the server: how far they are, and to pause, go on, cancel, undo and report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from studio.answers import Answer, Request, answering
from studio.gallery.wire import project_of, text
from studio.operations import jobs, reports
from studio.project import Job, JobImage
from studio.studio import Studio

LISTED = 30
REPORTED = 200  # failed images that a report names

Act = Callable[[Studio, str, str], str]


def answer_jobs(studio: Studio, kind: str = jobs.KIND) -> Callable[[dict], Answer]:
    """Return the server function of the list of jobs of a kind, called ``jobs``."""

    def listed(project: str) -> Answer:
        found = studio.store.jobs(project, kind=kind, limit=LISTED)
        return {"jobs": [line(studio, job) for job in found]}

    def show(request: Request) -> Answer:
        return listed(project_of(request, studio.store, studio.person()))

    def acting(act: Act) -> Callable[[Request], Answer]:
        def acted(request: Request) -> Answer:
            project = project_of(request, studio.store, studio.person())
            told = act(studio, studio.person(), text(request, "job"))
            return {"told": told, **listed(project)}

        return acted

    def report(request: Request) -> Answer:
        return {"report": reported(studio, studio.person(), text(request, "job"))}

    acts = {name: acting(act) for name, act in _ACTS.items()}
    return answering("jobs", {"show": show, "report": report, **acts})


def line(studio: Studio, job: Job) -> Answer:
    """Return what the list shows of a job."""
    run = jobs.running(studio, job.id) if job.state == "running" else None
    progress = run.progress if run else None
    return {
        "id": job.id,
        "title": job.title,
        "state": job.state,
        "problem": job.problem,
        "began": job.created.isoformat(),
        "done": job.done,
        "failed": job.failed,
        "total": job.total,
        "here": run is not None,
        "left": progress.seconds_left if progress else None,
        "now": progress.now if progress else "",
    }


def reported(studio: Studio, person: str, job_id: str) -> Answer:
    """Return what became of a job's images: figures over all of them, and why some failed."""
    told = reports.report(studio, person, job_id)
    failed = studio.store.job_report(job_id, failed_only=True, limit=REPORTED)
    return {
        "added": told.added,
        "merged": told.merged,
        "dropped": told.dropped,
        "done": told.job.done,
        "failed": told.job.failed,
        "total": told.job.total,
        "problems": [_problem(entry) for entry in failed],
        "answers": [list(each) for each in told.answers],
        "different": told.different,
    }


def _problem(entry: JobImage) -> dict[str, Any]:
    return {"image": entry.image.id, "name": entry.image.name, "why": entry.problem or ""}


def _pause(studio: Studio, person: str, job: str) -> str:
    jobs.pause(studio, person, job)
    return ""


def _go_on(studio: Studio, person: str, job: str) -> str:
    jobs.go_on(studio, person, job)
    return ""


def _cancel(studio: Studio, person: str, job: str) -> str:
    jobs.cancel(studio, person, job)
    return ""


def _undo(studio: Studio, person: str, job: str) -> str:
    count = jobs.undo(studio, person, job)
    if not count:
        return "There was nothing left to take back. What people changed since stays."
    return ""


def _forget(studio: Studio, person: str, job: str) -> str:
    jobs.forget(studio, person, job)
    return "Removed from the list. What it made stays."


_ACTS: dict[str, Act] = {
    "pause": _pause,
    "go_on": _go_on,
    "cancel": _cancel,
    "undo": _undo,
    "forget": _forget,
}
