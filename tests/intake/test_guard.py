from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from studio.errors import BadInput
from studio.intake.guard import Guard
from tests.intake.fakes import MISBEHAVING_COMMAND, encoded


@pytest.fixture
def guard():
    with Guard(1, seconds=1.0, megabytes=512, command=MISBEHAVING_COMMAND) as guard:
        yield guard


def test_an_ordinary_image_comes_through(guard: Guard):
    derived = guard.derive(encoded(), "a.png")
    assert (derived.width, derived.height, derived.format, derived.display) == (40, 30, "PNG", None)
    assert derived.thumbnail[:2] == b"\xff\xd8"


@pytest.mark.parametrize("behaviour", [b"CRASH", b"HANG", b"LIE"])
def test_a_decoder_that_dies_or_hangs_costs_one_image(guard: Guard, behaviour: bytes):
    guard.derive(encoded())
    before, start = guard.pids(), time.monotonic()
    with pytest.raises(BadInput, match="longer than 1 s" if behaviour == b"HANG" else "crash"):
        guard.derive(behaviour, "bad.png")
    assert time.monotonic() - start < 3
    assert guard.derive(encoded(), "good.png").width == 40
    assert guard.pids() != before


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="the system does not bound a process's memory")
def test_a_decoder_that_eats_memory_is_stopped_and_lives_on(guard: Guard):
    guard.derive(encoded())
    before = guard.pids()
    with pytest.raises(BadInput, match="“bad.png” needs more than 512 MB"):
        guard.derive(b"EAT", "bad.png")
    assert guard.derive(encoded()).width == 40
    assert guard.pids() == before


def test_a_bug_in_decoding_is_a_sentence_and_is_logged(guard: Guard, caplog):
    with pytest.raises(BadInput, match="did not foresee"):
        guard.derive(b"BUG", "odd.png")
    assert "ZeroDivisionError" in caplog.text


def test_what_a_library_prints_does_not_get_between_the_answers(guard: Guard):
    assert guard.derive(b"PRINT" + encoded()).width == 40
    assert guard.derive(encoded()).width == 40


def test_a_worker_killed_while_idle_is_started_again(guard: Guard):
    guard.derive(encoded())
    os.kill(guard.pids()[0], 9)
    time.sleep(0.05)
    assert guard.derive(encoded()).width == 40


def test_a_worker_is_told_no_secret(guard: Guard, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert b"HF_TOKEN" not in guard.derive(b"ENV").thumbnail


def test_a_refusal_names_the_file(guard: Guard):
    with pytest.raises(BadInput, match="“a.txt” is not an image"):
        guard.derive(b"hello", "a.txt")


def test_many_callers_share_a_few_workers():
    with Guard(2) as guard, ThreadPoolExecutor(8) as pool:
        files = [encoded(seed) for seed in range(40)]
        assert [d.width for d in pool.map(guard.derive, files)] == [40] * 40
        assert len(guard.pids()) == 2


def test_a_light_load_starts_one_worker_only():
    with Guard(4) as guard:
        for seed in range(4):
            guard.derive(encoded(seed))
        assert len(guard.pids()) == 1


def test_closing_ends_the_workers_even_amid_a_file():
    guard = Guard(1, seconds=30, command=MISBEHAVING_COMMAND)
    guard.derive(encoded())
    pid, seen = guard.pids()[0], []

    def ask() -> None:
        try:
            guard.derive(b"HANG")
        except BadInput as error:
            seen.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    guard.close()
    thread.join(5)
    assert seen and not thread.is_alive()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_does_not_start_is_a_bug_and_not_the_files_fault():
    with Guard(1, command=(sys.executable, "-c", "raise SystemExit(3)")) as guard:
        with pytest.raises(RuntimeError, match="did not start"):
            guard.derive(encoded())
