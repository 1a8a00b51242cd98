from __future__ import annotations

import threading
import time

import pytest

from studio.gate import Gate, Turn


def wait_until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.001)


def queue_up(gate: Gate, levels: list[Turn], order: list) -> list[threading.Thread]:
    """Start one thread a level, each waiting before the next begins."""
    threads = []
    for number, level in enumerate(levels):

        def take(level=level, number=number):
            with gate.turn(level):
                order.append((level, number))

        before = sum(gate.waiting(every) for every in Turn)
        threads.append(threading.Thread(target=take))
        threads[-1].start()
        wait_until(lambda before=before: sum(gate.waiting(every) for every in Turn) == before + 1)
    return threads


def test_clicks_go_before_batch_turns_before_training_and_each_in_order_of_arrival():
    gate, order = Gate(), []
    with gate.turn(Turn.TRAIN):
        threads = queue_up(gate, [Turn.TRAIN, Turn.BATCH, Turn.CLICK, Turn.BATCH, Turn.CLICK], order)
    [t.join(5) for t in threads]
    assert order == [(Turn.CLICK, 2), (Turn.CLICK, 4), (Turn.BATCH, 1), (Turn.BATCH, 3), (Turn.TRAIN, 0)]


def test_one_thread_at_a_time_holds_it():
    gate, inside, most = Gate(), [0], [0]

    def work():
        for _ in range(50):
            with gate.turn(Turn.BATCH):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0001)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join(20) for t in threads]
    assert most == [1] and inside == [0]


def test_the_thread_that_holds_it_may_ask_again():
    gate, order = Gate(), []
    with gate.turn(Turn.BATCH):
        with gate.turn(Turn.CLICK):
            threads = queue_up(gate, [Turn.CLICK], order)
        time.sleep(0.01)
        assert order == []  # the inner block's end let nobody in
    threads[0].join(5)
    assert order == [(Turn.CLICK, 0)]


def test_it_is_given_back_when_the_work_fails():
    gate = Gate()
    with pytest.raises(ZeroDivisionError), gate.turn(Turn.CLICK):
        raise ZeroDivisionError
    with gate.turn(Turn.TRAIN):
        pass


def test_a_batch_turn_comes_at_last_however_many_clicks_there_are():
    gate, order = Gate(patience=3), []
    with gate.turn(Turn.CLICK):
        threads = queue_up(gate, [Turn.TRAIN, Turn.BATCH, *[Turn.CLICK] * 8], order)
    [t.join(5) for t in threads]
    levels = [level.name[0] for level, _ in order]
    assert levels == list("CCCBTCCCCC")


def test_a_click_waits_for_at_most_the_batch_turn_under_way():
    gate, stop = Gate(), threading.Event()
    turns, seen, passed, waits = [0], [], [], []

    def batch():
        while not stop.is_set():
            with gate.turn(Turn.BATCH):
                turns[0] += 1
                time.sleep(0.02)

    def click():
        start = time.perf_counter()
        with gate.turn(Turn.CLICK):
            waits.append(time.perf_counter() - start)
            seen.append(turns[0])

    threads = [threading.Thread(target=batch) for _ in range(2)]
    [t.start() for t in threads]
    wait_until(lambda: turns[0] > 0)
    for _ in range(20):
        person = threading.Thread(target=click)
        person.start()
        wait_until(lambda person=person: gate.waiting(Turn.CLICK) or not person.is_alive())
        before = turns[0]
        person.join(5)
        passed.append(seen[-1] - before)
    stop.set()
    [t.join(5) for t in threads]
    # The turn under way when the click came may not have counted itself yet; no other may begin.
    assert max(passed) <= 1
    assert sorted(waits)[len(waits) // 2] < 0.2
    assert turns[0] > 5


def test_after_a_click_a_long_turn_waits_until_the_person_rests_but_not_for_ever():
    gate, order = Gate(courtesy=0.2, longest=0.6), []

    def batch(name: str) -> None:
        with gate.turn(Turn.BATCH):
            order.append(name)

    with gate.turn(Turn.CLICK):
        pass
    first = threading.Thread(target=batch, args=("batch",))
    first.start()
    for number in range(2):  # each begins the time of courtesy anew
        time.sleep(0.1)
        with gate.turn(Turn.CLICK):
            order.append(number)
    first.join(5)
    assert order == [0, 1, "batch"]
    clicking = threading.Event()
    patient = threading.Thread(target=batch, args=("patient",))
    patient.start()

    def click() -> None:
        while not clicking.wait(0.05):
            with gate.turn(Turn.CLICK):
                pass

    clicks = threading.Thread(target=click)
    clicks.start()
    patient.join(5)
    clicking.set()
    clicks.join(5)
    assert not patient.is_alive() and order[-1] == "patient"


def test_a_long_turn_that_holds_the_lock_does_not_wait_for_itself():
    gate = Gate(courtesy=5.0, longest=5.0)
    with gate.turn(Turn.CLICK), gate.turn(Turn.BATCH):
        pass
    began = time.monotonic()
    with gate.turn(Turn.CLICK):
        with gate.turn(Turn.BATCH):
            inside = time.monotonic() - began
    assert inside < 4


def test_a_work_under_way_is_not_put_off_for_clicks_that_may_come(monkeypatch):
    gate, asked = Gate(courtesy=5.0), []
    monkeypatch.setattr(gate, "_wait_for_quiet", lambda: asked.append(1))
    with gate.turn(Turn.BATCH, begun=True):
        assert not asked
    with gate.turn(Turn.BATCH):
        assert asked
