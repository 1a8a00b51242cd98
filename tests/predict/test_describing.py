"""What models say of an image by themselves: its phrases looked for, its places kept, and the text tied to them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from studio.adapters import Place, Reading
from studio.annotations import Box
from studio.errors import BadInput
from studio.operations import jobs
from studio.operations.describing import phrases_of, placed
from studio.operations.predict import Prediction, annotations, find, find_in
from studio.operations.recipe import Recipe, check, named_or_described
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import disc_card
from tests.predict.squares import add_pictures, picture, squares
from tests.predict.test_words import Reader
from tests.predict.world import card

CAPTION = "A bright top above two low things"
TASKS = ("caption", "things", "regions", "grounded caption", "written words")


class Teller:
    """Says the same of every image, and where; grounds its own caption only where it ``grounds``."""

    tasks = TASKS

    def __init__(self, grounds: bool = True) -> None:
        self.grounds = grounds
        self.asked: list[tuple[str, str]] = []

    def describe(self, image, task, text=""):
        self.asked.append((task, text))
        boxes = [d.box for d in squares(image)]
        if task == "grounded caption" and self.grounds and len(boxes) > 1:
            return Reading(
                CAPTION,
                (Place("A bright top", boxes[0], span=(0, 12)), Place("low", boxes[1], span=(23, 26))),
            )
        if task == "things":
            return Reading("square, square", tuple(Place("square", b, span=(0, 6)) for b in boxes))
        if task == "written words":
            return Reading(
                "EXIT",
                (Place("EXIT", outline=((1.0, 2.0), (9.0, 2.0), (9.0, 7.0), (1.0, 7.0)), span=(0, 4)),),
            )
        if task == "regions":
            return Reading(
                "x" * 300,
                (
                    Place("the " + "long " * 60, Box(0, 0, 5, 5)),
                    Place("", Box(0, 0, 5, 5)),
                    Place("gone", Box(90, 90, 99, 99)),
                ),
            )
        return Reading("a top, two lows and the sky")  # fmt: skip


@pytest.fixture
def world(tmp_path):
    reader, teller, plain = Reader(), Teller(), Teller(grounds=False)
    cards = [
        card("reader", "text-detector", reader),
        card("teller", "describer", teller, tasks=TASKS),
        card("plain", "describer", plain, tasks=("caption",)),
        card("both", "describer", None, load=lambda *_: Both(), roles=("describer", "text-detector"), tasks=TASKS),
        disc_card(),
    ]  # fmt: skip
    studio = Studio(Settings(tmp_path, sample=False), registry=Registry(cards))
    yield studio, reader, teller
    jobs.runs(studio).stop_all()
    studio.close()


class Both:
    """Reads words and describes, as Florence-2 does."""

    def __init__(self) -> None:
        self.detect_text, self.describe = Reader().detect_text, Teller().describe


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("two green pears, a red apple and some leaves on linen", ["green pear", "red apple", "leaves", "linen"]),
        ("A woman sitting on a wooden bench next to a small brown dog.", ["woman", "wooden bench", "small brown dog"]),
        ("a close-up of the old building at night", ["old building", "night"]),
        ("three knives, 2 boxes and a bus", ["knife", "box", "bus"]),
        ("", []),
        (" ... !?", []),
        ("and on the in of", []),
    ],
)  # fmt: skip
def test_a_caption_names_things_and_each_stands_where_it_says(caption, named):
    found = phrases_of(Reading(caption))
    assert list(found) == named
    for phrase, (start, end) in found.items():
        assert 0 <= start < end <= len(caption)
        assert phrase.split()[-1][:3] in caption[start:end]


def test_what_a_model_ties_to_places_counts_more_than_what_its_words_look_like():
    reading = Reading(CAPTION, (Place("a bright top", Box(0, 0, 1, 1), span=(0, 12)),))
    assert phrases_of(reading) == {"bright top": (0, 12)}


def test_no_text_breaks_the_search_for_phrases_and_none_takes_long():
    pieces = ["a ", "two ", "ing", "-", ",", "and", "é", "\x00", "<b>", "\n", "the ", "“", "boxes", "12"]
    random.seed(5)
    for _ in range(500):
        text = "".join(random.choices(pieces, k=random.randrange(40)))
        assert all(0 <= a < b <= len(text) and name for name, (a, b) in phrases_of(Reading(text)).items())
    assert len(phrases_of(Reading("a mug and 1 cat and " * 20_000))) == 2
    assert len(phrases_of(Reading(", ".join(f"a thing{n}" for n in range(500))))) == 60


def test_places_that_are_no_boxes_or_have_no_words_are_left_out():
    places = (
        Place("a", Box(-5, -5, 500, 500)), Place("b", Box(900, 900, 999, 999)), Place("", Box(0, 0, 9, 9)),
        Place("c", points=((1.0, 1.0),)), Place("d", outline=((1.0, 1.0), (1.0, 1.0), (1.0, 1.0))),
    )  # fmt: skip
    ((found, _),) = placed(Reading("a", places), 20, 30)
    assert (found.name, found.box.xyxy, found.score) == ("a", (0, 0, 30, 20), 1.0)


def test_with_no_phrase_a_caption_is_written_and_what_it_names_is_looked_for(world):
    studio, reader, teller = world
    recipe = Recipe(("reader",), describer="plain", segmenter="disc")
    told = []
    (found,) = find(studio, recipe, [picture(3)], heard=told.append)
    assert reader.asked[-1][1] == ("top", "low", "sky")
    assert [d.name for d in found] == ["top", "low", "low"] and all(d.mask for d in found)
    assert [told[0].text[slice(*span)] for span in told[0].spans] == ["a top", "two lows", "two lows"]

    grounded = replace(recipe, describer="teller", segmenter="")
    find(studio, grounded, [picture(3)])
    assert reader.asked[-1][1] == ("bright top", "low"), "what the model itself ties to places"
    find(studio, replace(grounded, caption="a low, a top"), [picture(3)])
    assert reader.asked[-1][1] == ("low", "top") and len(teller.asked) == 1, (
        "a person's caption is not written again"
    )


def test_who_captions_is_said_or_the_model_itself_or_the_best_there_is(world):
    studio, *_ = world
    assert named_or_described(studio, Recipe(("reader",), describer="plain")).describer == "plain"
    assert named_or_described(studio, Recipe(("reader", "both"))).describer == "both"
    assert named_or_described(studio, Recipe(("reader",))).describer == studio.default_model("describer").id
    assert named_or_described(studio, Recipe(("both",), task="things")).describer == ""


def test_whatever_is_there_goes_into_classes_or_into_one(world):
    studio, *_ = world
    recipe = Recipe(("teller",), task="things", segmenter="disc")
    (found,) = find(studio, recipe, [picture(3)])
    made = annotations(recipe, studio, found)
    assert {(a.class_name, a.prompt.text, a.model) for a in made} == {("square", "square", "teller+disc")}
    assert all(a.shape.area == 100 for a in made)
    assert find(studio, replace(recipe, unknown="drop"), [picture(3)]) == [[]]
    (kept,) = find(studio, replace(recipe, unknown="drop", classes={"square": "thing"}), [picture(3)])
    assert {d.name for d in kept} == {"thing"}

    words = Recipe(("teller",), task="written words", all_as="text")
    (found,) = find(studio, words, [picture(3)])
    ((text,),) = [annotations(words, studio, found)]
    assert (text.class_name, text.prompt.text, text.shape.xyxy) == ("text", "EXIT", (1, 2, 9, 7))
    (long,) = find(studio, Recipe(("teller",), task="regions"), [picture(3)])
    assert [len(d.name) for d in long] == [99], "no longer than a class name may be"


def test_a_region_is_described_in_the_images_own_pixels(world):
    studio, *_ = world
    whole = squares(picture(3))
    box = whole[0].box
    told = []
    found = find_in(
        studio, Recipe(("teller",), task="things"), picture(3), Box(box.x0 - 1, box.y0 - 1, box.x1 + 1, box.y1 + 1),
        heard=told.append,
    )  # fmt: skip
    assert [d.box.xyxy for d in found] == [box.xyxy] and len(told[0].spans) == 1


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        (Recipe(("reader",), task="things"), "describes no images"),
        (Recipe(("plain",), task="things"), "cannot do “things”"),
        (Recipe(("teller",), task="poems"), "way of describing"),
        (Recipe(("teller", "both"), task="things"), "One model at a time"),
        (Recipe(("teller",), describer="plain"), "reads no words"),
        (Recipe(("reader",), describer="disc"), "describes no images"),
        (Recipe(("both",), describer="both", task="things"), "not both at once"),
        (Recipe(("teller",), task="things", caption="a cat"), "looks for none"),
    ],
)
def test_what_cannot_be_described_is_told(world, recipe, told):
    from studio.errors import NotFound

    with pytest.raises((BadInput, NotFound), match=told):
        check(world[0], recipe)


def test_a_described_recipe_is_kept_as_json_and_works_as_a_job(world):
    studio, *_ = world
    recipe = Recipe(
        ("both",), describer="both", segmenter="disc", caption="a top", all_as="thing", unknown="drop"
    )
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.model_ids == ("both", "disc")
    project = studio.store.create_project("p", "local")
    records = add_pictures(studio.store, project.id, 3, "local")
    job = jobs.begin(studio, "local", project.id, Recipe(("teller",), task="things"), [r.id for r in records])
    jobs.runs(studio).get(job.id).wait(30)
    assert job.title.startswith("Things: ")
    names = {a.class_name for r in records for a in studio.store.annotations(r.id)}
    assert names == {"square"}
    with pytest.raises(BadInput, match="marks nothing"):
        jobs.begin(studio, "local", project.id, Recipe(("teller",), task="caption"), [records[0].id])


def test_one_look_tells_the_text_and_keeps_what_was_chosen(world):
    studio, *_ = world
    project = studio.store.create_project("p", "local")
    (image,) = add_pictures(studio.store, project.id, 4, "local")[3:]
    findings = jobs.look(studio, image, Recipe(("teller",), task="grounded caption"))
    assert findings.told.text == CAPTION
    assert [findings.told.text[slice(*s)] for s in findings.told.spans] == ["A bright top", "low"]
    jobs.keep(studio, "local", findings, [1])
    (kept,) = studio.store.annotations(image.id)
    assert (kept.class_name, kept.draft, kept.prompt.text) == ("low", True, "low")
    assert jobs.look(studio, image, Recipe(("teller",), task="caption")).detections == ()


def test_jobs_by_captions_look_for_other_things_on_each_image(world):
    studio, reader, _ = world
    work = Prediction(studio, Recipe(("reader",), describer="plain"))
    drafts = work.annotate([None, None], [picture(3), picture(0)])
    assert [len(each) for each in drafts] == [len(squares(picture(3))), len(squares(picture(0)))]
