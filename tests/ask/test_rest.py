"""Questions by HTTP."""

from __future__ import annotations

import time

import pytest
from starlette.testclient import TestClient

from studio.app import serve
from studio.operations import jobs
from tests.ask.world import NUMBERS, studio_of_answers
from tests.predict.squares import add_pictures, picture, squares

V1 = "/api/v1"


@pytest.fixture
def studio(tmp_path):
    made, *_ = studio_of_answers(tmp_path)
    yield made
    jobs.runs(made).stop_all()
    made.close()


@pytest.fixture
def project(studio):
    return studio.store.create_project("Squares", "local")


@pytest.fixture
def records(studio, project):
    return add_pictures(studio.store, project.id, 5, "local")


@pytest.fixture
def client(studio):
    return TestClient(serve(studio))


def ended(client, job_id: str) -> dict:
    until = time.monotonic() + 30
    while (job := client.get(f"{V1}/jobs/{job_id}").json())["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.02)
    return job


def refused(answer, status: int, said: str) -> None:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "kind"} and said in answer.json()["error"]


def test_a_question_is_answered_with_places_in_pixels(client, studio, records):
    body = {"model": "teller", "question": "Where?", "image": records[3].id}
    answer = client.post(f"{V1}/ask", json=body).json()
    assert answer["answer"] == "a squarea squarea square"
    real = squares(picture(3))
    for place, square in zip(answer["places"], real, strict=True):
        assert place["box"] == pytest.approx(square.box.xyxy, abs=0.2)
        assert answer["answer"][slice(*place["span"])] == place["phrase"] == "a square"
    part = client.post(f"{V1}/ask", json={**body, "question": "How many squares?", "region": [0, 0, 64, 14]})
    assert part.json()["answer"] == "one"
    assert studio.store.annotations(records[3].id) == []


def test_a_column_is_filled_read_filtered_exported_and_undone(client, project, records):
    body = {"model": "teller", "question": "How many squares?", "project": project.id, "column": "squares"}
    begun = client.post(f"{V1}/ask/jobs", json=body)
    assert begun.status_code == 201
    job = ended(client, begun.json()["id"])
    assert (job["state"], job["kind"], job["done"]) == ("done", "ask", 5)
    (column,) = client.get(f"{V1}/projects/{project.id}/columns").json()
    assert (column["name"], column["answers"]) == ("squares", 5)
    at = f"{V1}/projects/{project.id}/columns/squares"
    page = client.get(at).json()
    assert [line["answer"]["value"] for line in page["answers"]] == [*NUMBERS, "none"]
    some = client.get(at, params={"way": "is", "text": "None", "order": "name"}).json()
    assert (some["total"], some["answers"][1]["name"]) == (2, "0004.png")
    csv = client.get(f"{V1}/projects/{project.id}/answers", params={"format": "csv"})
    assert csv.headers["content-type"].startswith("text/csv")
    assert csv.text.lstrip("\ufeff").splitlines()[:2] == ["image,squares,tags", "0000.png,none,"]
    assert len(client.get(f"{V1}/projects/{project.id}/answers").text.splitlines()) == 5
    report = client.get(f"{V1}/jobs/{job['id']}/report").json()
    assert {"answer": "none", "images": 2} in report["answers"]
    assert client.post(f"{V1}/jobs/{job['id']}/undo").json() == {"images": 5}
    assert client.get(at, params={"way": "any"}).json()["total"] == 0


def test_tags_are_made_of_a_form(client, studio, project, records):
    body = {"model": "teller", "question": "Any?", "project": project.id, "tag": "full: {answer}",
            "choices": ["yes", "no"], "images": [r.id for r in records[:2]]}  # fmt: skip
    job = client.post(f"{V1}/ask/jobs", json=body).json()
    assert ended(client, job["id"])["done"] == 2
    tags = [[a.class_name for a in studio.store.annotations(r.id)] for r in records]
    assert tags == [["full: no"], ["full: yes"], [], [], []]


WRONG = [
    ("/ask", {"model": "boxer"}, 400, "answers no questions"),
    ("/ask", {"model": "tellr"}, 404, "teller"),
    ("/ask", {"image": "x"}, 404, "image"),
    ("/ask", {"region": [1, 2]}, 400, "x0, y0, x1, y1"),
    ("/ask", {"speed": 1}, 422, "speed"),
    ("/ask/jobs", {"column": "a", "tag": "b {answer}"}, 400, "Name a column"),
    ("/ask/jobs", {}, 400, "Name a column"),
    ("/ask/jobs", {"tag": "b"}, 400, "no {answer} in it"),
    ("/ask/jobs", {"column": "a", "images": ["0" * 32]}, 404, "not in this project"),
    ("/ask/jobs", {"column": "a", "project": "x"}, 404, "project"),
]


def test_what_is_wrong_is_answered_in_a_sentence(client, studio, project, records):
    for path, changes, status, said in WRONG:
        here = {"image": records[0].id} if path == "/ask" else {"project": project.id}
        body = {"model": "teller", "question": "Any?", **here, **changes}
        refused(client.post(V1 + path, json=body), status, said)
    assert studio.store.jobs(project.id) == []
    refused(client.get(f"{V1}/projects/{project.id}/columns/none"), 404, "column is not in the project")
