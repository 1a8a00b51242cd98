"""Undo and redo: one person's steps on one image, whole jobs, and what others did in between."""

from __future__ import annotations

import random

import pytest

from studio.project import Change
from tests.project.store_scenes import add, boxed, clicked, content, mask, put, remove


@pytest.fixture
def image(store, project):
    return add(store, project.id)


def test_undo_and_redo_walk_through_every_state(store, image):
    states = [content(store, image)]

    def did(applied):
        assert not applied.conflicts
        states.append(content(store, image))
        return applied.put[0] if applied.put else None

    one = did(put(store, image, clicked(clicks=1)))
    for clicks in (2, 3, 4):
        one = did(put(store, image, clicked(clicks=clicks).with_(id=one.id, revision=one.revision)))
    one = did(put(store, image, one.with_(draft=False)))
    one = did(put(store, image, one.with_(class_name="dog")))
    did(put(store, image, boxed(), boxed("eel")))
    did(remove(store, image, one))
    for state in reversed(states[:-1]):
        assert store.undo(image.id, "ann") is not None
        assert content(store, image) == state
    assert store.undo(image.id, "ann") is None
    for state in states[1:]:
        assert store.redo(image.id, "ann") is not None
        assert content(store, image) == state
    assert store.redo(image.id, "ann") is None


def test_what_undo_answers_is_what_a_browser_must_show(store, image):
    one = put(store, image, clicked()).put[0]
    two = put(store, image, one.with_(shape=mask(8))).put[0]
    back = store.undo(image.id, "ann")
    assert back.put == tuple(store.annotations(image.id)) and back.put[0].revision == two.revision + 1
    assert back.version == store.image(image.id).version
    assert store.undo(image.id, "ann").deleted == (one.id,)
    assert store.redo(image.id, "ann").put[0].shape == one.shape


def test_a_new_change_ends_redo(store, image):
    put(store, image, boxed())
    store.undo(image.id, "ann")
    put(store, image, boxed())
    assert store.redo(image.id, "ann") is None


def test_the_change_of_somebody_else_does_not_end_redo(store, image):
    put(store, image, boxed())
    store.undo(image.id, "ann")
    put(store, image, boxed(), person="bob")
    assert len(store.redo(image.id, "ann").put) == 1
    assert len(store.annotations(image.id)) == 2


def test_undo_takes_only_ones_own_steps_and_only_on_this_image(store, project, image):
    other = add(store, project.id, "other.jpg")
    put(store, image, boxed("mine"))
    put(store, other, boxed("elsewhere"))
    put(store, image, boxed("bobs"), person="bob")
    store.undo(image.id, "ann")
    assert [a.class_name for a in store.annotations(image.id)] == ["bobs"]
    assert [a.class_name for a in store.annotations(other.id)] == ["elsewhere"]
    assert store.undo(image.id, "ann") is None


def test_what_somebody_else_changed_since_is_left_and_reported(store, image):
    one, two = put(store, image, boxed("cat"), boxed("dog")).put
    bobs = put(store, image, one.with_(draft=True), person="bob").put[0]
    back = store.undo(image.id, "ann")
    assert back.deleted == (two.id,) and back.put == (bobs,)
    assert back.conflicts == ("“cat” was changed in the meantime, so your change was not undone.",)
    assert store.annotations(image.id) == [bobs]


def test_a_step_that_cannot_be_undone_does_not_block_those_before_it(store, image):
    first = put(store, image, boxed("first")).put[0]
    one = put(store, image, boxed("cat")).put[0]
    remove(store, image, one, person="bob")
    version = store.image(image.id).version
    back = store.undo(image.id, "ann")
    assert "deleted" in back.conflicts[0] and back.version == version and back.deleted == (one.id,)
    assert store.undo(image.id, "ann").deleted == (first.id,)


def test_when_the_other_takes_his_change_back_ones_own_can_be_undone(store, image):
    one = put(store, image, boxed("cat")).put[0]
    put(store, image, one.with_(draft=True), person="bob")
    store.undo(image.id, "bob")
    back = store.undo(image.id, "ann")
    assert back.deleted == (one.id,) and not back.conflicts


def test_redo_does_not_overwrite_what_somebody_did_after_the_undo(store, image):
    one = put(store, image, boxed("cat")).put[0]
    put(store, image, one.with_(class_name="dog"))
    back = store.undo(image.id, "ann").put[0]
    put(store, image, back.with_(draft=True), person="bob")
    again = store.redo(image.id, "ann")
    assert "not redone" in again.conflicts[0]
    assert [(a.class_name, a.draft) for a in store.annotations(image.id)] == [("cat", True)]


def test_undoing_a_step_whose_class_is_gone_brings_the_class_back(store, project, image):
    one = put(store, image, boxed("cat")).put[0]
    cat = store.update_class(store.classes(project.id)[0].id, colour="#010203")
    put(store, image, one.with_(class_name="dog"))
    store.delete_class(cat.id)
    store.undo(image.id, "ann")
    assert [a.class_name for a in store.annotations(image.id)] == ["cat"]
    assert {c.name: c.colour for c in store.classes(project.id)}["cat"] == "#010203"


