"""Images: names, repeated bytes, files, paging, filters, neighbours."""

from __future__ import annotations

import hashlib
import random

import pytest
from sqlalchemy import event

from studio.errors import BadInput, NotFound
from studio.project import Store
from tests.project.store_scenes import add, boxed, clicked, put, remove


def test_an_image_is_kept_with_its_files(store, project):
    image, new = store.add_image(
        project.id, "a/b.tif", b"tiff", width=8, height=9, display=b"jpeg", thumbnail=b"small", person="ann"
    )
    assert new and store.image(image.id) == image == store.image_by_name(project.id, "a/b.tif")
    assert image.digest == hashlib.sha256(b"tiff").hexdigest()
    assert (image.width, image.height, image.status, image.count, image.drafts) == (8, 9, "todo", 0, 0)
    paths = store.original_path(image), store.display_path(image), store.thumbnail_path(image)
    assert [path.read_bytes() for path in paths] == [b"tiff", b"jpeg", b"small"]


def test_what_a_browser_can_show_is_shown_as_it_is(store, project):
    image = add(store, project.id)
    assert store.display_path(image) == store.original_path(image)


def test_the_same_bytes_are_kept_once_in_a_project(store, project):
    first = add(store, project.id, "a.jpg", b"same")
    again, new = store.add_image(
        project.id, "b.jpg", b"same", width=8, height=9, display=None, thumbnail=b"", person="ann"
    )
    assert not new and again == first and store.count_images(project.id) == 1


def test_a_name_that_is_taken_gets_a_number_before_its_ending(store, project):
    names = ["a/b.jpg", "a/b.jpg", "a/b.jpg", "b.jpg", "none", "none", ".hidden", ".hidden", "a/b (2).jpg"]
    got = [add(store, project.id, name, b"%d" % n).name for n, name in enumerate(names)]
    assert got == [
        "a/b.jpg", "a/b (2).jpg", "a/b (3).jpg", "b.jpg", "none", "none (2)", ".hidden", ".hidden (2)",
        "a/b (2) (2).jpg",
    ]  # fmt: skip


def test_many_pictures_pasted_under_one_name_are_numbered_without_gaps(store, project):
    got = [add(store, project.id, "image.png", b"%d" % n).name for n in range(30)]
    assert got == ["image.png", *(f"image ({n}).png" for n in range(2, 31))]


def test_an_image_is_found_by_its_name_however_it_is_written(store, project):
    image = add(store, project.id, "a/café.jpg")
    for written in ("a/café.jpg", "a\\cafe\u0301.jpg", "./a//café.jpg"):
        assert store.image_by_name(project.id, written) == image
    for wrong in ("a/cafe.jpg", "../a/café.jpg", "", "\ud800"):
        assert store.image_by_name(project.id, wrong) is None
    assert store.count_images(project.id, text="caf\ud800é\0") == 1


def test_signs_that_mean_something_to_a_search_are_plain_in_names(store, project):
    for n, name in enumerate(["50%_a.jpg", "50%_a.jpg", "500xa.jpg", "back\\slash.jpg"]):
        add(store, project.id, name, b"%d" % n)
    assert [i.name for i in store.images(project.id)] == [
        "50%_a.jpg", "50%_a (2).jpg", "500xa.jpg", "back/slash.jpg",
    ]  # fmt: skip
    assert store.count_images(project.id, text="%_A") == 2
    assert store.count_images(project.id, text="_") == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("./a//b/./c.jpg", "a/b/c.jpg"),
        ("a\tb\nc.jpg", "a_b_c.jpg"),
        (" a / b.jpg ", "a/b.jpg"),
        ("cafe\u0301.jpg", "café.jpg"),
        ("写真/犬 🐕.jpg", "写真/犬 🐕.jpg"),
        ("..hidden..jpg", "..hidden..jpg"),
    ],
)
def test_image_names_are_tidied(store, project, given, kept):
    assert add(store, project.id, given, b"x").name == kept


@pytest.mark.parametrize(
    "name",
    ["", "/", "/etc/passwd", "../a.jpg", "a/../b.jpg", "a\\..\\b", "C:\\a.jpg", "c:a", "\\\\host\\a",
     "a\0.jpg", "x" * 256, "é" * 128, "a/" * 500 + "b", "\ud800.jpg", None, "a/.. /b"],
)  # fmt: skip
def test_an_image_name_that_leaves_its_folder_or_fits_nowhere_is_refused(store, project, name):
    with pytest.raises(BadInput, match="name"):
        add(store, project.id, name, b"x")
    assert store.images(project.id) == []


