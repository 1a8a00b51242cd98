"""Asking about many images: into columns and tags, people's answers kept, failures told, and all of it undone."""

from __future__ import annotations

import time

import pytest

from studio.annotations import Annotation, Label
from studio.errors import BadInput, Conflict, NotAllowed, NotFound
from studio.operations import ask_jobs, jobs, reports
from studio.operations.ask import Query
from studio.project import Change, ColumnFilter
from tests.ask.world import NUMBERS, studio_of_answers
from tests.predict.squares import add_pictures

COUNT = Query("teller", "How many squares?")
TAGS = Query("teller", "How many squares?", into="tag", template="squares: {answer}")


@pytest.fixture
def world(tmp_path):
    studio, teller, disc = studio_of_answers(tmp_path)
    yield studio, teller
    jobs.runs(studio).stop_all()
    studio.close()


@pytest.fixture
def studio(world):
    return world[0]


@pytest.fixture
def teller(world):
    return world[1]


@pytest.fixture
def project(studio):
    return studio.store.create_project("Squares", "ann")


@pytest.fixture
def records(studio, project):
    return add_pictures(studio.store, project.id, 8)


def run(studio, project, records, query, **more):
    job = ask_jobs.begin(studio, "ann", project.id, query, [r.id for r in records], **more)
    return ended(studio, job)


def ended(studio, job):
    jobs.runs(studio).get(job.id).wait(30)
    return studio.store.job(job.id)


def values(studio, project, records, name: str = "squares") -> list[str | None]:
    column = ask_jobs.column_named(studio, project.id, name)
    cells = studio.store.cells(project.id, [r.id for r in records])
    return [cells[r.id][column.id].value if column.id in cells.get(r.id, {}) else None for r in records]


def tags(studio, records) -> list[list[tuple[str, bool]]]:
    return [
        [(a.class_name, a.draft) for a in studio.store.annotations(r.id) if isinstance(a.shape, Label)]
        for r in records
    ]


def test_answers_go_into_a_column_and_one_undo_takes_them_back(studio, project, records):
    job = run(studio, project, records, COUNT, column_name=" squares ")
    assert (job.state, job.done, job.title) == ("done", 8, "How many squares? — Teller")
    assert values(studio, project, records) == list(NUMBERS) * 2
    (column,) = studio.store.columns(project.id)
    assert (column.name, column.question, column.model, column.answers) == (
        "squares", "How many squares?", "teller", 8,
    )  # fmt: skip
    assert studio.store.image_ids(project.id, column=ColumnFilter(column.id, "is", "TWO")) == [
        records[2].id, records[6].id,
    ]  # fmt: skip
    told = reports.report(studio, "ann", job.id)
    assert sorted(told.answers) == [(each, 2) for each in sorted(NUMBERS)]
    assert told.sentence().startswith("8 of 8 images done: 8 answers written, 0 there already")
    assert jobs.undo(studio, "ann", job.id) == 8
    assert values(studio, project, records) == [None] * 8
    assert all(r.version == studio.store.image(r.id).version for r in records), "the images are as they were"


def test_what_a_person_wrote_is_never_overwritten(studio, project, records):
    column = studio.store.add_column(project.id, "squares", person="ann")
    studio.store.set_cell(column.id, records[1].id, "one, I looked", "ann")
    job = run(
        studio, project, records, Query(**{**COUNT.to_json(), "again": "replace"}), column_name="squares"
    )
    assert values(studio, project, records)[1] == "one, I looked"
    assert reports.report(studio, "ann", job.id).merged == 1
    studio.store.set_cell(column.id, records[2].id, "2", "eve")
    jobs.undo(studio, "ann", job.id)
    assert values(studio, project, records) == [None, "one, I looked", "2", *[None] * 5], "nor by the undo"


def test_only_what_has_no_answer_is_asked_unless_told_to_replace(studio, project, records, teller):
    run(studio, project, records[:3], COUNT, column_name="squares")
    run(studio, project, records, COUNT, column_name="squares")
    assert len(teller.asked) == 8
    with pytest.raises(BadInput, match="has an answer in “squares”"):
        run(studio, project, records, COUNT, column_name="squares")
    teller.answers["How many squares?"] = lambda image: "many"
    again = run(
        studio, project, records, Query("teller", "How many squares?", again="replace"), column_name="squares"
    )
    assert values(studio, project, records) == ["many"] * 8
    jobs.undo(studio, "ann", again.id)
    assert values(studio, project, records) == list(NUMBERS) * 2, "the answers before come back"


def test_answers_become_tags_of_a_form_as_drafts(studio, project, records):
    job = run(studio, project, records, TAGS)
    assert tags(studio, records) == [[(f"squares: {each}", True)] for each in [*NUMBERS] * 2]
    with pytest.raises(BadInput, match="has an answer in its tags"):
        run(studio, project, records, TAGS)
    assert jobs.undo(studio, "ann", job.id) == 8
    assert tags(studio, records) == [[]] * 8


def test_a_new_answer_takes_the_place_of_a_draft_and_of_nothing_else(studio, project, records, teller):
    run(studio, project, records, TAGS)
    accepted = studio.store.annotations(records[0].id)[0]
    studio.store.apply(records[0].id, "ann", [Change(accepted.with_(draft=False))], verb="accept")
    own = Annotation("squares: plenty", Label())
    studio.store.apply(records[1].id, "eve", [Change(own)], verb="tag")
    teller.answers["How many squares?"] = lambda image: "Some."
    job = run(studio, project, records, Query(**{**TAGS.to_json(), "again": "replace"}))
    now = tags(studio, records)
    assert now[0] == [("squares: none", False)], "accepted by a person"
    assert now[1] == [("squares: one", True), ("squares: plenty", False)]
    assert now[2:] == [[("squares: some", True)]] * 6
    jobs.undo(studio, "ann", job.id)
    assert tags(studio, records)[2:] == [[(f"squares: {each}", True)] for each in (*NUMBERS[2:], *NUMBERS)]


