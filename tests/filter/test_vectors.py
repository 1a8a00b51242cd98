"""Vectors on the disk: found again, appended by several, and never half there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from studio import vectors as module
from studio.errors import BadInput
from studio.vectors import LINE, Vectors

ROOT = Path(__file__).parents[2]


def digests(count: int, start: int = 0) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(start, start + count)]


def units(count: int, length: int = 16, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal((count, length)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_what_was_appended_is_found_by_digest_and_by_others(tmp_path):
    file, made = Vectors(tmp_path).of("m", "1"), units(50)
    assert file.append(digests(50), made) == 50
    other = Vectors(tmp_path).of("m", "1")
    assert other.rows(digests(52)).tolist() == [*range(50), -1, -1]
    assert np.array_equal(other.matrix(), made)
    assert file.append(digests(10, 45), units(10, seed=1)) == 5  # five were there
    assert np.array_equal(other.matrix()[:50], made) and len(other) == 55
    assert other.rows(digests(1, 54)).tolist() == [54]


def test_the_same_picture_twice_in_a_batch_is_one(tmp_path):
    file = Vectors(tmp_path).of("m", "1")
    assert file.append(digests(1) * 3, units(3)) == 1 and len(file) == 1


def test_many_rows_are_found_as_few_are(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECENT", 100)
    file, made = Vectors(tmp_path).of("m", "1"), units(350)
    for start in range(0, 350, 70):
        file.append(digests(70, start), made[start : start + 70])
    order = np.random.default_rng(1).permutation(350)
    wanted = digests(350)
    assert file.rows([wanted[i] for i in order]).tolist() == order.tolist()


def test_digests_that_begin_alike_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECENT", 1)
    alike = ["ab" * 8 + f"{i:048x}" for i in range(20)]
    file = Vectors(tmp_path).of("m", "1")
    file.append(alike, units(20))
    assert file.rows([*alike[::-1], "ab" * 8 + "f" * 48]).tolist() == [*range(19, -1, -1), -1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 2.0, 0.0])
def test_vectors_that_are_no_unit_vectors_are_refused_and_nothing_is_written(tmp_path, bad):
    file, made = Vectors(tmp_path).of("m", "1"), units(3)
    made[1] = made[1] * bad
    with pytest.raises(BadInput, match="not finite|of length"):
        file.append(digests(3), made)
    assert len(file) == 0


def test_vectors_of_another_length_are_refused(tmp_path):
    file = Vectors(tmp_path).of("m", "1")
    file.append(digests(2), units(2))
    with pytest.raises(BadInput, match="8 numbers; those kept of it have 16"):
        file.append(digests(1, 5), units(1, 8))


def test_another_version_has_vectors_of_its_own(tmp_path):
    kept = Vectors(tmp_path)
    kept.of("m", "1").append(digests(2), units(2))
    assert len(kept.of("m", "2")) == 0 and kept.of("m", "2").rows(digests(2)).tolist() == [-1, -1]


@pytest.mark.parametrize("cut", [1, 20, 35, 37])
def test_what_a_kill_left_half_written_does_not_count_and_is_cut_off(tmp_path, cut):
    made = units(8)
    Vectors(tmp_path).of("m", "1").append(digests(8), made)
    folder = Vectors(tmp_path).folder("m", "1")
    with (folder / "index").open("r+b") as file:
        file.truncate(8 * LINE.itemsize - cut)
    with (folder / "vectors.f32").open("ab") as file:
        file.write(b"half a row")
    again = Vectors(tmp_path).of("m", "1")
    whole = 7 if cut < LINE.itemsize else 6
    assert len(again) == whole
    again.append(digests(4, 6), np.vstack([made[6:], units(2, seed=3)]))
    assert len(again) == 10 and again.damaged() == []
    assert np.array_equal(Vectors(tmp_path).of("m", "1").matrix()[:8], made)


def test_rows_that_a_power_failure_left_empty_do_not_count(tmp_path):
    Vectors(tmp_path).of("m", "1").append(digests(8), units(8))
    folder = Vectors(tmp_path).folder("m", "1")
    with (folder / "vectors.f32").open("r+b") as file:
        file.seek(6 * 16 * 4)
        file.write(b"\0" * (2 * 16 * 4))
    again = Vectors(tmp_path).of("m", "1")
    assert len(again) == 6
    assert again.append(digests(2, 6), units(2, seed=5)) == 2 and len(again) == 8 and again.damaged() == []


WRITER = """
import sys, time
from pathlib import Path
from tests.filter.test_vectors import digests, units
from studio.vectors import Vectors
file, start = Vectors(Path(sys.argv[1])).of("m", "1"), int(sys.argv[2])
made = units(2000)
for i in range(start, start + 400, 4):
    file.append(digests(4, i), made[i : i + 4])
    with open(sys.argv[3], "a") as told:
        print(i, file=told)
    time.sleep(0.01)
if sys.argv[4]:
    time.sleep(60)  # the one that is to be killed does not end by itself, however quick it was
"""


def test_processes_that_write_at_once_and_are_killed_leave_whole_rows(tmp_path):
    tellers = [tmp_path / "first", tmp_path / "second"]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "vectors"), str(start), str(teller), stays],
            cwd=ROOT,
        )
        for start, teller, stays in zip((0, 200), tellers, ("stays", ""), strict=True)
    ]
    deadline = time.monotonic() + 60
    while not all(teller.exists() for teller in tellers) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    children[0].kill()
    assert children[0].wait(30) and children[1].wait(60) == 0
    told = [int(line) for teller in tellers for line in teller.read_text().split()]
    file, made = Vectors(tmp_path / "vectors").of("m", "1"), units(2000)
    assert file.damaged() == [] and told[-1] == 596
    wanted = [i + j for i in told for j in range(4)]
    rows = file.rows([digests(1, i)[0] for i in wanted])
    assert (rows >= 0).all(), "what was told to be kept is there"
    assert np.array_equal(file.matrix()[rows], made[wanted])
