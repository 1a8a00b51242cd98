from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from studio.errors import Conflict, MissingPackage, NotFound, OutOfMemory, StudioError, Unreachable
from studio.gate import Turn
from tests.pool.pretend import MB, FakeOutOfMemory


@pytest.fixture(autouse=True)
def no_collector(monkeypatch):
    """What fakes hold is free at once; collecting garbage beside a loaded torch takes half a second."""
    monkeypatch.setattr("studio.pool.gc", SimpleNamespace(collect=lambda: 0))


def ids(pool) -> set[str]:
    return {item.id for item in pool.loaded()}


def use(pool, *names: str) -> None:
    for name in names:
        with pool.use(name):
            pass
        time.sleep(0.002)  # last_used is the clock's


def wait_until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


def test_nothing_is_loaded_before_it_is_asked_for(shop):
    shop.card("a", 10 * MB)
    pool = shop.pool()
    assert pool.loaded() == [] and shop.loads == []
    with pool.use("a") as model:
        assert model.name == "a"
        assert [(i.id, i.bytes, i.pins, i.device) for i in pool.loaded()] == [("a", 10 * MB, 1, "fake:0")]
    assert pool.loaded()[0].pins == 0
    use(pool, "a")
    assert shop.loads == ["a"]


def test_an_unknown_model_is_answered_with_the_nearest_name(shop):
    shop.card("sam-tiny", MB)
    with pytest.raises(NotFound, match="sam-tiny"), shop.pool().use("sam-tny"):
        pass


def test_the_least_recently_used_model_leaves_first(shop):
    for name in "abc":
        shop.card(name, 40 * MB)
    pool = shop.pool()
    use(pool, "a", "b", "a", "c")
    assert ids(pool) == {"a", "c"}
    assert pool.events[1].text.startswith(
        "B left fake:0, 40 MB became free: C needs 40 MB and 20 MB were free"
    )


def test_only_as_many_leave_as_must(shop):
    for name, size in zip("abcd", (20, 30, 40, 35), strict=True):
        shop.card(name, size * MB)
    pool = shop.pool()
    use(pool, "a", "b", "c", "d")  # 10 free; a gives 30, b gives 60
    assert ids(pool) == {"c", "d"}


def test_a_model_in_use_is_not_evicted(shop):
    for name in "abc":
        shop.card(name, 40 * MB)
    pool = shop.pool()
    with pool.use("a") as model:
        use(pool, "b", "c")
        assert ids(pool) == {"a", "c"}
        assert model.block.size == 40 * MB
    assert shop.loads == ["a", "b", "c"]


def test_use_may_be_nested_and_the_pin_lasts_to_the_end_of_the_outer_one(shop):
    for name in "ab":
        shop.card(name, 60 * MB)
    pool = shop.pool(patience=0.05)
    with pool.use("a") as outer:
        with pool.use("a") as inner:
            assert inner is outer
        assert pool.loaded()[0].pins == 1
        with pytest.raises(OutOfMemory), pool.use("b"):
            pass
    del outer, inner
    use(pool, "b")
    assert ids(pool) == {"b"}


def test_two_sessions_that_ask_at_once_build_once(shop):
    shop.card("a", 10 * MB)
    shop.during_load = lambda name: time.sleep(0.05)
    pool, seen = shop.pool(), []

    def ask():
        with pool.use("a") as model:
            seen.append(model)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert shop.loads == ["a"]
    assert len(set(map(id, seen))) == 1 and len(seen) == 6


def test_two_models_are_never_built_at_the_same_time(shop):
    for name in "abcd":
        shop.card(name, 10 * MB)
    shop.during_load = lambda name: time.sleep(0.01)
    pool = shop.pool()
    threads = [threading.Thread(target=use, args=(pool, name)) for name in "abcd"]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert shop.most_at_once == 1 and len(shop.loads) == 4


