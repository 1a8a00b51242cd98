"""What the list of jobs is told, and what its buttons do."""

from __future__ import annotations

import time

import pytest

from studio.gallery.jobs import answer_jobs
from studio.operations import jobs
from studio.operations.predict import Recipe
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.conftest import add_photograph
from tests.fakes import BoxDetector, box_card

RECIPE = Recipe(("boxer",))


@pytest.fixture
def detector() -> BoxDetector:
    return BoxDetector(refuse=frozenset({322}))


@pytest.fixture
def studio(tmp_path, detector):
    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry([box_card(detector)]))
    yield made
    jobs.runs(made).stop_all()
    made.close()


@pytest.fixture
def project(studio) -> str:
    made = studio.store.create_project("fruit", "local")
    for n in range(4):
        add_photograph(studio.store, made.id, f"{n}.jpg", width=320 + n, seed=n)
    return made.id


@pytest.fixture
def ask(studio, project):
    call = answer_jobs(studio)
    return lambda op, **more: call({"op": op, "project": project, **more})


def begin(studio, project: str) -> str:
    return jobs.begin(studio, "local", project, RECIPE, studio.store.image_ids(project)).id


def ended(studio, job: str) -> None:
    while jobs.running(studio, job) is not None:
        time.sleep(0.01)


def test_a_job_is_listed_with_how_far_it_is(studio, project, ask):
    assert ask("show")["jobs"] == []
    job = begin(studio, project)
    ended(studio, job)
    (line,) = ask("show")["jobs"]
    assert (line["id"], line["title"], line["state"]) == (job, "Boxer", "done")
    assert (line["done"], line["failed"], line["total"], line["here"]) == (3, 1, 4, False)


def test_a_report_adds_up_and_says_why_images_failed(studio, project, ask):
    job = begin(studio, project)
    ended(studio, job)
    report = ask("report", job=job)["report"]
    assert (report["added"], report["merged"], report["failed"]) == (9, 0, 1)
    (problem,) = report["problems"]
    assert problem["name"] == "2.jpg" and "322 pixels wide" in problem["why"]
    assert studio.store.image(problem["image"]).name == "2.jpg"


def test_a_job_is_paused_and_goes_on(studio, project, ask, detector):
    detector.seconds = 0.2
    job = begin(studio, project)
    while not ask("show")["jobs"][0]["done"]:
        time.sleep(0.01)
    assert ask("show")["jobs"][0]["here"]
    ask("pause", job=job)
    ended(studio, job)
    (line,) = ask("show")["jobs"]
    assert line["state"] == "paused" and line["done"] < 3
    detector.seconds = 0
    assert ask("go_on", job=job)["ok"]
    ended(studio, job)
    assert ask("show")["jobs"][0]["done"] == 3


def test_what_was_taken_back_is_said_later_too(studio, project, ask):
    job = begin(studio, project)
    ended(studio, job)
    ask("undo", job=job)
    assert all(image.drafts == 0 for image in studio.store.images(project))
    (line,) = ask("show")["jobs"]
    assert line["problem"].startswith("Taken back on 3 images") and line["state"] == "done"
    assert "nothing left" in ask("undo", job=job)["told"]
    assert ask("forget", job=job)["jobs"] == []


def test_nobody_sees_or_touches_a_job_of_somebody_elses_project(studio, project):
    job = begin(studio, project)
    ended(studio, job)
    stranger = studio.store.create_project("theirs", "local").id
    studio.person = lambda request=None: "eve"
    call = answer_jobs(studio)
    for request in (
        {"op": "show", "project": project},
        {"op": "undo", "project": project, "job": job},
        {"op": "undo", "project": studio.store.create_project("own", "eve").id, "job": job},
        {"op": "forget", "project": stranger, "job": job},
        {"op": "report", "project": project, "job": job},
    ):
        assert call(request)["kind"] == "NotFound", request
    assert studio.store.job(job).done == 3
