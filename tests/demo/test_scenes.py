"""The scenes that demo models are measured on: unseen in training, and the same from the cache as drawn anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.demo.scenes import FIRST_SEED, MOST, SINGLES, drawn
from studio.operations import samples


def test_no_scene_is_both_learnt_from_and_measured_on():
    spans = []
    for split in FIRST_SEED:
        for first in (FIRST_SEED[split], FIRST_SEED[split] + SINGLES):
            spans.append(range(first, first + MOST[split]))
    spans.append(range(samples.FIRST_SEED, samples.FIRST_SEED + samples.SCENES))
    seeds = [seed for span in spans for seed in span]
    assert len(set(seeds)) == len(seeds)


def test_what_comes_from_the_cache_is_what_is_drawn(tmp_path: Path):
    (kept,) = drawn("test", 1, folder=tmp_path)
    (again,) = drawn("test", 1, folder=tmp_path)
    scene = kept.scene()
    assert again == kept
    assert np.abs(kept.image.astype(int) - scene.image).mean() < 3
    assert [t.box for t in kept.things] == [t.box for t in scene.things]
    for number, thing in enumerate(scene.things, 1):
        assert np.array_equal(kept.owner == number, thing.mask)
    assert kept.caption == scene.caption


def test_single_scenes_hold_one_thing(tmp_path: Path):
    assert [len(scene.things) for scene in drawn("test", 2, singles=True, folder=tmp_path)] == [1, 1]


def test_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="1000"):
        drawn("test", 1001)
