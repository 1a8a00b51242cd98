"""Mattes by command and by HTTP."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from studio.__main__ import app
from studio.annotations import Alpha
from studio.app import serve
from studio.operations import jobs
from studio.project import Store
from tests.conftest import photograph
from tests.matting.pictures import add, png, put_mask, soft_disc

V1 = "/api/v1"


# ---- by command ------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path, studio, project):
    """The folder of a project with an image and a mask on it."""
    image = add(studio, project.id, soft_disc()[0])
    put_mask(studio, image, soft_disc()[1] >= 0.5)
    return studio.settings.data


def command(data, *words):
    return CliRunner().invoke(app, ["--data", str(data), *words])


def test_labels_are_matted_and_exported_by_command(data, tmp_path, studio, project):
    done = command(data, "matte", "Fruit", "--labels", "--matter", "closed-form", "--width", "1.5")
    assert done.exit_code == 0 and "1 annotations added" in done.output, done.output
    behind = tmp_path / "beach.jpg"
    behind.write_bytes(photograph(100, 50))
    words = ["--format", "matting", "--drafts", "--what", "composite", "--what", "alpha", "--bits", "16"]
    target = tmp_path / "cut.zip"
    done = command(data, "export", "Fruit", str(target), *words, "--background", str(behind))
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(target) as packed:
        names = packed.namelist()
        assert any(n.startswith("composites/") for n in names) and "matting.json" in names
        (alpha,) = [n for n in names if n.startswith("alphas/")]
        assert Image.open(packed.open(alpha)).mode == "I;16"
    job = Store(data).jobs(project.id, kind="matte")[0]
    assert command(data, "jobs", "undo", job.id).output.startswith("1 images")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["matte", "Fruit"], 2, "Say what to matte"),
        (["matte", "Fruit", "--labels", "--alone"], 2, "Say what to matte"),
        (["matte", "Fruit", "--labels", "--matter", "disc"], 1, "disc"),
        (["matte", "Fruit", "--labels", "--matter", "closed-form", "--width", "9"], 1, "between 0.25 and 4"),
        (
            ["matte", "Fruit", "--labels", "--matter", "closed-form", "--policy", "replace-all"],
            1,
            "never replace",
        ),
        (["export", "Fruit", "OUT", "--format", "matting", "--what", "hair"], 1, "hair"),
        (
            ["export", "Fruit", "OUT", "--format", "matting", "--background", "gone.png"],
            1,
            "no file gone.png",
        ),
        (["export", "Fruit", "OUT", "--format", "matting", "--background", "#xyz"], 1, "no colour"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(data, tmp_path, words, code, said):
    done = command(data, *[str(tmp_path / "out") if w == "OUT" else w for w in words])
    assert done.exit_code == code and said in done.output and "Traceback" not in done.output


# ---- by HTTP ---------------------------------------------------------------------------------------


@pytest.fixture
def scene(studio, project):
    image = add(studio, project.id, soft_disc()[0])
    return image, put_mask(studio, image, soft_disc()[1] >= 0.5)


@pytest.fixture
def client(studio):
    with TestClient(serve(studio)) as made:
        yield made
    jobs.runs(studio).stop_all()


def test_a_matte_is_made_by_http_and_not_kept(client, studio, scene):
    image, made = scene
    body = {"image": image.id, "annotation": made.id, "matter": "closed-form"}
    for what, mode in (("cutout", "RGBA"), ("alpha", "L"), ("trimap", "L")):
        answer = client.post(f"{V1}/matte", json={**body, "what": what})
        assert answer.status_code == 200, answer.text
        assert Image.open(io.BytesIO(answer.content)).mode == mode
    assert studio.store.annotations(image.id) == [made]


def test_what_stands_out_in_a_picture_that_is_sent_comes_back_cut_out(client):
    answer = client.post(
        f"{V1}/matte/upload", content=png(soft_disc()[0]), headers={"content-type": "image/png"}
    )
    cut = np.array(Image.open(io.BytesIO(answer.content)))
    assert cut.shape == (120, 160, 4) and cut[60, 80, 3] == 255 and cut[0, 0, 3] == 0
    broken = client.post(f"{V1}/matte/upload", content=b"no picture", headers={"content-type": "image/png"})
    assert broken.status_code == 400 and "error" in broken.json()


def test_a_job_by_http_mattes_and_its_mattes_are_fetched(client, studio, project, scene):
    image, _ = scene
    body = {"project": project.id, "matter": "closed-form", "take": "labels"}
    begun = client.post(f"{V1}/jobs/matte", json=body)
    assert begun.status_code == 201 and begun.json()["kind"] == "matte", begun.text
    job = begun.json()["id"]
    jobs.runs(studio).get(job).wait(60)
    assert client.get(f"{V1}/jobs/{job}").json()["state"] == "done"
    assert [j["id"] for j in client.get(f"{V1}/jobs", params={"project": project.id}).json()] == [job]
    (made,) = [a for a in studio.store.annotations(image.id) if isinstance(a.shape, Alpha)]
    one = client.get(f"{V1}/mattes/{image.id}/{made.id}", params={"what": "composite", "kind": "jpeg"})
    assert one.headers["content-type"] == "image/jpeg" and Image.open(io.BytesIO(one.content)).size == (
        160,
        120,
    )
    whole = client.get(f"{V1}/projects/{project.id}/mattes.zip", params={"drafts": True})
    with zipfile.ZipFile(io.BytesIO(whole.content)) as packed:
        assert len(json.loads(packed.read("matting.json"))["images"]) == 1
    assert client.post(f"{V1}/jobs/{job}/undo").json() == {"images": 1}


def test_what_is_not_there_or_cannot_be_is_refused_with_a_sentence(client, project, scene):
    image, made = scene
    for status, answer in (
        (404, client.get(f"{V1}/mattes/{image.id}/{'0' * 32}")),
        (400, client.get(f"{V1}/mattes/{image.id}/{made.id}")),
        (404, client.post(f"{V1}/matte", json={"image": "x", "annotation": "x", "matter": "closed-form"})),
        (400, client.post(f"{V1}/jobs/matte", json={"project": project.id, "matter": "closed-form"})),
        (400, client.get(f"{V1}/projects/{project.id}/mattes.zip", params={"kind": "jpeg"})),
    ):
        assert answer.status_code == status and answer.json()["error"], answer.text
