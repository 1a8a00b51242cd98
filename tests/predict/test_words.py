"""Phrases tied to classes: what is wanted, what is not, one name a thing, and a threshold for each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from studio.adapters import Detection
from studio.annotations import Box
from studio.errors import BadInput
from studio.operations.predict import Prediction, Recipe, annotations, check, find
from studio.operations.words import Word, reaching, read_words, sorted_out, words_in
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import disc_card
from tests.predict.squares import picture, squares
from tests.predict.world import card

A, B = Box(0, 0, 10, 10), Box(30, 30, 50, 50)
APPLE, FRUIT, PLUM = (Word(p, c) for p, c in (("a red apple", "apple"), ("fruit", "apple"), ("plum", "")))


def names(found) -> list[tuple[str, float]]:
    return [(d.name, d.score) for d in found]


def test_a_thing_found_under_several_phrases_keeps_the_surest_name():
    found = [Detection("fruit", 0.4, A), Detection("a red apple", 0.6, A), Detection("plum", 0.5, B)]
    assert names(sorted_out(found, [APPLE, FRUIT, PLUM], 0.3)) == [("a red apple", 0.6), ("plum", 0.5)]


def test_what_is_not_wanted_takes_away_what_is_less_sure():
    leaf = Word("leaf", negative=True)
    found = [Detection("plum", 0.5, A), Detection("plum", 0.6, B), Detection("leaf", 0.55, A)]
    found.append(Detection("leaf", 0.55, B))
    assert names(sorted_out(found, [PLUM, leaf], 0.3)) == [("plum", 0.6)]
    assert names(sorted_out(found, [PLUM, leaf], 0.58)) == [("plum", 0.6), ("plum", 0.5)], (
        "it is not sure enough"
    )


def test_each_phrase_has_a_threshold_of_its_own_or_the_searchs():
    words = [Word("plum", "fruit", 0.7), Word("apple")]
    found = [Detection("plum", 0.6, A), Detection("plum", 0.7, B), Detection("apple", 0.5, A)]
    reached = reaching(found, words, 0.4)
    assert [phrase for phrase, _ in reached] == ["plum", "apple"]
    assert names(d for _, d in reached) == [("fruit", 0.7), ("apple", 0.5)]
    assert names(d for _, d in reaching(found, words, 0.55)) == [("fruit", 0.7)]


def test_a_class_is_the_phrase_less_its_article_where_none_is_given():
    assert [Word(p).named for p in ("a red apple", "The plum", "another thing")] == [
        "red apple",
        "plum",
        "another thing",
    ]


def test_words_are_read_from_texts_and_from_json():
    given = ["  red   apple ", {"phrase": "leaf", "negative": True}, Word("plum", "fruit", 0.4).to_json()]
    assert read_words(given) == (
        Word("red apple"),
        Word("leaf", negative=True),
        Word("plum", "fruit", 0.4),
    )


def test_words_are_read_as_they_are_typed():
    assert words_in(" red apple, mug = cup,-plate\nleaf@0.4; pear=fruit@.5,,") == (
        Word("red apple"),
        Word("mug", "cup"),
        Word("plate", negative=True),
        Word("leaf", "", 0.4),
        Word("pear", "fruit", 0.5),
    )
    assert words_in(" ,\n; ") == ()
    for text, told in (
        ("a@b", "no threshold"),
        ("a@3", "between 0 and 1"),
        ("-a", "not wanted"),
        ("=b", "empty"),
    ):
        with pytest.raises(BadInput, match=told):
            words_in(text)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([" . "], "empty"),
        (["x" * 500], "too long"),
        ([{"phrase": "a", "threshold": 3}], "between 0 and 1"),
        ([{"phrase": "a", "negative": True}], "not wanted"),
        ([{"phrase": "a", "colour": "red"}], "cannot be read"),
        ([3], "cannot be read"),
        ([f"thing {n}" for n in range(1001)], "At most"),
    ],
)
def test_what_cannot_be_looked_for_is_told(given, told):
    with pytest.raises(BadInput, match=told):
        read_words(given)


class Reader:
    """Finds bright squares for any phrase but “nothing”; calls the upper ones “top”, the others “low”."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, tuple[str, ...], float]] = []

    def detect_text(self, images, phrases, *, floor=0.05):
        self.asked.append((len(images), tuple(phrases), floor))
        return [
            [
                Detection(phrase, d.score, d.box)
                for d in squares(image)
                for phrase in phrases
                if phrase == ("top" if d.box.y0 < 15 else "low") and d.score >= floor
            ]
            for image in images
        ]


