"""The API as programs use it, and as pages of other sites may not."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from starlette.testclient import TestClient

from studio.access import COOKIE
from studio.app import serve
from studio.operations import jobs
from studio.rest.guard import bytes_of
from tests.predict.squares import add_pictures, picture, squares
from tests.predict.world import studio_of_squares

V1 = "/api/v1"


@pytest.fixture
def studio(tmp_path):
    made, *_ = studio_of_squares(tmp_path)
    yield made
    jobs.runs(made).stop_all()
    made.close()


@pytest.fixture
def project(studio):
    return studio.store.create_project("Squares", "local")


@pytest.fixture
def records(studio, project):
    return add_pictures(studio.store, project.id, 12, "local")


@pytest.fixture
def client(studio):
    return TestClient(serve(studio))


def png(number: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture(number)).save(out, "PNG")
    return out.getvalue()


def refused(answer, status: int, said: str) -> None:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "kind"} and said in answer.json()["error"]
    assert "Traceback" not in answer.text


def ended(client, job_id: str) -> dict:
    until = time.monotonic() + 30
    while (job := client.get(f"{V1}/jobs/{job_id}").json())["state"] == "running":
        assert time.monotonic() < until
        time.sleep(0.02)
    return job


def test_projects_images_and_models_are_listed(client, project, records):
    (found,) = client.get(f"{V1}/projects").json()
    assert (found["id"], found["name"], found["images"]) == (project.id, "Squares", 12)
    images = client.get(f"{V1}/projects/{project.id}/images", params={"offset": 2, "limit": 3}).json()
    assert [i["id"] for i in images] == [r.id for r in records[2:5]]
    detectors = client.get(f"{V1}/models", params={"role": "detector"}).json()
    assert {m["id"] for m in detectors} == {"squares", "beside", "shrinking"}
    options = {m["id"]: m["options"] for m in detectors}["shrinking"]
    assert (options["shrink"]["default"], options["shrink"]["max"]) == (0, 4)


def test_an_image_of_a_project_is_predicted_with_masks_as_coco_has_them(client, studio, records):
    body = {"image": records[3].id, "models": ["squares"], "segmenter": "disc", "threshold": 0.75}
    answer = client.post(f"{V1}/predict", json=body).json()
    expected = squares(picture(3))[:2]
    assert (answer["width"], answer["height"]) == (64, 64)
    assert [d["box"] for d in answer["detections"]] == [list(d.box.xyxy) for d in expected]
    assert [d["score"] for d in answer["detections"]] == pytest.approx([0.9, 0.8])
    for found, real in zip(answer["detections"], expected, strict=True):
        assert np.array_equal(coco_mask.decode(found["mask"]).astype(bool), real.mask.to_array())
    assert studio.store.annotations(records[3].id) == [], "nothing is saved"


def test_a_region_alone_may_be_looked_at(client, records):
    first = squares(picture(3))[0].box
    region = [0, 0, 64, first.y1 + 1]
    body = {"image": records[3].id, "models": ["squares"], "region": region}
    (found,) = client.post(f"{V1}/predict", json=body).json()["detections"]
    assert found["box"] == list(first.xyxy)
    refused(client.post(f"{V1}/predict", json={**body, "region": [1, 2]}), 400, "x0, y0, x1, y1")


def test_a_picture_is_sent_and_predicted_and_not_kept(client, studio, project):
    answer = client.post(
        f"{V1}/predict/upload",
        params={"model": ["squares"], "threshold": 0.1},
        content=png(3),
        headers={"content-type": "image/png"},
    )
    assert [d["box"] for d in answer.json()["detections"]] == [list(d.box.xyxy) for d in squares(picture(3))]
    assert studio.store.count_images(project.id) == 0
    wrong = {"content": b"no picture", "headers": {"content-type": "image/png"}}
    refused(client.post(f"{V1}/predict/upload", params={"model": "squares"}, **wrong), 400, "picture")


def test_a_job_is_begun_watched_reported_and_undone(client, studio, project, records):
    studio.store.original_path(records[3]).write_bytes(b"no picture")
    body = {"project": project.id, "models": ["squares"], "classes": {"square": "tile"}}
    begun = client.post(f"{V1}/jobs", json=body)
    assert begun.status_code == 201
    job = begun.json()
    after = ended(client, job["id"])
    assert (after["state"], after["done"], after["failed"], after["total"]) == ("done", 11, 1, 12)
    report = client.get(f"{V1}/jobs/{job['id']}/report").json()
    assert report["added"] == 15 and [f["image"] for f in report["failed"]] == [records[3].name]
    assert {a.class_name for r in records for a in studio.store.annotations(r.id)} == {"tile"}
    assert [j["id"] for j in client.get(f"{V1}/jobs", params={"project": project.id}).json()] == [job["id"]]
    assert client.post(f"{V1}/jobs/{job['id']}/undo").json() == {"images": 8}
    assert not any(studio.store.annotations(r.id) for r in records)
    assert client.delete(f"{V1}/jobs/{job['id']}").status_code == 204
    refused(client.get(f"{V1}/jobs/{job['id']}"), 404, "not here any more")


def test_a_job_is_paused_goes_on_and_is_cancelled(client, studio, project, records, monkeypatch):
    slow = studio.registry.card("squares").load(None, "cpu", None)
    monkeypatch.setattr(
        slow, "detect", lambda images, floor=0.05: time.sleep(0.1) or [squares(i) for i in images]
    )
    body = {"project": project.id, "models": ["squares"], "images": [r.id for r in records]}
    job = client.post(f"{V1}/jobs", json=body).json()["id"]
    refused(client.post(f"{V1}/jobs/{job}/undo"), 400, "running")
    refused(client.post(f"{V1}/jobs/{job}/go-on"), 409, "running")
    client.post(f"{V1}/jobs/{job}/pause")
    paused = ended(client, job)
    assert paused["state"] == "paused" and paused["done"] < 12
    assert client.post(f"{V1}/jobs/{job}/go-on").json()["state"] == "running"
    client.post(f"{V1}/jobs/{job}/cancel")
    assert ended(client, job)["state"] == "cancelled"


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/predict", {"models": ["squares"]}, 422, "image"),
        ("/predict", {"image": "x", "models": ["squares"], "treshold": 0.5}, 422, "treshold"),
        ("/predict", {"image": "x", "models": ["squares"]}, 404, "image"),
        ("/predict", {"image": None, "models": ["square"]}, 404, "squares"),
        ("/predict", {"image": None, "models": []}, 400, "Choose a model"),
        ("/predict", {"image": None, "models": ["squares"], "threshold": 7}, 400, "between 0 and 1"),
        (
            "/predict",
            {"image": None, "models": ["shrinking"], "options": {"shrinking": {"shrink": "x"}}},
            400,
            "whole",
        ),
        ("/predict", {"image": None, "models": ["squares"], "tiling": {"side": 4}}, 400, "32 pixels"),
        ("/jobs", {"project": "x", "models": ["squares"]}, 404, "project"),
        ("/jobs", {"project": None, "models": ["squares"], "images": ["0" * 32]}, 404, "not in this project"),
        ("/jobs", {"project": None, "models": ["squares"], "policy": "overwrite"}, 422, "policy"),
    ],
)
def test_what_is_wrong_is_answered_in_a_sentence(client, studio, project, records, path, body, status, said):
    here = {"image": records[0].id, "project": project.id}
    filled = {key: here[key] if value is None else value for key, value in body.items()}
    refused(client.post(V1 + path, json=filled), status, said)
    assert studio.store.jobs(project.id) == []


def test_what_cannot_be_read_or_does_not_exist_is_told_too(client):
    json = {"content-type": "application/json"}
    refused(client.post(f"{V1}/predict", content=b"{", headers=json), 422, "cannot be read")
    refused(client.get(f"{V1}/nothing"), 404, "Not Found")
    refused(client.get(f"{V1}/models", params={"role": "poet"}), 422, "role")


def test_a_bug_is_logged_and_told_by_its_reference_alone(client, studio, records, monkeypatch):
    monkeypatch.setattr(jobs, "look", lambda *_, **__: 1 / 0)
    answer = client.post(f"{V1}/predict", json={"image": records[0].id, "models": ["squares"]})
    refused(answer, 500, "reference")
    assert "division" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://testserver:81"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_can_do_nothing_in_a_persons_name(client, studio, project, records, headers):
    body = {"project": project.id, "models": ["squares"]}
    refused(client.post(f"{V1}/jobs", json=body, headers=headers), 403, "another site")
    job = client.post(f"{V1}/jobs", json=body).json()["id"]
    refused(client.post(f"{V1}/jobs/{job}/cancel", headers=headers), 403, "another site")
    refused(client.delete(f"{V1}/jobs/{job}", headers=headers), 403, "another site")


def test_the_studios_own_page_may(client, project, records):
    body = {"project": project.id, "models": ["squares"]}
    own = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert client.post(f"{V1}/jobs", json=body, headers=own).status_code == 201


def test_what_a_form_could_send_unasked_is_refused(client, project, records):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = client.post(f"{V1}/jobs", content=b"{}", headers={"content-type": kind})
        refused(answer, 415, "application/json")
    refused(client.post(f"{V1}/jobs", content=b"{}"), 415, "application/json")


def test_a_request_that_is_too_large_is_refused_said_or_not(tmp_path):
    studio, *_ = studio_of_squares(tmp_path)
    object.__setattr__(studio.settings, "max_file_size", "1kb")
    client = TestClient(serve(studio))
    kind = {"content-type": "image/png"}

    def pieces():
        for _ in range(40):
            yield b"x" * 100

    for content in (b"x" * 4000, pieces()):
        answer = client.post(
            f"{V1}/predict/upload", params={"model": "squares"}, content=content, headers=kind
        )
        refused(answer, 413, "too large")
    long = b'{"image": "' + b"x" * 16_000_000 + b'"}'
    for content in (long, iter([long])):
        answer = client.post(f"{V1}/predict", content=content, headers={"content-type": "application/json"})
        refused(answer, 413, "16 MB")
    studio.close()


def test_each_person_sees_and_touches_what_is_his_alone(tmp_path):
    shared, *_ = studio_of_squares(tmp_path / "shared")
    object.__setattr__(shared.settings, "people", "each")
    ann, eve = TestClient(serve(shared)), TestClient(serve(shared))
    assert ann.get(f"{V1}/projects").json() == [] and eve.get(f"{V1}/projects").json() == []
    from studio.access import person_of_token

    person = person_of_token(ann.cookies[COOKIE])
    project = shared.store.create_project("Squares", person)
    (record,) = add_pictures(shared.store, project.id, 1, person)
    body = {"project": project.id, "models": ["squares"]}
    job = ann.post(f"{V1}/jobs", json=body).json()["id"]
    assert eve.get(f"{V1}/projects").json() == []
    refused(eve.get(f"{V1}/projects/{project.id}/images"), 404, "project")
    refused(eve.post(f"{V1}/jobs", json=body), 404, "project")
    refused(eve.post(f"{V1}/predict", json={"image": record.id, "models": ["squares"]}), 404, "image")
    for act in ("pause", "go-on", "cancel", "undo"):
        refused(eve.post(f"{V1}/jobs/{job}/{act}"), 404, "job")
    for path in (f"/jobs/{job}", f"/jobs/{job}/report"):
        refused(eve.get(V1 + path), 404, "job")
    refused(eve.delete(f"{V1}/jobs/{job}"), 404, "job")
    jobs.runs(shared).stop_all()
    shared.close()


def test_the_api_describes_itself(client):
    described = client.get(f"{V1}/openapi.json").json()
    assert {"/predict", "/predict/upload", "/jobs", "/jobs/{job}/go-on"} <= set(described["paths"])
    assert described["servers"][0]["url"].endswith(V1)


def test_sizes_are_read_as_people_write_them():
    assert [bytes_of(s) for s in ("2gb", "500mb", "1 KB", "12")] == [2 * 10**9, 5 * 10**8, 1000, 12]


def test_words_find_what_they_name_and_captions_what_they_speak_of(tmp_path):
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio
    from tests.predict.test_describing import Both
    from tests.predict.world import card

    both = card(
        "both",
        "text-detector",
        Both(),
        roles=("text-detector", "describer"),
        tasks=("things", "grounded caption"),
    )
    made = Studio(Settings(tmp_path / "words", sample=False), registry=Registry([both]))
    project = made.store.create_project("Squares", "local")
    image = add_pictures(made.store, project.id, 4, "local")[3]
    client = TestClient(serve(made))

    def asked(**body):
        return client.post(f"{V1}/predict", json={"image": image.id, "models": ["both"], **body})

    found = asked(words=["top", {"phrase": "low", "class_name": "rest", "threshold": 0.75}]).json()
    told = [(d["class"], d.get("phrase"), round(d["score"], 2)) for d in found["detections"]]
    assert told == [("top", None, 0.9), ("rest", "low", 0.8)], "each phrase has a threshold of its own"
    captioned = asked(words=[]).json()
    assert captioned["text"].startswith("A bright top") and [d["class"] for d in captioned["detections"]] == [
        "low",
        "low",
    ]
    things = asked(task="things", all_as="thing").json()
    assert {d["class"] for d in things["detections"]} == {"thing"} and things["text"] == "square, square"
    refused(asked(words=[{"phrase": "a", "colour": "red"}]), 422, "words.0")
    refused(asked(words=["-"]), 400, "empty")
    refused(asked(task="poems"), 422, "task")

    asks, kind = {"model": "both", "words": "top, low=rest"}, {"content-type": "image/png"}
    sent = client.post(f"{V1}/predict/upload", params=asks, content=png(3), headers=kind).json()
    assert [d["class"] for d in sent["detections"]] == ["top", "rest", "rest"]
    job = client.post(f"{V1}/jobs", json={"project": project.id, "models": ["both"], "words": ["top"]})
    assert job.status_code == 201 and ended(client, job.json()["id"])["state"] == "done"
    assert [a.class_name for a in made.store.annotations(image.id)] == ["top"]
    jobs.runs(made).stop_all()
    made.close()
