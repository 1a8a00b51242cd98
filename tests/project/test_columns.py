"""Columns of a project: values by hand and by a model, filtered, sorted, undone, deleted."""

from __future__ import annotations

import pytest

from studio.errors import BadInput, Conflict, NotFound
from studio.project import Answered, ColumnFilter, Store
from tests.conftest import add_photograph


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path)
    yield made
    made.close()


@pytest.fixture
def project(store):
    return store.create_project("p", "ann").id


@pytest.fixture
def images(store, project):
    return [add_photograph(store, project, f"{n}.jpg", "ann", seed=n, width=32, height=24) for n in range(4)]


@pytest.fixture
def column(store, project):
    return store.add_column(project, "ripe", person="ann")


def answered(store, column, image, value: str, *, job: str | None = None) -> str:
    """Write a model's value as a job does, and return the job."""
    job = job or store.add_job(column.project_id, "ann", "ask", "t", {}, [image.id]).id
    cell = Answered(column.id, value, "model", "Ripe?")
    store.finish_job_image(job, image.id, [], verb="answer", counts={"added": 1}, answer=value, cell=cell)
    return job


def value(store, column, image) -> str | None:
    found = store.cells(column.project_id, [image.id]).get(image.id, {}).get(column.id)
    return found and found.value


def test_a_person_writes_changes_and_empties_a_value(store, column, images):
    cell = store.set_cell(column.id, images[0].id, " yes ", "ann")
    assert (cell.value, cell.model, cell.question, cell.person) == ("yes", None, None, "ann")
    assert store.set_cell(column.id, images[0].id, "no", "eve").person == "eve"
    assert store.set_cell(column.id, images[0].id, "  ", "eve") is None
    assert value(store, column, images[0]) is None and store.column(column.id).answers == 0
    assert [e.verb for e in store.history(images[0].id)][1:] == ["edit answer"] * 3


def test_a_value_by_hand_is_kept_from_a_model_and_from_its_undo(store, column, images):
    store.set_cell(column.id, images[0].id, "mine", "ann")
    job = answered(store, column, images[0], "theirs")
    assert value(store, column, images[0]) == "mine"
    assert store.undo_group(job, "ann") == 0 and value(store, column, images[0]) == "mine"
    job = answered(store, column, images[1], "theirs")
    store.set_cell(column.id, images[1].id, "corrected", "ann")
    assert store.undo_group(job, "ann") == 0 and value(store, column, images[1]) == "corrected"


def test_undo_brings_back_the_value_before_step_by_step(store, column, images):
    first, second = (answered(store, column, images[0], text) for text in ("one", "two"))
    assert store.undo_group(second, "ann") == 1 and value(store, column, images[0]) == "one"
    assert store.undo_group(first, "ann") == 1 and value(store, column, images[0]) is None
    assert store.undo_group(first, "ann") == 0


def test_a_value_is_no_step_of_undo_on_the_image(store, column, images):
    answered(store, column, images[0], "one")
    store.set_cell(column.id, images[1].id, "x", "ann")
    assert store.undo(images[0].id, "ann") is None and store.undo(images[1].id, "ann") is None


def test_images_are_filtered_by_a_value_whatever_its_case(store, project, column, images):
    for image, text in zip(images, ("Yes", "yes, 100%", "no"), strict=False):
        store.set_cell(column.id, image.id, text, "ann")
    found = {
        (way, text): [images.index(next(i for i in images if i.id == each))
                      for each in store.image_ids(project, column=ColumnFilter(column.id, way, text))]
        for way, text in [("is", "YES"), ("holds", "YES"), ("holds", "%"), ("any", ""), ("none", "")]
    }  # fmt: skip
    assert list(found.values()) == [[0], [0, 1], [1], [0, 1, 2], [3]]
    with pytest.raises(BadInput, match="“is”, “holds”"):
        store.image_ids(project, column=ColumnFilter(column.id, "like"))
    other = store.create_project("q", "ann").id
    assert store.image_ids(other, column=ColumnFilter(column.id, "any")) == []


def test_a_page_is_sorted_by_value_as_people_count_with_the_empty_ones_last(store, column, images):
    for image, text in zip(images, ("10", "9", "Two"), strict=False):
        store.set_cell(column.id, image.id, text, "ann")

    def order(**how):
        page, total = store.column_page(column.id, **how)
        assert total == 4
        return [(image.name[0], cell and cell.value) for image, cell in page]

    assert order() == [("0", "10"), ("1", "9"), ("2", "Two"), ("3", None)]
    assert order(order="value") == [("1", "9"), ("0", "10"), ("2", "Two"), ("3", None)]
    assert order(order="value", down=True) == [("2", "Two"), ("0", "10"), ("1", "9"), ("3", None)]
    assert order(order="name", down=True, offset=1, limit=2) == [("2", "Two"), ("1", "9")]
    only, total = store.column_page(column.id, column=ColumnFilter(column.id, "holds", "o"))
    assert total == 1 and only[0][1].value == "Two"
    with pytest.raises(BadInput):
        store.column_page(column.id, order="size")


def test_the_commonest_values_are_told(store, column, images):
    for image, text in zip(images, ("yes", "Yes", "no", "yes"), strict=True):
        store.set_cell(column.id, image.id, text, "ann")
    assert store.column_values(column.id) == ([("Yes", 3), ("no", 1)], 2)


def test_a_column_is_renamed_and_deleted_with_its_values(store, project, column, images):
    other = store.add_column(project, "size")
    with pytest.raises(Conflict):
        store.rename_column(other.id, "ripe")
    assert store.rename_column(other.id, "how large").name == "how large"
    job = answered(store, column, images[0], "yes")
    assert store.delete_column(column.id, person="ann") == 1
    assert [c.name for c in store.columns(project)] == ["how large"]
    assert store.undo_group(job, "ann") == 0
    for ask in (lambda: store.column(column.id), lambda: store.set_cell(column.id, images[0].id, "x", "ann")):
        with pytest.raises(NotFound):
            ask()


def test_values_go_with_their_image(store, project, column, images):
    store.set_cell(column.id, images[0].id, "yes", "ann")
    store.delete_images([images[0].id], "ann")
    assert store.column(column.id).answers == 0


def test_hostile_input_is_refused_or_made_harmless(store, project, column, images):
    for name in ("", " ", "a\nb", "x" * 101, "a\u202eb", "\ud800"):
        with pytest.raises(BadInput):
            store.add_column(project, name)
    with pytest.raises(BadInput, match="10,000"):
        store.set_cell(column.id, images[0].id, "x" * 10_001, "ann")
    assert store.set_cell(column.id, images[0].id, "a\0b\ud800c", "ann").value == "abc"
    assert store.add_column(project, "ripe").id == column.id, "the same name is the same column"
    alien = store.create_project("q", "eve").id
    theirs = add_photograph(store, alien, "x.jpg", "eve", seed=9, width=32, height=24)
    with pytest.raises(NotFound):
        store.set_cell(column.id, theirs.id, "x", "ann")
