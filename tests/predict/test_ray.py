"""A job on a cluster gives what this machine alone would give, once, whatever dies in the middle."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

import pytest

from studio.errors import BadInput, Conflict, MissingPackage, StudioError, Unreachable
from studio.operations import jobs
from studio.operations._ray_worker import Order, Row, Worker, read
from studio.operations.predict import Recipe
from studio.operations.ray_engine import LOST, Cluster
from studio.settings import Settings
from studio.studio import Studio
from tests.predict.squares import add_pictures

ROOT = Path(__file__).parents[2]
COUNT = 64

# A model file such as a person may add: workers find it by themselves.
MODEL = """
import os
import time
from dataclasses import dataclass, field

from studio.adapters import Card
from tests.predict.squares import squares


@dataclass(frozen=True)
class Options:
    seconds: float = 0.0
    fatal: int = -1
    bad: int = -1


class Plodder:
    names = ("square",)

    def __init__(self, options):
        self.options = options

    def detect(self, images, *, floor=0.05):
        for image in images:
            time.sleep(self.options.seconds)
            if image[-1, -1, 0] == self.options.fatal:
                os._exit(1)
            if image[-1, -1, 0] == self.options.bad:
                raise ValueError("a bad day")
        return [squares(image) for image in images]


CARDS = [
    Card(
        id="plodder", title="Plodder", family="fake", roles=("detector",), prompts=(), licence="MIT",
        load=lambda folder, device, options: Plodder(options), memory_bytes=1000, options=Options,
    )
]
"""


def recipe(**options) -> Recipe:
    return Recipe(("plodder",), threshold=0.1, options={"plodder": options})


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory):
    """Return the environment in which every process finds the model."""
    home = tmp_path_factory.mktemp("home")
    file = home / "onelabel-studio" / "models" / "plodder.py"
    file.parent.mkdir(parents=True)
    file.write_text(MODEL, "utf-8")
    return {
        "XDG_CONFIG_HOME": str(home),
        "STUDIO_DEVICE": "cpu",
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
    }


@pytest.fixture
def world(tmp_path, monkeypatch, surroundings):
    """Return what makes a studio and a project of images."""
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    made = []

    def make(name: str, count: int = COUNT):
        studio = Studio(Settings(tmp_path / name))
        made.append(studio)
        project = studio.store.create_project("Squares", "ann")
        return studio, project, add_pictures(studio.store, project.id, count)

    yield make
    for studio in made:
        jobs.runs(studio).stop_all()
        studio.close()


def on_the_images(studio, project) -> dict[str, list[tuple]]:
    return {
        record.name: [
            (a.class_name, a.shape, a.score, a.draft, a.source, a.model, a.model_version, a.created_by)
            for a in studio.store.annotations(record.id)
        ]
        for record in studio.store.images(project.id, limit=10_000)
    }


def failures(studio, job) -> list[str]:
    return [entry.image.name for entry in studio.store.job_report(job.id)]


def wait(studio, job, seconds: float = 900):
    jobs.runs(studio).get(job.id).wait(seconds)
    return studio.store.job(job.id)


# ---- a worker, without Ray -------------------------------------------------------------------------


def test_a_worker_answers_as_the_studio_would_and_fails_image_by_image(world):
    studio, project, records = world("studio", 6)
    studio.store.original_path(records[2]).write_bytes(b"no picture")
    worker = Worker(Order.of(studio, recipe(bad=5)))
    answers = worker.answers([read(r, str(studio.store.original_path(r))) for r in records])
    assert [len(a.found) for a in answers] == [0, 1, 0, 3, 0, 0]
    assert [bool(a.problem) for a in answers] == [False, False, True, False, False, True]
    assert records[2].name in answers[2].problem and not any(a.unable for a in answers)


def test_a_worker_with_another_version_or_without_the_model_says_so(world):
    studio, _, records = world("studio", 1)
    order = Order.of(studio, recipe())
    row = Row(records[0])
    for wrong, said in (
        (Order("0.0.0", order.recipe), "0.0.0"),
        (Order(order.version, Recipe(("ploder",)).to_json()), "plodder"),
    ):
        (answer,) = Worker(wrong).answers([row])
        assert answer.unable and said in answer.problem


def test_without_the_package_one_is_told_what_to_install(world, monkeypatch):
    studio, project, records = world("studio", 2)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackage, match="pip install"):
        jobs.begin(studio, "ann", project.id, recipe(), [records[0].id], cluster=Cluster())
    assert studio.store.jobs(project.id) == []


# ---- two nodes -------------------------------------------------------------------------------------

needs_ray = [
    pytest.mark.ray,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra ray"),
]


def marked(test):
    for mark in needs_ray:
        test = mark(test)
    return test


@marked
def test_an_address_where_nobody_is_says_how_to_start_a_cluster(world):
    studio, project, records = world("spread", 2)
    with pytest.raises(Unreachable, match="ray start"):
        jobs.begin(studio, "ann", project.id, recipe(), [records[0].id], cluster=Cluster("127.0.0.1:9"))


@pytest.fixture(scope="module")
def nodes(surroundings):
    """Start a cluster of two nodes with one processor each, whose workers see this file's model."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings.items():
            patch.setenv(name, value)
        import ray
        from ray.cluster_utils import Cluster as Nodes

        small = {"num_cpus": 1, "object_store_memory": 80 << 20}
        started = Nodes(initialize_head=True, head_node_args={**small, "include_dashboard": False})
        started.add_node(**small)
        yield started
        ray.shutdown()
        started.shutdown()