def test_a_loaded_model_answers_while_another_is_being_built(shop):
    shop.card("a", 10 * MB)
    shop.card("slow", 10 * MB)
    pool, go = shop.pool(), threading.Event()
    use(pool, "a")
    shop.during_load = lambda name: go.wait(5)
    thread = threading.Thread(target=use, args=(pool, "slow"))
    thread.start()
    wait_until(lambda: shop.loading == 1)
    assert pool.run("a", lambda model: model.name) == "a"
    go.set()
    thread.join()


def test_the_measured_peak_replaces_the_first_guess(shop):
    card = shop.card("a", 10 * MB, guess=90 * MB)
    other = shop.card("b", 30 * MB)
    pool = shop.pool()
    assert pool.need(card) == 90 * MB

    def work(model):
        block = shop.device.allocate(25 * MB)
        return block.size

    pool.run("a", work)
    assert pool.need(card) == 35 * MB
    pool.run("b", lambda model: None)
    pool.unload("a")
    use(pool, "a")  # 70 MB are free: by the guess b would have had to go
    assert ids(pool) == {"a", "b"}
    assert pool.need(other) == 30 * MB


def test_what_ran_beside_other_work_is_not_believed(shop):
    card = shop.card("a", 10 * MB, guess=20 * MB)
    shop.card("b", 50 * MB)
    pool = shop.pool()
    pool.run("a", lambda model: use(pool, "b"))
    assert pool.need(card) == 20 * MB


def test_a_guess_that_is_too_high_is_tried_where_trying_is_safe(shop):
    shop.card("a", 10 * MB, guess=500 * MB)
    pool = shop.pool()
    use(pool, "a")
    assert ids(pool) == {"a"}
    assert "it is tried anyway" in pool.events[1].text


def test_where_the_system_would_end_the_process_nothing_too_large_is_tried(shop):
    shop.card("large", 10 * MB, guess=500 * MB)
    shop.card("small", MB, guess=60 * MB)
    shop.device.raises_out_of_memory = False
    pool = shop.pool()
    with pytest.raises(OutOfMemory) as caught, pool.use("large"):
        pass
    assert str(caught.value) == ("LARGE needs 500 MB on fake:0; 100 MB of 100 MB can be freed. Choose SMALL.")
    assert shop.loads == []


def test_out_of_memory_while_working_evicts_the_others_and_tries_once_more(shop):
    shop.card("a", 10 * MB)
    shop.card("b", 60 * MB)
    pool, tries = shop.pool(), []
    use(pool, "b")

    def work(model):
        tries.append(shop.device.free())
        block = shop.device.allocate(50 * MB)
        return block.size

    assert pool.run("a", work) == 50 * MB
    assert tries == [30 * MB, 90 * MB]
    assert ids(pool) == {"a"}
    texts = [event.text for event in pool.events]
    assert any("ran out of memory on fake:0 while working" in text for text in texts)


def test_what_the_failed_try_held_is_free_before_the_next(shop):
    shop.card("a", 10 * MB)
    pool, tries = shop.pool(), []

    def work(model):
        tries.append(shop.device.free())
        first = shop.device.allocate(60 * MB)  # held by the traceback of what is raised next
        if len(tries) == 1:
            shop.device.allocate(60 * MB)
        return first.size

    assert pool.run("a", work) == 60 * MB
    assert tries == [90 * MB, 90 * MB]


def test_a_second_out_of_memory_says_the_numbers_and_what_to_choose(shop):
    shop.card("large", 40 * MB)
    shop.card("middle", 20 * MB)
    shop.card("small", 5 * MB)
    shop.card("other", 30 * MB)
    pool, calls = shop.pool(), []

    def work(model):
        calls.append(1)
        raise FakeOutOfMemory("no")

    with pool.use("other"), pytest.raises(OutOfMemory) as caught:
        pool.run("large", work)
    assert len(calls) == 2
    assert str(caught.value) == (
        "LARGE needs more than 70 MB on fake:0, all that could be freed of 100 MB. Choose OTHER or "
        "MIDDLE, or wait until OTHER can be unloaded."
    )
    assert all(item.pins == 0 for item in pool.loaded())


def test_other_errors_of_the_work_are_passed_on_and_not_retried(shop):
    shop.card("a", MB)
    pool, calls = shop.pool(), []

    def work(model):
        calls.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pool.run("a", work)
    assert len(calls) == 1 and pool.loaded()[0].pins == 0


