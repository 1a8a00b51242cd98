"""``studio ask`` and ``studio answers``."""

from __future__ import annotations

import csv

import pytest
from typer.testing import CliRunner

from studio import registry
from studio.__main__ import app
from studio.project import Store
from tests.ask.world import NUMBERS, studio_of_answers
from tests.predict.squares import add_pictures


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with a project, in a process whose models are those of the tests."""
    studio, *_ = studio_of_answers(tmp_path / "data")
    project = studio.store.create_project("Squares", "local")
    add_pictures(studio.store, project.id, 4, "local")
    monkeypatch.setattr(registry.Registry, "discover", classmethod(lambda cls: studio.registry))
    studio.close()
    return tmp_path / "data"


def studio(data, *words: str):
    return CliRunner().invoke(app, ["--data", str(data), *words], catch_exceptions=False)


def test_a_question_goes_into_a_column_and_out_as_a_file(data, tmp_path):
    asked = studio(
        data, "ask", "Squares", "How many squares?", "--model", "teller", "--into", "column:squares"
    )
    assert asked.exit_code == 0, asked.output
    assert "4 of 4 images done: 4 answers written" in asked.output and "none (1)" in asked.output
    target = tmp_path / "answers.csv"
    written = studio(data, "answers", "Squares", str(target), "--column", "squares")
    assert "4 answers of 4 images written" in written.output
    with target.open(encoding="utf-8-sig", newline="") as file:
        assert [line["squares"] for line in csv.DictReader(file)] == list(NUMBERS)
    again = studio(
        data, "ask", "Squares", "How many squares?", "--model", "teller", "--into", "column:squares"
    )
    assert again.exit_code == 1 and "has an answer in “squares”" in again.output
    for wrong, said in ((("answers", "Squares", "a.txt"), ".jsonl"),
                        (("answers", "Squares", "a.csv", "--column", "square"), "squares")):  # fmt: skip
        refused = studio(data, *wrong)
        assert refused.exit_code == 1 and said in refused.output


def test_a_question_goes_into_tags_with_choices(data):
    asked = studio(
        data,
        "ask",
        "Squares",
        "Any?",
        "--model",
        "teller",
        "--into",
        "tag:full: {answer}",
        "--choices",
        "yes,no",
    )
    assert asked.exit_code == 0, asked.output
    store = Store(data)
    (project,) = store.projects("local")
    assert [c.name for c in store.classes(project.id)] == ["full: no", "full: yes"]
    store.close()


@pytest.mark.parametrize("into", ["squares", "row:a", "column:", "tag:same"])
def test_a_place_that_is_none_is_told(data, into):
    refused = studio(data, "ask", "Squares", "Any?", "--model", "teller", "--into", into)
    assert refused.exit_code == 1 and "{answer}" in refused.output
