"""What every model's card must hold to, whatever the model."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from studio.adapters import PROTOCOLS, Card
from studio.registry import Registry

ROOT = Path(__file__).parents[2]
REGISTRY = Registry.discover(folder=ROOT / "no-such-folder", entry_points=None)
CARDS = pytest.mark.parametrize("card", REGISTRY.cards(), ids=lambda card: card.id)


def test_every_model_file_imports_and_every_id_is_there_once():
    assert REGISTRY.failures == {}
    assert REGISTRY.cards()


def test_there_is_a_segmenter_that_needs_no_download():
    assert any(card.download is None for card in REGISTRY.cards("segmenter"))


@CARDS
def test_a_card_says_what_the_page_needs(card: Card):
    assert card.id == card.id.strip().lower() and " " not in card.id
    assert card.title.strip() and card.family.strip() and card.licence.strip()
    assert card.roles and set(card.roles) <= set(PROTOCOLS)
    assert set(card.prompts) <= {"point", "box", "mask", "text", "reference"}
    assert card.memory_bytes > 0 and callable(card.load)


@CARDS
def test_a_download_names_its_place_and_size(card: Card):
    if card.download is None:
        pytest.skip("nothing to download")
    if card.download.addresses:
        assert all(address.url.startswith("https://") for address in card.download.addresses)
        assert card.download.bytes == sum(address.bytes for address in card.download.addresses)
    else:
        assert card.download.hub_id.count("/") == 1
    assert card.download.bytes > 1_000_000
    assert card.memory_bytes >= card.download.bytes
    assert card.download.patterns and "*" not in card.download.patterns


@CARDS
def test_options_can_be_left_alone_and_are_explained(card: Card):
    options = card.options()
    assert dataclasses.is_dataclass(options)
    assert hash(options) == hash(card.options()), "options must be frozen: the pool keeps models by them"
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        assert field.metadata.get("help", "").strip(), f"{field.name} has no help"
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert {"min", "max", "step"} <= set(field.metadata), f"{field.name} has no range"
            assert field.metadata["min"] <= value <= field.metadata["max"]


def test_reading_the_cards_loads_nothing_heavy():
    code = (
        "import sys; from pathlib import Path; from studio.registry import Registry;"
        "Registry.discover(folder=Path('no-such-folder'), entry_points=None);"
        "print([m for m in ('torch', 'transformers', 'torchvision', 'timm', 'gradio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_kind_of_work_has_words_on_the_models_page():
    from tabs.models import GIVES

    assert set(GIVES) == set(PROTOCOLS)
