"""``studio predict`` and ``studio jobs``, as a script uses them: what is printed, what is done, how they exit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from studio.__main__ import app
from studio.commands.following import progress_text, time_text
from studio.commands.predict import classes_of, options_of, weights_of
from studio.errors import BadInput
from studio.operations.running import Progress
from studio.project import Store
from studio.registry import Registry, user_folder
from tests.predict.squares import add_pictures
from tests.predict.world import SquareOptions, card

ROOT = Path(__file__).parents[2]

# The command line finds models as it does everywhere, so these lie where a person puts models of his own.
MODELS = """
import time
from tests.predict.test_describing import Both
from tests.predict.world import SquareDetector, SquareOptions, card


class Slow(SquareDetector):
    def detect(self, images, *, floor=0.05):
        time.sleep(0.5)
        return super().detect(images, floor=floor)


def shrinking(folder, device, options):
    return SquareDetector(shrink=options.shrink)


CARDS = [
    card("squares.v2", "detector", None, load=shrinking, options=SquareOptions),
    card("beside", "detector", SquareDetector(off=1.0, sure=0.5)),
    card("slow", "detector", Slow()),
    card("both", "text-detector", Both(), roles=("text-detector", "describer"), tasks=("things", "grounded caption")),
]
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDIO_DEVICE", "cpu")
    user_folder().mkdir(parents=True)
    (user_folder() / "squares.py").write_text(MODELS, "utf-8")
    return tmp_path / "data"


@pytest.fixture
def store(data):
    store = Store(data)
    yield store
    store.close()


@pytest.fixture
def project(store):
    return store.create_project("fruit", "local")


@pytest.fixture
def records(store, project):
    return add_pictures(store, project.id, 12, "local")


@pytest.fixture
def run(data, records):
    def run(*arguments: str):
        return CliRunner().invoke(app, ["--data", str(data), *arguments])

    return run


def total(store, records) -> int:
    return sum(len(store.annotations(r.id)) for r in records)


def the_job(store, project):
    (job,) = store.jobs(project.id)
    return job


def test_predict_reports_what_it_did_and_undo_takes_it_back(run, store, project, records):
    done = run("predict", "fruit", "--model", "squares.v2")
    assert done.exit_code == 0, done.output
    assert "12 of 12 images done: 18 annotations added" in done.output
    assert total(store, records) == 18
    job = the_job(store, project)
    listed = run("jobs", "fruit")
    assert job.id in listed.output and "done" in listed.output and "12 of 12" in listed.output
    assert "18 annotations added" in run("jobs", "report", job.id).output
    assert "9 images" in run("jobs", "undo", job.id).output
    assert total(store, records) == 0
    assert run("jobs", "forget", job.id).exit_code == 0 and store.jobs(project.id) == []


def test_what_is_asked_for_is_what_the_job_is_told(run, store, project, records):
    done = run(
        *(
            "predict",
            "fruit",
            "--model",
            "squares.v2",
            "--model",
            "beside",
            "--weights",
            "2,1",
            "--fusion",
            "nms",
        ),
        *("--option", "squares.v2.shrink=2", "--threshold", "0.2", "--policy", "merge", "--same", "0.7"),
        *(
            "--tile",
            "64",
            "--tile-overlap",
            "16",
            "--class",
            "square=tile",
            "--class",
            "circle=",
            "--unknown",
            "drop",
        ),
    )
    assert done.exit_code == 0, done.output
    told = the_job(store, project).settings
    assert told["models"] == ["squares.v2", "beside"] and told["options"] == {"squares.v2": {"shrink": 2}}
    assert told["fusion"]["way"] == "nms" and list(told["fusion"]["weights"]) == [2, 1]
    assert (told["threshold"], told["policy"], told["same"]) == (0.2, "merge", 0.7)
    assert (told["tiling"]["side"], told["tiling"]["overlap"]) == (64, 16)
    assert told["classes"] == {"square": "tile", "circle": None} and told["unknown"] == "drop"
    assert {a.class_name for r in records for a in store.annotations(r.id)} == {"tile"}


def test_what_classes_were_called_last_time_holds_until_said_otherwise(run, store, project, records):
    run("predict", "fruit", "--model", "squares.v2", "--class", "square=tile")
    run("predict", "fruit", "--model", "squares.v2", "--policy", "replace-all")
    assert {a.class_name for r in records for a in store.annotations(r.id)} == {"tile"}
    run("predict", "fruit", "--model", "squares.v2", "--policy", "replace-all", "--class", "square=brick")
    assert {a.class_name for r in records for a in store.annotations(r.id)} == {"brick"}


def test_only_the_images_asked_for_are_looked_at(run, store, project, records):
    for record in records[:5]:
        store.set_status(record.id, "done", "local")
    done = run("predict", "fruit", "--model", "squares.v2", "--images", "todo")
    assert "7 of 7 images done" in done.output
    assert total(store, records[:5]) == 0 < total(store, records)


