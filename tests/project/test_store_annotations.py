"""Applying changes: revisions, versions, conflicts, and following what others do."""

from __future__ import annotations

import threading

import pytest

from studio.annotations import Annotation, Box, Label, Point, Prompt
from studio.errors import BadInput, NotFound
from studio.project import Change
from tests.project.store_scenes import HEIGHT, WIDTH, add, boxed, clicked, content, mask, put, remove


@pytest.fixture
def image(store, project):
    return add(store, project.id)


def test_an_annotation_comes_back_as_it_was_put(store, image):
    prompt = Prompt((Point(1, 2), Point(3, 4, False)), Box(0, 0, 9, 9), mask(4))
    given = clicked(prompt=prompt, model="sam", model_version="2", score=0.25, source="model")
    saved = put(store, image, given).put[0]
    assert saved == given.with_(revision=1, created_by="ann")
    assert store.annotations(image.id) == [saved]
    assert store.annotation(image.id, given.id) == saved


def test_annotations_keep_the_order_they_were_made_in(store, image):
    made = [boxed(x=n) for n in range(9)]
    put(store, image, *made)
    remove(store, image, *(a.with_(revision=1) for a in made[2:5]))
    put(store, image, made[0].with_(revision=1, draft=True))
    store.undo(image.id, "ann")
    store.undo(image.id, "ann")
    assert [a.id for a in store.annotations(image.id)] == [a.id for a in made]


def test_versions_and_revisions_grow_with_each_change(store, image):
    first = put(store, image, boxed(), boxed())
    assert first.version == image.version + 1 and {a.revision for a in first.put} == {1}
    second = put(store, image, first.put[0].with_(draft=True))
    assert second.version == first.version + 1 == store.image(image.id).version
    assert [a.revision for a in store.annotations(image.id)] == [2, 1]


def test_an_unknown_class_is_added(store, project, image):
    put(store, image, boxed("cat"), boxed(" zebra "), boxed("cat"))
    assert [c.name for c in store.classes(project.id)] == ["cat", "zebra"]
    assert {a.class_name for a in store.annotations(image.id)} == {"cat", "zebra"}


def test_sending_the_same_change_twice_does_it_once(store, image):
    change = boxed()
    first = put(store, image, change)
    again = put(store, image, change)
    assert again == first and not again.conflicts
    assert len(store.history(image.id)) == 2
    gone = remove(store, image, first.put[0])
    assert remove(store, image, first.put[0]) == gone


def test_a_later_save_never_erases_an_earlier_one(store, image):
    start = put(store, image, clicked(clicks=1)).put[0]
    anns = put(store, image, start.with_(shape=mask(5), class_name="dog")).put[0]
    bobs = put(store, image, start.with_(shape=mask(7), draft=False), person="bob")
    kept = {a.id: a for a in store.annotations(image.id)}
    assert kept[start.id] == anns
    beside = bobs.put[0]
    assert beside.id != start.id and kept[beside.id] == beside
    assert beside.shape == mask(7) and beside.draft and beside.created_by == "bob" and beside.revision == 1
    assert bobs.put[1] == anns
    assert bobs.conflicts == (
        "“cat” was changed by somebody else in the meantime. Nothing was overwritten: yours was kept beside "
        "it as a draft.",
    )


def test_a_save_over_something_deleted_is_kept_as_a_draft(store, image):
    start = put(store, image, clicked()).put[0]
    remove(store, image, start, person="bob")
    late = put(store, image, start.with_(shape=mask(9)))
    assert late.deleted == (start.id,) and "deleted by somebody else" in late.conflicts[0]
    assert [a.shape for a in store.annotations(image.id)] == [mask(9)]


def test_ones_own_other_window_is_named_as_such(store, image):
    start = put(store, image, clicked()).put[0]
    put(store, image, start.with_(shape=mask(5)))
    assert "by you in another window" in put(store, image, start.with_(shape=mask(6))).conflicts[0]


def test_what_was_changed_in_the_meantime_is_not_deleted(store, image):
    start = put(store, image, clicked()).put[0]
    bobs = put(store, image, start.with_(draft=False), person="bob").put[0]
    late = remove(store, image, start)
    assert late.deleted == () and late.put == (bobs,) and "was not deleted" in late.conflicts[0]
    assert store.annotations(image.id) == [bobs]


def test_a_delete_without_a_revision_takes_whatever_is_there(store, image):
    saved = put(store, image, boxed()).put[0]
    put(store, image, saved.with_(draft=True))
    assert store.apply(image.id, "ann", [Change(delete=saved.id)], verb="x").deleted == (saved.id,)
    assert store.annotations(image.id) == []


def test_a_revision_given_with_the_change_counts_more_than_the_annotations_own(store, image):
    saved = put(store, image, boxed()).put[0]
    change = Change(saved.with_(draft=True, revision=99), revision=1)
    assert not store.apply(image.id, "ann", [change], verb="x").conflicts


def test_one_bad_change_leaves_all_of_them_undone(store, project, image):
    wrong = Annotation("dog", mask(1, WIDTH + 1, HEIGHT))
    with pytest.raises(BadInput, match="41 × 30"):
        put(store, image, boxed("eel"), wrong)
    assert store.annotations(image.id) == [] and store.classes(project.id) == []
    assert store.image(image.id) == image


