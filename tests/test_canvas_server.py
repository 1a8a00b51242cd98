"""The one function behind the canvas: every request gets an answer, and nobody reaches another's images."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest

from studio.access import LOCAL
from studio.annotations import Annotation, Box, Mask, annotation_to_json
from studio.canvas.server import canvas_function
from tests.conftest import add_photograph


@pytest.fixture
def image(studio):
    project = studio.store.create_project("mine", LOCAL)
    return add_photograph(studio.store, project.id)


@pytest.fixture
def ask(studio, image):
    function = canvas_function(studio)

    def ask(op: str, **request):
        answer = function({"op": op, "seq": 7, "image": image.id, **request})
        assert answer["seq"] == 7
        return json.loads(json.dumps(answer))

    return ask


def segment(ask, **changes):
    request = {"model": "disc", "annotation": uuid.uuid4().hex, "class": "apple", "points": [[90, 80, 1]]}
    return ask("segment", **{**request, **changes})


def test_a_session_from_open_to_done(ask):
    opened = ask("open")
    assert opened["ok"] and opened["annotations"] == [] and opened["image"]["total"] == 1
    assert ask("prepare", model="disc")["ok"]
    first = segment(ask)
    assert first["ok"] and len(first["candidates"]) == 3
    assert first["annotation"]["prompt"]["points"] == [[90, 80, 1]]
    accepted = ask("put", annotations=[{**first["annotation"], "draft": False}], verb="accept")
    assert accepted["ok"] and not accepted["annotations"][0]["draft"]
    assert ask("undo")["annotations"][0]["draft"]
    assert not ask("redo")["annotations"][0]["draft"]
    assert ask("status", status="done")["image"]["status"] == "done"
    assert ask("add_class", name="pear")["classes"][-1]["name"] == "pear"
    again = ask("open")
    assert len(again["annotations"]) == 1 and len(again["classes"]) == 2
    last = again["annotations"][0]
    gone = ask("delete", ids=[{"id": last["id"], "revision": last["revision"]}])
    assert gone["deleted"] == [last["id"]]
    assert ask("poll", version=0)["version"] == gone["version"]


def test_an_answer_does_not_carry_the_base_mask(ask, studio, image):
    array = np.zeros((image.height, image.width), bool)
    array[10:50, 10:50] = True
    box = annotation_to_json(Annotation("apple", Mask.from_array(array)))
    (made,) = ask("put", annotations=[box], verb="brush")["annotations"]
    answer = segment(ask, annotation=made["id"], revision=made["revision"])
    assert answer["annotation"]["prompt"]["base"] is True
    assert "mask" not in answer["annotation"]["prompt"]


@pytest.mark.parametrize(
    "request_",
    [
        None,
        [],
        "open",
        {},
        {"op": 5},
        {"op": "drop_table"},
        {"op": "open"},
        {"op": "open", "image": "../../etc/passwd"},
        {"op": "open", "image": {"$ne": None}},
    ],
)
def test_nonsense_gets_a_sentence(studio, request_):
    answer = canvas_function(studio)(request_)
    assert answer["ok"] is False and answer["kind"] != "Bug" and answer["error"].endswith(".")


@pytest.mark.parametrize(
    ("op", "request_"),
    [
        ("segment", {"model": "disc"}),
        ("segment", {"model": "disc", "annotation": "x" * 32, "class": "a", "points": [[1, 1, 1]]}),
        ("segment", {"model": "disc", "annotation": "a" * 32, "class": "a", "points": [[1]]}),
        ("segment", {"model": "disc", "annotation": "a" * 32, "class": "a", "points": [["x", 1, 1]]}),
        ("segment", {"model": "disc", "annotation": "a" * 32, "class": " ", "points": [[1, 1, 1]]}),
        ("segment", {"model": "disc", "annotation": "a" * 32, "class": "a" * 101, "points": [[1, 1, 1]]}),
        ("segment", {"model": "disc", "annotation": "a" * 32, "class": "a", "box": [0, 0, "NaN", 3]}),
        ("segment", {"model": "nothing", "annotation": "a" * 32, "class": "a", "points": [[1, 1, 1]]}),
        (
            "segment",
            {"model": "disc", "annotation": "a" * 32, "class": "a", "points": [[1, 1, 1]], "revision": "x"},
        ),
        ("put", {}),
        ("put", {"annotations": 5}),
        (
            "put",
            {"annotations": [{"class": "a", "shape": {"kind": "mask", "size": [2, 2], "counts": [0, 4]}}]},
        ),
        ("put", {"annotations": [{"class": "a", "shape": {"kind": "box", "xyxy": [900, 900, 950, 950]}}]}),
        ("delete", {"ids": ["a"]}),
        ("delete", {"ids": [{"id": "../x", "revision": 1}]}),
        ("status", {"status": "burnt"}),
        ("poll", {"version": []}),
        ("add_class", {"name": ""}),
    ],
)
def test_a_request_that_makes_no_sense_gets_a_sentence_and_changes_nothing(ask, studio, image, op, request_):
    answer = ask(op, **request_)
    assert answer["ok"] is False and answer["kind"] != "Bug", answer
    assert studio.store.annotations(image.id) == []


def test_another_persons_image_is_as_good_as_absent(studio):
    theirs = add_photograph(studio.store, studio.store.create_project("theirs", "bob").id, person="bob")
    function = canvas_function(studio)
    for op in ("open", "prepare", "segment", "put", "delete", "undo", "redo", "status", "poll", "add_class"):
        answer = function({"op": op, "seq": 1, "image": theirs.id})
        assert answer["kind"] == "NotFound"
        assert answer["error"] == function({"op": op, "seq": 1, "image": "no such"})["error"]


def test_an_object_of_another_image_cannot_be_changed_through_this_one(ask, studio, image):
    theirs = add_photograph(
        studio.store, studio.store.create_project("theirs", "bob").id, person="bob", seed=3
    )
    applied = studio.store.apply(
        theirs.id, "bob", _changes(Annotation("secret", Box(1, 1, 5, 5))), verb="put"
    )
    target = applied.put[0]
    ask("put", annotations=[{**annotation_to_json(target), "class": "stolen"}], verb="put")
    ask("delete", ids=[{"id": target.id, "revision": target.revision}])
    (kept,) = studio.store.annotations(theirs.id)
    assert kept == target


def _changes(*annotations):
    from studio.project import Change

    return [Change(a) for a in annotations]


def test_a_bug_is_logged_under_the_reference_that_the_person_reads(studio, image, disc, caplog):
    disc.segment = None
    answer = segment(lambda op, **r: canvas_function(studio)({"op": op, "seq": 1, "image": image.id, **r}))
    assert answer["kind"] == "Bug"
    reference = answer["error"].split("reference ")[1][:6]
    assert reference in caplog.text
