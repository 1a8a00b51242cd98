"""Long works over many images: what was asked, which images are left, and what became of each.

An image's result and its mark are written in one transaction. So whenever the process dies, each image is either
done, once, or still to be done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from studio.errors import BadInput, Conflict, NotFound
from studio.project.alphas import prepared
from studio.project.annotations import Edit
from studio.project.columns import fill
from studio.project.database import Database
from studio.project.files import Files
from studio.project.images import as_record, find_image
from studio.project.names import asked_id, check_person, storable
from studio.project.projects import find_project
from studio.project.records import Answered, Applied, Change, Job, JobImage, JobState
from studio.project.schema import images, job_images, jobs
from studio.project.steps import new_id

LONGEST_PROBLEM = 500
SILENCE = 15.0  # seconds without a beat after which nobody works on a job any more
INTERRUPTED = "The studio was closed in the middle. Nothing is lost: it goes on where it stood."
_AT_ONCE = 500


class JobStore:
    """The part of the store that knows jobs."""

    _db: Database
    _files: Files

    def add_job(
        self,
        project_id: str,
        person: str,
        kind: str,
        title: str,
        settings: Mapping[str, Any],
        image_ids: Sequence[str],
    ) -> Job:
        """Write a job down with the images it is to go through, in order. It starts as "paused"."""
        check_person(person)
        wanted = list(dict.fromkeys(image_ids))
        if not wanted:
            raise BadInput("There is no image to work on. Add images, or choose fewer filters.")
        now = datetime.now(UTC)
        job_id = new_id()
        with self._db.write() as c:
            find_project(c, project_id)
            row = {
                "id": job_id,
                "project_id": project_id,
                "person": person,
                "kind": kind,
                "title": storable(title),
                "settings": dict(settings),
                "state": "paused",
                "problem": None,
                "created": now,
                "changed": now,
            }
            c.execute(insert(jobs), row)
            position = 0
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                found = select(images.c.id, images.c.seq).where(
                    images.c.id.in_(part), images.c.project_id == project_id
                )
                seqs = {id: seq for id, seq in c.execute(found)}
                lines = [
                    {
                        "job_id": job_id,
                        "position": position + i,
                        "image": seqs[id],
                        "state": "todo",
                        "counts": {},
                    }
                    for i, id in enumerate(part)
                    if id in seqs
                ]
                position += len(part)
                if lines:
                    c.execute(insert(job_images), lines)
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        """Return a job. Raises NotFound."""
        with self._db.read() as c:
            return _job(c, _find(c, job_id))

    def jobs(self, project_id: str, *, kind: str | None = None, limit: int = 50) -> list[Job]:
        """Return a project's jobs, the newest first."""
        wanted = select(jobs).where(jobs.c.project_id == asked_id(project_id))
        if kind is not None:
            wanted = wanted.where(jobs.c.kind == kind)
        with self._db.read() as c:
            rows = list(c.execute(wanted.order_by(jobs.c.created.desc(), jobs.c.id).limit(limit)))
            return [_job(c, row) for row in rows]

    def job_todo(self, job_id: str, *, after: int = -1, limit: int = 200) -> list[JobImage]:
        """Return the next images that are still to be done, behind a position."""
        wanted = (
            select(job_images.c.position, images)
            .join(images, images.c.seq == job_images.c.image)
            .where(job_images.c.job_id == asked_id(job_id), job_images.c.state == "todo")
            .where(job_images.c.position > after)
            .order_by(job_images.c.position)
            .limit(limit)
        )
        with self._db.read() as c:
            return [JobImage(row.position, as_record(row), "todo") for row in c.execute(wanted)]

    def job_report(
        self, job_id: str, *, failed_only: bool = True, after: int = -1, limit: int = 1000
    ) -> list[JobImage]:
        """Return what became of the images behind a position, in order; by default of those that failed."""
        wanted = (
            select(job_images.c.position, job_images.c.state.label("became"), job_images.c.problem)
            .add_columns(job_images.c.counts, job_images.c.answer, images)
            .join(images, images.c.seq == job_images.c.image)
            .where(job_images.c.job_id == asked_id(job_id), job_images.c.state != "todo")
            .where(job_images.c.position > after)
            .order_by(job_images.c.position)
            .limit(limit)
        )
        if failed_only:
            wanted = wanted.where(job_images.c.state == "failed")
        with self._db.read() as c:
            return [
                JobImage(row.position, as_record(row), row.became, row.problem, dict(row.counts), row.answer)
                for row in c.execute(wanted)
            ]

    def finish_job_image(
        self,
        job_id: str,
        image_id: str,
        changes: Sequence[Change],
        *,
        verb: str,
        counts: Mapping[str, int] | None = None,
        answer: str | None = None,
        cell: Answered | None = None,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> Applied | None:
        """Write an image's result and that it is done, in one; None where it was done already or the job cancelled.

        The annotations are the work of whoever started the job, and one group of history with its other images:
        ``undo_group(job_id, person)`` takes all of it back. So is what goes into a ``cell`` of a column; where a
        person's value stays there, ``counts`` become {"merged": 1}. ``answer`` is kept with the job.
        ``files`` are those that alphas among the changes name, as for ``apply``.
        """
        with self._db.read() as c:  # the row alone: a Job counts its images, too dear for each of them
            person = _find(c, job_id).person
        edit = Edit(person, changes, verb=verb, group=job_id, files=files)
        prepared(self._db, self._files, files)
        with self._db.write() as c:
            # Whoever cancels a job that another process works on may undo it at once: nothing comes afterwards.
            if _find(c, job_id).state == "cancelled":
                return None
            if not _mark(c, job_id, image_id, "done", None, counts or {}, answer):
                return None
            if cell is not None:
                image = find_image(c, image_id, lock=True)
                if not fill(c, image, cell, person, job_id):
                    here = (job_images.c.job_id == job_id, job_images.c.image == image.seq)
                    c.execute(update(job_images).where(*here).values(counts={"merged": 1}))
            return edit.carry_out(c, image_id, self._db, self._files)

    def finish_job_images(self, job_id: str, image_ids: Sequence[str]) -> int:
        """Write that images are done whose result lies elsewhere; return how many were still to be done."""
        done = 0
        with self._db.write() as c:
            if _find(c, job_id).state == "cancelled":
                return 0
            for start in range(0, len(image_ids), _AT_ONCE):
                here = select(images.c.seq).where(images.c.id.in_(list(image_ids[start : start + _AT_ONCE])))
                left = (job_images.c.job_id == job_id, job_images.c.state == "todo")
                marked = update(job_images).where(*left, job_images.c.image.in_(here))
                done += c.execute(marked.values(state="done", problem=None, counts={"added": 1})).rowcount
        return done

    def job_answers(self, job_id: str, *, limit: int = 30) -> tuple[list[tuple[str, int]], int]:
        """Return a job's commonest answers with how many images gave each, and how many different ones there are."""
        mine = (job_images.c.job_id == asked_id(job_id), job_images.c.answer.is_not(None))
        wanted = (
            select(job_images.c.answer, func.count())
            .where(*mine)
            .group_by(job_images.c.answer)
            .order_by(func.count().desc(), job_images.c.answer)
            .limit(limit)
        )
        with self._db.read() as c:
            different = c.execute(
                select(func.count(job_images.c.answer.distinct())).where(*mine)
            ).scalar_one()
            return [(answer, count) for answer, count in c.execute(wanted)], different

    def fail_job_image(self, job_id: str, image_id: str, problem: str) -> None:
        """Write down why an image could not be done."""
        with self._db.write() as c:
            _find(c, job_id)
            _mark(c, job_id, image_id, "failed", storable(problem)[:LONGEST_PROBLEM], {})

    def retry_job_images(self, job_id: str) -> int:
        """Put the failed images back among those to be done; return how many."""
        with self._db.write() as c:
            _find(c, job_id)
            again = update(job_images).where(job_images.c.job_id == job_id, job_images.c.state == "failed")
            return c.execute(again.values(state="todo", problem=None)).rowcount

    def set_job_state(
        self, job_id: str, state: JobState, *, problem: str | None = None, only: Sequence[JobState] = ()
    ) -> Job:
        """Say how a job stands. ``only`` names the states it may come from; raises Conflict from another.

        A job that was running in a process which is gone counts as paused.
        """
        with self._db.write() as c:
            row = _find(c, job_id, lock=True)
            if only and _state(row) not in only:
                raise Conflict(f"“{row.title}” is {row.state}, so it cannot become {state} now.")
            values = {
                "state": state,
                "problem": storable(problem)[:LONGEST_PROBLEM] if problem else None,
                "changed": datetime.now(UTC),
            }
            c.execute(update(jobs).where(jobs.c.id == job_id).values(values))
        return self.job(job_id)

    def beat_job(self, job_id: str) -> JobState:
        """Say that a process works on the job still; return the state, which another process may have changed."""
        with self._db.write() as c:
            c.execute(update(jobs).where(jobs.c.id == job_id).values(changed=datetime.now(UTC)))
            return _find(c, job_id).state

    def delete_job(self, job_id: str) -> None:
        """Forget a job; what it has made stays."""
        with self._db.write() as c:
            row = _find(c, job_id, lock=True)
            if _state(row) == "running":
                raise Conflict(f"“{row.title}” is running. Cancel it first.")
            c.execute(delete(jobs).where(jobs.c.id == job_id))


def _find(connection: Connection, job_id: str, *, lock: bool = False) -> Row:
    wanted = select(jobs).where(jobs.c.id == asked_id(job_id))
    row = connection.execute(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        raise NotFound("This job is not here any more.")
    return row


def _state(row: Row) -> JobState:
    gone = row.state == "running" and (datetime.now(UTC) - row.changed).total_seconds() > SILENCE
    return "paused" if gone else row.state


def _mark(
    connection: Connection,
    job_id: str,
    image_id: str,
    state: str,
    problem: str | None,
    counts: Mapping[str, int],
    answer: str | None = None,
) -> bool:
    """Mark an image where it is still to be done; say whether it was."""
    here = find_image(connection, image_id).seq
    marked = (
        update(job_images)
        .where(job_images.c.job_id == job_id, job_images.c.image == here, job_images.c.state == "todo")
        .values(state=state, problem=problem, counts=dict(counts), answer=answer)
    )
    return connection.execute(marked).rowcount == 1


def _job(connection: Connection, row: Row) -> Job:
    counted = (
        select(job_images.c.state, func.count())
        .where(job_images.c.job_id == row.id)
        .group_by(job_images.c.state)
    )
    states = {state: count for state, count in connection.execute(counted)}
    return Job(
        id=row.id,
        project_id=row.project_id,
        person=row.person,
        kind=row.kind,
        title=row.title,
        settings=dict(row.settings),
        state=_state(row),
        problem=row.problem if row.state == _state(row) else INTERRUPTED,
        created=row.created,
        changed=row.changed,
        done=states.get("done", 0),
        failed=states.get("failed", 0),
        total=sum(states.values()),
    )
