"""Classes: names, colours, hotkeys, order, and what happens to labels when one goes."""

from __future__ import annotations

import pytest

from studio.errors import BadInput, Conflict, NotFound
from tests.project.store_scenes import add, boxed, clicked, content, put


def test_new_classes_get_colours_far_apart_and_the_digits_in_turn(store, project):
    made = [store.add_class(project.id, f"class {n}") for n in range(40)]
    assert [c.hotkey for c in made[:10]] == [*"123456789", None]
    assert len({c.colour for c in made}) == 40
    assert [c.position for c in made] == list(range(40))
    assert store.classes(project.id) == made


def test_the_same_name_gives_the_same_class(store, project):
    first = store.add_class(project.id, "café")
    assert store.add_class(project.id, " cafe\u0301 ", colour="#ffffff") == first
    assert store.add_class(project.id, "Café") != first


def test_the_same_name_in_another_project_is_another_class(store, project):
    other = store.create_project("Other", "ann")
    assert store.add_class(project.id, "cat").id != store.add_class(other.id, "cat").id


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\0", "\ud800", 7])
def test_a_class_name_that_would_make_trouble_is_refused(store, project, name):
    kept = store.add_class(project.id, "kept")
    with pytest.raises(BadInput, match="name"):
        store.add_class(project.id, name)
    with pytest.raises(BadInput, match="name"):
        store.update_class(kept.id, name=name)
    image = add(store, project.id)
    with pytest.raises(BadInput, match="name"):
        put(store, image, boxed(name))
    assert store.classes(project.id) == [kept] and store.annotations(image.id) == []


@pytest.mark.parametrize("colour", ["red", "#12345", "#12345g", "#1234567", "", 5])
def test_a_colour_must_be_written_in_hexadecimal(store, project, colour):
    with pytest.raises(BadInput, match="colour"):
        store.add_class(project.id, "cat", colour=colour)


@pytest.mark.parametrize("hotkey", ["0", "ab", "ä", " ", "!", 3])
def test_a_hotkey_must_be_one_plain_key(store, project, hotkey):
    with pytest.raises(BadInput, match="hotkey"):
        store.add_class(project.id, "cat", hotkey=hotkey)


def test_taking_a_hotkey_that_is_in_use_moves_it(store, project):
    cat, dog = store.add_class(project.id, "cat", hotkey="x"), store.add_class(project.id, "dog")
    assert store.update_class(dog.id, hotkey="X").hotkey == "x"
    assert [c.hotkey for c in store.classes(project.id)] == [None, "x"]
    assert store.add_class(project.id, "eel", hotkey="x").hotkey == "x"
    assert [c.hotkey for c in store.classes(project.id)] == [None, None, "x"]
    assert cat.hotkey == "x"


def test_a_hotkey_is_kept_unless_it_is_named_and_freed_by_none(store, project):
    cat = store.add_class(project.id, "cat", hotkey="q")
    assert store.update_class(cat.id, colour="#ABCDEF").hotkey == "q"
    assert store.update_class(cat.id, hotkey=None).hotkey is None
    assert store.classes(project.id)[0].colour == "#abcdef"


def test_a_class_moves_to_its_new_place(store, project):
    a, b, c = (store.add_class(project.id, name) for name in "abc")
    store.update_class(c.id, position=0)
    assert [x.name for x in store.classes(project.id)] == ["c", "a", "b"]
    store.update_class(c.id, position=99)
    assert [x.name for x in store.classes(project.id)] == ["a", "b", "c"]
    assert [x.position for x in store.classes(project.id)] == [0, 1, 2]


def test_a_renamed_class_keeps_its_objects_and_followers_hear_of_it(store, project):
    image = add(store, project.id)
    saved = put(store, image, boxed("cat"))
    cat = store.classes(project.id)[0]
    store.update_class(cat.id, name="kitten")
    heard = store.changes_since(image.id, saved.version)
    assert [a.class_name for a in heard.put] == ["kitten"] and heard.version > saved.version
    assert [a.class_name for a in store.annotations(image.id)] == ["kitten"]


