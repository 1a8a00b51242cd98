"""What an answer in words is, as a choice, a tag, or a class name."""

from __future__ import annotations

import pytest

from studio.adapters import Reading
from studio.errors import BadInput
from studio.operations.ask import Query, Said, fits, value_of
from studio.operations.ask_text import choices_of, chosen, name_of, normalised


def said(text: str) -> Said:
    return Said(text, Reading(text))


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        ("Yes, it is not damaged.", "yes"),
        ("No, there is nothing.", "no"),
        ("no damage can be seen", "no"),
        ("The answer is yes", "yes"),
        ("**No**", "no"),
    ],
)
def test_an_answer_in_a_sentence_is_the_choice_that_it_begins_with_or_holds(text, choice):
    assert chosen(text, ("yes", "no")) == choice


@pytest.mark.parametrize(
    "text", ["maybe", "It is not a yes", "yes and no", "Red.", "yesterday", "nothing", "", "yes, or no"]
)
def test_an_answer_that_is_not_clearly_a_choice_is_none(text):
    with pytest.raises(BadInput, match="not clearly one of yes, no"):
        chosen(text, ("yes", "no"))


def test_a_longer_choice_is_not_the_shorter_one_inside_it():
    ripeness = ("ripe", "very ripe", "unripe", "Not ripe")
    assert chosen("It is very ripe", ripeness) == "very ripe"
    assert chosen("The apple is unripe.", ripeness) == "unripe"
    assert chosen("It is not ripe", ripeness) == "Not ripe"
    for text in ("it isn't ripe", "ripe and unripe", "red"):
        with pytest.raises(BadInput):
            chosen(text, ripeness)
    with pytest.raises(BadInput):
        chosen("red, green", ("red", "green"))


def test_choices_are_read_from_a_list_each_once():
    assert choices_of("yes, no ; Maybe\nYES,,") == ("yes", "no", "Maybe")
    with pytest.raises(BadInput, match="At most 100"):
        choices_of([str(n) for n in range(101)])
    with pytest.raises(BadInput, match="no words"):
        choices_of("yes, ??")


def test_a_tag_is_short_of_one_line_and_the_same_for_answers_that_mean_the_same():
    query = Query("m", "Ripe?", into="tag", template="ripe: {answer}")
    assert {value_of(query, said(t)) for t in ("Yes.", " yes", "YES!", "“yes”")} == {"ripe: yes"}
    assert value_of(query, said("very\nripe\u202egnirps")) == "ripe: very ripe gnirps"
    with pytest.raises(BadInput, match="too long for a tag"):
        value_of(query, said("word " * 40))
    for empty in ("", "  ", "…"[:0] + "?!."):
        with pytest.raises(BadInput):
            value_of(query, said(empty))


def test_a_column_takes_the_answer_as_it_is_or_the_choice_that_it_is():
    assert value_of(Query("m", "What?"), said(" A red apple,\non a table. ")) == "A red apple,\non a table."
    assert value_of(Query("m", "Any?", choices=("Yes", "No")), said("yes, two.")) == "Yes"


def test_a_tag_is_known_by_its_form_where_that_says_more_than_the_answer():
    query = Query("m", "Ripe?", into="tag", template="ripe: {answer} (asked)")
    assert (
        fits(query, "ripe: yes (asked)") and not fits(query, "ripe: yes") and not fits(query, "ripe:  (asked")
    )
    assert not fits(Query("m", "Ripe?", into="tag"), "anything")


@pytest.mark.parametrize(
    ("phrase", "name"),
    [
        ("a mug", "mug"),
        ("The  red\tapples.", "red apples"),
        ("", "answer"),
        ("…", "…"),
        ("«an orange»", "orange"),
    ],
)
def test_a_class_is_named_by_the_words_alone(phrase, name):
    assert name_of(phrase) == name


def test_hostile_names_become_one_short_line():
    assert name_of("x" * 500) == "x" * 100
    assert name_of("a\u2028b\u202ec\x00d") == "b c d" or name_of("a\u2028b\u202ec\x00d") == "a b c d"
    assert normalised("\u2067Yes\u2069.") == "yes"