@pytest.fixture
def world(tmp_path):
    reader = Reader()
    studio = Studio(
        Settings(tmp_path), registry=Registry([card("reader", "text-detector", reader), disc_card()])
    )
    yield studio, reader
    studio.close()


def test_words_go_through_the_same_recipe_as_all_predictions(world):
    studio, reader = world
    words = (Word("top", "first", 0.85), Word("low", "rest"))
    recipe = Recipe(("reader",), words=words, threshold=0.3, segmenter="disc")
    (found,) = find(studio, recipe, [picture(3)])
    assert [d.name for d in found] == ["top", "low", "low"], "phrases still, for thresholds that move"
    made = annotations(recipe, studio, found)
    assert sorted(a.class_name for a in made) == ["first", "rest", "rest"]
    assert all(a.shape.area == 100 for a in made)
    (drafts,) = Prediction(studio, recipe).annotate([None], [picture(3)])
    assert len(drafts) == 3 and reader.asked[-1] == (1, ("top", "low"), 0.3)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_model_that_reads_no_words_is_refused(world):
    studio, _ = world
    with pytest.raises(BadInput, match="reads no words"):
        check(studio, Recipe(("disc",), words=(PLUM,)))
    with pytest.raises(BadInput, match="does not find things by itself"):
        check(studio, Recipe(("reader",)))


class Sure(Reader):
    """Is sure of other phrases than a Reader is: calls the upper squares “low”, nearly as surely."""

    def detect_text(self, images, phrases, *, floor=0.05):
        other = {"top": "low", "low": "top"}
        found = super().detect_text(images, phrases, floor=floor)
        return [[Detection(other.get(d.name, d.name), d.score - 0.05, d.box) for d in each] for each in found]


def test_of_what_several_models_call_differently_each_thing_has_one_name(world, tmp_path):
    registry = Registry([card("reader", "text-detector", Reader()), card("sure", "text-detector", Sure())])
    studio = Studio(Settings(tmp_path / "two", sample=False), registry=registry)
    recipe = Recipe(("reader", "sure"), words=(Word("top"), Word("low")))
    (found,) = find(studio, recipe, [picture(3)])
    assert [d.name for d in found] == ["top", "low", "low"], "and not each thing twice"
    against = replace(recipe, words=(Word("top"), Word("low", negative=True)), threshold=0.1)
    (found,) = find(studio, against, [picture(3)])
    assert [d.name for d in found] == ["top"], "one model's word counts against another's"
    studio.close()


def test_two_hundred_phrases_find_what_each_finds_alone(world):
    studio, _ = world
    words = tuple(Word(f"thing {n}") for n in range(198)) + (Word("top"), Word("low"))
    (together,) = find(studio, Recipe(("reader",), words=words), [picture(3)])
    alone = [d for word in words for d in find(studio, Recipe(("reader",), words=(word,)), [picture(3)])[0]]
    assert names(together) == names(sorted_out(alone, words, 0.3)) and len(together) == 3


def test_what_is_kept_says_by_which_words_it_was_found(world):
    studio, _ = world
    recipe = Recipe(("reader",), words=(Word("top", "first"), Word("low")))
    made = annotations(recipe, studio, find(studio, recipe, [picture(3)])[0])
    assert [(a.class_name, a.prompt.text) for a in made] == [("first", "top"), ("low", "low"), ("low", "low")]