def test_a_browser_that_has_not_heard_of_a_new_name_does_not_bring_the_old_one_back(store, project):
    image = add(store, project.id)
    stale = put(store, image, boxed("cat")).put[0]
    store.update_class(store.classes(project.id)[0].id, name="kitten")
    saved = put(store, image, boxed("cat", x=9).with_(id=stale.id, revision=stale.revision))
    assert saved.put[0].class_name == "kitten"
    assert [c.name for c in store.classes(project.id)] == ["kitten"]


def test_a_class_cannot_take_the_name_of_another(store, project):
    store.add_class(project.id, "cat")
    dog = store.add_class(project.id, "dog")
    with pytest.raises(Conflict, match="“cat” already"):
        store.update_class(dog.id, name="cat")


def test_a_class_in_use_is_not_deleted_without_a_replacement(store, project):
    for n in range(2):
        put(store, add(store, project.id, f"{n}.jpg"), boxed(), clicked())
    cat = store.classes(project.id)[0]
    with pytest.raises(BadInput, match="4 objects on 2 images"):
        store.delete_class(cat.id)
    assert store.classes(project.id) == [cat]


def test_an_unused_class_goes_and_so_does_one_whose_objects_were_all_deleted(store, project):
    image = add(store, project.id)
    put(store, image, boxed("cat"))
    store.undo(image.id, "ann")
    store.delete_class(store.classes(project.id)[0].id)
    assert store.classes(project.id) == []


def test_replacing_a_class_changes_its_objects_on_every_image(store, project):
    pictures = [add(store, project.id, f"{n}.jpg") for n in range(60)]
    for image in pictures:
        put(store, image, boxed("cat"), boxed("dog"), clicked("cat"))
    cat, dog = store.classes(project.id)
    store.delete_class(cat.id, replace_with=dog.id)
    assert store.classes(project.id) == [dog]
    assert store.counts(project.id) == {"dog": 120}
    assert {a.revision for a in store.annotations(pictures[-1].id)} == {1, 2}
    with pytest.raises(NotFound, match="class"):
        store.delete_class(cat.id)


def test_a_deleted_class_comes_back_as_it_was_with_its_objects(store, project):
    pictures = [add(store, project.id, f"{n}.jpg") for n in range(3)]
    for image in pictures:
        put(store, image, boxed("cat"))
    store.add_class(project.id, "dog")
    cat, dog = store.classes(project.id)
    cat = store.update_class(cat.id, colour="#123456", hotkey="c")
    before = [content(store, image) for image in pictures]
    group = store.delete_class(cat.id, replace_with=dog.id, person="ann")
    assert store.undo_group(group, "bob") == 3
    assert [content(store, image) for image in pictures] == before
    back = next(c for c in store.classes(project.id) if c.name == "cat")
    assert (back.id, back.colour, back.hotkey) == (cat.id, "#123456", "c")


def test_an_unused_class_comes_back_too(store, project):
    group = store.delete_class(store.add_class(project.id, "cat").id)
    assert store.undo_group(group, "ann") == 0
    assert [c.name for c in store.classes(project.id)] == ["cat"]


def test_a_class_is_replaced_only_within_its_project_and_not_by_itself(store, project):
    other = store.add_class(store.create_project("Other", "ann").id, "dog")
    cat = store.add_class(project.id, "cat")
    for wrong in (other.id, cat.id):
        with pytest.raises(BadInput, match="another class of its project"):
            store.delete_class(cat.id, replace_with=wrong)
    assert store.classes(project.id) == [cat]


def test_counts_leave_drafts_out_and_name_every_class(store, project):
    image = add(store, project.id)
    put(store, image, boxed("cat"), boxed("cat"), clicked("dog"))
    store.add_class(project.id, "eel")
    assert store.counts(project.id) == {"cat": 2, "dog": 0, "eel": 0}
