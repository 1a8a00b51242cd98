"""Embedding as a job: once, again only what is new, and after a kill where it stood."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from studio.errors import BadInput, NotAllowed, NotFound
from studio.operations import jobs, reports
from studio.operations.filtering import collection, embedding
from tests.filter.conftest import ColourEmbedder, add, colour_card, embed, names, painted

ROOT = Path(__file__).parents[2]


def test_each_image_is_looked_at_once_ever(studio, project, colours):
    job = embed(studio, project.id)
    assert (job.state, job.done, job.failed, colours.seen) == ("done", 12, 0, 12)
    assert embed(studio, project.id) is None, "nothing is left to embed"
    other = studio.store.create_project("another", "local")
    for image in studio.store.images(project.id):
        studio.store.add_image(
            other.id, image.name, studio.store.original_path(image).read_bytes(), width=image.width,
            height=image.height, display=None, thumbnail=b"", person="local",
        )  # fmt: skip
    assert embed(studio, other.id) is None and colours.seen == 12
    assert len(collection.collection(studio, "local", other.id, "colours")) == 12


def test_images_that_are_added_are_embedded_alone(studio, embedded, colours):
    new = add(studio, embedded.id, "new.png", painted((200, 100, 0)))
    before = collection.collection(studio, "local", embedded.id, "colours")
    assert (len(before), before.missing) == (12, 1)
    assert embed(studio, embedded.id).total == 1 and colours.seen == 13
    after = collection.collection(studio, "local", embedded.id, "colours")
    assert after.ids == (*before.ids, new.id) and after.stamp != before.stamp


def test_another_version_of_a_model_is_embedded_anew(studio, embedded, colours):
    studio.registry.discard("colours")
    studio.registry.add(colour_card(colours, version="2"))
    assert collection.state(studio, "local", embedded.id, "colours").embedded == 0
    assert embed(studio, embedded.id).done == 12 and colours.seen == 24


def test_a_model_that_takes_whole_images_is_embedded_as_well(studio, project, colours):
    plain = ColourEmbedder()
    studio.registry.add(colour_card(plain, "plain"))
    embed(studio, project.id)
    assert embed(studio, project.id, model="plain").done == 12
    first, second = (
        collection.collection(studio, "local", project.id, m).vectors() for m in ("colours", "plain")
    )
    assert np.allclose(first, second, atol=1e-5)


def test_an_image_that_cannot_be_done_fails_alone_and_says_why(studio, project, colours):
    add(studio, project.id, "unlucky.png", painted((1, 2, 3), width=13))
    broken = add(studio, project.id, "broken.png", painted((9, 9, 9)))
    studio.store.original_path(broken).write_bytes(b"no image")
    job = embed(studio, project.id)
    assert (job.state, job.done, job.failed) == ("done", 12, 2)
    told = dict(reports.report(studio, "local", job.id).failed)
    assert "bad luck" in told["unlucky.png"] and "broken.png" in told["broken.png"]
    assert "annotations" not in reports.report(studio, "local", job.id).sentence()
    studio.store.original_path(broken).write_bytes(painted((9, 9, 9)))
    jobs.go_on(studio, "local", job.id)
    jobs.runs(studio).get(job.id).wait(30)
    assert studio.store.job(job.id).failed == 1


@pytest.mark.parametrize("spoil", [np.nan, 3.0])
def test_vectors_that_nothing_can_be_compared_to_are_refused(studio, project, colours, spoil):
    colours.spoil = spoil
    job = embed(studio, project.id)
    assert job.failed == 12 and collection.state(studio, "local", project.id, "colours").embedded == 0
    assert "not finite" in reports.report(studio, "local", job.id).failed[0][1] or spoil == 3.0


def test_a_job_pauses_and_goes_on_where_it_stood(studio, project, colours):
    for number in range(60):
        add(studio, project.id, f"more {number}.png", painted((number, 90, 90), seed=number))
    colours.seconds = 0.01
    job = embedding.begin(studio, "local", project.id, "colours")
    run = jobs.running(studio, job.id)
    while run.progress.done < 16 and run.running:
        time.sleep(0.005)
    jobs.pause(studio, "local", job.id)
    run.wait(30)
    stood = studio.store.job(job.id)
    assert stood.state == "paused" and 16 <= stood.done < 72
    assert collection.state(studio, "local", project.id, "colours").job.id == job.id
    jobs.go_on(studio, "local", job.id)
    jobs.runs(studio).get(job.id).wait(30)
    assert studio.store.job(job.id).done == 72 and colours.seen == 72


def test_a_job_that_was_cancelled_keeps_what_it_did(studio, project, colours):
    colours.seconds = 0.02
    for number in range(40):
        add(studio, project.id, f"more {number}.png", painted((number, 90, 90), seed=number))
    job = embedding.begin(studio, "local", project.id, "colours")
    run = jobs.running(studio, job.id)
    while run.progress.done < 16 and run.running:
        time.sleep(0.005)
    jobs.cancel(studio, "local", job.id)
    run.wait(30)
    state = collection.state(studio, "local", project.id, "colours")
    assert 16 <= state.embedded < 52 and state.job is None


def test_nothing_to_embed_is_said(studio, project):
    empty = studio.store.create_project("empty", "local")
    with pytest.raises(BadInput, match="no images"):
        embedding.begin(studio, "local", empty.id, "colours")
    with pytest.raises(BadInput, match="no image to work on"):
        embedding.begin(studio, "local", project.id, "colours", [])
    with pytest.raises(NotFound, match="no model"):
        embedding.begin(studio, "local", project.id, "colors?")
    with pytest.raises(NotAllowed):
        embedding.begin(studio, "somebody", project.id, "colours")


def test_one_image_is_a_collection(studio):
    made = studio.store.create_project("one", "local")
    record = add(studio, made.id, "one.png", painted((200, 30, 30)))
    assert embed(studio, made.id).done == 1
    assert collection.collection(studio, "local", made.id, "colours").ids == (record.id,)


KILLED = """
import sys
from pathlib import Path
from studio.operations.filtering import embedding
from studio.operations import jobs
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.filter.conftest import ReadyingColours, colour_card
studio = Studio(Settings(Path(sys.argv[1]), sample=False), registry=Registry([colour_card(ReadyingColours(0.01))]))
job = embedding.begin(studio, "local", sys.argv[2], "colours")
run = jobs.running(studio, job.id)
said = 0
while run is not None and run.running:
    if run.progress.done > said:
        said = run.progress.done
        print(job.id, said, flush=True)
    run.wait(0.002)
