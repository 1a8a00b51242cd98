"""A job by example that is killed goes on with its examples, and gives what it would have given undisturbed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from studio.operations import jobs
from studio.operations.examples import Exemplar
from studio.operations.predict import Recipe
from studio.project.schema import jobs as rows
from tests.examples.world import add_pictures, box_at, reds, studio_of_colours

ROOT = Path(__file__).parents[2]
MANY = 90


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_job_goes_on_with_its_examples_and_gives_the_same(tmp_path):
    studio, models = studio_of_colours(tmp_path)
    project = studio.store.create_project("Colours", "ann")
    records = add_pictures(studio.store, project.id, MANY)
    shown = (Exemplar(records[0].id, box_at(0)), Exemplar(records[2].id, box_at(0), positive=False))
    recipe = Recipe(("matcher",), threshold=0.5, examples=shown, example_class="red thing")
    job = studio.store.add_job(
        project.id, "ann", jobs.KIND, "Reds", recipe.to_json(), [r.id for r in records]
    )
    session = subprocess.Popen(
        [sys.executable, "-m", "tests.examples.session", str(tmp_path), job.id],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert session.stdout.readline().strip() == "begun"
    while session.poll() is None and studio.store.job(job.id).done < 10:
        time.sleep(0.002)
    session.send_signal(signal.SIGKILL)
    session.wait()
    left = studio.store.job(job.id)
    assert 10 <= left.done < MANY
    with studio.store._db.write() as c:  # let the killed process count as gone at once
        c.execute(
            update(rows).where(rows.c.id == job.id).values(changed=datetime.now(UTC) - timedelta(minutes=1))
        )

    jobs.go_on(studio, "ann", job.id)
    jobs.runs(studio).get(job.id).wait(60)
    after = studio.store.job(job.id)
    assert (after.state, after.done, after.failed) == ("done", MANY, 0)
    found = [sorted(a.shape.xyxy for a in studio.store.annotations(r.id)) for r in records]
    assert found == [reds(n) for n in range(MANY)], "each image once, by the same examples"
    assert models.matcher.looked == MANY - left.done, "what was done is not looked at again"
    jobs.runs(studio).stop_all()
    studio.close()
