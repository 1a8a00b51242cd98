"""Questions about many images as jobs: begin one, go on with it, look ahead, and ask what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from studio.annotations import Annotation
from studio.errors import BadInput, NotAllowed, NotFound
from studio.gate import Turn
from studio.operations import jobs
from studio.operations.ask import (
    ANSWER,
    VERB,
    Answer,
    Query,
    Said,
    answer,
    answers_to,
    check,
    fits,
    ready,
    say,
    tag_changes,
    value_of,
)
from studio.operations.merging import SAME_FOUND, Policy
from studio.operations.running import Run
from studio.project import Answered, ColumnFilter, ImageColumn, ImageRecord, Job, Store
from studio.studio import Studio

KIND = "ask"


class Asking:
    """A query as the work of a job. What it finds on an image is not annotations but what was said."""

    batch = 1
    policy: Policy = "append"
    same = SAME_FOUND

    def __init__(self, studio: Studio, query: Query) -> None:
        check(studio, query)
        self.studio, self.query = studio, query

    def annotate(
        self, records: Sequence[ImageRecord], pictures: Sequence[np.ndarray]
    ) -> list[list[Annotation]]:
        """Return for each image, as the one thing of its list, what goes into its tag or column."""
        return [[self._value(picture)] for picture in pictures]

    def _value(self, picture: np.ndarray) -> Any:
        said = Said()
        for said in say(self.studio, self.query, picture, turn=Turn.BATCH):  # noqa: B007
            pass
        return value_of(self.query, said)


class AskRun(Run):
    """A run whose results are values of a column, or tags of which there are not too many different ones."""

    def __init__(self, store: Store, job: Job, work: Asking) -> None:
        known, _ = store.job_answers(job.id, limit=work.query.most)
        self._tags = {tag for tag, _ in known}
        super().__init__(store, job, work)

    def _finish(self, record: ImageRecord, found: list[Any]) -> None:
        (value,), work, query = found, self._work, self._work.query
        if query.into == "tag":
            self._bound(value, query)
            changes, counts = tag_changes(work.studio, self._store.image(record.id), query, value)
            cell = None
        else:
            changes, counts = [], {"added": 1}
            cell = Answered(query.column, value, query.model, query.question)
        try:
            done = self._store.finish_job_image(
                self.job_id, record.id, changes, verb=VERB, counts=counts, answer=value, cell=cell
            )
        except NotFound as error:
            if cell is not None and _gone(self._store, query.column):
                self._error = error  # for all the images that are left, too
                return
            raise
        if done is not None:
            self._tags.add(value)
            self._count(counts)

    def _bound(self, tag: str, query: Query) -> None:
        if tag not in self._tags and len(self._tags) >= query.most:
            raise BadInput(
                f"“{tag}” would be one more than the {query.most} different tags that this job may make. Name the "
                "answers that count, write into a column, or allow more."
            )


# ---- whole datasets --------------------------------------------------------------------------------


def begin(
    studio: Studio,
    person: str,
    project_id: str,
    query: Query,
    image_ids: Sequence[str],
    *,
    column_name: str = "",
    title: str = "",
) -> Job:
    """Begin to ask about images of a project. A column may be given by its name; it is added where there is none.

    Raises BadInput, NotFound, and NeedsDownload for a model that is not here.
    """
    if not studio.store.may_see(project_id, person):
        raise NotAllowed("This project is not yours. Ask whoever owns it to add you.")
    card = check(studio, query)
    ready(studio, query)
    if not query.question and query.into == "tag":
        raise BadInput("Without a question the answer is a caption, which is no tag. Ask something.")
    column_name = " ".join(column_name.split())
    if query.into == "tag":
        wanted = _untagged(studio, project_id, query, image_ids)
        if image_ids and not wanted:
            raise BadInput("Every one of these images has an answer in its tags. Choose to replace them.")
        image_ids = wanted
    else:
        there = _column(studio, project_id, query.column, column_name)
        wanted = image_ids if there is None else left_to_ask(studio, there, query, image_ids)
        if image_ids and not wanted:
            raise BadInput(
                f"Every one of these images has an answer in “{there.name}”. Choose to replace them, or another column."
            )
        image_ids = wanted
        if image_ids:
            name = there.name if there else column_name
            column = studio.store.add_column(
                project_id, name, question=query.question or "(a caption)", model=query.model, person=person
            )
            query = replace(query, column=column.id)
    asked = query.question if len(query.question) <= 80 else f"{query.question[:79]}…"
    title = title or f"{asked or 'A caption'} — {card.title}"
    job = studio.store.add_job(project_id, person, KIND, title, query.to_json(), image_ids)
    return start(studio, job)


def start(studio: Studio, job: Job) -> Job:
    """Begin or go on with a job that asks. Raises what ``begin`` does, and Conflict where it is running."""
    query = Query.from_json(job.settings)
    check(studio, query)
    ready(studio, query)
    if query.into == "column":
        studio.store.column(query.column)
    jobs.runs(studio).start(studio.store, job, lambda: Asking(studio, query), AskRun)
    return studio.store.job(job.id)


def left_to_ask(studio: Studio, column: ImageColumn, query: Query, image_ids: Sequence[str]) -> list[str]:
    """Return those of some images that a query would ask about: with "fill" the ones without an answer there."""
    if query.again != "fill" or not column.answers:
        return list(image_ids)
    free = set(studio.store.image_ids(column.project_id, column=ColumnFilter(column.id, "none")))
    return [each for each in image_ids if each in free]


def _untagged(studio: Studio, project_id: str, query: Query, image_ids: Sequence[str]) -> list[str]:
    """Return, with "fill", those of some images that have no tag which answers the question."""
    if query.again != "fill":
        return list(image_ids)
    store, tagged = studio.store, set()
    bare = query.template.strip() == ANSWER
    for each in store.classes(project_id):
        if not bare and not fits(query, each.name):
            continue
        for image in store.image_ids(project_id, class_id=each.id):
            if image not in tagged and any(answers_to(a, query) for a in store.annotations(image)):
                tagged.add(image)
    return [each for each in image_ids if each not in tagged]


def column_named(studio: Studio, project_id: str, name: str) -> ImageColumn | None:
    """Return the project's column of a name, None where there is none."""
    name = " ".join(name.split())
    return next((c for c in studio.store.columns(project_id) if c.name == name), None)


def _column(studio: Studio, project_id: str, column_id: str, name: str) -> ImageColumn | None:
    if column_id:
        column = studio.store.column(column_id)
        if column.project_id != project_id:
            raise NotFound("This column is not in the project any more. Somebody may have deleted it.")
        return column
    if not name.strip():
        raise BadInput("Say what the column is to be called, such as “ripe”.")
    return column_named(studio, project_id, name)


def _gone(store: Store, column_id: str) -> bool:
    try:
        store.column(column_id)
    except NotFound:
        return True
    return False


# ---- looking ahead ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Foretold:
    """What a job would do to an image: the answer as it was given, and what would be written, or why nothing would."""

    answer: Answer
    value: str = ""
    problem: str = ""

    @property
    def image(self) -> ImageRecord:
        return self.answer.image


def preview(
    studio: Studio,
    query: Query,
    wanted: Sequence[ImageRecord],
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Foretold]:
    """Yield what a job would do to each of some images, until somebody stops it. Nothing is changed."""
    for image in wanted:
        found = answer(studio, image, query, turn=Turn.BATCH, stopped=stopped)
        if not found.whole:
            return
        try:
            yield Foretold(found, value_of(query, found.said))
        except BadInput as error:
            yield Foretold(found, problem=str(error))
