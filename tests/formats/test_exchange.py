from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from studio.annotations import Annotation, Box, Mask, Polygon
from studio.errors import BadInput, Cancelled, NotFound
from studio.formats import Dataset, DatasetImage, all_formats
from studio.operations.exchange import export_annotations, import_annotations
from studio.project import Change, Store
from tests.conftest import add_photograph
from tests.formats.samples import bare, matted

ME = "local"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def project(store: Store) -> str:
    found = store.create_project("Cats & dogs", ME)
    for seed, name in enumerate(("a.jpg", "b.jpg")):
        add_photograph(store, found.id, name, seed=seed)
    return found.id


def put(store: Store, project: str, name: str, *annotations: Annotation) -> None:
    image = store.image_by_name(project, name)
    store.apply(image.id, ME, [Change(a) for a in annotations], verb="put")


def there(store: Store, project: str, name: str = "a.jpg") -> list[Annotation]:
    return store.annotations(store.image_by_name(project, name).id)


def file(folder: Path, *boxes: list[float], name: str = "a.jpg", label: str = "cat") -> Path:
    data = {
        "images": [{"id": 1, "file_name": name}],
        "categories": [{"id": 1, "name": label}],
        "annotations": [{"id": i, "image_id": 1, "category_id": 1, "bbox": b} for i, b in enumerate(boxes)],
    }
    path = folder / "file.json"
    path.write_text(json.dumps(data))
    return path


SAME = Annotation("cat", Box(10, 10, 50, 50))
DRAFT = Annotation("cat", Box(100, 100, 150, 150), source="model", draft=True)


def test_an_import_is_undone_as_one(store, project, tmp_path):
    put(store, project, "a.jpg", SAME)
    data = json.loads(file(tmp_path, [1, 2, 3, 4], [5, 6, 7, 8]).read_text())
    data["images"].append({"id": 2, "file_name": "b.jpg"})
    data["annotations"].append({"image_id": 2, "category_id": 1, "bbox": [1, 1, 5, 5]})
    (tmp_path / "file.json").write_text(json.dumps(data))
    report = import_annotations(store, project, ME, tmp_path / "file.json")
    assert (report.images, report.annotations, report.format) == (2, 3, "coco")
    assert len(there(store, project)) == 3 and len(there(store, project, "b.jpg")) == 1
    assert store.undo_group(report.group, ME) == 2
    assert [a.shape for a in there(store, project)] == [SAME.shape]
    assert there(store, project, "b.jpg") == []


@pytest.mark.parametrize(
    ("policy", "left"),
    [("append", 4), ("merge", 3), ("skip", 2), ("replace-drafts", 3), ("replace-all", 2), ("replace_all", 2)],
)
def test_what_is_there_already_is_treated_as_asked(store, project, tmp_path, policy, left):
    put(store, project, "a.jpg", SAME, DRAFT)
    path = file(tmp_path, [10, 10, 41, 40], [200, 100, 20, 20])
    report = import_annotations(store, project, ME, path, policy=policy)
    found = there(store, project)
    assert len(found) == left
    assert any(a.shape == SAME.shape for a in found) == (
        not policy.startswith("replace") or "drafts" in policy
    )
    assert any(a.draft for a in found) == (not policy.startswith("replace"))
    assert report.skipped == (policy == "skip")
    store.undo_group(report.group, ME)
    assert {bare(a).shape for a in there(store, project)} == {SAME.shape, DRAFT.shape}


def test_drafts_alone_do_not_make_an_image_labelled(store, project, tmp_path):
    put(store, project, "a.jpg", DRAFT)
    assert (
        import_annotations(store, project, ME, file(tmp_path, [1, 2, 3, 4]), policy="skip").annotations == 1
    )


def test_merging_the_same_file_twice_adds_nothing(store, project, tmp_path):
    path = file(tmp_path, [1, 2, 30, 40], [1, 2, 30, 40], [9, 9, 9, 9])
    assert import_annotations(store, project, ME, path, policy="merge").annotations == 3
    assert import_annotations(store, project, ME, path, policy="merge").annotations == 0


