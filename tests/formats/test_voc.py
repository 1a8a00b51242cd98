from __future__ import annotations

from pathlib import Path

import pytest

from studio.annotations import Annotation, Box
from studio.formats import Imported, format_of
from tests.formats.conftest import SIZES, shapes
from tests.formats.samples import one_image

VOC = format_of("voc")


def box(x0: object, y0: object, x1: object, y1: object) -> str:
    corners = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    return f"<object><name>dog</name><bndbox>{corners}</bndbox></object>"


SOUND = box(1, 1, 640, 480).replace("dog", "cat")


def read(folder: Path, *objects: str, head: str = "<filename>a.jpg</filename>", before: str = "") -> Imported:
    text = f"{before}<annotation>{head}{''.join(objects)}</annotation>"
    (folder / "a.xml").write_text(text, encoding="utf-8", errors="surrogatepass")
    return VOC.read(folder, SIZES)


def test_pixels_count_from_one_and_the_last_belongs_to_the_box(tmp_path):
    assert shapes(read(tmp_path, SOUND, box(11, 21, 11, 21))) == [Box(0, 0, 640, 480), Box(10, 20, 11, 21)]
    written = VOC.write(one_image(Annotation("cat", Box(0, 0, 40, 30))), tmp_path / "out")
    text = written.files[0].read_text()
    for part in ("<xmin>1<", "<ymin>1<", "<xmax>40<", "<ymax>30<", "<width>40<", "<filename>a.jpg<"):
        assert part in text


def test_a_file_that_counts_from_zero_is_cut_without_a_word(tmp_path):
    found = read(tmp_path, box(0, 0, 640, 480))
    assert shapes(found) == [Box(0, 0, 640, 480)] and not found.problems


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (box(10, 10, 5, 20), "negative size"),
        (box(700, 10, 720, 20), "outside the image"),
        (box("nan", 1, 2, 3), "not finite"),
        (box("1e999", 1, 2, 3), "not finite"),
        (box("x", 1, 2, 3), "xmin is not a number"),
        (box("", 1, 2, 3), "xmin is not a number"),
        ("<object><name>cat</name></object>", "no bndbox"),
        ("<object><bndbox/></object>", "no name"),
        ("<object/>", "no name"),
    ],
)
def test_an_unsound_object_is_named_and_the_sound_one_kept(tmp_path, bad, reason):
    found = read(tmp_path, bad, SOUND)
    assert shapes(found) == [Box(0, 0, 640, 480)]
    assert len(found.problems) == 1 and reason in found.problems[0]
    assert found.problems[0].startswith("a.xml, object 1")


def test_a_box_over_the_edge_is_cut_and_reported(tmp_path):
    found = read(tmp_path, box(601, 1, 700, 10))
    assert shapes(found) == [Box(600, 0, 640, 10)] and "was cut" in found.problems[0]


def test_parts_of_an_object_are_not_objects(tmp_path):
    part = SOUND.replace(
        "</object>", "<part><name>head</name><bndbox><xmin>5</xmin></bndbox></part></object>"
    )
    assert len(shapes(read(tmp_path, part))) == 1


def test_boxes_are_scaled_to_an_image_of_another_size(tmp_path):
    head = "<filename>a.jpg</filename><size><width>320</width><height>240</height></size>"
    assert shapes(read(tmp_path, box(11, 11, 20, 20), head=head)) == [Box(20, 20, 40, 40)]


def test_a_wrong_filename_gives_way_to_the_files_own(tmp_path):
    assert shapes(read(tmp_path, SOUND, head="<filename>other.jpg</filename>")) == [Box(0, 0, 640, 480)]


BOMB = '<!DOCTYPE x [<!ENTITY a "{}"><!ENTITY b "{}">]>'.format("x" * 1000, "&a;" * 1000)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("before", [BOMB, OUTSIDE])
def test_entities_are_refused_by_name_and_other_files_read(tmp_path, before):
    (tmp_path / "b.xml").write_text(f"<annotation><filename>b.jpg</filename>{box(1, 1, 9, 9)}</annotation>")
    found = read(tmp_path, "<object><name>&b;</name></object>", before=before)
    assert found.problems == [
        "a.xml: left out: it defines XML entities, which no VOC file needs and which can be a bomb."
    ]
    assert len(shapes(found, "b.jpg")) == 1


@pytest.mark.parametrize(
    "text", ["", "<", "<annotation>", "<html/>", "\x00", "<annotation>" + "<a>" * 50_000, "é" * 100, "{}"]
)
def test_what_is_no_voc_is_named(tmp_path, text):
    (tmp_path / "a.xml").write_text(text, encoding="latin-1")
    found = VOC.read(tmp_path / "a.xml", SIZES)
    assert not any(found.annotations.values()) and found.problems[0].startswith("a.xml: ")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_a_declared_encoding_may_be_wrong(tmp_path, encoding):
    text = f"<?xml version='1.0' encoding='ascii'?><annotation><filename>a.jpg</filename>{SOUND}</annotation>"
    (tmp_path / "a.xml").write_bytes(text.replace("cat", "Füße").encode(encoding))
    assert [a.class_name for a in VOC.read(tmp_path, SIZES).annotations["a.jpg"]] == ["Füße"]