def test_deleting_an_image_spares_the_files_another_project_uses(store, project):
    other = store.create_project("Other", "ann")
    here, there = add(store, project.id, data=b"shared"), add(store, other.id, data=b"shared")
    alone = add(store, project.id, "alone.jpg")
    assert store.delete_images([here.id, alone.id, "unknown"], "ann") == 2
    assert store.original_path(there).exists() and store.thumbnail_path(there).exists()
    assert not store.original_path(alone).exists() and not store.thumbnail_path(alone).exists()
    store.delete_project(other.id)
    assert not store.original_path(there).exists()


def test_an_image_deleted_and_added_again_starts_anew(store, project):
    image = add(store, project.id)
    put(store, image, boxed())
    store.delete_images([image.id], "ann")
    with pytest.raises(NotFound, match="image"):
        store.annotations(image.id)
    again = add(store, project.id)
    assert again.id != image.id and store.annotations(again.id) == []
    assert store.original_path(again).read_bytes() == b"a.jpg"


def test_files_of_a_deletion_that_was_cut_short_go_at_the_next_start(
    tmp_path, store, project, monkeypatch, database
):
    image = add(store, project.id)
    monkeypatch.setattr(store, "_remove_doomed", lambda: None)
    store.delete_images([image.id], "ann")
    assert store.original_path(image).exists()
    Store(tmp_path / "data", database).close()
    assert not store.original_path(image).exists()


def test_a_picture_added_again_before_its_files_were_removed_keeps_them(
    tmp_path, store, project, monkeypatch, database
):
    image = add(store, project.id)
    monkeypatch.setattr(store, "_remove_doomed", lambda: None)
    store.delete_images([image.id], "ann")
    again = add(store, project.id)
    Store(tmp_path / "data", database).close()
    assert store.original_path(again).read_bytes() == b"a.jpg"


def test_files_removed_while_a_picture_was_on_its_way_are_written_again(store, project, monkeypatch):
    write, calls = store._files.write, []

    def removed_in_between(digest, contents):
        write(digest, contents)
        calls.append(digest)
        if len(calls) == 1:
            store._files.remove(digest)

    monkeypatch.setattr(store._files, "write", removed_in_between)
    image = add(store, project.id)
    assert store.original_path(image).exists() and store.thumbnail_path(image).exists()


def test_a_project_whose_deletion_was_cut_short_is_gone_after_the_next_start(
    tmp_path, store, project, monkeypatch, database
):
    image = add(store, project.id)
    monkeypatch.setattr(store, "_finish_project", lambda project_id: None)
    store.delete_project(project.id)
    assert store.projects("ann") == []
    again = Store(tmp_path / "data", database)
    with pytest.raises(NotFound):
        again.image(image.id)
    assert not again.original_path(image).exists()
    again.close()


def test_a_status_is_todo_or_done_and_a_change_of_it_is_seen(store, project):
    image = add(store, project.id)
    done = store.set_status(image.id, "done", "ann")
    assert (done.status, done.version) == ("done", image.version + 1)
    assert store.set_status(image.id, "done", "ann") == done
    with pytest.raises(BadInput, match="todo"):
        store.set_status(image.id, "perhaps", "ann")


def gallery(store, project_id, count=23):
    """Fill a project with every mixture of status, drafts and classes; return what each image should show."""
    rng, made = random.Random(4), []
    for n in range(count):
        image = add(store, project_id, f"{rng.choice('AbC')}{n}.jpg")
        labels = [rng.choice("xyz") for _ in range(rng.randrange(4))]
        drafts = [rng.random() < 0.4 for _ in labels]
        if labels:
            put(store, image, *(boxed(c).with_(draft=d) for c, d in zip(labels, drafts, strict=True)))
        if rng.random() < 0.5:
            store.set_status(image.id, "done", "ann")
        made.append((store.image(image.id), set(labels), sum(drafts), len(labels) - sum(drafts)))
    return made


FILTERS = [
    {},
    {"text": "B"},
    {"status": "done"},
    {"status": "todo", "unlabelled": True},
    {"unlabelled": False},
    {"drafts": True},
    {"drafts": False, "text": "a1"},
    {"class": "y"},
    {"class": "x", "drafts": True, "status": "done"},
    {"text": "nothing like it"},
]


