"""A job that asks and is killed asks what is left, and writes each answer once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from studio.operations import ask_jobs, jobs
from studio.operations.ask import Query
from studio.project.schema import jobs as rows
from tests.ask.world import counted, studio_of_answers
from tests.predict.squares import add_pictures, picture

ROOT = Path(__file__).parents[2]
MANY = 30


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("into", ["column", "tag"])
def test_a_killed_job_goes_on_and_gives_what_it_would_have_given(tmp_path, into):
    studio, teller, _ = studio_of_answers(tmp_path)
    project = studio.store.create_project("Squares", "ann")
    records = add_pictures(studio.store, project.id, MANY)
    query = Query("teller", "How many squares?", into=into, template="squares: {answer}")
    if into == "column":
        query = replace(query, column=studio.store.add_column(project.id, "squares").id)
    ids = [r.id for r in records]
    job = studio.store.add_job(project.id, "ann", ask_jobs.KIND, "Squares", query.to_json(), ids)
    session = subprocess.Popen(
        [sys.executable, "-m", "tests.ask.session", str(tmp_path), job.id],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert session.stdout.readline().strip() == "begun"
    while session.poll() is None and studio.store.job(job.id).done < 5:
        time.sleep(0.002)
    session.send_signal(signal.SIGKILL)
    session.wait()
    left = studio.store.job(job.id)
    assert 5 <= left.done < MANY
    with studio.store._db.write() as c:  # let the killed process count as gone at once
        c.execute(
            update(rows).where(rows.c.id == job.id).values(changed=datetime.now(UTC) - timedelta(minutes=1))
        )
    jobs.go_on(studio, "ann", job.id)
    jobs.runs(studio).get(job.id).wait(60)
    after = studio.store.job(job.id)
    assert (after.state, after.done, after.failed) == ("done", MANY, 0)
    assert len(teller.asked) == MANY - left.done, "what is answered is not asked again"
    wanted = [counted(picture(n)) for n in range(MANY)]
    if into == "column":
        cells = studio.store.cells(project.id, ids)
        assert [cells[i][query.column].value for i in ids] == wanted
    else:
        tags = [[a.class_name for a in studio.store.annotations(i)] for i in ids]
        assert tags == [[f"squares: {each}"] for each in wanted]
    assert jobs.undo(studio, "ann", job.id) == MANY, "what both processes wrote is taken back as one"
    assert not studio.store.cells(project.id, ids)
    assert not any(studio.store.annotations(i) for i in ids)
    jobs.runs(studio).stop_all()
    studio.close()
