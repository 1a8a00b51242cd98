"""A form made from a card's options, and what is read back from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from studio.registry import Registry
from tabs._options import changed, form, options_of
from tests.fakes import box_card


@dataclass(frozen=True)
class Knobs:
    side: int = field(default=640, metadata={"help": "How <large>.", "min": 320, "max": 1280, "step": 32})
    share: float = field(default=0.5, metadata={"min": 0.0, "max": 1.0, "step": 0.05, "label": "Its share"})
    count: int = 3
    tidy: bool = False
    speed: Literal["slow", "fast"] = "slow"
    grid: int = field(default=8, metadata={"choices": (8, 16)})
    note: str = "none"


CARD = box_card(options=Knobs)


def test_each_field_becomes_what_its_type_asks_for():
    kinds = {o.name: o.kind for o in options_of(CARD)}
    assert kinds == {
        "side": "slider", "share": "slider", "count": "number", "tidy": "switch", "speed": "choice",
        "grid": "choice", "note": "text",
    }  # fmt: skip
    side, share, *_, speed, grid, _ = options_of(CARD)
    assert (side.low, side.high, side.step, side.default) == (320, 1280, 32, 640)
    assert (side.label, share.label) == ("Side", "Its share")
    assert (speed.choices, grid.choices) == (("slow", "fast"), (8, 16))


def test_only_what_differs_from_its_default_is_set():
    said = {"side": 960, "share": 0.5, "count": 3, "tidy": True, "speed": "slow", "grid": 16, "note": "none"}
    assert changed(CARD, said) == {"side": 960, "tidy": True, "grid": 16}
    assert changed(CARD, {}) == {}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"side": 99999}, {"side": 1280}),
        ({"side": "large"}, {}),
        ({"side": 700.4}, {"side": 700}),
        ({"count": True}, {}),
        ({"speed": "light"}, {}),
        ({"unheard": 1}, {}),
        ({"share": 1}, {"share": 1.0}),
    ],
)
def test_what_is_no_value_of_an_option_is_left_as_it_is(said, found):
    assert changed(CARD, said) == found
    CARD.options(**changed(CARD, said))


def test_the_form_shows_what_is_set_and_lets_nothing_out():
    shown = form([CARD], {CARD.id: {"side": 960, "tidy": True, "note": '"><b>'}})
    assert 'value="960"' in shown and 'data-option="tidy" data-kind="switch" checked' in shown
    assert "How &lt;large&gt;." in shown and "&quot;&gt;&lt;b&gt;" in shown
    assert form([box_card()]) == "<p>There is nothing to set for what is chosen.</p>"


def test_every_model_there_is_has_options_that_a_form_can_show():
    for card in Registry.discover(folder=None).cards():
        options = options_of(card)
        assert form([card]).count("data-option=") == len(options)
        assert changed(card, {o.name: o.default for o in options}) == {}
