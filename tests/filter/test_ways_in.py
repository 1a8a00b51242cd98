"""The filter by command, by HTTP, and on a cluster's worker."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from studio.__main__ import app
from studio.access import COOKIE
from studio.app import serve
from studio.errors import StudioError
from studio.operations import jobs
from studio.operations._ray_worker import Worker, read
from studio.operations.filtering import collection, embedding
from studio.operations.predict import Recipe
from studio.operations.ray_engine import Cluster
from studio.project import Store
from studio.registry import user_folder
from tests.conftest import ROOT
from tests.filter.conftest import COLOURS, add, painted

V1 = "/api/v1"
MODELS = """
from tests.filter.conftest import ReadyingColours, colour_card
CARDS = [colour_card(ReadyingColours(), rank=0)]
"""


@pytest.fixture
def own_models(monkeypatch):
    """The same embedder where a person puts models of his own: for what finds models by itself."""
    monkeypatch.setenv("STUDIO_DEVICE", "cpu")
    user_folder().mkdir(parents=True)
    (user_folder() / "colours.py").write_text(MODELS, "utf-8")


def run(data, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["--data", str(data), *words])
    assert done.exit_code == code, done.output
    return done.output


def test_a_project_is_embedded_filtered_and_sorted_by_command(own_models, studio, project, tmp_path):
    data = studio.settings.data
    assert "Embed the project first" in run(data, "filter", "colours", "red", code=1)
    assert "12 of 12 images done" in run(data, "embed", "colours", "--model", "colours")
    assert "has a vector" in run(data, "embed", "colours", "--model", "colours")
    listed = run(data, "filter", "colours", "red", "--top", "3")
    assert "3 of 12 images" in listed and listed.count("red ") == 3
    assert "Use AND or OR" in run(data, "filter", "colours", "red AND blue", "--any", code=1)
    out = tmp_path / "out.csv"
    words = ("filter", "colours", "yellow", "--not", "green", "--top", "3", "--keep-tag", "sun")
    told = run(data, *words, "--csv", str(out), "--new-project", "suns", "--save-view", "suns", "--hide")
    assert "3 images have the tag “sun”" in told and "“suns” has 3 images" in told
    assert len(out.read_text().splitlines()) == 4
    store = Store(data)
    assert store.counts(project.id) == {"sun": 0} and store.count_images(project.id, drafts=True) == 3
    assert store.count_images(project.id, hidden=True) == 3 and store.views(project.id)[0].name == "suns"
    store.close()
    packed = tmp_path / "sorted.zip"
    arguments = [each for name in COLOURS for each in ("--class", name)]
    assert "3  red" in run(data, "classify", "colours", *arguments, "--tags", "--folders", str(packed))
    assert len(zipfile.ZipFile(packed).namelist()) == 9
    picture = tmp_path / "blue.png"
    picture.write_bytes(painted((40, 60, 220), seed=400))
    assert run(data, "filter", "colours", "--like", str(picture), "--top", "3").count("blue ") == 3
    assert "no set of templates" in run(data, "filter", "colours", "red", "--templates", "x", code=1)


def test_a_project_is_embedded_and_filtered_by_http(studio, project):
    client = TestClient(serve(studio))
    asked = {"project": project.id, "model": "colours"}
    empty = client.post(f"{V1}/filter", json={**asked, "text": "red"})
    assert empty.status_code == 400 and "Embed the project first" in empty.json()["error"]
    begun = client.post(f"{V1}/embed", json=asked)
    assert begun.status_code == 201
    job = begun.json()["job"]["id"]
    jobs.runs(studio).get(job).wait(30)
    assert client.get(f"{V1}/jobs/{job}").json()["done"] == 12
    assert client.post(f"{V1}/embed", json=asked).json() == {"job": None, "images": 12, "embedded": 12}
    found = client.post(f"{V1}/filter", json={**asked, "text": "blue NOT red", "top": 3}).json()
    assert [i["name"].split()[0] for i in found["images"]] == ["blue"] * 3 and found["total"] == 12
    packed = client.post(
        f"{V1}/filter", json={**asked, "text": "blue"}, headers={"accept": "application/octet-stream"}
    ).content
    length = int.from_bytes(packed[:4], "little")
    order = np.frombuffer(packed, "<u4", 12, 4 + length + 48)
    ids = client.get(f"{V1}/filter/ids", params=asked).content
    best = ids[16 * order[0] : 16 * order[0] + 16].hex()
    assert studio.store.image(best).name.startswith("blue")
    assert json.loads(packed[4 : 4 + length])["n"] == 12
    by_terms = {"terms": [{"text": "blue"}, {"image": best}], "how": "any"}
    assert client.post(f"{V1}/filter", json={**asked, "query": by_terms}).json()["scale"] == "combined"
    classes = client.post(f"{V1}/classify", json={**asked, "classes": list(COLOURS)}).json()
    assert classes["counts"]["red"] == 3
    wrong = client.post(f"{V1}/filter", json={**asked, "text": ""})
    assert wrong.status_code == 400 and "Say what to look for" in wrong.json()["error"]


def test_nobody_filters_projects_of_others_by_http(studio, project):
    studio.settings = replace(studio.settings, people="each")
    client = TestClient(serve(studio), cookies={COOKIE: "a" * 32})
    for path in ("embed", "filter", "classify"):
        body = {"project": project.id, "model": "colours"} | (
            {"classes": ["a", "b"]} if path == "classify" else {}
        )
        assert client.post(f"{V1}/{path}", json=body).status_code == 404
    assert client.get(f"{V1}/filter/ids?project={project.id}&model=colours").status_code == 404


def test_a_worker_of_a_cluster_embeds_as_this_machine_does(own_models, studio, embedded):
    worker = Worker(embedding.EmbedOrder.of(studio, Recipe(("colours",))))
    records = studio.store.images(embedded.id)
    rows = [read(record, str(studio.store.original_path(record))) for record in records]
    answers = worker.answers(rows)
    here = collection.collection(studio, "local", embedded.id, "colours").vectors()
    assert np.allclose(np.stack([answer.found[0] for answer in answers]), here, atol=1e-6)


class _Streams:
    """What Spread does, on this machine, through a worker that loses an image."""

    batch = 8

    def __init__(self, worker: Worker, path_of, lost: str) -> None:
        self._worker, self._path_of, self._lost = worker, path_of, lost

    def stream(self, records, block: int):
        for start in range(0, len(records), block):
            part = [r for r in records[start : start + block] if r.name != self._lost]
            answers = self._worker.answers([read(r, str(self._path_of(r))) for r in part])
            for record, answer in zip(part, answers, strict=True):
                yield record.id, StudioError(answer.problem) if answer.problem else list(answer.found)


def test_a_run_on_a_cluster_keeps_vectors_here_and_names_what_was_lost(
    own_models, studio, project, monkeypatch
):
    worker = Worker(embedding.EmbedOrder.of(studio, Recipe(("colours",))))
    streams = _Streams(worker, studio.store.original_path, "red 1.png")
    monkeypatch.setattr(embedding, "EmbedSpread", lambda *_: streams)
    monkeypatch.setattr(Cluster, "join", lambda *_: None)
    job = embedding.begin(studio, "local", project.id, "colours", cluster=Cluster())
    jobs.runs(studio).get(job.id).wait(30)
    job = studio.store.job(job.id)
    assert (job.state, job.done, job.failed) == ("done", 11, 1)
    assert collection.state(studio, "local", project.id, "colours").embedded == 11


@pytest.mark.ray
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray")
def test_ray_embeds_a_project(own_models, studio, project):
    for number in range(30):
        add(studio, project.id, f"more {number}.png", painted((number, 90, 90), seed=number))
    # In a process of its own: one that has had a cluster does not get on with another one.
    words = ("embed", "colours", "--model", "colours", "--engine", "ray", "--address", "local", "--cpus", "1")
    done = subprocess.run(
        [sys.executable, "-m", "studio", "--data", str(studio.settings.data), *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "42 of 42 images done" in done.stdout
    assert collection.state(studio, "local", project.id, "colours").embedded == 42
