"""Asking about one image: the answer as it grows, what it points at, and keeping that."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from studio.adapters import Place, Reading
from studio.annotations import Annotation, Box, Keypoints, Mask, Polygon
from studio.errors import BadInput, Cancelled, NotFound
from studio.gate import Turn
from studio.operations import ask, ask_places
from studio.operations.ask import Answer, Query, Said
from studio.project import Change
from tests.ask.world import Teller, studio_of_answers
from tests.predict.squares import SIDE, add_pictures, picture, squares

COUNT = Query("teller", "How many squares?")
WHERE = Query("teller", "Where?")
POINT = Query("teller", "Point to the squares")


@pytest.fixture
def world(tmp_path):
    studio, teller, disc = studio_of_answers(tmp_path)
    yield studio, teller, disc
    studio.close()


@pytest.fixture
def studio(world):
    return world[0]


@pytest.fixture
def teller(world) -> Teller:
    return world[1]


@pytest.fixture
def project(studio):
    return studio.store.create_project("Squares", "ann")


@pytest.fixture
def records(studio, project):
    return add_pictures(studio.store, project.id, 4)


def near(found: Box, real: Box) -> bool:
    return np.abs(np.array(found.xyxy) - real.xyxy).max() <= 0.2


def test_the_answer_is_told_as_it_grows(studio, teller, records):
    told: list[str] = []
    found = ask.answer(studio, records[2], Query("teller"), told=lambda said: told.append(said.reading.text))
    assert told == ["a", "a picture", "a picture of", "a picture of two", "a picture of two squares"]
    assert (found.said.reading.text, found.whole, found.image) == (told[-1], True, records[2])
    assert teller.closed == 1


@pytest.mark.parametrize("turn", [Turn.CLICK, Turn.BATCH])
def test_a_click_goes_in_between_two_words(studio, records, turn):
    """Whether a person waits for the answer or a job does: between two words nobody holds the processor."""
    studio.pool.run("disc", lambda model: None)  # loaded by now
    clicked: list[bool] = []

    def told(said: Said) -> None:
        click = threading.Thread(target=studio.pool.run, args=("disc", lambda model: None), daemon=True)
        click.start()
        click.join(5)
        clicked.append(not click.is_alive())

    ask.answer(studio, records[2], Query("teller"), told=told, turn=turn)
    assert clicked == [True] * 5


def test_somebody_who_stops_it_keeps_what_was_said(studio, teller, records):
    told: list[Said] = []
    found = ask.answer(studio, records[1], Query("teller"), told=told.append, stopped=lambda: len(told) == 2)
    assert (found.said.reading.text, found.whole) == ("a picture", False)
    assert (teller.words, teller.closed) == (2, 1), "nothing is written ahead, and the model is let go of"
    assert not any(each.pins for each in studio.pool.loaded())


def test_a_model_that_repeats_itself_is_stopped(studio, teller, records):
    teller.answers["?"] = lambda image: "again " * 100_000
    found = ask.answer(studio, records[0], Query("teller", "?"))
    assert len(found.said.text) <= ask.LONGEST_ANSWER + 10 and teller.closed == 1


def test_only_a_region_is_looked_at_and_places_are_those_of_the_image(studio, teller, records):
    real = squares(picture(3))
    region = Box(0, real[1].box.y0 - 3, SIDE, real[1].box.y1 + 3)
    teller.answers["Where?"] = lambda image: f"a square<loc_0><loc_0><loc_500><loc_999> {len(squares(image))}"
    found = ask.answer(studio, records[3], WHERE, region=region)
    assert teller.asked[-1][1] == (16, SIDE)
    ((name, box),) = ask_places.shapes(found)
    assert name == "square" and near(box, Box(0, region.y0, SIDE / 2, region.y1))
    with pytest.raises(BadInput, match="outside of the image"):
        ask.answer(studio, records[3], WHERE, region=Box(90, 90, 99, 99))


def test_an_answer_that_cannot_be_read_is_shown_as_text(studio, teller, records):
    for hostile in (
        "!! <loc_1",
        "<points coords='1 9999 9999'>x",
        "a<loc_1><loc_2>",
        "<point x='nan' y='1e999'>",
    ):
        teller.answers["?"] = lambda image, text=hostile: text
        found = ask.answer(studio, records[0], Query("teller", "?"))
        assert found.said.reading.text or found.said.text
        assert ask_places.shapes(found) == [] and ask_places.drawn(found) == []
    assert ask.answer(studio, records[0], Query("teller", "?")).said.text.strip() == hostile


def test_boxes_points_and_outlines_are_told_with_the_place_that_each_belongs_to(studio, records):
    reading = Reading(
        "a mug, two cups and a line",
        (
            Place("a mug", Box(1, 2, 30, 40)),
            Place("two cups", points=((5, 6), (7, 8))),
            Place("a line", outline=((0, 0), (1, 1))),
            Place("", outline=((0, 0), (20, 0), (20, 20))),
            Place("nowhere", points=((float("nan"), 3),)),
        ),
    )
    found = Answer(records[0], COUNT, Said("", reading))
    assert [name for name, _ in ask_places.shapes(found)] == ["mug", "two cups", "two cups", "answer"]
    assert ask_places.numbers(found) == [(0,), (1, 2), (), (3,), ()]
    drawn = ask_places.drawn(found)
    assert [d.keypoints is not None for d in drawn] == [False, True, True, False]
    assert drawn[3].mask.area > 150


def test_what_is_pointed_at_is_kept_as_drafts_of_its_words_or_of_a_class(studio, records):
    found = ask.answer(studio, records[3], WHERE)
    applied = ask_places.keep(studio, "ann", found, [0, 2])
    kept = studio.store.annotations(records[3].id)
    real = squares(picture(3))
    assert [(a.class_name, a.draft, a.source, a.model) for a in kept] == [
        ("square", True, "model", "teller")
    ] * 2
    assert all(near(a.shape, real[n].box) for a, n in zip(kept, (0, 2), strict=True))
    assert kept[0].prompt.text == "Where?" and applied.put
    assert ask_places.keep(studio, "ann", found, [0, 2]) is None, "what is there is not kept twice"
    ask_places.keep(studio, "ann", found, [1], " the bright thing ")
    assert studio.store.annotations(records[3].id)[-1].class_name == "bright thing"
    studio.store.undo(records[3].id, "ann")
    studio.store.undo(records[3].id, "ann")
    assert studio.store.annotations(records[3].id) == []


def test_points_are_kept_once_and_become_masks_by_a_segmenter(studio, world, records):
    found = ask.answer(studio, records[3], POINT)
    assert ask_places.keep(studio, "ann", found, [0, 1, 2]).put
    assert ask_places.keep(studio, "ann", found, [0, 1, 2]) is None
    studio.store.undo(records[3].id, "ann")
    masked = ask_places.cut(studio, found, "disc")
    real = squares(picture(3))
    clicks = [prompt.points for prompt, _ in world[2].asked]
    for (click,), square in zip(clicks, real, strict=True):
        assert abs(click.x - (square.box.x0 + 5)) < 0.1 and click.positive
    assert all(isinstance(shape, Mask) for _, shape in ask_places.shapes(masked))
    assert all(d.mask is not None and d.keypoints is not None for d in ask_places.drawn(masked))
    ask_places.keep(studio, "ann", masked, [0, 1, 2])
    kept = studio.store.annotations(records[3].id)
    assert [(a.class_name, a.model) for a in kept] == [("squares", "teller+disc")] * 3
    assert world[2].embeds == [(SIDE, SIDE)], "the image is encoded once"


def test_boxes_become_masks_and_what_a_segmenter_cannot_take_is_said(studio, records):
    found = ask.answer(studio, records[2], WHERE)
    masked = ask_places.cut(studio, found, "disc")
    assert [near(shape.box, d.box) or shape.area for (_, shape), d in zip(
        ask_places.shapes(masked), squares(picture(2)), strict=True)]  # fmt: skip
    with pytest.raises(BadInput, match="Clicker takes no boxes"):
        ask_places.cut(studio, found, "clicker")
    with pytest.raises(BadInput, match="does not answer clicks"):
        ask_places.cut(studio, found, "boxer")

    def stop(done: int, total: int) -> None:
        raise Cancelled(f"{done} of {total}")

    with pytest.raises(Cancelled, match="2 of 2"):
        ask_places.cut(studio, found, "disc", told=stop)


def test_outlines_stay_outlines(studio, records):
    ring = ((1.0, 1.0), (20.0, 1.0), (20.0, 20.0))
    found = Answer(records[0], COUNT, Said("", Reading("it", (Place("it", outline=ring),))))
    masked = ask_places.cut(studio, found, "disc")
    assert ask_places.shapes(masked) == [("it", Polygon((ring,)))]
    ask_places.keep(studio, "ann", masked, [0])
    assert studio.store.annotations(records[0].id)[0].model == "teller"


def test_a_persons_label_is_not_doubled(studio, records):
    real = squares(picture(1))[0].box
    studio.store.apply(records[1].id, "ann", [Change(Annotation("square", real))], verb="draw")
    found = ask.answer(studio, records[1], WHERE)
    assert ask_places.keep(studio, "ann", found, [0]) is None
    dot = Keypoints(((3.0, 4.0, 2),))
    studio.store.apply(records[1].id, "ann", [Change(Annotation("dot", dot))], verb="draw")
    said = Said("", Reading("dot", (Place("dot", points=((3.0, 4.0),)),)))
    assert ask_places.keep(studio, "ann", Answer(records[1], COUNT, said), [0]) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "boxer"}, "Boxer answers no questions"),
        ({"question": "x" * 4001}, "at most 4,000"),
        ({"into": "tag", "template": "same"}, "no {answer} in it"),
        ({"most": 0}, "1 to 200"),
        ({"options": {"speed": 3}}, "speed"),
    ],
)
def test_a_query_that_cannot_be_followed_is_told(studio, records, changes, said):
    with pytest.raises((BadInput, NotFound), match=said):
        ask.answer(studio, records[0], Query(**{"model": "teller", "question": "Any?", **changes}))


def test_a_query_comes_back_from_json_as_it_was_and_nonsense_is_refused():
    query = Query("teller", "Ripe?", {"a": 1}, "tag", "ripe: {answer}", ("yes", "no"), 5, "c", "replace")
    assert Query.from_json(query.to_json()) == query
    for wrong in ({}, {"model": "m", "into": "x"}, {"model": "m", "most": "many"}, {"model": "m", "options": 3},
                  {"model": "m", "again": "x"}):  # fmt: skip
        with pytest.raises((BadInput, NotFound)):
            Query.from_json(wrong)
