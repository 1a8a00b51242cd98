"""Nothing that was acknowledged is lost, whenever the process is killed."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from studio.project import Store
from tests.project.labelling_session import ME, seen

ROOT = Path(__file__).parents[2]
KILLS = 50

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")


class Expected:
    """What the folder must hold after the acknowledged calls, worked out without the store."""

    def __init__(self) -> None:
        self.project = False
        self.classes: dict[str, str | None] = {}  # name → colour, where it is known
        self.images: dict[str, dict[str, Any]] = {}

    def after(self, deed: dict[str, Any]) -> list[Expected]:
        """Return the states that may be found when a call was cut short, the finished one last."""
        states = [copy.deepcopy(self)]
        states += [done := copy.deepcopy(self)]
        if deed["op"] == "delete_class":
            done._replace(deed["class"], deed["other"])
            states.append(done := copy.deepcopy(done))  # objects first, then the class
            done.classes.pop(deed["class"])
        else:
            getattr(done, "_" + deed["op"])(deed)
        return states

    def _project(self, deed: dict) -> None:
        self.project = True

    def _add_image(self, deed: dict) -> None:
        new = {"digest": deed["digest"], "status": "todo", "objects": {}, "done": [], "undone": []}
        self.images[deed["image"]] = new

    def _delete_image(self, deed: dict) -> None:
        del self.images[deed["image"]]

    def _add_class(self, deed: dict) -> None:
        self.classes[deed["class"]] = None

    def _recolour(self, deed: dict) -> None:
        self.classes[deed["class"]] = deed["colour"]

    def _status(self, deed: dict) -> None:
        self.images[deed["image"]]["status"] = deed["status"]

    def _put(self, deed: dict) -> None:
        self._change(deed["image"], self.images[deed["image"]]["objects"] | deed["put"])

    def _delete(self, deed: dict) -> None:
        objects = self.images[deed["image"]]["objects"]
        self._change(deed["image"], {k: v for k, v in objects.items() if k not in deed["ids"]})

    def _replace(self, gone: str, other: str) -> None:
        for name, image in self.images.items():
            objects = {k: [other if v[0] == gone else v[0], *v[1:]] for k, v in image["objects"].items()}
            self._change(name, objects)

    def _undo(self, deed: dict) -> None:
        self._turn(self.images[deed["image"]], "done", "undone", 0)

    def _redo(self, deed: dict) -> None:
        self._turn(self.images[deed["image"]], "undone", "done", 1)

    def _turn(self, image: dict, source: str, target: str, side: int) -> None:
        if image[source]:
            step = image[source].pop()
            image[target].append(step)
            image["objects"] = step[side]
            self._know(step[side])

    def _change(self, name: str, objects: dict) -> None:
        image = self.images[name]
        if objects != image["objects"]:
            image["done"].append((image["objects"], objects))
            image["undone"] = []
            image["objects"] = objects
            self._know(objects)

    def _know(self, objects: dict) -> None:
        for value in objects.values():
            self.classes.setdefault(value[0], None)

    def differs_from(self, store: Store) -> str:
        """Return in words the first thing that is not as it must be, "" where all is."""
        projects = store.projects(ME)
        if len(projects) != self.project:
            return f"{len(projects)} projects"
        if not projects:
            return ""
        classes = {c.name: c.colour for c in store.classes(projects[0].id)}
        if set(classes) != set(self.classes):
            return f"classes {set(classes) ^ set(self.classes)}"
        recoloured = [n for n, colour in self.classes.items() if colour and classes[n] != colour]
        if recoloured:
            return f"colours of {recoloured}"
        found = {image.name: image for image in store.images(projects[0].id, limit=1000)}
        if set(found) != set(self.images):
            return f"images {set(found) ^ set(self.images)}"
        for name, image in found.items():
            wanted, objects = self.images[name], {a.id: seen(a) for a in store.annotations(image.id)}
            drafts = sum(value[1] for value in objects.values())
            if (image.digest, image.status) != (wanted["digest"], wanted["status"]):
                return f"{name} is {image}"
            if objects != wanted["objects"]:
                return f"{name} shows {objects}, not {wanted['objects']}"
            if (image.count, image.drafts) != (len(objects) - drafts, drafts):
                return f"{name} counts {image.count} and {image.drafts}"
        return ""


def check_disk(folder: Path, store: Store) -> None:
    """Check the database and each file, without trusting the store."""
    with sqlite3.connect(folder / "studio.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    for path in (folder / "files").rglob("*"):
        if path.is_file() and not path.suffix:
            data = path.read_bytes()
            assert hashlib.sha256(data).hexdigest() == path.name
            for kind, wanted in ((".display", data[::-1]), (".thumb", data[:50])):
                beside = path.with_name(path.name + kind)
                assert not beside.exists() or beside.read_bytes() == wanted
    assert list((folder / "files" / "unfinished").iterdir()) == []
    for project in store.projects(ME):
        for image in store.images(project.id, limit=1000):
            paths = store.original_path(image), store.display_path(image), store.thumbnail_path(image)
            assert all(path.exists() for path in paths) and paths[0] != paths[1]


class Nursery:
    """The program that forks a labelling child for each order."""

    def __init__(self, folder: Path) -> None:
        program = Path(__file__).with_name("labelling_session.py")
        self.process = subprocess.Popen(
            [sys.executable, str(program), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )

    def run(
        self, order: dict[str, Any], kill_after: int | None = None, within: str = "", pause: float = 0.0
    ) -> tuple[list, dict | None]:
        """Let a child work, and kill it a pause after so many acknowledgements, or within the next such call.

        Returns the calls it finished, and the one it was at, if any.
        """
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        child, finished, current, killed = None, [], None, False
        for line in self.process.stdout:
            told = json.loads(line)
            if "ended" in told:
                assert told["ended"] in ((0,) if kill_after is None else (0, -signal.SIGKILL))
                return finished, current
            child = told.get("child", child)
            if "begin" in told:
                current = told["begin"]
            elif "done" in told:
                finished.append(current)
                current = None
            due = kill_after is not None and len(finished) >= kill_after
            if child and due and not killed and (not within or current and current["op"] == within):
                killed = True
                time.sleep(pause)
                os.kill(child, signal.SIGKILL)
        raise AssertionError("the nursery died")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def nursery(tmp_path):
    nursery = Nursery(tmp_path / "data")
    yield nursery
    nursery.close()


def settled(folder: Path, expected: Expected, finished: list, current: dict | None) -> Expected:
    """Open the folder anew and return its state, which must be one that the acknowledged calls allow."""
    for deed in finished:
        expected = expected.after(deed)[-1]
    possible = expected.after(current) if current else [expected]
    store = Store(folder)
    try:
        check_disk(folder, store)
        wrong = [state.differs_from(store) for state in possible]
        assert "" in wrong, f"after {len(finished)} calls, in {current}: {wrong}"
        return possible[wrong.index("")]
    finally:
        store.close()


def test_fifty_kills_at_random_moments_lose_nothing_acknowledged(tmp_path, nursery):
    rng, expected, calls, cut_short = random.Random(2024), Expected(), 0, 0
    for seed in range(KILLS):
        if seed < 6:  # while a new folder is opened and migrated
            kill = {"kill_after": 0, "pause": rng.random() * 0.08}
        elif seed % 3:
            kill = {"kill_after": rng.randrange(40), "pause": rng.random() * 0.004}
        else:  # while files are written
            kill = {"kill_after": rng.randrange(20), "within": "add_image", "pause": rng.random() * 0.006}
        finished, current = nursery.run({"seed": seed, "steps": 10_000}, **kill)
        expected = settled(tmp_path / "data", expected, finished, current)
        calls += len(finished)
        cut_short += current is not None
    assert calls > 10 * KILLS and cut_short > KILLS / 5
    assert expected.images and expected.classes


def test_a_session_that_is_not_killed_ends_as_expected(tmp_path, nursery):
    finished, current = nursery.run({"seed": 99, "steps": 120})
    assert current is None
    expected = settled(tmp_path / "data", Expected(), finished, None)
    assert {deed["op"] for deed in finished} == {
        "project", "add_image", "add_class", "put", "delete", "undo", "redo", "status", "recolour",
        "delete_class", "delete_image",
    }  # fmt: skip
    assert expected.images


def test_the_check_notices_calls_that_were_acknowledged_but_not_committed(tmp_path, nursery):
    finished, current = nursery.run({"seed": 5, "steps": 40, "skip_commit_at": 12})
    assert current is None
    with pytest.raises(AssertionError, match="after .* calls"):
        settled(tmp_path / "data", Expected(), finished, current)
