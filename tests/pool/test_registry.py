from __future__ import annotations

import importlib.metadata
import sys
import textwrap
from pathlib import Path

import pytest

from studio.errors import NotFound
from studio.registry import Registry

GOOD = """
    from studio.adapters import Card
    CARDS = [Card("{id}", "{title}", "f", ("segmenter",), ("point",), "MIT", print, {memory}, rank={rank})]
"""


def write(folder: Path, name: str, text: str = GOOD, **values) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    values = {"id": name, "title": name.title(), "memory": 10, "rank": 100} | values
    text = text.format(**values) if text is GOOD else text
    (folder / f"{name}.py").write_text(textwrap.dedent(text), "utf-8")


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> Path:
    """An empty package "shelf" to put model files in."""
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path / "shelf", "__init__", "")
    yield tmp_path / "shelf"
    for name in [name for name in sys.modules if name.partition(".")[0] == "shelf"]:
        del sys.modules[name]


def discover(package: Path, folder: Path | None = None) -> Registry:
    return Registry.discover(["shelf"], folder or package.parent / "nothing", entry_points=None)


def test_one_file_is_one_model(package):
    write(package, "alpha", rank=20)
    write(package, "beta", rank=10)
    write(package, "_shared", "nonsense(")
    registry = discover(package)
    assert [card.id for card in registry.cards()] == ["beta", "alpha"]
    assert registry.cards("segmenter")[0].title == "Beta"
    assert registry.failures == {}


@pytest.mark.parametrize(
    "text, reason",
    [
        (
            "import a_package_nobody_has\nCARDS = []",
            "ModuleNotFoundError: No module named 'a_package_nobody_has'",
        ),
        ("def (", "SyntaxError"),
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero (bad.py, line 2)"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "it has no list CARDS"),
    ],
)
def test_a_file_that_does_not_import_is_listed_with_its_reason(package, text, reason):
    write(package, "bad", text)
    write(package, "good")
    registry = discover(package)
    assert [card.id for card in registry.cards()] == ["good"]
    assert list(registry.failures) == ["shelf.bad"] and reason in registry.failures["shelf.bad"]


def test_a_card_that_is_not_sound_is_listed_and_the_others_of_its_file_kept(package):
    write(
        package,
        "mixed",
        """
        from dataclasses import dataclass, replace
        from studio.adapters import Card

        @dataclass
        class Needs:
            value: int

        card = Card("fine", "Fine", "f", ("segmenter",), ("point",), "MIT", lambda *a: None, 1)
        CARDS = [7, replace(card, id="a", licence=" "), replace(card, id="b", roles=("cook",)),
                 replace(card, id="c", options=Needs), card]
        """,
    )
    registry = discover(package)
    assert [card.id for card in registry.cards()] == ["fine"]
    assert list(registry.failures) == [f"shelf.mixed: {name}" for name in ("int", "a", "b", "c")]
    assert "licence" in registry.failures["shelf.mixed: a"]
    assert "segmenter" in registry.failures["shelf.mixed: b"]
    assert "defaults" in registry.failures["shelf.mixed: c"]


def test_of_two_cards_with_one_id_the_first_is_kept_and_the_other_listed(package):
    write(package, "one", id="same", title="First")
    write(package, "two", id="same", title="Second")
    registry = discover(package)
    assert registry.card("same").title == "First"
    assert registry.failures == {
        "shelf.two: same": "there already is a model with this id, “First”; it was kept"
    }


def test_the_users_folder_is_read_after_the_packages(package, tmp_path):
    write(package, "one", id="same", title="Ours")
    write(tmp_path / "mine", "own")
    write(tmp_path / "mine", "two", id="same", title="Theirs")
    write(tmp_path / "mine", "broken", "import nothing_of_that_name")
    registry = discover(package, tmp_path / "mine")
    assert {card.id for card in registry.cards()} == {"same", "own"}
    assert registry.card("same").title == "Ours"
    assert any("broken.py" in name for name in registry.failures)


def test_the_users_folder_is_found_where_configuration_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    write(tmp_path / "onelabel-studio" / "models", "own")
    assert [card.id for card in Registry.discover([], entry_points=None).cards()] == ["own"]


def test_installed_packages_bring_models_by_entry_point(package, tmp_path, monkeypatch):
    write(package, "plugged")
    points = [
        importlib.metadata.EntryPoint("plugged", "shelf.plugged", "studio.models"),
        importlib.metadata.EntryPoint("cards", "shelf.plugged:CARDS", "studio.models"),
        importlib.metadata.EntryPoint("gone", "shelf.gone", "studio.models"),
    ]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: points if group == "studio.models" else []
    )
    registry = Registry.discover([], tmp_path / "nothing")
    assert [card.id for card in registry.cards()] == ["plugged"]
    assert sorted(registry.failures) == ["cards (shelf.plugged:CARDS): plugged", "gone (shelf.gone)"]


def test_a_package_that_is_not_there_is_no_failure(tmp_path):
    registry = Registry.discover(["no_such_package"], tmp_path, entry_points=None)
    assert registry.cards() == [] and registry.failures == {}


def test_an_unknown_id_is_answered_with_the_nearest(package):
    write(package, "alpha")
    with pytest.raises(NotFound, match="Did you mean “alpha”"):
        discover(package).card("alpah")


def test_what_to_use_instead_needs_no_download_and_what_is_smaller_comes_largest_first(shop, download):
    far = shop.card("far", 50, download=download)
    shop.card("middle", 20, rank=30)
    shop.card("little", 5, rank=20, download=download)
    registry = Registry(shop.cards)
    assert registry.instead_of(far).id == "middle"
    assert [card.id for card in registry.smaller_than(far)] == ["middle", "little"]
    assert registry.instead_of(registry.card("middle")) is None