def test_undoing_into_a_class_that_was_deleted_and_made_again_uses_the_new_one(store, project, image):
    one = put(store, image, boxed("cat")).put[0]
    put(store, image, one.with_(class_name="dog"))
    store.delete_class(store.classes(project.id)[0].id)
    new = store.add_class(project.id, "cat")
    store.undo(image.id, "ann")
    assert [c.id for c in store.classes(project.id) if c.name == "cat"] == [new.id]
    assert store.counts(project.id) == {"dog": 0, "cat": 1}


def test_a_renamed_class_stays_renamed_when_a_step_is_undone(store, project, image):
    one = put(store, image, boxed("cat")).put[0]
    put(store, image, one.with_(draft=True))
    store.update_class(store.classes(project.id)[0].id, name="kitten")
    assert store.undo(image.id, "ann").put[0].class_name == "kitten"


def test_replacing_a_class_is_a_step_of_its_own_on_each_image(store, project, image):
    put(store, image, boxed("cat"))
    dog = store.add_class(project.id, "dog")
    store.delete_class(store.classes(project.id)[0].id, dog.id, person="ann")
    assert store.undo(image.id, "ann").put[0].class_name == "cat"
    assert store.redo(image.id, "ann").put[0].class_name == "dog"
    store.undo(image.id, "ann")
    assert len(store.undo(image.id, "ann").deleted) == 1


def test_a_job_is_undone_as_a_whole_and_spares_what_people_took_over(store, project):
    pictures = [add(store, project.id, f"{n}.jpg") for n in range(4)]
    mine = put(store, pictures[0], boxed("mine")).put[0]
    before = [content(store, image) for image in pictures]
    for image in pictures:
        put(store, image, *(clicked("found") for _ in range(3)), group="job", verb="detect")
        put(store, image, clicked("more"), group="job", verb="detect")
    store.apply(pictures[0].id, "ann", [Change(delete=mine.id)], verb="clean", group="job")
    accepted = put(store, pictures[2], store.annotations(pictures[2].id)[1].with_(draft=False), person="bob")
    assert store.undo_group("job", "bob") == 4
    assert [content(store, image) for image in pictures[:2]] == before[:2]
    assert content(store, pictures[3]) == before[3]
    assert store.annotations(pictures[2].id) == [accepted.put[0]]
    assert store.undo_group("job", "bob") == 0
    assert [store.image(image.id).drafts for image in pictures] == [0, 0, 0, 0]


def test_a_job_that_was_undone_half_is_undone_to_its_end(store, project, monkeypatch):
    pictures = [add(store, project.id, f"{n}.jpg") for n in range(3)]
    for image in pictures:
        put(store, image, clicked(), group="job")
    write, turns = store._db.write, []

    def killed():
        turns.append(1)
        if len(turns) == 3:
            raise KeyboardInterrupt
        return write()

    monkeypatch.setattr(store._db, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        store.undo_group("job", "ann")
    monkeypatch.undo()
    assert sum(len(store.annotations(i.id)) for i in pictures) == 1
    assert store.undo_group("job", "ann") == 1
    assert sum(len(store.annotations(i.id)) for i in pictures) == 0


def test_history_tells_who_did_what(store, image):
    one = put(store, image, clicked(), verb="segment").put[0]
    put(store, image, one.with_(draft=False), person="bob", verb="accept", group="g")
    store.set_status(image.id, "done", "bob")
    store.undo(image.id, "bob")
    lines = [(e.person, e.verb, e.group, e.state) for e in store.history(image.id)]
    assert lines == [
        ("ann", "add image", None, "note"),
        ("ann", "segment", None, "done"),
        ("bob", "accept", "g", "undone"),
        ("bob", "mark done", None, "note"),
        ("bob", "undo accept", None, "note"),
    ]
    versions = [e.version for e in store.history(image.id)]
    assert versions == sorted(versions) and versions[-1] == store.image(image.id).version


@pytest.mark.parametrize("seed", range(6))
def test_any_steps_can_be_undone_to_the_beginning_and_done_again(store, image, seed):
    rng, states = random.Random(seed), [content(store, image)]
    for _ in range(25):
        there = store.annotations(image.id)
        some = rng.sample(there, rng.randrange(len(there) + 1))
        changed = [a.with_(shape=mask(rng.randrange(30)), class_name=rng.choice("abc")) for a in some]
        changes = [Change(delete=a.id) if rng.random() < 0.3 else Change(a) for a in changed]
        changes += [Change(clicked(rng.choice("abc"), rng.randrange(9)))] * rng.randrange(2)
        if store.apply(image.id, "ann", changes, verb="x").version != store.history(image.id)[-1].version:
            continue
        if content(store, image) != states[-1]:
            states.append(content(store, image))
    for state in reversed(states[:-1]):
        store.undo(image.id, "ann")
        assert content(store, image) == state
    for state in states[1:]:
        store.redo(image.id, "ann")
        assert content(store, image) == state
