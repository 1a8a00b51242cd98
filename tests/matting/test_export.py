"""Mattes given out and taken in again: what was written comes back, and nothing hostile does."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from studio.annotations import Alpha, Annotation, Box, Mask, Point, Prompt
from studio.errors import BadInput, NotFound
from studio.formats import format_of
from studio.formats.matting import LIST, MattingOptions
from studio.operations.exchange import export_annotations, import_annotations
from studio.operations.matting.export import export_one, stream_dataset
from studio.operations.matting.stored import alpha_of, kept
from studio.project import Change
from tests.matting.pictures import add, png, put_mask, soft_disc

TRIMAP = np.full((120, 160), 128, np.uint8)
TRIMAP[:10], TRIMAP[50:70, 70:90] = 0, 255


def put_alpha(studio, image, alpha, bits=8, **facts):
    given = kept(alpha, TRIMAP, bits)
    made = Annotation(facts.pop("class_name", "fruit"), given.shape, **facts)
    return studio.store.apply(image.id, "local", [Change(made)], verb="matte", files=given.files).put[0]


@pytest.fixture
def scene(studio, project):
    picture, alpha = soft_disc()
    image = add(studio, project.id, picture)
    prompt = Prompt((Point(80, 60), Point(3, 3, False)), Box(40, 20, 120, 100), text="a fruit")
    facts = {"source": "model", "model": "grabcut+closed-form", "model_version": "1+1", "score": 0.5}
    put_alpha(studio, image, alpha, prompt=prompt, **facts)
    put_alpha(studio, image, alpha**2, bits=16, class_name="Früchte/2", draft=True)
    return image, picture, alpha


def facts(annotation):
    return annotation.with_(id="", created_by="", revision=0)


@pytest.mark.parametrize("kind", ["matting", "matting-webp", "matting-alphas"])
@pytest.mark.parametrize("target", ["out", "out.zip"])
def test_what_is_written_comes_back(studio, project, scene, tmp_path, kind, target):
    image, picture, _ = scene
    report = export_annotations(studio.store, project.id, kind, tmp_path / target, drafts=True)
    assert report.annotations == 2 and report.images == 1
    other = studio.store.create_project("Again", "local")
    again = add(studio, other.id, picture)
    back = import_annotations(studio.store, other.id, "local", tmp_path / target)
    assert back.problems == [] and back.annotations == 2
    before, after = (studio.store.annotations(i.id) for i in (image, again))
    assert [facts(a) for a in after] == [facts(a) for a in before]
    for annotation in after:
        assert np.array_equal(
            alpha_of(studio, again, annotation.shape), alpha_of(studio, image, annotation.shape)
        )
    assert studio.store.undo_group(back.group, "local") == 1 and not studio.store.annotations(again.id)


def test_sixteen_bits_are_written_where_they_are_asked_for(studio, project, scene, tmp_path):
    export_annotations(studio.store, project.id, "matting-alphas16", tmp_path / "out", drafts=True)
    files = sorted((tmp_path / "out" / "alphas").rglob("*.png"))
    assert [Image.open(f).mode for f in files] == ["I;16", "I;16"]
    whole = np.array(Image.open(files[0]))
    assert whole.max() == 65535 and not (whole % 257).any()


def test_a_cutout_over_a_colour_has_no_fringe_of_the_old_background(studio, project, scene, tmp_path):
    image, picture, alpha = scene
    options = MattingOptions(("composite", "foreground"), background="#0000ff")
    export_annotations(studio.store, project.id, "matting", tmp_path / "out", mattes=options)
    (file,) = (tmp_path / "out" / "composites").rglob("*.png")
    made = np.array(Image.open(file)).astype(float)
    ideal = np.array((230, 120, 30)) * alpha[..., None] + np.array((0, 0, 255)) * (1 - alpha[..., None])
    with_fringe = picture * alpha[..., None] + np.array((0, 0, 255)) * (1 - alpha[..., None])
    edge = (alpha > 0.1) & (alpha < 0.9)
    assert np.abs(made - ideal)[edge].mean() < 0.6 * np.abs(with_fringe - ideal)[edge].mean()
    assert not list((tmp_path / "out").rglob("cutouts"))


def test_a_streamed_zip_is_whole_and_comes_in_pieces(studio, project, scene):
    pieces = list(stream_dataset(studio.store, project.id, drafts=True))
    assert len(pieces) > 5
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as packed:
        assert packed.testzip() is None
        listed = json.loads(packed.read(LIST))
        for matte in listed["images"][0]["mattes"]:
            assert set(matte["files"]) == {"cutout", "alpha", "trimap"}
            assert all(name in packed.namelist() for name in matte["files"].values())
        assert Image.open(packed.open(listed["images"][0]["mattes"][0]["files"]["cutout"])).mode == "RGBA"


@pytest.mark.parametrize(
    ("what", "kind", "bits", "mode"),
    [
        ("cutout", "png", 8, "RGBA"),
        ("cutout", "webp", 8, "RGBA"),
        ("alpha", "png", 8, "L"),
        ("alpha", "png", 16, "I;16"),
        ("trimap", "png", 8, "L"),
        ("foreground", "jpeg", 8, "RGB"),
        ("composite", "jpeg", 8, "RGB"),
    ],
)
def test_one_matte_is_given_out_as_asked(studio, project, scene, what, kind, bits, mode):
    image, *_ = scene
    annotation = studio.store.annotations(image.id)[0]
    data, name = export_one(studio, image, annotation, what, kind=kind, bits=bits)
    opened = Image.open(io.BytesIO(data))
    assert opened.mode == mode and opened.size == (160, 120) and name.endswith(f".{kind}")


def test_a_composite_may_lie_over_a_picture(studio, project, scene):
    image, *_ = scene
    behind = np.zeros((50, 200, 3), np.uint8)
    behind[..., 2] = 255
    other = add(studio, project.id, behind, "b.png")
    annotation = studio.store.annotations(image.id)[0]
    by_id, by_pixels = (
        export_one(studio, image, annotation, "composite", background=b)[0] for b in (other.id, behind)
    )
    assert by_id == by_pixels
    assert np.array(Image.open(io.BytesIO(by_id)))[0, 0].tolist() == [0, 0, 255]
    strange = studio.store.create_project("Strange", "local")
    foreign = add(studio, strange.id, behind[:, :100], "c.png")
    with pytest.raises((BadInput, NotFound)):
        export_one(studio, image, annotation, "composite", background=foreign.id)


@pytest.mark.parametrize(
    ("what", "kind", "bits", "words"),
    [("cutout", "jpeg", 8, "no transparency"), ("alpha", "webp", 16, "8 bits"), ("hair", "png", 8, "hair")],
)
def test_what_a_kind_cannot_hold_is_refused(studio, scene, what, kind, bits, words):
    image, *_ = scene
    with pytest.raises((BadInput, NotFound), match=words):
        export_one(studio, image, studio.store.annotations(image.id)[0], what, kind=kind, bits=bits)


@pytest.mark.parametrize("kind", ["coco", "yolo", "voc", "labelme", "masks", "masks-objects"])
def test_formats_that_know_only_masks_are_given_the_half_and_say_so(studio, project, scene, tmp_path, kind):
    _, _, alpha = scene
    report = export_annotations(studio.store, project.id, kind, tmp_path / "out")
    assert report.annotations == 1 and any("at least a half" in note for note in report.problems)
    if kind in ("coco", "labelme", "masks"):
        read = format_of(kind).read(tmp_path / "out", {"a.png": (160, 120)})
        (back,) = read.annotations["a.png"]
        assert isinstance(back.shape, Mask)
        assert back.shape == Mask.from_array(np.round(alpha * 255) >= 128)


def test_other_annotations_are_said_to_be_left_out(studio, project, scene, tmp_path):
    image, _, alpha = scene
    put_mask(studio, image, alpha > 0.5)
    report = export_annotations(studio.store, project.id, "matting", tmp_path / "out")
    assert any("without a matte" in note for note in report.problems)


def test_alphas_alone_are_read_by_their_names(studio, project, tmp_path):
    picture, alpha = soft_disc()
    image = add(studio, project.id, picture, "photo.png")
    (tmp_path / "set" / "alphas").mkdir(parents=True)
    Image.fromarray((alpha * 255).astype(np.uint8)).save(tmp_path / "set" / "alphas" / "photo.png")
    assert import_annotations(studio.store, project.id, "local", tmp_path / "set").problems == []
    (made,) = studio.store.annotations(image.id)
    assert isinstance(made.shape, Alpha) and made.class_name == "object"


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda m: m["files"].update(alpha="../../secret.png"), "does not lie beside"),
        (lambda m: m["files"].update(alpha="/etc/passwd"), "does not lie beside"),
        (lambda m: m["files"].update(alpha="alphas/gone.png"), "is not there"),
        (lambda m: m["files"].update(alpha=LIST), "not a PNG"),
        (lambda m: m.update({"class": ""}), "no name"),
        (lambda m: m.update(prompt={"points": [["x"]]}), "prompt"),
        (lambda m: m.update(source="god"), "god"),
        (lambda m: m.update(files=None), "names no alpha"),
    ],
)
def test_a_broken_list_loses_that_matte_alone(studio, project, scene, tmp_path, break_it, words):
    image, picture, _ = scene
    export_annotations(studio.store, project.id, "matting", tmp_path / "out", drafts=True)
    data = json.loads((tmp_path / "out" / LIST).read_text())
    break_it(data["images"][0]["mattes"][0])
    (tmp_path / "out" / LIST).write_text(json.dumps(data))
    other = studio.store.create_project("Again", "local")
    add(studio, other.id, picture)
    back = import_annotations(studio.store, other.id, "local", tmp_path / "out")
    assert back.annotations == 1 and any(words in problem for problem in back.problems)


def test_an_alpha_of_another_size_is_left_out(studio, project, scene, tmp_path):
    image, picture, _ = scene
    export_annotations(studio.store, project.id, "matting-alphas", tmp_path / "out", drafts=True)
    for file in (tmp_path / "out" / "alphas").rglob("*.png"):
        file.write_bytes(png(np.zeros((60, 80), np.uint8)))
    other = studio.store.create_project("Again", "local")
    add(studio, other.id, picture)
    back = import_annotations(studio.store, other.id, "local", tmp_path / "out")
    assert back.annotations == 0 and any("mattes are not scaled" in p for p in back.problems)