def test_merging_pairs_objects_one_for_one(store, project, tmp_path):
    put(store, project, "a.jpg", SAME)
    path = file(tmp_path, [10, 10, 40, 40], [10, 10, 40, 41])
    assert import_annotations(store, project, ME, path, policy="merge").annotations == 1


def test_classes_keep_the_order_of_the_file_behind_those_there(store, project, tmp_path):
    store.add_class(project, "dog")
    path = file(tmp_path, [1, 2, 3, 4])
    data = json.loads(path.read_text())
    data["categories"] += [{"id": 2, "name": "zebra"}, {"id": 3, "name": "dog"}, {"id": 4, "name": "ape"}]
    path.write_text(json.dumps(data))
    import_annotations(store, project, ME, path)
    assert [c.name for c in store.classes(project)] == ["dog", "cat", "zebra", "ape"]


def test_unknown_formats_policies_and_files_get_one_sentence(store, project, tmp_path):
    path = file(tmp_path, [1, 2, 3, 4])
    with pytest.raises(NotFound, match="Did you mean “coco”"):
        import_annotations(store, project, ME, path, format="coko")
    with pytest.raises(NotFound, match="policy"):
        import_annotations(store, project, ME, path, policy="overwrite")
    (tmp_path / "note.md").write_text("hello")
    with pytest.raises(BadInput, match="There can be: COCO or labelme"):
        import_annotations(store, project, ME, tmp_path / "note.md")
    with pytest.raises(BadInput, match="no file or folder"):
        import_annotations(store, project, ME, tmp_path / "gone")
    with pytest.raises(NotFound, match="Did you mean “labelme”"):
        export_annotations(store, project, "label-me", tmp_path / "out")


def test_a_stopped_import_is_whole_up_to_there(store, project, tmp_path):
    path = file(tmp_path, [1, 2, 3, 4])
    with pytest.raises(Cancelled):
        import_annotations(store, project, ME, path, cancel=lambda: True)
    assert there(store, project) == []


def zipped(path: Path, **files: bytes | str) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(name.replace("__", "/").replace("_", "."), data)
    return path


def test_a_zip_is_read_and_so_is_one_in_a_folder(store, project, tmp_path):
    line = "0 0.5 0.5 0.5 0.5\n"
    path = zipped(tmp_path / "set.zip", labels__a_txt=line, data_yaml="names: [cat]", images__a_jpg=b"x")
    report = import_annotations(store, project, ME, path)
    assert (report.format, report.annotations, report.problems) == ("yolo", 1, [])
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / "set.zip")
    assert import_annotations(store, project, ME, tmp_path / "folder").annotations == 1


def test_a_zip_without_annotations_is_named_as_the_person_knows_it(store, project, tmp_path):
    with pytest.raises(BadInput, match="“set.zip” holds no annotations"):
        import_annotations(store, project, ME, zipped(tmp_path / "set.zip", images__a_jpg=b"x"))


@pytest.mark.parametrize("name", ["../a.json", "/etc/a.json", "x/../../a.json"])
def test_a_zip_that_leads_outside_is_refused(store, project, tmp_path, name):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        packed.writestr(name, "{}")
    with pytest.raises(BadInput, match="refused"):
        import_annotations(store, project, ME, tmp_path / "set.zip")


@pytest.mark.parametrize("name", sorted(all_formats()))
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_an_export_with_images_imports_into_an_empty_project(store, project, tmp_path, name, kind):
    square = Polygon((((10, 10), (60, 10), (60, 60), (10, 60)),))
    whole = DatasetImage("a.jpg", 320, 240, (SAME.with_(shape=square), DRAFT))
    made = matted(name, Dataset("", (), (whole,)))
    files = made.pictures.files if made.pictures else {}
    changes = [Change(a) for a in made.images[0].annotations]
    store.apply(store.image_by_name(project, "a.jpg").id, ME, changes, verb="put", files=files)
    target = tmp_path / "out" / ("set.zip" if kind == "zip" else "set")
    calls = []
    report = export_annotations(
        store, project, name, target, with_images=True, progress=lambda *far: calls.append(far)
    )
    assert (report.images, report.annotations, calls[-1]) == (2, 1, (4, 4))
    assert [p.name for p in target.parent.iterdir()] == [target.name]
    names = (
        zipfile.ZipFile(target).namelist()
        if kind == "zip"
        else [p.relative_to(target).as_posix() for p in target.rglob("*")]
    )
    assert sum(n.endswith(".jpg") for n in names) == 2
    other = store.create_project("other", ME)
    add_photograph(store, other.id, "a.jpg", seed=9)
    assert import_annotations(store, other.id, ME, target).annotations == 1
    (back,) = there(store, other.id)
    assert back.class_name == "cat"