def test_images_that_fail_are_told_with_the_reason_and_tried_again(run, store, project, records):
    path = store.original_path(records[3])
    data = path.read_bytes()
    path.write_bytes(b"no picture")
    done = run("predict", "fruit", "--model", "squares.v2")
    assert done.exit_code == 3
    assert "1 images failed" in done.output and f"{records[3].name}: " in done.output
    job = the_job(store, project)
    assert f"jobs go-on {job.id}" in done.output and run("jobs", "report", job.id).exit_code == 3
    path.write_bytes(data)
    again = run("jobs", "go-on", job.id)
    assert again.exit_code == 0 and "12 of 12 images done: 18 annotations added" in again.output
    nothing = run("jobs", "go-on", job.id)
    assert nothing.exit_code == 1 and "no image of it is left" in nothing.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "friut", "--model", "squares.v2"], "fruit"),
        (["predict", "fruit", "--model", "squares.v3"], "squares.v2"),
        (["predict", "fruit", "--model", "squares.v2", "--option", "squares.v2.shrnk=1"], "shrink"),
        (["predict", "fruit", "--model", "squares.v2", "--option", "squares.v2.shrink=9"], "between 0 and 4"),
        (
            ["predict", "fruit", "--model", "squares.v2", "--option", "squares.v2.shrink=big"],
            "no value that fits",
        ),
        (["predict", "fruit", "--model", "squares.v2", "--class", "square"], "MODEL'S=PROJECT'S"),
        (["predict", "fruit", "--model", "squares.v2", "--policy", "overwrite"], "policy"),
        (["predict", "fruit", "--model", "squares.v2", "--images", "some"], "all"),
        (["predict", "fruit", "--model", "squares.v2", "--weights", "1,x"], "2,1"),
        (["predict", "fruit", "--model", "squares.v2", "--weights", "1,2"], "a weight"),
        (["jobs", "friut"], "fruit"),
        (["jobs", "report", "nothing"], "not here any more"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_nothing_is_begun(run, store, project, arguments, said):
    done = run(*arguments)
    assert done.exit_code == 1 and said in done.output and "Traceback" not in done.output
    assert store.jobs(project.id) == []


def test_options_of_the_cluster_are_refused_where_there_is_none(run):
    assert run("predict", "fruit", "--model", "squares.v2", "--address", "auto").exit_code == 2
    assert run("predict", "fruit", "--model", "squares.v2", "--engine", "spark").exit_code == 2


def begun(data: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "studio", "--data", str(data), *arguments]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Tests that were started in the background have Ctrl+C switched off, and what they start inherits that.
    listening = (
        {} if os.name == "nt" else {"preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL)}
    )
    return subprocess.Popen(command, cwd=ROOT, **pipes, **listening)


def a_few_done(store, project, process) -> str:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if (jobs := store.jobs(project.id)) and jobs[0].done >= 2:
            return jobs[0].id
        time.sleep(0.05)
    raise AssertionError(process.communicate())


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_pauses_and_says_how_to_go_on(data, run, store, project, records):
    process = begun(data, "predict", "fruit", "--model", "slow")
    job_id = a_few_done(store, project, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err, err
    paused = store.job(job_id)
    assert paused.state == "paused" and 2 <= paused.done < 12
    (typed,) = re.findall(r"Go on with: studio (.*)", err)
    done = CliRunner().invoke(app, typed.split())
    assert done.exit_code == 0 and "12 of 12 images done: 18 annotations added" in done.output, done.output


def test_another_process_cancels_a_job_and_undoes_it_at_once(data, run, store, project, records):
    process = begun(data, "predict", "fruit", "--model", "slow")
    job_id = a_few_done(store, project, process)
    assert "cancelled" in run("jobs", "cancel", job_id).output
    assert run("jobs", "undo", job_id).exit_code == 0
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "cancelled" in out, out
    assert total(store, records) == 0, "nothing came after the undo"
    assert store.job(job_id).state == "cancelled" and store.job(job_id).done < 12


def test_the_line_tells_how_much_is_left():
    progress = Progress(done=11, failed=1, total=500, added=34, seconds_left=130.0)
    assert progress_text(progress) == "12 of 500 · 34 added · 1 failed · about 2 min left"
    assert [time_text(s) for s in (0.2, 42.4, 61, 5400)] == [
        "about 1 s",
        "about 42 s",
        "about 1 min",
        "about 1.5 h",
    ]


def test_texts_are_read_as_they_are_meant():
    class Known:
        registry = Registry([card("a.b", "detector", None, options=SquareOptions)])

    assert options_of(Known, ["a.b.shrink=3"]) == {"a.b": {"shrink": 3}}
    assert classes_of(["person=worker", "a = b", "dog="]) == {"person": "worker", "a": "b", "dog": None}
    assert weights_of("2, 0.5") == (2.0, 0.5) and weights_of("") == ()
    for wrong in ("shrink=3", "a.b.shrink"):
        with pytest.raises(BadInput, match="MODEL.FIELD=VALUE"):
            options_of(Known, [wrong])


@pytest.mark.parametrize(
    ("asked", "names", "title"),
    [
        (("--words", "top=first, low@0.75"), {"first", "low"}, "top, low: "),
        (("--words", ""), {"top", "low"}, "What captions name: "),
        (("--task", "things"), {"square"}, "Things: "),
    ],
)
def test_words_captions_and_whatever_is_there_are_looked_for(
    run, store, project, records, asked, names, title
):
    done = run("predict", "fruit", "--model", "both", *asked)
    assert done.exit_code == 0, done.output
    assert {a.class_name for r in records for a in store.annotations(r.id)} == names
    assert the_job(store, project).title.startswith(title)


def test_words_that_cannot_be_looked_for_are_told(run):
    for words, told in (("-top", "not wanted"), ("a@b", "no threshold")):
        done = run("predict", "fruit", "--model", "both", "--words", words)
        assert done.exit_code == 1 and told in done.output
    assert "reads no words" in run("predict", "fruit", "--model", "beside", "--words", "top").output
