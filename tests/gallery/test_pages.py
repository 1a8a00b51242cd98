"""The gallery's server function: what it answers, and what it refuses."""

from __future__ import annotations

import pytest

from studio.annotations import Annotation, Box
from studio.gallery.pages import LARGEST_PAGE, MOST_AT_ONCE, answer_gallery
from studio.project import Change, Store
from tests.conftest import add_photograph


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def project(store):
    made = store.create_project("Signs", "ann")
    for i in range(5):
        add_photograph(store, made.id, f"sign {i}.jpg", "ann", width=32, height=32, seed=i)
    return made.id


@pytest.fixture
def gallery(store):
    return answer_gallery(store, lambda: "ann")


def label(store, image, name="car", draft=False):
    annotation = Annotation(name, Box(1, 1, 9, 9), draft=draft)
    store.apply(image, "ann", [Change(annotation)], verb="put")


def page(gallery, project, **more):
    answer = gallery({"op": "page", "seq": 7, "project": project, "offset": 0, "limit": 60, **more})
    assert answer["ok"], answer
    return answer


def names(answer):
    return [item["name"] for item in answer["items"]]


def test_a_page_holds_its_part_of_the_collection(gallery, project):
    answer = page(gallery, project, offset=2, limit=2, order="name")
    assert names(answer) == ["sign 2.jpg", "sign 3.jpg"]
    assert (answer["total"], answer["offset"], answer["seq"]) == (5, 2, 7)


def test_a_page_past_the_end_is_the_last_page(gallery, project):
    answer = page(gallery, project, offset=60, limit=2)
    assert answer["offset"] == 4 and len(answer["items"]) == 1


def test_filters_and_their_counts_agree(gallery, store, project):
    first, second, third = store.image_ids(project)[:3]
    label(store, first)
    label(store, second, "tree", draft=True)
    store.set_status(third, "done", "ann")
    summary = page(gallery, project, summary=True)["summary"]
    assert summary == {"all": 5, "unlabelled": 4, "drafts": 1, "todo": 4, "done": 1, "hidden": 0}
    for show, number in summary.items():
        assert len(page(gallery, project, show=show)["items"]) == number
    car = next(c for c in store.classes(project) if c.name == "car")
    assert [i["id"] for i in page(gallery, project, **{"class": car.id})["items"]] == [first]
    assert names(page(gallery, project, text=" SIGN 4 ")) == ["sign 4.jpg"]


def test_deleting_takes_only_images_of_the_project(gallery, store, project):
    other = store.create_project("Another's", "bob")
    theirs = add_photograph(store, other.id, "secret.jpg", "bob", width=32, height=32, seed=9)
    mine = store.image_ids(project)[0]
    answer = gallery({"op": "delete", "project": project, "ids": [mine, theirs.id, "no such id"]})
    assert answer["deleted"] == 1 and answer["summary"]["all"] == 4
    assert store.image(theirs.id).name == "secret.jpg"


def test_marking_as_done_answers_with_the_new_state(gallery, store, project):
    ids = store.image_ids(project)[:2]
    answer = gallery({"op": "status", "project": project, "ids": ids, "status": "done"})
    assert [item["status"] for item in answer["items"]] == ["done", "done"]
    assert answer["summary"]["done"] == 2


@pytest.mark.parametrize("op", ["page", "ids", "delete", "status"])
def test_another_persons_project_is_refused_as_if_it_did_not_exist(store, project, op):
    bobs = answer_gallery(store, lambda: "bob")
    ids = store.image_ids(project)
    refused = bobs({"op": op, "project": project, "ids": ids, "limit": 60, "status": "done"})
    absent = bobs({"op": op, "project": "f" * 32, "ids": ids, "limit": 60, "status": "done"})
    assert not refused["ok"] and refused["kind"] == "NotFound"
    assert refused["error"] == absent["error"]
    assert store.count_images(project) == 5 and store.count_images(project, status="done") == 0


def test_a_class_of_another_project_cannot_be_asked_for(gallery, store, project):
    other = store.create_project("Other", "bob")
    theirs = store.add_class(other.id, "secret")
    answer = gallery({"op": "page", "project": project, "limit": 5, "class": theirs.id})
    assert answer["kind"] == "BadInput"


HOSTILE = [
    None,
    [],
    "page",
    {},
    {"op": ["page"]},
    {"op": "drop tables"},
    {"op": "page"},
    {"op": "page", "project": None},
    {"op": "page", "project": ["x"]},
    {"op": "page", "project": {"$ne": ""}},
]
HOSTILE_PAGES = [
    {"limit": 0},
    {"limit": LARGEST_PAGE + 1},
    {"limit": "60"},
    {"limit": True},
    {"limit": 1.5},
    {"offset": -1},
    {"offset": 10**12},
    {"offset": float("nan")},
    {"text": "x" * 201},
    {"text": 5},
    {"text": "\ud800"},
    {"show": "everything"},
    {"show": ["all"]},
    {"order": "random()"},
    {"class": {"id": 1}},
    {"class": ["x"]},
    {"class": "no such class"},
    {"op": "delete", "ids": "all"},
    {"op": "delete", "ids": [1, 2]},
    {"op": "delete"},
    {"op": "delete", "ids": ["x"] * (MOST_AT_ONCE + 1)},
    {"op": "status", "ids": [], "status": "finished"},
]


@pytest.mark.parametrize("request_", HOSTILE, ids=repr)
def test_a_hostile_request_is_answered_with_a_sentence(gallery, request_):
    answer = gallery(request_)
    assert answer["ok"] is False and answer["kind"] in ("BadInput", "NotFound")
    assert answer["error"].endswith(".")


@pytest.mark.parametrize("more", HOSTILE_PAGES, ids=lambda m: repr(m)[:50])
def test_a_hostile_value_is_a_clear_error(gallery, store, project, more):
    answer = gallery({"op": "page", "project": project, "offset": 0, "limit": 60} | more)
    assert answer["ok"] is False and answer["kind"] == "BadInput", answer
    assert store.count_images(project) == 5


def test_a_bug_is_answered_with_a_reference_and_nothing_else(gallery, store, project, caplog):
    store.close()
    store.count_images = lambda *_, **__: 1 / 0
    answer = gallery({"op": "page", "project": project, "limit": 60})
    assert answer["kind"] == "Bug" and "reference" in answer["error"]
    assert "ZeroDivision" not in answer["error"]
    assert "ZeroDivisionError" in caplog.text


def test_what_is_hidden_is_shown_apart_and_brought_back(store, gallery, project):
    ids = [image.id for image in store.images(project)]
    store.hide_images(project, ids[:2], "ann")
    seen = page(gallery, project, summary=True)
    assert [item["id"] for item in seen["items"]] == ids[2:]
    assert seen["summary"]["hidden"] == 2 and seen["summary"]["all"] == len(ids) - 2
    assert [item["id"] for item in page(gallery, project, show="hidden")["items"]] == ids[:2]
    answer = gallery({"op": "show", "project": project, "ids": ids[:1]})
    assert answer["shown"] == 1 and answer["summary"]["hidden"] == 1
