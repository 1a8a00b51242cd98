"""The class list's server function."""

from __future__ import annotations

import pytest

from studio.annotations import Annotation, Box
from studio.gallery.classlist import answer_classes
from studio.project import Change, Store
from tests.conftest import add_photograph


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def project(store):
    return store.create_project("Signs", "ann").id


@pytest.fixture
def ask(store, project):
    classes = answer_classes(store, lambda: "ann")
    return lambda op, **more: classes({"op": op, "project": project, **more})


def names(answer):
    assert answer["ok"], answer
    return [c["name"] for c in answer["classes"]]


def id_of(store, project, name):
    return next(c.id for c in store.classes(project) if c.name == name)


def test_classes_are_added_renamed_and_put_in_order(ask, store, project):
    for name in ("car", "tree", "sign"):
        ask("add", name=name)
    assert names(ask("update", id=id_of(store, project, "sign"), position=0)) == ["sign", "car", "tree"]
    answer = ask("update", id=id_of(store, project, "car"), name=" lorry ", colour="#A0b0C0", hotkey="7")
    lorry = answer["classes"][1]
    assert (lorry["name"], lorry["colour"], lorry["hotkey"]) == ("lorry", "#a0b0c0", "7")
    freed = ask("update", id=lorry["id"], hotkey=None)["classes"][1]
    assert freed["hotkey"] is None and freed["name"] == "lorry"


def test_a_name_is_given_once(ask, store, project):
    ask("add", name="car")
    ask("add", name="tree")
    assert ask("add", name="car")["kind"] == "Conflict"
    assert ask("update", id=id_of(store, project, "tree"), name="car")["kind"] == "Conflict"
    assert names(ask("show")) == ["car", "tree"]


def test_a_class_in_use_goes_only_with_a_replacement(ask, store, project):
    image = add_photograph(store, project, person="ann", width=32, height=32)
    store.apply(image.id, "ann", [Change(Annotation("car", Box(1, 1, 9, 9)))], verb="put")
    ask("add", name="lorry")
    car = id_of(store, project, "car")
    refused = ask("delete", id=car)
    assert not refused["ok"] and "1" in refused["error"]
    answer = ask("delete", id=car, replace=id_of(store, project, "lorry"))
    assert [(c["name"], c["count"]) for c in answer["classes"]] == [("lorry", 1)]


@pytest.mark.parametrize("op", ["show", "add", "update", "delete"])
def test_another_persons_classes_are_out_of_reach(store, project, op):
    car = store.add_class(project, "car")
    bobs = answer_classes(store, lambda: "bob")
    answer = bobs({"op": op, "project": project, "id": car.id, "name": "mine now"})
    assert answer["kind"] == "NotFound"
    assert [c.name for c in store.classes(project)] == ["car"]


def test_a_class_of_another_project_is_not_found(ask, store):
    theirs = store.add_class(store.create_project("Other", "bob").id, "secret")
    assert ask("update", id=theirs.id, name="x")["kind"] == "NotFound"
    assert ask("delete", id=theirs.id)["kind"] == "NotFound"


def test_a_replacement_of_another_project_is_refused(ask, store, project):
    theirs = store.add_class(store.create_project("Other", "bob").id, "secret")
    ask("add", name="car")
    assert ask("delete", id=id_of(store, project, "car"), replace=theirs.id)["kind"] == "NotFound"


@pytest.mark.parametrize(
    "more",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 101},
        {"name": "two\nlines"},
        {"name": None},
        {"name": "\udfff"},
        {"colour": "red"},
        {"colour": "#12345g"},
        {"colour": 5},
        {"hotkey": "10"},
        {"hotkey": "a"},
        {"hotkey": 1},
        {"position": -1},
        {"position": "0"},
    ],
    ids=repr,
)
def test_a_hostile_value_is_a_clear_error(ask, store, project, more):
    ask("add", name="car")
    before = store.classes(project)
    answer = ask("update", id=before[0].id, **more)
    assert answer["ok"] is False and answer["kind"] == "BadInput", answer
    assert store.classes(project) == before
