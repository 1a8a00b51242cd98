"""Predictions as jobs, as a person begins, stops, goes on with and takes back; and what one image would get."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from studio.annotations import Annotation, Box
from studio.errors import BadInput, Conflict, NotAllowed, NotFound
from studio.hub import NeedsDownload
from studio.operations import jobs
from studio.operations.predict import Recipe
from studio.project import Change
from tests.predict.squares import add_pictures, squares
from tests.predict.world import studio_of_squares

RECIPE = Recipe(("squares",))


@pytest.fixture
def world(tmp_path):
    made = studio_of_squares(tmp_path)
    yield made
    jobs.runs(made[0]).stop_all()
    made[0].close()


@pytest.fixture
def studio(world):
    return world[0]


@pytest.fixture
def project(studio):
    return studio.store.create_project("Squares", "ann")


@pytest.fixture
def records(studio, project):
    return add_pictures(studio.store, project.id, 12)


def ids(records):
    return [r.id for r in records]


def finished(studio, job):
    if (run := jobs.runs(studio).get(job.id)) is not None:
        run.wait(30)
    return studio.store.job(job.id)


def total(studio, records) -> int:
    return sum(len(studio.store.annotations(r.id)) for r in records)


class Held:
    """A detector that waits at its first image until it is let go."""

    names = ("square",)

    def __init__(self) -> None:
        self.there, self.go = threading.Event(), threading.Event()

    def detect(self, images, *, floor=0.05):
        self.there.set()
        assert self.go.wait(20)
        return [squares(i) for i in images]


@pytest.fixture
def held(studio, monkeypatch):
    model = Held()
    card = studio.registry.card("squares")
    monkeypatch.setattr(
        studio.pool, "run", lambda model_id, work, **_: work(model) if model_id == card.id else None
    )
    return model


def test_a_job_predicts_and_one_undo_takes_all_of_it_back(studio, project, records):
    job = finished(studio, jobs.begin(studio, "ann", project.id, RECIPE, ids(records)))
    assert (job.state, job.done, job.title) == ("done", 12, "Squares")
    assert total(studio, records) == sum(i % 4 for i in range(12))
    assert jobs.undo(studio, "ann", job.id) == 9
    assert total(studio, records) == 0


def test_a_job_is_paused_and_goes_on_where_it_stood(studio, project, records, held):
    job = jobs.begin(studio, "ann", project.id, RECIPE, ids(records))
    assert held.there.wait(20)
    with pytest.raises(Conflict):
        jobs.go_on(studio, "ann", job.id)
    with pytest.raises(BadInput, match="running"):
        jobs.undo(studio, "ann", job.id)
    jobs.pause(studio, "ann", job.id)
    held.go.set()
    paused = finished(studio, job)
    assert paused.state == "paused" and 0 < paused.done < 12
    assert jobs.running(studio, job.id) is None
    after = finished(studio, jobs.go_on(studio, "ann", job.id))
    assert (after.state, after.done) == ("done", 12)
    assert total(studio, records) == sum(i % 4 for i in range(12))


def test_a_job_that_nobody_works_on_can_be_cancelled_and_forgotten(studio, project, records, held):
    job = jobs.begin(studio, "ann", project.id, RECIPE, ids(records))
    assert held.there.wait(20)
    jobs.pause(studio, "ann", job.id)
    held.go.set()
    finished(studio, job)
    jobs.cancel(studio, "ann", job.id)
    assert studio.store.job(job.id).state == "cancelled"
    before = total(studio, records)
    jobs.forget(studio, "ann", job.id)
    assert studio.store.jobs(project.id) == [] and total(studio, records) == before


def test_images_that_failed_are_tried_again(studio, project, records):
    path = studio.store.original_path(records[3])
    data = path.read_bytes()
    path.write_bytes(b"no picture")
    job = finished(studio, jobs.begin(studio, "ann", project.id, RECIPE, ids(records)))
    assert (job.done, job.failed) == (11, 1)
    path.write_bytes(data)
    again = finished(studio, jobs.go_on(studio, "ann", job.id))
    assert (again.state, again.done, again.failed) == ("done", 12, 0)
    assert len(studio.store.annotations(records[3].id)) == 3
    with pytest.raises(BadInput, match="no image of it is left"):
        jobs.go_on(studio, "ann", job.id)


def test_others_may_neither_begin_nor_see_a_job(studio, project, records):
    with pytest.raises(NotAllowed):
        jobs.begin(studio, "eve", project.id, RECIPE, ids(records))
    job = finished(studio, jobs.begin(studio, "ann", project.id, RECIPE, ids(records)))
    for act in (jobs.go_on, jobs.pause, jobs.cancel, jobs.undo, jobs.forget):
        with pytest.raises(NotFound):
            act(studio, "eve", job.id)


def test_a_job_with_a_model_that_is_not_here_is_not_begun(studio, project, records, monkeypatch):
    monkeypatch.setattr(studio.hub, "state", lambda card: "absent")
    monkeypatch.setattr(studio.hub, "absent", lambda card, other: NeedsDownload(card, other))
    with pytest.raises(NeedsDownload):
        jobs.begin(studio, "ann", project.id, RECIPE, ids(records))
    assert studio.store.jobs(project.id) == []


def test_of_the_findings_those_chosen_are_kept_however_sure(studio, records):
    findings = jobs.look(studio, records[3], RECIPE)
    assert [d.score for d in findings.detections] == pytest.approx([0.9, 0.8, 0.7])
    assert total(studio, records) == 0, "looking changes nothing"
    jobs.keep(studio, "ann", findings, [1])
    (kept,) = studio.store.annotations(records[3].id)
    assert (kept.score, kept.draft, kept.class_name) == (pytest.approx(0.8), True, "square")
    studio.store.undo(records[3].id, "ann")
    assert studio.store.annotations(records[3].id) == []
    assert jobs.keep(studio, "ann", findings, []) is None
    sure = replace(findings, recipe=replace(RECIPE, threshold=0.95))
    jobs.keep(studio, "ann", sure, range(3))
    assert len(studio.store.annotations(records[3].id)) == 3, "below the recipe's own threshold, too"


def test_a_preview_says_what_would_be_added_merged_and_dropped(studio, project, records):
    image = records[3]
    first, second, _ = squares_of(studio, image)
    put = [
        Annotation("square", first.box),  # a person's
        Annotation("square", Box(0, 60, 3, 63), source="model", draft=True, model="old"),
    ]
    studio.store.apply(image.id, "ann", [Change(a) for a in put], verb="put")

    def counts(**changes):
        recipe = Recipe(("squares",), **changes)
        return [p.counts for p in jobs.preview(studio, "ann", recipe, [image])]

    assert counts() == [(3, 0, 0)]
    assert counts(policy="merge") == [(2, 1, 0)]
    assert counts(policy="replace-drafts") == [(3, 0, 1)]
    assert counts(policy="replace-all") == [(3, 0, 2)]
    assert counts(policy="skip") == [(0, 3, 0)]
    assert len(studio.store.annotations(image.id)) == 2
    for policy in ("merge", "replace-drafts"):  # and the job does as the preview said
        job = jobs.begin(studio, "ann", project.id, Recipe(("squares",), policy=policy), [image.id])
        run = jobs.runs(studio).get(job.id)
        finished(studio, job)
        assert (run.progress.added, run.progress.merged, run.progress.dropped) == counts_of(policy)
        jobs.undo(studio, "ann", job.id)


def counts_of(policy: str) -> tuple[int, int, int]:
    return {"merge": (2, 1, 0), "replace-drafts": (3, 0, 1)}[policy]


def squares_of(studio, record):
    return jobs.look(studio, record, RECIPE).detections


def test_a_preview_looks_at_a_few_images_of_many(studio, records):
    seen = [p.image.name for p in jobs.preview(studio, "ann", RECIPE, records * 10)]
    assert len(seen) <= jobs.PREVIEWED and records[0].name in seen and records[-1].name in seen
    with pytest.raises(BadInput, match="no image"):
        list(jobs.preview(studio, "ann", RECIPE, []))


def test_what_classes_were_called_is_remembered_by_project_and_model(studio, project, records):
    assert jobs.remembered(studio, project.id, "squares") == ({}, "add")
    recipe = Recipe(("squares",), classes={"square": "tile", "circle": None}, unknown="drop")
    finished(studio, jobs.begin(studio, "ann", project.id, recipe, ids(records)))
    assert jobs.remembered(studio, project.id, "squares") == ({"square": "tile", "circle": None}, "drop")
    assert jobs.remembered(studio, project.id, "beside") == ({}, "add")
    other = studio.store.create_project("Other", "ann")
    assert jobs.remembered(studio, other.id, "squares") == ({}, "add")


def test_a_class_that_the_project_has_is_no_unknown_one(studio, project, records):
    recipe = Recipe(("squares",), unknown="drop")
    assert jobs.look(studio, records[3], recipe).detections == ()
    studio.store.add_class(project.id, "square")
    assert len(jobs.look(studio, records[3], recipe).detections) == 3
    finished(studio, jobs.begin(studio, "ann", project.id, recipe, ids(records)))
    assert total(studio, records) == sum(i % 4 for i in range(12))
    assert jobs.remembered(studio, project.id, "squares") == ({}, "drop")
