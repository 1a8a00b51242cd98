"""Answers as files: for spreadsheets, in which nothing is run, and for programs."""

from __future__ import annotations

import csv
import json

import pytest

from studio.annotations import Annotation, Label
from studio.errors import BadInput, Cancelled, NotFound, StudioError
from studio.operations.answer_files import kind_of, safe, write_answers
from studio.project import Change, Store
from tests.predict.squares import add_pictures


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def project(store):
    return store.create_project("p", "ann").id


@pytest.fixture
def records(store, project):
    return add_pictures(store, project, 3)


@pytest.fixture
def ripe(store, project, records):
    column = store.add_column(project, "ripe")
    store.set_cell(column.id, records[0].id, 'yes, "very"\nripe', "ann")
    store.set_cell(column.id, records[1].id, "=cmd|' /C calc'!A0", "ann")
    store.apply(records[1].id, "ann", [Change(Annotation(t, Label())) for t in ("+a", "b")], verb="tag")
    return column


def table(path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_a_table_has_a_line_for_each_image_and_no_formula(store, project, records, ripe, tmp_path):
    store.add_column(project, "@size")
    written = write_answers(store, project, tmp_path / "a.csv", "csv")
    assert (written.images, written.answers) == (3, 2)
    assert table(tmp_path / "a.csv") == [
        ["image", "ripe", "'@size", "tags"],
        ["0000.png", 'yes, "very"\nripe', "", ""],
        ["0001.png", "'=cmd|' /C calc'!A0", "", "'+a; b"],
        ["0002.png", "", "", ""],
    ]
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf"), "spreadsheets read it as UTF-8"


def test_lines_for_programs_say_who_wrote_what(store, project, records, ripe, tmp_path):
    write_answers(store, project, tmp_path / "a.jsonl", "jsonl", answered=True)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert [line["image"] for line in lines] == ["0000.png", "0001.png"]
    assert lines[1]["answers"]["ripe"]["value"] == "=cmd|' /C calc'!A0", "as it is"
    assert lines[0]["answers"]["ripe"]["model"] is None and lines[0]["id"] == records[0].id
    assert lines[1]["tags"] == [{"name": "+a", "draft": False}, {"name": "b", "draft": False}]


@pytest.mark.parametrize(
    "text", ["=1", "+a", "-a", "@a", "\t=1", " =1", "＝1", "-1+cmd|'/C calc'!A0", "\r=1"]
)
def test_what_a_spreadsheet_would_run_is_made_text(text):
    assert safe(text) == "'" + text


@pytest.mark.parametrize("text", ["", "yes", "-5", "+3.2e1", "a=b", "3 - 2", "'=1"])
def test_everything_else_stays_as_it_is(text):
    assert safe(text) == text


def test_only_some_columns_are_written(store, project, records, ripe, tmp_path):
    other = store.add_column(project, "size")
    store.set_cell(other.id, records[2].id, "large", "ann")
    written = write_answers(store, project, tmp_path / "a.csv", "csv", columns=[other.id])
    assert written.answers == 1 and table(tmp_path / "a.csv")[0] == ["image", "size", "tags"]
    with pytest.raises(NotFound):
        write_answers(store, project, tmp_path / "a.csv", "csv", columns=["0" * 32])


def test_a_file_is_whole_or_not_there(store, project, records, ripe, tmp_path):
    with pytest.raises(Cancelled):
        write_answers(store, project, tmp_path / "a.csv", "csv", cancelled=lambda: True)
    with pytest.raises(StudioError, match="cannot be written"):
        write_answers(store, project, tmp_path / "nowhere" / "a.csv", "csv")
    assert [p.name for p in tmp_path.iterdir()] == ["data"]
    with pytest.raises((BadInput, NotFound), match="csv"):
        write_answers(store, project, tmp_path / "a.xls", "xls")
    assert kind_of(tmp_path / "a.CSV") == "csv" and kind_of(tmp_path / "a.jsonl") == "jsonl"
    with pytest.raises(BadInput, match=".jsonl"):
        kind_of(tmp_path / "a.txt")
