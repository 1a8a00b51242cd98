"""A job goes through its images once each: read ahead, in batches, past failures, pauses and kills."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from studio.errors import Conflict
from studio.operations.running import Run, Runs
from studio.project import Change, Store
from studio.project.schema import jobs
from tests.predict.squares import Squares, add_pictures

ROOT = Path(__file__).parents[2]
MANY, KILLS = 500, 5


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "data")
    yield store
    store.close()


@pytest.fixture
def project(store):
    return store.create_project("Squares", "ann")


def begin(store, project, count=20):
    records = add_pictures(store, project.id, count)
    return records, store.add_job(project.id, "ann", "predict", "squares", {}, [r.id for r in records])


def boxes(store, project_id: str) -> dict[str, list[tuple]]:
    found = {}
    for record in store.images(project_id, limit=10_000):
        found[record.name] = sorted(
            (a.class_name, a.shape.xyxy, a.score, a.draft) for a in store.annotations(record.id)
        )
    return found


def done(run: Run) -> None:
    run.wait(60)
    assert not run.running


def test_every_image_gets_what_is_on_it(store, project):
    records, job = begin(store, project)
    work = Squares(batch=4)
    run = Run(store, job, work)
    done(run)
    after = store.job(job.id)
    assert (after.state, after.done, after.failed, after.total) == ("done", 20, 0, 20)
    assert [len(store.annotations(r.id)) for r in records] == [i % 4 for i in range(20)]
    assert [len(batch) for batch in work.seen] == [4] * 5
    assert run.progress.done == 20 and run.progress.added == sum(i % 4 for i in range(20))
    assert {a.created_by for a in store.annotations(records[1].id)} == {"ann"}


def test_an_image_that_fails_is_told_and_stops_nobody(store, project):
    records, job = begin(store, project)
    store.original_path(records[3]).write_bytes(b"no picture")
    work = Squares(batch=4, refuse={records[6].name})
    done(Run(store, job, work))
    after = store.job(job.id)
    assert (after.state, after.done, after.failed) == ("done", 18, 2)
    assert [entry.image.name for entry in store.job_report(job.id)] == [records[3].name, records[6].name]
    assert all(entry.problem for entry in store.job_report(job.id))
    assert len(store.annotations(records[7].id)) == 3, "its neighbours in the batch are done"


def test_a_paused_job_goes_on_where_it_stood(store, project):
    records, job = begin(store, project, 40)
    hold, reached = threading.Event(), threading.Event()

    class Waiting(Squares):
        def annotate(self, records, pictures):
            if len(self.seen) == 3:
                reached.set()
                hold.wait(10)
            return super().annotate(records, pictures)

    run = Run(store, job, Waiting(batch=2))
    assert reached.wait(10)
    run.pause()
    hold.set()
    done(run)
    paused = store.job(job.id)
    assert paused.state == "paused" and 0 < paused.done <= 8
    again = Squares(batch=2)
    done(Run(store, paused, again))
    assert store.job(job.id).state == "done"
    assert sum(len(batch) for batch in again.seen) == 40 - paused.done, "none is looked at twice"
    assert [len(store.annotations(r.id)) for r in records] == [i % 4 for i in range(40)]


def test_a_cancelled_job_keeps_what_it_did_and_one_undo_takes_it_back(store, project):
    records, job = begin(store, project, 40)
    run = Run(store, job, Squares(batch=1))
    while run.progress.done < 3 and run.running:
        time.sleep(0.002)
    run.cancel()
    done(run)
    after = store.job(job.id)
    assert after.state in ("cancelled", "done")
    assert sum(len(store.annotations(r.id)) for r in records) == run.progress.added > 0
    store.undo_group(job.id, "ann")
    assert sum(len(store.annotations(r.id)) for r in records) == 0


def test_a_job_that_cannot_be_written_ends_with_a_sentence(store, project, monkeypatch):
    _, job = begin(store, project)

    def full(*_, **__):
        raise OSError("no room")

    monkeypatch.setattr(store, "finish_job_image", full)
    monkeypatch.setattr(store, "fail_job_image", full)
    done(Run(store, job, Squares()))
    after = store.job(job.id)
    assert after.state == "failed" and after.problem
    assert after.done == 0


def test_what_a_person_labelled_stays_with_each_policy(store, project):
    records, job = begin(store, project, 8)
    done(Run(store, job, Squares()))
    own = [a.with_(draft=False, source="person") for a in store.annotations(records[3].id)]
    store.apply(records[3].id, "ann", [Change(a) for a in own], verb="accept")
    ids = [r.id for r in records]
    for policy, expected in (
        ("merge", [i % 4 for i in range(8)]),
        ("replace-drafts", [0, 1, 2, 6, 0, 1, 2, 3]),
        ("skip", [0, 2, 4, 3, 0, 2, 4, 6]),
        ("replace-all", [i % 4 for i in range(8)]),
    ):
        job = store.add_job(project.id, "ann", "predict", policy, {}, ids)
        done(Run(store, job, Squares(policy=policy)))
        assert [len(store.annotations(i)) for i in ids] == expected, policy
        store.undo_group(job.id, "ann")
        assert [len(store.annotations(i)) for i in ids] == [i % 4 for i in range(8)]


def test_one_process_runs_a_job_once(store, project):
    _, job = begin(store, project)
    hold = threading.Event()

    class Waiting(Squares):
        def annotate(self, records, pictures):
            hold.wait(10)
            return super().annotate(records, pictures)

    runs = Runs()
    run = runs.start(store, job, Waiting)
    with pytest.raises(Conflict):
        runs.start(store, store.job(job.id), Squares)
    assert runs.get(job.id) is run
    hold.set()
    runs.stop_all()
    assert not run.running


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_five_times_a_job_of_500_images_gives_the_same_as_undisturbed(tmp_path):
    undisturbed = Store(tmp_path / "calm")
    project = undisturbed.create_project("Squares", "ann")
    _, job = begin(undisturbed, project, MANY)
    done(Run(undisturbed, job, Squares()))
    expected = boxes(undisturbed, project.id)
    undisturbed.close()

    store = Store(tmp_path / "killed")
    project = store.create_project("Squares", "ann")
    _, job = begin(store, project, MANY)
    chance, before = random.Random(0), 0
    for _ in range(KILLS):
        session = _session(tmp_path / "killed", job.id)
        assert session.stdout.readline().strip() == "begun"
        goal = before + chance.randint(20, 70)
        while session.poll() is None and store.job(job.id).done < goal:
            time.sleep(0.002)
        session.send_signal(signal.SIGKILL)
        session.wait()
        left = store.job(job.id)
        assert before < left.done < MANY
        before = left.done
        _forget(store, job.id)
    session = _session(tmp_path / "killed", job.id)
    assert session.communicate(timeout=120)[0].split() == ["begun", "done"]
    assert store.job(job.id).done == MANY
    assert boxes(store, project.id) == expected
    store.close()


def _session(folder: Path, job_id: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.predict.session", str(folder), job_id]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _forget(store: Store, job_id: str) -> None:
    """Let the killed process count as gone at once, without waiting for its silence."""
    with store._db.write() as c:
        past = datetime.now(UTC) - timedelta(minutes=1)
        c.execute(update(jobs).where(jobs.c.id == job_id).values(changed=past))
