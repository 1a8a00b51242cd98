"""The parts of the Predict tab that need no page."""

from __future__ import annotations

import json

import pytest

from studio.adapters import Detection
from studio.annotations import Annotation, Box, Keypoints, Mask
from studio.canvas.findings import chosen_of, shown
from studio.errors import BadInput
from studio.operations.jobs import Preview
from studio.operations.merging import Merged
from tabs._finding.many import Ahead, _table, about
from tabs._finding.page import Place, page_of
from tabs._finding.settings import weights_of
from tests.conftest import add_photograph


class Event:
    def __init__(self, data):
        self._data = data


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"region": [1, 2]}', '{"options": 3}', '{"chosen": 7}']
)
def test_nonsense_of_the_page_counts_as_nothing_there(text):
    page = page_of(text)
    assert (page.image, page.region, page.options, page.classes, page.chosen) == ("", None, {}, {}, ())


def test_the_page_tells_the_moment():
    told = {
        "image": "i",
        "region": [1, 2, 30, 40],
        "options": {"m": {"side": 3}},
        "classes": {"a": None},
        "chosen": ["x"],
    }
    page = page_of(json.dumps(told))
    assert page.region == Box(1, 2, 30, 40)
    assert (page.image, page.options, page.classes, page.chosen) == (
        "i",
        {"m": {"side": 3}},
        {"a": None},
        ("x",),
    )
    assert "inputs[2] = told" in Place("predict").here_at(2)


def test_weights_are_read_or_refused_with_a_sentence():
    assert (
        weights_of("", 3) == ()
        and weights_of(" 2, 1 ", 2) == (2.0, 1.0)
        and weights_of("1;0.5", 2) == (1.0, 0.5)
    )
    for text, why in (
        ("2", "2 models and 1 weights"),
        ("a, b", "such as 2, 1"),
        ("-1, 1", "0 or more"),
        ("0 0", "not all"),
    ):
        with pytest.raises(BadInput, match=why):
            weights_of(text, 2)


@pytest.mark.parametrize(
    ("number", "said"), [(0.2, "0"), (7.4, "7"), (94.3, "94"), (1234, "1,200"), (98765, "99,000")]
)
def test_an_estimate_has_two_digits(number, said):
    assert about(number) == said


def test_a_preview_of_some_images_says_that_the_rest_is_an_estimate(studio):
    project = studio.store.create_project("p", "local")
    image = add_photograph(studio.store, project.id, "<a>.jpg")
    drafts = tuple(Annotation("apple", Box(0, 0, n + 1, 5)) for n in range(3))
    seen = [Preview(image, Merged(drafts, drafts[:1], drafts[:2])), Preview(image, Merged(skipped=True))]
    told = _table(Ahead(100, seen, [9.0, 2.0]))
    assert (
        "100 images would get about 150 drafts and lose about 50 labels, in about 3 min: an estimate" in told
    )
    assert "&lt;a&gt;.jpg" in told and "left alone" in told
    assert "These are all the images" in _table(Ahead(2, seen, [9.0, 2.0]))
    assert _table(Ahead(2)) == ""


def test_findings_travel_with_masks_keypoints_and_the_colours_they_would_get(studio):
    project = studio.store.create_project("p", "local")
    image = add_photograph(studio.store, project.id)
    studio.store.add_class(project.id, "apple", colour="#123456", person="local")
    mask = Mask(240, 320, [0, 240, 240 * 319])
    found = [
        Detection("apple", 0.91239, Box(1.001, 2, 3, 4), mask),
        Detection(
            "pear",
            0.5,
            Box(1, 2, 3, 4),
            keypoints=Keypoints(((1, 2, 2), (3, 4, 0))),
            keypoint_scores=(0.9, 0.1),
        ),
    ]
    told = json.loads(shown(image, found, studio.store.classes(project.id), token="t", threshold=0.3))
    apple, pear = told["items"]
    assert apple["mask"] == {"kind": "mask", "size": [240, 320], "counts": [0, 240, 76560]}
    assert (apple["score"], apple["box"]) == (0.9124, [1.0, 2.0, 3.0, 4.0])
    assert pear["points"] == [[1, 2, 2, 0.9], [3, 4, 0, 0.1]] and "mask" not in pear
    colours = {c["name"]: c["colour"] for c in told["classes"]}
    assert colours["apple"] == "#123456" and colours["pear"] not in ("#123456", None)
    assert "items" not in json.loads(shown(image, None)) and told["image"]["url"].startswith(
        f"media/image/{image.id}?"
    )
    assert json.loads(shown(image, found, tags=True))["items"][0]["tag"] is True


def test_what_is_kept_is_read_from_the_event():
    chosen = chosen_of(Event({"token": "t", "chosen": [0, 2], "threshold": 0.4}))
    assert (chosen.token, chosen.threshold, chosen.numbers) == ("t", 0.4, (0, 2))
    for data in (None, {}, {"chosen": ["x"], "threshold": 1}, {"chosen": 3, "threshold": 1}):
        with pytest.raises(BadInput, match="look again"):
            chosen_of(Event(data))
