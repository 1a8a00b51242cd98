"""A demo checkpoint is made anew from its seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.demo import sam2
from benchmarks.demo.sam2_prompts import Phase
from benchmarks.demo.scenes import drawn

FEW = (Phase(256, 2, 1, 1.0), Phase(256, 2, 2, 0.5, things=2, clicks=2))


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch):
    """Train on a few scenes, for a step of the encoder alone and two of clicks and boxes, on one thread."""
    scenes, before = drawn("test", 4), torch.get_num_threads()
    monkeypatch.setattr(sam2, "drawn", lambda split, count: scenes)
    monkeypatch.setattr(sam2, "QUICK", FEW)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(folder: Path, seed: int) -> dict[str, np.ndarray]:
    """Return the weights that a training wrote."""
    from safetensors.numpy import load_file

    sam2.train(folder, seed=seed, quick=True)
    return {name: t.astype(np.float32) for name, t in load_file(folder / "model.safetensors").items()}


def farthest(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """Return the largest difference of two numbers in the same place."""
    assert first.keys() == second.keys()
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


def test_the_same_seed_gives_the_same_checkpoint_and_another_one_does_not(tmp_path: Path, briefly):
    first = trained(tmp_path / "first", 0)
    assert farthest(first, trained(tmp_path / "again", 0)) <= 1e-3
    assert farthest(first, trained(tmp_path / "other", 1)) > 0.1