def test_out_of_memory_while_loading_evicts_and_tries_once_more(shop):
    shop.card("a", 60 * MB)
    shop.card("b", 60 * MB, guess=10 * MB)
    pool = shop.pool()
    use(pool, "a", "b")
    assert shop.loads == ["a", "b", "b"] and ids(pool) == {"b"}


def test_a_model_that_never_fits_is_refused_and_leaves_nothing_behind(shop):
    shop.card("a", 160 * MB, guess=10 * MB)
    pool = shop.pool()
    with pytest.raises(OutOfMemory), pool.use("a"):
        pass
    assert shop.loads == ["a", "a"] and pool.loaded() == [] and shop.device.used == 0


def test_unload_gives_the_memory_back(shop):
    shop.card("a", 40 * MB)
    pool = shop.pool()
    use(pool, "a")
    assert shop.device.used == 40 * MB
    assert pool.unload("a") == 40 * MB
    assert shop.device.used == 0 and pool.loaded() == []
    with pytest.raises(NotFound, match="A is not loaded"):
        pool.unload("a")


def test_unload_is_refused_while_in_use(shop):
    shop.card("a", 40 * MB)
    pool = shop.pool()
    with pool.use("a"):
        with pytest.raises(Conflict, match=r"A is in use \(once\)"):
            pool.unload("a")
        assert ids(pool) == {"a"}
    pool.unload("a")


def test_a_request_waits_until_a_model_in_use_is_released(shop):
    for name in "ab":
        shop.card(name, 60 * MB)
    pool = shop.pool(patience=5)
    done = threading.Event()

    def ask():
        use(pool, "b")
        done.set()

    with pool.use("a"):
        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(lambda: any("B waits" in event.text for event in pool.events))
        assert not done.is_set()
    thread.join(5)
    assert done.is_set() and ids(pool) == {"b"}


def test_the_wait_for_a_model_in_use_ends_with_the_reason(shop):
    for name in "ab":
        shop.card(name, 60 * MB)
    pool, caught = shop.pool(patience=0.1), []

    def ask():
        try:
            use(pool, "b")
        except OutOfMemory as error:
            caught.append(str(error))

    with pool.use("a"):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(5)
    assert caught == ["B needs 60 MB on fake:0; 40 MB of 100 MB can be freed. Wait until A can be unloaded."]


def test_nobody_waits_for_himself(shop):
    shop.device.raises_out_of_memory = False
    for name in "ab":
        shop.card(name, 60 * MB)
    pool, start = shop.pool(patience=20), time.monotonic()
    with pool.use("a"), pytest.raises(OutOfMemory), pool.use("b"):
        pass
    assert time.monotonic() - start < 10


def test_absent_files_are_said_before_anything_is_loaded(shop, download):
    shop.card("far", MB, download=download, rank=1)
    shop.card("near", MB, rank=50)
    shop.hub.missing.add("far")
    with pytest.raises(Unreachable, match="use NEAR"), shop.pool().use("far"):
        pass
    assert shop.loads == []


def test_a_missing_package_is_answered_with_the_command(shop):
    def load(folder, device, options):
        raise ModuleNotFoundError("No module named 'timm'", name="timm")

    shop.card("a", MB, load=load, packages=("timm>=1",))
    shop.card("b", MB, load=load)
    pool = shop.pool()
    with pytest.raises(MissingPackage, match="pip install timm>=1"), pool.use("a"):
        pass
    with pytest.raises(MissingPackage, match="pip install timm"), pool.use("b"):
        pass


def test_a_model_that_cannot_be_loaded_says_why_and_may_be_tried_again(shop):
    broken = [True]

    def fail(name):
        if broken[0]:
            raise ValueError("header too large")

    shop.card("a", MB)
    shop.during_load = fail
    pool = shop.pool()
    with (
        pytest.raises(StudioError, match="A could not be loaded: ValueError: header too large"),
        pool.use("a"),
    ):
        pass
    broken[0] = False
    use(pool, "a")
    assert ids(pool) == {"a"}