"""


def test_a_process_that_is_killed_loses_at_most_a_batch(studio, project, colours, monkeypatch):
    for number in range(150):
        add(studio, project.id, f"more {number}.png", painted((number, 90, 90), seed=number))
    arguments = [sys.executable, "-c", textwrap.dedent(KILLED), str(studio.settings.data), project.id]
    child = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    job_id, done = "", 0
    while done < 40:
        job_id, told = child.stdout.readline().split()
        done = int(told)
    os.kill(child.pid, signal.SIGKILL)
    for line in child.communicate()[0].splitlines():
        done = int(line.split()[1])
    file = collection.vectors_of(studio, studio.registry.card("colours"))
    there = len(file)
    assert file.damaged() == [] and done <= there <= 162
    monkeypatch.setattr("studio.project.jobs.SILENCE", 0.0)
    jobs.go_on(studio, "local", job_id)
    jobs.runs(studio).get(job_id).wait(60)
    assert studio.store.job(job_id).done == 162
    assert colours.seen == 162 - there, "what was kept before the kill is not looked at again"
    found = collection.collection(studio, "local", project.id, "colours")
    assert len(found) == 162 and names(studio, found.ids[:1]) == ["red 0.png"]
    red = colours.embed_images([np.full((4, 4, 3), (220, 30, 30), np.uint8)])[0]
    assert (found.vectors()[:3] @ red > 0.99).all()