def test_drafts_are_exported_when_asked_and_come_back_as_drafts(store, project, tmp_path):
    put(store, project, "a.jpg", SAME, DRAFT)
    assert export_annotations(store, project, "coco", tmp_path / "a").annotations == 1
    assert export_annotations(store, project, "coco", tmp_path / "b", drafts=True).annotations == 2
    report = import_annotations(store, project, ME, tmp_path / "b", policy="replace-all")
    assert report.replaced == 2
    assert [a.draft for a in there(store, project)] == [False, True]
    assert [a.source for a in there(store, project)] == ["person", "model"]


def test_the_exported_file_is_read_by_pycocotools(store, project, tmp_path, capsys):
    pixels = np.zeros((240, 320), bool)
    pixels[20:90, 30:100] = True
    put(store, project, "b.jpg", Annotation("cat", Mask.from_array(pixels)))
    export_annotations(store, project, "coco", tmp_path / "set")
    coco = COCO(tmp_path / "set" / "annotations.json")
    capsys.readouterr()
    (entry,) = coco.loadAnns(coco.getAnnIds())
    assert coco.loadImgs(entry["image_id"])[0]["file_name"] == "b.jpg"
    assert np.array_equal(coco.annToMask(entry), pixels) and entry["area"] == pixels.sum()


def test_the_same_project_gives_the_same_zip(store, project, tmp_path):
    put(store, project, "a.jpg", SAME)
    for name in ("a", "b"):
        export_annotations(store, project, "yolo", tmp_path / f"{name}.zip", with_images=True)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_only_labelled_or_done_images_are_exported_when_asked(store, project, tmp_path):
    put(store, project, "a.jpg", SAME)
    store.set_status(store.image_by_name(project, "b.jpg").id, "done", ME)
    for only, images in (("all", 2), ("labelled", 1), ("done", 1)):
        assert export_annotations(store, project, "coco", tmp_path / only, only=only).images == images


def test_a_folder_that_holds_files_is_not_written_over(store, project, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(BadInput, match="holds files already"):
        export_annotations(store, project, "coco", tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_stopped_export_leaves_nothing_behind(store, project, tmp_path):
    with pytest.raises(Cancelled):
        export_annotations(store, project, "coco", tmp_path / "out" / "a.zip", cancel=lambda: True)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_failing_export_keeps_the_zip_that_was_there(store, project, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "a.zip"
    target.write_bytes(b"the old one")
    monkeypatch.setattr("studio.operations.exchange._pack", _disk_full)
    with pytest.raises(BadInput, match="No space"):
        export_annotations(store, project, "coco", target)
    assert target.read_bytes() == b"the old one" and len(list(target.parent.iterdir())) == 1


def _disk_full(folder: Path, target: Path) -> None:
    target.write_bytes(b"half")
    raise OSError(28, "No space left on device")


def test_an_image_turned_by_its_exif_is_exported_upright(store, project, tmp_path):
    picture = Image.new("RGB", (60, 40), "red")
    exif = picture.getexif()
    exif[0x0112] = 6
    data = io.BytesIO()
    picture.save(data, "JPEG", exif=exif)
    store.add_image(
        project, "t.jpg", data.getvalue(), width=40, height=60, display=None, thumbnail=b"x", person=ME
    )
    report = export_annotations(store, project, "coco", tmp_path / "set", with_images=True)
    with Image.open(tmp_path / "set" / "images" / "t.jpg") as out:
        assert out.size == (40, 60) and out.getexif().get(0x0112, 1) == 1
    assert "upright" in report.problems[0]
