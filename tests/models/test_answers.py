"""What models write is read by their rules, in agreement with transformers, and nothing they write breaks a reader."""

from __future__ import annotations

import random

import numpy as np
import pytest

from models._answers import florence, kosmos, molmo
from studio.adapters import Place

HEIGHT, WIDTH = 200, 400


def boxes(reading) -> list[tuple]:
    return [(p.phrase, tuple(round(v, 2) for v in p.box.xyxy)) for p in reading.places]


def spoken(reading) -> list[str]:
    return [reading.text[slice(*p.span)] for p in reading.places]


# ---- Kosmos-2 --------------------------------------------------------------------------------------

SNOWMAN = (
    "<grounding> An image of<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object> warming "
    "himself by<phrase> a fire</phrase><object><patch_index_0005><patch_index_0911></object>."
)
TWO = (
    "<s><image></image><grounding> There are<phrase> two dogs</phrase><object><patch_index_0000><patch_index_0270>"
    "</delimiter_of_multi_objects/><patch_index_0300><patch_index_1023></object> on grass"
)


@pytest.mark.parametrize(
    "text", [SNOWMAN, TWO, SNOWMAN + TWO[3:], "<grounding> No objects here.", "plain words"]
)
def test_kosmos_is_read_as_transformers_reads_it(text):
    processing = pytest.importorskip("transformers.models.kosmos2.processing_kosmos2")
    told, entities = processing.clean_text_and_extract_entities_with_bboxes(text.split("</image>")[-1])
    reading = kosmos.read(text, 1, 1)
    assert reading.text == told
    wanted = [(name, span, box) for name, span, found in entities for box in found]
    assert [(p.phrase, p.span) for p in reading.places] == [(name, span) for name, span, _ in wanted]
    for place, (_, _, box) in zip(reading.places, wanted, strict=True):
        assert place.box.xyxy == pytest.approx(box)


def test_kosmos_boxes_are_told_in_pixels_and_tied_to_their_words():
    reading = kosmos.read(SNOWMAN, HEIGHT, WIDTH)
    assert reading.text == "An image of a snowman warming himself by a fire."
    assert spoken(reading) == ["a snowman", "a fire"]
    assert boxes(reading)[0] == ("a snowman", (156.25, 9.38, 393.75, 165.62))


@pytest.mark.parametrize(
    "text",
    [
        "<phrase> a dog</phrase><object><patch_index_0044></object>",
        "<phrase> a dog</phrase><object><patch_index_0863><patch_index_0044></object>",
        "<phrase> a dog</phrase><object><patch_index_0044><patch_index_99999></object>",
        "<phrase> a dog</phrase><object></object>",
        "<phrase> a dog<object><patch_index_0044><patch_index_0863>",
        "<phrase> a dog</phrase> runs",
    ],
)
def test_kosmos_boxes_that_make_no_sense_stay_words(text):
    reading = kosmos.read(text, HEIGHT, WIDTH)
    assert "a dog" in reading.text and not reading.places and "<" not in reading.text


# ---- Molmo -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told", "label", "points"),
    [
        ('<point x="25.0" y="50" alt="the mug">the mug</point>', "the mug", "the mug", [(100, 100)]),
        (
            'Here: <points x1="10" y1="20.5" x2="30" y2="40" alt="mugs">two mugs</points>.',
            "Here: two mugs.",
            "two mugs",
            [(40, 41), (120, 80)],
        ),
        ('<points y1="20" x1="10" alt="mugs"></points>', "mugs", "mugs", [(40, 40)]),
        (
            'Counting the <points coords="1 1 073 160 2 173 600" alt="boats">the boats</points> shows a total of 2.',
            "Counting the the boats shows a total of 2.",
            "the boats",
            [(29.2, 32), (69.2, 120)],
        ),
        ('<points coords="1 1 500 500">mug</points>', "mug", "mug", [(200, 100)]),
        ("<points coords='1 1 500 500'/>", "", "", [(200, 100)]),
        ('<points coords="1 1 100 100;2 1 200 200">mugs</points>', "mugs", "mugs", [(40, 20), (80, 40)]),
        ('<points coords="1 100 100">mug</points>', "mug", "mug", [(40, 20)]),
        ('<tracks coords="0.0 1 500 250">dog</tracks>', "dog", "dog", [(200, 50)]),
    ],
)
def test_molmos_points_are_read_in_all_their_forms(text, told, label, points):
    reading = molmo.read(text, HEIGHT, WIDTH)
    assert reading.text == told
    (place,) = reading.places
    assert place.phrase == label and [tuple(pytest.approx(v) for v in p) for p in points] == list(
        place.points
    )
    assert reading.text[slice(*place.span)] == label


@pytest.mark.parametrize(
    "text",
    [
        "There are none.",
        '<point x="250" y="50">far</point>',
        '<point x="nan" y="1">no</point>',
        '<point x="10">half</point>',
        '<points coords="">none</points>',
        '<points coords="1 1 5000 5000">far</points>',
        "<point",
        '<point x="1" y="2"',
    ],
)
def test_points_that_make_no_sense_stay_words(text):
    assert not molmo.read(text, HEIGHT, WIDTH).places


# ---- Florence-2 ------------------------------------------------------------------------------------