@pytest.mark.parametrize("order", ["added", "name"])
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_pages_counts_and_neighbours_agree(store, project, filters, order):
    made = gallery(store, project.id)
    classes = {c.name: c.id for c in store.classes(project.id)}
    wanted = [
        image
        for image, labels, drafts, count in made
        if filters.get("text", "").lower() in image.name.lower()
        and filters.get("status", image.status) == image.status
        and filters.get("unlabelled", count == 0) == (count == 0)
        and filters.get("drafts", drafts > 0) == (drafts > 0)
        and (filters.get("class") is None or filters["class"] in labels)
    ]
    if order == "name":
        wanted.sort(key=lambda i: (i.name[0].lower(), int(i.name[1:-4])))
    given = {k: v for k, v in filters.items() if k != "class"}
    if "class" in filters:
        given["class_id"] = classes[filters["class"]]
    assert store.count_images(project.id, **given) == len(wanted)
    assert store.image_ids(project.id, order=order, **given) == [i.id for i in wanted]
    paged = [store.images(project.id, offset=o, limit=4, order=order, **given) for o in range(0, 24, 4)]
    assert [image for page in paged for image in page] == wanted
    for place, image in enumerate(wanted):
        before = wanted[place - 1].id if place else None
        after = wanted[place + 1].id if place + 1 < len(wanted) else None
        assert store.neighbours(image.id, order=order, **given) == (before, after, place, len(wanted))


def test_an_image_that_left_the_filter_still_has_neighbours(store, project):
    a, b, c = (add(store, project.id, name) for name in "abc")
    store.set_status(b.id, "done", "ann")
    assert store.neighbours(b.id, status="todo") == (a.id, c.id, 1, 2)


def test_names_are_ordered_as_people_count(store, project):
    for name in ["img10.jpg", "IMG2.jpg", "img1.jpg", "é.jpg", "z.jpg", "img002b.jpg"]:
        add(store, project.id, name)
    assert [i.name for i in store.images(project.id, order="name")][:4] == [
        "img1.jpg", "IMG2.jpg", "img002b.jpg", "img10.jpg",
    ]  # fmt: skip


def test_text_finds_names_in_any_case_and_script(store, project):
    for name in ["ÄPFEL.jpg", "straße.jpg", "Обед.jpg"]:
        add(store, project.id, name)
    assert [store.count_images(project.id, text=t) for t in ("äpf", "STRASSE", "обед", "", None)] == [
        1,
        1,
        1,
        3,
        3,
    ]


def test_an_unknown_order_is_refused(store, project):
    with pytest.raises(BadInput, match="ordered"):
        store.images(project.id, order="size")


@pytest.mark.parametrize(("offset", "limit"), [(-5, 2), (10**30, 2), (0, -1)])
def test_a_page_outside_is_no_error(store, project, offset, limit):
    add(store, project.id)
    assert len(store.images(project.id, offset=offset, limit=limit)) <= 1


def test_a_page_takes_the_same_number_of_queries_however_full_it_is(store, project):
    gallery(store, project.id, 5)
    few = queries(store, project.id)
    gallery(store, store.create_project("Other", "ann").id, 20)
    for n in range(40):
        add(store, project.id, f"more{n}.jpg")
    assert queries(store, project.id) == few <= 6


def queries(store, project_id) -> int:
    seen = []
    listen = lambda *args: seen.append(args[2])  # noqa: E731
    event.listen(store._db.engine, "before_cursor_execute", listen)
    page = store.images(project_id, limit=60, order="name", status="todo")
    store.count_images(project_id, unlabelled=True)
    store.neighbours(page[0].id)
    event.remove(store._db.engine, "before_cursor_execute", listen)
    return len([s for s in seen if s.startswith("SELECT")])


def test_the_counts_on_an_image_are_those_of_its_annotations(store, project):
    rng, image = random.Random(7), add(store, project.id)
    for _ in range(80):
        there = store.annotations(image.id)
        deed = rng.choice(["put", "put", "change", "delete", "undo", "redo", "conflict"])
        if deed == "put":
            put(store, image, *(clicked(draft=rng.random() < 0.5) for _ in range(rng.randrange(1, 4))))
        elif deed in ("undo", "redo"):
            getattr(store, deed)(image.id, "ann")
        elif there:
            one = rng.choice(there)
            if deed == "delete":
                remove(store, image, one)
            else:
                put(
                    store, image, one.with_(draft=not one.draft, revision=one.revision - (deed == "conflict"))
                )
        now, record = store.annotations(image.id), store.image(image.id)
        assert record.drafts == sum(a.draft for a in now)
        assert record.count == sum(not a.draft for a in now)
