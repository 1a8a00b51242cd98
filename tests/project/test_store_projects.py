"""Projects, their settings, and who sees them."""

from __future__ import annotations

import pytest

from studio.errors import BadInput, NotFound
from tests.project.store_scenes import add, boxed, put


def test_a_project_is_seen_by_its_owner_and_its_members_only(store):
    project = store.create_project("Mine", "ann")
    store.add_member(project.id, "bob")
    store.add_member(project.id, "bob")
    assert store.members(project.id) == ["bob"]
    assert [store.may_see(project.id, who) for who in ("ann", "bob", "eve")] == [True, True, False]
    assert [[p.id for p in store.projects(who)] for who in ("ann", "bob", "eve")] == [
        [project.id],
        [project.id],
        [],
    ]
    store.remove_member(project.id, "bob")
    assert not store.may_see(project.id, "bob")


def test_nobody_sees_a_project_that_does_not_exist(store):
    assert not store.may_see("0" * 32, "ann")
    for call in (store.project, store.members, store.counts):
        with pytest.raises(NotFound, match="not here any more"):
            call("0" * 32)


def test_the_owner_is_not_a_member_twice(store, project):
    store.add_member(project.id, "ann")
    assert store.members(project.id) == []


def test_a_project_counts_its_images(store, project):
    for n in range(3):
        add(store, project.id, f"{n}.jpg")
    assert store.project(project.id).image_count == 3
    assert store.projects("ann")[0].image_count == 3


@pytest.mark.parametrize("name", ["Vögel", "鳥 🐦", "  padded  ", "x" * 100, "a/b"])
def test_project_names_may_be_in_any_script(store, name):
    project = store.create_project(name, "ann")
    assert store.project(project.id).name == name.strip()
    store.rename_project(project.id, name + "2" if len(name) < 99 else "y")


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "nul\0", "x" * 101, "bad\ud800", None, "\u202eevil"])
def test_a_project_name_that_would_make_trouble_is_refused(store, project, name):
    with pytest.raises(BadInput, match="name"):
        store.create_project(name, "ann")
    with pytest.raises(BadInput, match="name"):
        store.rename_project(project.id, name)
    assert store.project(project.id).name == "Birds"


def test_settings_hold_json_and_forget_what_is_set_to_none(store, project):
    store.set_setting(project.id, "export", {"format": "coco", "drafts": False, "é": [1, 2.5, None]})
    store.set_setting(project.id, "model", "grabcut")
    store.set_setting(project.id, "model", None)
    assert store.project(project.id).settings == {
        "export": {"format": "coco", "drafts": False, "é": [1, 2.5, None]}
    }


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, "x" * 2_000_000])
def test_a_setting_that_json_cannot_hold_is_refused(store, project, value):
    with pytest.raises(BadInput, match="setting"):
        store.set_setting(project.id, "key", value)
    assert store.project(project.id).settings == {}


def test_a_deleted_project_is_gone_with_all_that_was_in_it(store, project):
    image = add(store, project.id)
    put(store, image, boxed())
    store.add_member(project.id, "bob")
    other = store.create_project("Other", "ann")
    store.delete_project(project.id)
    assert [p.id for p in store.projects("ann")] == [other.id]
    assert not store.may_see(project.id, "ann") and store.projects("bob") == []
    for call in (lambda: store.project(project.id), lambda: store.image(image.id)):
        with pytest.raises(NotFound):
            call()
    assert not store.original_path(image).exists()


@pytest.mark.parametrize("person", ["", "x" * 201, "a\0b", None, "\ud800"])
def test_a_person_without_a_usable_id_is_refused(store, person):
    with pytest.raises(BadInput, match="person"):
        store.create_project("p", person)