GROUNDED = (
    "</s><s>A green car<loc_54><loc_375><loc_906><loc_707> in front of a yellow building<loc_1><loc_0><loc_998>"
    "<loc_633>.</s><pad>"
)


def locs(*numbers: int) -> str:
    return "".join(f"<loc_{n}>" for n in numbers)


def test_florences_grounded_caption_keeps_its_words_and_ties_boxes_to_them():
    reading = florence.read(GROUNDED, HEIGHT, WIDTH)
    assert reading.text == "A green car in front of a yellow building."
    assert spoken(reading) == ["A green car", "in front of a yellow building"]
    assert boxes(reading)[0] == ("A green car", (21.8, 75.1, 362.6, 141.5))


def test_florences_lists_are_told_with_commas():
    text = f"<s>mug{locs(1, 2, 3, 4, 500, 2, 503, 4)}red apple{locs(100, 100, 200, 200)}</s>"
    reading = florence.read(text, HEIGHT, WIDTH, listed=True)
    assert reading.text == "mug, red apple" and spoken(reading) == ["mug", "mug", "red apple"]


def test_florences_written_words_have_four_corners():
    reading = florence.read(f"STOP{locs(0, 0, 999, 0, 999, 999, 0, 999)}", 1000, 1000, "corners", listed=True)
    (place,) = reading.places
    assert (
        place.outline == ((0.5, 0.5), (999.5, 0.5), (999.5, 999.5), (0.5, 999.5)) and place.phrase == "STOP"
    )


def test_florences_outlines_come_one_by_one():
    text = f"cat<poly>{locs(1, 1, 9, 1, 9, 9)}<sep>{locs(20, 20, 30, 20, 30, 30, 20, 30)}</poly>"
    assert [len(p.outline) for p in florence.read(text, 1000, 1000, "outlines").places] == [3, 4]


def test_florence_is_read_as_transformers_reads_it():
    processing = pytest.importorskip("transformers.models.florence2.processing_florence2")
    from types import SimpleNamespace

    reader = processing.Florence2PostProcessor({}, SimpleNamespace(all_special_tokens=[]))
    random.seed(3)
    for _ in range(100):
        names = random.choices(["a mug", "red apple", "the left pear"], k=3)
        sides = [sorted(random.sample(range(1000), 2)) + sorted(random.sample(range(1000), 2)) for _ in names]
        text = "".join(f"{n}{locs(x0, y0, x1, y1)}" for n, (x0, x1, y0, y1) in zip(names, sides, strict=True))
        theirs = reader.parse_description_with_bboxes_from_text_and_spans(
            f"<s>{text}</s>", image_size=(WIDTH, HEIGHT)
        )
        ours = florence.read(f"<s>{text}</s>", HEIGHT, WIDTH, listed=True).places
        assert [t["cat_name"] for t in theirs] == [p.phrase for p in ours]
        for place, other in zip(ours, theirs, strict=True):
            # Theirs are rounded down to whole pixels, from 32 bits.
            assert place.box.xyxy == pytest.approx(np.array(other["bbox"]) + 0.5, abs=0.501)


@pytest.mark.parametrize(
    "text",
    [
        f"mug{locs(1, 2, 3)}",
        f"mug{locs(9, 9, 1, 1)}",
        f"mug{locs(1, 2, 3, 5000)}",
        "mug<loc_1><loc_2",
        "mug<loc_99999999999999999999>",
    ],
)
def test_florences_places_that_make_no_sense_are_passed_over(text):
    reading = florence.read(text, HEIGHT, WIDTH)
    assert reading.text.startswith("mug") and not reading.places


# ---- hostile ---------------------------------------------------------------------------------------

READERS = {"kosmos": kosmos.read, "molmo": molmo.read, "florence": florence.read}
PIECES = (
    "<phrase>", "</phrase>", "<object>", "</object>", "<patch_index_0044>", "</delimiter_of_multi_objects/>",
    '<point x="1" y="2">', "</point>", '<points coords="', '1 1 500 500', '">', "</points>", "<loc_5>", "<poly>",
    "</poly>", "<sep>", "words ", "<", ">", '"', "=", "x1=", "\x00", "é", "<script>alert(1)</script>", "</s>",
)  # fmt: skip


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_nothing_that_is_written_breaks_a_reader(read):
    random.seed(7)
    for _ in range(3000):
        text = "".join(random.choices(PIECES, k=random.randrange(30)))
        reading = read(text, HEIGHT, WIDTH)
        assert isinstance(reading.text, str)
        for place in reading.places:
            assert isinstance(place, Place)
            start, end = place.span
            assert 0 <= start <= end <= len(reading.text)
            spots = [
                *place.points,
                *place.outline,
                *([place.box.xyxy[:2], place.box.xyxy[2:]] if place.box else []),
            ]
            assert spots and all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in spots)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("piece", [*PIECES, "<phrase> a", '<point x="1" ', "<loc_1>" * 3, 'x1="1" y1="1" '])
def test_a_text_that_repeats_itself_without_end_is_read_in_time(read, piece):
    reading = read(piece * 20_000, HEIGHT, WIDTH)  # for minutes, if the time grew with the square
    assert len(reading.places) <= 1000
