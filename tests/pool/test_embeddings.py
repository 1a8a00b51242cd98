from __future__ import annotations

import threading
import time

import pytest

from studio.adapters import Embedding
from studio.embeddings import EmbeddingCache


def embedding(nbytes: int) -> Embedding:
    return Embedding(1, 1, object(), nbytes)


def put(cache: EmbeddingCache, key, nbytes: int) -> Embedding:
    return cache.get(key, lambda: embedding(nbytes))


def never():
    raise AssertionError("made again")


def test_a_kept_embedding_is_not_made_again():
    cache = EmbeddingCache(100)
    first = put(cache, ("sam", "digest"), 40)
    assert cache.get(("sam", "digest"), never) is first
    assert (cache.stats.makes, cache.stats.hits, cache.stats.bytes, cache.stats.items) == (1, 1, 40, 1)


def test_the_least_recently_used_leave_until_the_budget_is_kept():
    cache = EmbeddingCache(100)
    put(cache, "a", 40)
    put(cache, "b", 40)
    cache.get("a", never)
    put(cache, "c", 50)
    assert (cache.stats.bytes, cache.stats.evicted) == (90, 1)
    cache.get("a", never)
    cache.get("c", never)
    put(cache, "b", 40)
    assert cache.stats.makes == 4


def test_an_embedding_larger_than_the_budget_is_returned_and_not_kept():
    cache = EmbeddingCache(100)
    put(cache, "a", 40)
    assert put(cache, "huge", 101).nbytes == 101
    assert (cache.stats.bytes, cache.stats.evicted) == (40, 0)
    cache.get("a", never)


def test_of_many_that_ask_at_once_one_makes_it_and_all_get_it():
    cache, made, got = EmbeddingCache(100), [], []

    def make():
        made.append(1)
        time.sleep(0.05)
        return embedding(10)

    threads = [threading.Thread(target=lambda: got.append(cache.get("a", make))) for _ in range(8)]
    [t.start() for t in threads]
    [t.join(5) for t in threads]
    assert len(made) == 1 and len(got) == 8 and len(set(map(id, got))) == 1
    assert cache.stats.makes == 1 and cache.stats.hits == 7


def test_those_who_wait_get_even_what_is_too_large_to_keep():
    cache, made, got = EmbeddingCache(5), [], []

    def make():
        made.append(1)
        time.sleep(0.05)
        return embedding(10)

    threads = [threading.Thread(target=lambda: got.append(cache.get("a", make))) for _ in range(4)]
    [t.start() for t in threads]
    [t.join(5) for t in threads]
    assert len(made) == 1 and len(got) == 4


def test_a_failure_is_the_makers_own_and_the_next_one_tries():
    cache, failed, got = EmbeddingCache(100), threading.Event(), []

    def fail():
        failed.wait(5)
        raise ZeroDivisionError

    def ask_and_fail():
        with pytest.raises(ZeroDivisionError):
            cache.get("a", fail)

    first = threading.Thread(target=ask_and_fail)
    first.start()
    while "a" not in cache._flights:
        time.sleep(0.001)
    second = threading.Thread(target=lambda: got.append(put(cache, "a", 10)))
    second.start()
    failed.set()
    first.join(5)
    second.join(5)
    assert len(got) == 1
    assert cache.get("a", never) is got[0]


def test_different_keys_are_made_side_by_side():
    cache, both = EmbeddingCache(100), threading.Barrier(2)

    def make():
        both.wait(5)
        return embedding(10)

    threads = [threading.Thread(target=cache.get, args=(key, make)) for key in "ab"]
    [t.start() for t in threads]
    [t.join(5) for t in threads]
    assert cache.stats.items == 2


def test_what_is_discarded_is_made_again():
    cache = EmbeddingCache(100)
    put(cache, ("sam", 1), 10)
    put(cache, ("sam", 2), 10)
    put(cache, ("other", 1), 10)
    cache.discard(("sam", 1))
    assert cache.stats.bytes == 20
    assert cache.discard_where(lambda key: key[0] == "sam") == 1
    assert (cache.stats.bytes, cache.stats.items) == (10, 1)
    put(cache, ("sam", 1), 10)
    assert cache.stats.makes == 4


def test_what_is_discarded_while_it_is_made_is_not_kept():
    cache = EmbeddingCache(100)

    def make():
        cache.discard("a")
        return embedding(10)

    assert cache.get("a", make).nbytes == 10
    assert cache.stats.items == 0


def test_the_default_budget_is_a_part_of_the_memory_that_is_free():
    assert 0 < EmbeddingCache().stats.budget <= 4 << 30