@dataclass(frozen=True)
class Options:
    level: int = 1


def test_a_model_with_other_options_is_another_model_in_memory(shop):
    shop.card("a", 10 * MB, options=Options)
    pool = shop.pool()
    with pool.use("a") as plain, pool.use("a", Options(2)) as other, pool.use("a", Options(1)) as same:
        assert (plain.options, other.options) == (Options(1), Options(2))
        assert same is plain
    del plain, other, same
    assert pool.unload("a") == 20 * MB


def test_run_takes_a_turn_of_the_gate(shop):
    shop.card("a", MB)
    pool, started, order = shop.pool(), threading.Event(), []
    use(pool, "a")

    def batch():
        pool.run("a", lambda model: (started.wait(5), order.append("batch")), turn=Turn.BATCH)

    threads = [threading.Thread(target=batch) for _ in range(3)]
    [t.start() for t in threads]
    wait_until(lambda: pool.gate.waiting(Turn.BATCH) == 2)
    click = threading.Thread(target=lambda: pool.run("a", lambda model: order.append("click")))
    click.start()
    wait_until(lambda: pool.gate.waiting(Turn.CLICK) == 1)
    started.set()
    [t.join(5) for t in [*threads, click]]
    assert order == ["batch", "click", "batch", "batch"]


def test_a_click_comes_between_two_pieces_of_a_stream(shop):
    shop.card("a", MB)
    pool, order = shop.pool(), []
    pieces = pool.stream("a", lambda model: iter("ab"), turn=Turn.BATCH)
    order.append(next(pieces))
    click = threading.Thread(target=lambda: pool.run("a", lambda model: order.append("click")))
    click.start()
    click.join(5)
    pool.gate.courtesy = 1000.0  # for what is begun after the click
    order.append(next(pieces))
    assert order == ["a", "click", "b"] and pool.loaded()[0].pins == 1
    assert list(pieces) == [] and pool.loaded()[0].pins == 0


def test_a_stream_that_is_closed_lets_go_of_its_model(shop):
    shop.card("a", MB)
    pool, closed = shop.pool(), []

    def work(model):
        try:
            yield from "abc"
        finally:
            closed.append(model.name)

    pieces = pool.stream("a", work)
    assert next(pieces) == "a"
    pieces.close()
    assert len(closed) == 1 and pool.loaded()[0].pins == 0
    with pool.gate.turn(Turn.CLICK):
        pass


def test_a_stream_out_of_memory_is_begun_once_more_but_not_gone_on_with(shop):
    shop.card("a", 10 * MB)
    shop.card("b", 60 * MB)
    pool, tries = shop.pool(), []
    use(pool, "b")

    def work(model):
        tries.append(shop.device.free())
        block = shop.device.allocate(50 * MB)
        yield "first"
        raise FakeOutOfMemory(f"{block.size} held")

    pieces = pool.stream("a", work)
    assert next(pieces) == "first" and tries == [30 * MB, 90 * MB]
    with pytest.raises(OutOfMemory):
        next(pieces)
    assert len(tries) == 2 and shop.device.used == 10 * MB
    assert all(item.pins == 0 for item in pool.loaded())


def test_many_threads_on_too_little_memory_never_lose_a_model_they_hold(shop):
    sizes = dict(zip("abcdef", (30, 40, 20, 50, 10, 45), strict=True))
    for name, size in sizes.items():
        shop.card(name, size * MB)
    pool, wrong = shop.pool(patience=20), []

    def work(seed: int) -> None:
        choose = random.Random(seed)
        try:
            for _ in range(25):
                name = choose.choice("abcdef")
                with pool.use(name) as model:
                    time.sleep(choose.random() * 0.002)
                    if model.block.size != sizes[name] * MB or name not in ids(pool):
                        wrong.append(name)
                del model
        except Exception as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    [t.start() for t in threads]
    [t.join(60) for t in threads]
    assert wrong == []
    assert shop.device.used == sum(item.bytes for item in pool.loaded()) <= 100 * MB