@pytest.fixture
def cluster(nodes):
    return Cluster(nodes.address, cpus=1)


def in_the_middle(run, done: int) -> None:
    until = time.monotonic() + 900
    while run.progress.done < done and run.running and time.monotonic() < until:
        time.sleep(0.05)
    assert done <= run.progress.done < COUNT - 8


@marked
def test_an_image_that_ends_each_worker_costs_no_other(world, cluster, monkeypatch):
    monkeypatch.setattr(
        "studio.operations._ray_data.TRIES", 1
    )  # a worker's start is what takes the time here
    studio, project, records = world("spread", 24)
    job = jobs.begin(studio, "ann", project.id, recipe(fatal=10), [r.id for r in records], cluster=cluster)
    after = wait(studio, job)
    assert (after.state, after.done, after.failed) == ("done", 23, 1)
    (failed,) = studio.store.job_report(job.id)
    assert failed.image.id == records[10].id and failed.problem == LOST
    assert [len(studio.store.annotations(r.id)) for r in records] == [i % 4 * (i != 10) for i in range(24)]


@marked
def test_a_job_paused_on_the_cluster_goes_on_here(world, cluster):
    studio, project, records = world("spread")
    job = jobs.begin(studio, "ann", project.id, recipe(seconds=0.1), [r.id for r in records], cluster=cluster)
    run = jobs.running(studio, job.id)
    in_the_middle(run, 8)
    jobs.pause(studio, "ann", job.id)
    paused = wait(studio, job, 60)
    assert paused.state == "paused" and 8 <= paused.done < COUNT
    assert run.progress.seconds_left is not None
    assert wait(studio, jobs.go_on(studio, "ann", job.id)).done == COUNT
    assert [len(studio.store.annotations(r.id)) for r in records] == [i % 4 for i in range(COUNT)]


@marked
def test_with_a_node_killed_in_the_middle_the_cluster_gives_what_this_machine_gives(world, nodes, cluster):
    studio, project, records = world("spread")
    studio.store.original_path(records[20]).write_bytes(b"no picture")
    how = recipe(seconds=0.1, bad=41)
    job = jobs.begin(studio, "ann", project.id, how, [r.id for r in records], cluster=cluster)
    in_the_middle(jobs.running(studio, job.id), 16)
    (second,) = nodes.worker_nodes
    nodes.remove_node(second, allow_graceful=False)
    after = wait(studio, job)
    assert (after.state, after.done, after.failed) == ("done", COUNT - 2, 2)

    alone, other, same = world("alone")
    alone.store.original_path(same[20]).write_bytes(b"no picture")
    expected = jobs.begin(alone, "ann", other.id, how, [r.id for r in same])
    wait(alone, expected)
    assert on_the_images(studio, project) == on_the_images(alone, other)
    assert failures(studio, job) == failures(alone, expected) == [records[20].name, records[41].name]
    assert jobs.undo(studio, "ann", job.id) and not any(on_the_images(studio, project).values())


@marked
def test_what_no_node_can_do_is_told_before_anything_begins(world, nodes):
    studio, project, records = world("spread", 2)
    for cluster, error, said in (
        (Cluster(nodes.address, cpus=64), StudioError, "64 processors"),
        (Cluster("ray://head:10001"), BadInput, "--address auto"),
        (Cluster("127.0.0.1:9"), Conflict, "already"),
    ):
        with pytest.raises(error, match=said):
            jobs.begin(studio, "ann", project.id, recipe(), [records[0].id], cluster=cluster)
    assert studio.store.jobs(project.id) == []