def test_two_changes_of_one_annotation_at_once_are_refused(store, image):
    one = boxed()
    with pytest.raises(BadInput, match="twice"):
        put(store, image, one, one.with_(draft=True))
    with pytest.raises(BadInput, match="either"):
        store.apply(image.id, "ann", [Change()], verb="x")


@pytest.mark.parametrize("wrong", ["", "a b", "x" * 65, "é", "a\0", None])
def test_an_id_that_would_make_trouble_is_refused(store, image, wrong):
    with pytest.raises(BadInput, match="id"):
        put(store, image, boxed().with_(id=wrong))


def test_an_id_used_on_another_image_is_not_touched_there(store, project, image):
    other = add(store, project.id, "other.jpg")
    mine = put(store, image, boxed("cat")).put[0]
    put(store, other, boxed("dog").with_(id=mine.id))
    store.apply(other.id, "ann", [Change(delete=mine.id)], verb="x")
    assert store.annotations(image.id) == [mine] and store.annotations(other.id) == []


def test_texts_that_no_database_takes_do_no_harm(store, image):
    saved = put(store, image, boxed(), verb="half \ud800 nul \0" + "x" * 99).put[0]
    assert store.history(image.id)[-1].verb.startswith("half  nul x")
    told = put(store, image, saved.with_(prompt=Prompt(text="half \ud800 \0"))).put[0]
    assert store.annotations(image.id) == [told]
    with pytest.raises(BadInput, match="model"):
        put(store, image, told.with_(model="\ud800"))
    assert store.annotation(image.id, "\ud800") is None


def test_who_made_an_annotation_is_said_by_the_store(store, image):
    saved = put(store, image, boxed().with_(created_by="somebody famous")).put[0]
    changed = put(store, image, saved.with_(draft=True, created_by="eve"), person="bob").put[0]
    assert (saved.created_by, changed.created_by) == ("ann", "ann")
    assert store.annotations(image.id)[0].created_by == "ann"


def test_nothing_changed_is_nothing_written(store, image):
    applied = store.apply(image.id, "ann", [], verb="x")
    assert (applied.version, applied.put, applied.deleted) == (image.version, (), ())
    assert len(store.history(image.id)) == 1


def test_a_second_browser_follows_from_any_version(store, image):
    followers = {image.version: {}}
    one, two = put(store, image, boxed(), clicked()).put
    steps = [
        lambda: put(store, image, one.with_(class_name="dog")),
        lambda: remove(store, image, two, person="bob"),
        lambda: put(store, image, Annotation("tag", Label()), person="bob"),
        lambda: store.undo(image.id, "ann"),
        lambda: store.redo(image.id, "ann"),
        lambda: store.undo(image.id, "bob"),
        lambda: store.undo(image.id, "bob"),
    ]
    for step in steps:
        followers[store.image(image.id).version] = {a.id: a for a in store.annotations(image.id)}
        step()
    truth = {a.id: a for a in store.annotations(image.id)}
    for version, copy in followers.items():
        heard = store.changes_since(image.id, version)
        copy |= {a.id: a for a in heard.put}
        for gone in heard.deleted:
            copy.pop(gone, None)
        assert copy == truth and heard.version == store.image(image.id).version
    assert store.changes_since(image.id, 10**40).put == ()


@pytest.mark.parametrize("unknown", ["0" * 32, "", "\ud800", "a\0b", None, "é"])
def test_an_unknown_image_is_said_to_be_gone(store, unknown):
    calls = (store.image, store.annotations, store.neighbours, store.history)
    for call in (*calls, lambda i: store.undo(i, "ann"), lambda i: put(store, store.image(i), boxed())):
        with pytest.raises(NotFound, match="image is not here"):
            call(unknown)


def test_eight_people_saving_at_once_lose_nothing(store, image):
    failures = []

    def label(person: str) -> None:
        try:
            mine = clicked(person)
            for n in range(50):
                mine = put(store, image, mine.with_(shape=mask(n), score=n / 50), person=person).put[0]
                assert mine.revision == n + 1
        except BaseException as error:
            failures.append(error)

    people = [threading.Thread(target=label, args=(f"person {n}",)) for n in range(8)]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    assert failures == []
    kept = store.annotations(image.id)
    assert sorted(a.class_name for a in kept) == [f"person {n}" for n in range(8)]
    assert {a.revision for a in kept} == {50} and all(a.shape == mask(49) for a in kept)
    assert store.image(image.id).version == image.version + 400
    assert len([e for e in store.history(image.id) if e.verb == "put"]) == 400
    store.undo(image.id, "person 3")
    assert [a.shape == mask(48) for a in store.annotations(image.id)].count(True) == 1


def test_two_stores_on_one_folder_see_each_other(tmp_path, store, image, database):
    from studio.project import Store

    second = Store(tmp_path / "data", database)
    saved = put(second, image, boxed(), person="bob").put[0]
    assert store.annotations(image.id) == [saved]
    assert put(store, image, saved.with_(draft=True)).put[0].revision == 2
    assert content(second, image) == content(store, image)
    second.close()
