"""A job's images are each done once, whatever happens in between."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from studio.annotations import Annotation, Box
from studio.errors import BadInput, Conflict, NotFound
from studio.project import Change
from studio.project.schema import jobs
from tests.project.store_scenes import add


def box(name="bird", x=1.0) -> Change:
    return Change(Annotation(name, Box(x, 1, x + 5, 9), source="model", draft=True, score=0.5))


@pytest.fixture
def images(store, project):
    return [add(store, project.id, f"{i}.png") for i in range(5)]


@pytest.fixture
def job(store, project, images):
    return store.add_job(project.id, "ann", "predict", "Find birds", {"model": "m"}, [i.id for i in images])


def test_a_new_job_waits_with_all_its_images_in_the_order_given(store, project, images, job):
    assert (job.state, job.done, job.failed, job.total) == ("paused", 0, 0, 5)
    assert job.settings == {"model": "m"} and job.kind == "predict" and job.person == "ann"
    assert [entry.image.id for entry in store.job_todo(job.id)] == [i.id for i in images]
    assert store.jobs(project.id) == [job]


def test_a_result_and_its_mark_are_written_together_and_once(store, images, job):
    first = store.finish_job_image(job.id, images[0].id, [box()], verb="predict", counts={"added": 1})
    again = store.finish_job_image(job.id, images[0].id, [box()], verb="predict", counts={"added": 1})
    assert len(first.put) == 1 and again is None
    assert len(store.annotations(images[0].id)) == 1
    assert store.job(job.id).done == 1
    assert [entry.image.id for entry in store.job_todo(job.id)] == [i.id for i in images[1:]]


def test_a_result_that_cannot_be_written_leaves_its_image_to_be_done(store, images, job):
    wrong = Change(dataclasses.replace(box().annotation, class_name=" "))
    with pytest.raises(BadInput):
        store.finish_job_image(job.id, images[0].id, [wrong], verb="predict")
    assert store.job(job.id).done == 0 and len(store.job_todo(job.id)) == 5


def test_an_image_without_findings_is_done_too(store, images, job):
    store.finish_job_image(job.id, images[1].id, [], verb="predict")
    assert store.job(job.id).done == 1


def test_what_failed_is_told_with_its_reason_and_can_be_tried_again(store, images, job):
    store.fail_job_image(job.id, images[2].id, "It is no picture.")
    (told,) = store.job_report(job.id)
    assert (told.image.id, told.problem, told.state) == (images[2].id, "It is no picture.", "failed")
    assert store.job(job.id).failed == 1
    assert store.retry_job_images(job.id) == 1
    assert len(store.job_todo(job.id)) == 5


def test_one_undo_takes_the_whole_job_back(store, images, job):
    for image in images:
        store.finish_job_image(job.id, image.id, [box()], verb="predict")
    store.apply(images[0].id, "ann", [box("hand made", 20)], verb="draw")
    assert store.undo_group(job.id, "ann") == 5
    assert [len(store.annotations(i.id)) for i in images] == [1, 0, 0, 0, 0]


def test_images_deleted_in_the_meantime_count_no_longer(store, images, job):
    store.delete_images([images[0].id], "ann")
    assert store.job(job.id).total == 4


def test_only_images_of_the_project_are_taken(store, project, images):
    other = store.create_project("Other", "ann")
    foreign = add(store, other.id, "x.png")
    job = store.add_job(project.id, "ann", "predict", "t", {}, [foreign.id, images[0].id, images[0].id])
    assert [entry.image.id for entry in store.job_todo(job.id)] == [images[0].id]


def test_a_job_needs_images(store, project):
    with pytest.raises(BadInput, match="no image"):
        store.add_job(project.id, "ann", "predict", "t", {}, [])


def test_a_running_job_is_not_started_twice_nor_forgotten(store, job):
    store.set_job_state(job.id, "running", only=("paused",))
    with pytest.raises(Conflict, match="is running"):
        store.set_job_state(job.id, "running", only=("paused",))
    with pytest.raises(Conflict, match="Cancel it first"):
        store.delete_job(job.id)
    store.set_job_state(job.id, "cancelled")
    store.delete_job(job.id)
    with pytest.raises(NotFound):
        store.job(job.id)


def test_a_job_whose_process_is_gone_can_go_on(store, job):
    store.set_job_state(job.id, "running")
    silent = datetime.now(UTC) - timedelta(seconds=60)
    with store._db.write() as c:
        c.execute(update(jobs).where(jobs.c.id == job.id).values(changed=silent))
    found = store.job(job.id)
    assert found.state == "paused" and "goes on where it stood" in found.problem
    assert store.set_job_state(job.id, "running", only=("paused",)).state == "running"


def test_a_beat_keeps_a_job_running(store, job):
    store.set_job_state(job.id, "running")
    silent = datetime.now(UTC) - timedelta(seconds=60)
    with store._db.write() as c:
        c.execute(update(jobs).where(jobs.c.id == job.id).values(changed=silent))
    store.beat_job(job.id)
    assert store.job(job.id).state == "running"


def test_a_job_goes_with_its_project(store, project, job):
    store.delete_project(project.id)
    with pytest.raises(NotFound):
        store.job(job.id)
