"""The demo checkpoints find the right things on scenes they never saw, and the bars can be failed."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.demo.quality import DEMOS, load, measure, missed, worsened
from benchmarks.demo.scenes import drawn
from benchmarks.train_demo import ASSETS

FEW = 12  # scenes are enough to see that a model knows nothing
# A writer is asked some thirty things of each; one that knows nothing writes on until it is stopped.
FEWEST = 1


def checkpoint(name: str) -> Path:
    folder = ASSETS / name
    if not (folder / "model.safetensors").exists():
        pytest.skip(f"there is no demo checkpoint {name} yet: python benchmarks/train_demo.py {name}")
    # Looked for and not imported: it changes Pillow for the whole process, which the adapter's own import undoes.
    if name.startswith("yolo") and importlib.util.find_spec("ultralytics") is None:
        pytest.skip("the yolo extra is not installed")
    return folder


@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_model_reaches_its_bars_or_what_its_card_says_on_unseen_scenes(name: str):
    figures = measure(name, checkpoint(name))
    assert not worsened(name, figures, ASSETS / name), figures


@pytest.mark.parametrize("name", DEMOS)
def test_the_same_network_with_its_weights_shuffled_fails_every_bar(name: str, tmp_path: Path):
    folder = tmp_path / name
    shutil.copytree(checkpoint(name), folder)
    shuffle(folder / "model.safetensors")
    figures = measure(name, folder, drawn("test", FEWEST if name == "florence2" else FEW))
    assert len(missed(name, figures)) == len(DEMOS[name].bars) + len(DEMOS[name].ceilings), figures


def shuffle(path: Path) -> None:
    """Put the numbers of each tensor into another order, so that their spread stays as it was."""
    from safetensors.numpy import load_file, save_file

    random = np.random.default_rng(0)
    tensors = load_file(path)
    save_file(
        {name: random.permutation(t.ravel()).reshape(t.shape) for name, t in tensors.items()},
        path,
        {"format": "pt"},
    )


def test_the_checkpoints_together_are_small_enough_to_ship():
    total = sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file())
    assert total < 60_000_000


def test_no_demo_checkpoint_is_a_pickle():
    wrong = [p for p in ASSETS.rglob("*") if p.suffix in (".pt", ".pth", ".bin", ".pkl", ".ckpt")]
    assert not wrong


def test_every_checkpoint_says_how_it_was_made_and_what_it_scores():
    import json

    for folder in sorted(path for path in ASSETS.iterdir() if path.is_dir()):
        facts = json.loads((folder / "card.json").read_text("utf-8"))
        assert folder.name in DEMOS, f"{folder.name} is measured by nothing"
        assert facts["trained_by"] and facts["scores"], folder.name
        assert (folder / "config.json").exists(), folder.name


@pytest.mark.parametrize("name", DEMOS)
def test_a_demo_model_is_offered_after_all_real_ones(name: str):
    from studio.registry import Registry

    checkpoint(name)
    registry = Registry.discover(folder=ASSETS / "none", entry_points=None)
    card = registry.card(f"demo-{name.replace('_', '-')}")
    assert card.demo and "sample scenes" in card.note
    for role in card.roles:
        offered = [c.demo for c in registry.cards(role)]
        assert offered == sorted(offered) and not offered[0], f"{role} has no real model"
    assert load(name, ASSETS / name) is not None