def test_tags_of_a_persons_own_count_as_answers(studio, project, records, teller):
    studio.store.apply(records[3].id, "ann", [Change(Annotation("squares: three", Label()))], verb="tag")
    run(studio, project, records, TAGS)
    assert len(teller.asked) == 7 and tags(studio, records)[3] == [("squares: three", False)]


def test_a_job_makes_no_more_different_tags_than_it_may(studio, project, records):
    job = run(studio, project, records, Query(**{**TAGS.to_json(), "most": 2}))
    assert (job.state, job.done, job.failed) == ("done", 4, 4)
    failed = reports.report(studio, "ann", job.id).failed
    assert "one more than the 2 different tags" in failed[0][1]
    assert len(studio.store.classes(project.id)) == 2


def test_only_the_choices_count_and_others_fail_with_their_answer(studio, project, records, teller):
    query = Query("teller", "Any?", choices=("yes", "no"))
    teller.answers["Any?"] = lambda image: "Perhaps." if image.max() < 255 else "Yes, there are."
    job = run(studio, project, records, query, column_name="any")
    assert values(studio, project, records, "any") == [None, "yes", "yes", "yes"] * 2
    assert job.failed == 2 and "Perhaps" in reports.report(studio, "ann", job.id).failed[0][1]
    teller.answers["Any?"] = lambda image: "No"
    jobs.go_on(studio, "ann", job.id)
    assert ended(studio, job).failed == 0, "those that failed are asked once more"
    assert values(studio, project, records, "any") == ["no", "yes", "yes", "yes"] * 2


def test_an_image_that_fails_stops_nothing(studio, project, records, teller):
    studio.store.original_path(records[3]).write_bytes(b"no picture")

    def silent(image):
        if image[-1, -1, 0] == 5:
            raise RuntimeError("the kernel has a bad day")
        return "" if image[-1, -1, 0] == 4 else "ok"

    teller.answers["How many squares?"] = silent
    job = run(studio, project, records, COUNT, column_name="squares")
    assert (job.state, job.done, job.failed) == ("done", 5, 3)
    reasons = [why for _, why in reports.report(studio, "ann", job.id).failed]
    assert "gave no answer" in reasons[1] and "reference" in reasons[2]


def test_a_job_is_paused_goes_on_and_is_cancelled(studio, project, records, teller):
    teller.seconds = 0.05
    job = ask_jobs.begin(studio, "ann", project.id, COUNT, [r.id for r in records], column_name="squares")
    with pytest.raises(Conflict):
        jobs.go_on(studio, "ann", job.id)
    while studio.store.job(job.id).done < 2:
        time.sleep(0.01)
    jobs.pause(studio, "ann", job.id)
    paused = ended(studio, job)
    assert paused.state == "paused" and paused.done < 8
    jobs.go_on(studio, "ann", job.id)
    jobs.cancel(studio, "ann", job.id)
    cancelled = ended(studio, job)
    assert cancelled.state == "cancelled" and cancelled.done < 8
    jobs.undo(studio, "ann", job.id)
    assert values(studio, project, records) == [None] * 8


def test_a_column_that_is_deleted_meanwhile_ends_the_job_with_a_sentence(studio, project, records, teller):
    teller.seconds = 0.05
    job = ask_jobs.begin(studio, "ann", project.id, COUNT, [r.id for r in records], column_name="squares")
    while studio.store.job(job.id).done < 1:
        time.sleep(0.01)
    studio.store.delete_column(studio.store.columns(project.id)[0].id)
    after = ended(studio, job)
    assert after.state == "failed" and "column is not in the project any more" in after.problem
    with pytest.raises(NotFound):
        jobs.go_on(studio, "ann", job.id)
    assert jobs.undo(studio, "ann", job.id) == 0


def test_a_preview_tells_what_would_be_written_and_writes_nothing(studio, project, records, teller):
    query = Query("teller", "How many squares?", choices=("none", "one", "two"))
    told = list(ask_jobs.preview(studio, query, records[:4]))
    assert [each.value for each in told] == ["none", "one", "two", ""]
    assert "not clearly one of" in told[3].problem
    assert studio.store.columns(project.id) == [] and studio.store.jobs(project.id) == []


@pytest.mark.parametrize(
    ("changes", "column", "said"),
    [
        ({"model": "boxer"}, "a", "answers no questions"),
        ({"question": "", "into": "tag"}, "", "caption, which is no tag"),
        ({}, "  ", "what the column is to be called"),
        ({}, "x" * 101, "at most 100 characters"),
        ({"column": "0" * 32}, "", "not in the project any more"),
    ],
)
def test_what_cannot_be_begun_is_told_and_leaves_nothing(studio, project, records, changes, column, said):
    query = Query(**{**COUNT.to_json(), **changes})
    with pytest.raises((BadInput, NotFound), match=said):
        run(studio, project, records, query, column_name=column)
    assert studio.store.jobs(project.id) == [] and studio.store.columns(project.id) == []


def test_a_strangers_project_and_no_images_are_refused(studio, project, records):
    with pytest.raises(NotAllowed):
        ask_jobs.begin(studio, "eve", project.id, COUNT, [records[0].id], column_name="a")
    with pytest.raises(BadInput, match="no image"):
        ask_jobs.begin(studio, "ann", project.id, COUNT, [], column_name="a")
