"""Marks, classes, tags, views and files: what is kept of a ranking, and how it is taken back."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import numpy as np
import pytest

from studio.annotations import Annotation, Box, Label
from studio.errors import BadInput, Cancelled, Conflict, NotAllowed, NotFound
from studio.operations.filtering import calibration, classify, collection, exporting, keeping, search, views
from studio.operations.filtering.calibration import Mark
from studio.operations.filtering.classify import Naming
from studio.operations.filtering.query import Query, Term, read_phrases
from studio.operations.filtering.views import View
from studio.project import Change
from studio.vectors import Vectors
from tests.filter.conftest import COLOURS, add, embed, names, painted
from tests.filter.test_vectors import digests

COLOUR_NAMES = tuple(COLOURS)


def ranked(studio, project, text: str) -> search.Ranking:
    return search.rank(studio, "local", project.id, "colours", read_phrases(text))


def tags(studio, image_id: str) -> list[tuple]:
    return [(a.class_name, a.draft, a.source) for a in studio.store.annotations(image_id)]


# ---- marks ----------------------------------------------------------------------------------------


def scored(tmp_path, scores: np.ndarray) -> search.Ranking:
    """A ranking of so many images with these scores."""
    file = Vectors(tmp_path).of("m", "1")
    made = np.stack([scores, np.sqrt(1 - scores**2)], 1).astype(np.float32)
    file.append(digests(len(scores)), made)
    ids = tuple(f"{i:032x}" for i in range(len(scores)))
    found = collection.Collection("p", "m", ids, np.arange(len(scores)), 0, 0, "s", file)
    return search.ranked(found, Query((Term("x"),)), np.array([[1.0, 0.0]]))


@pytest.mark.parametrize("wish", ["precision", "recall"])
def test_a_dozen_marks_set_a_threshold_that_keeps_its_promise(tmp_path, wish):
    errors, covered = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        right = rng.random(3000) < 0.2
        scores = np.clip(np.where(right, 0.30, 0.20) + rng.normal(0, 0.03, 3000), 0, 1)
        ranking = scored(tmp_path / str(seed), scores)
        marks: list[Mark] = []
        while len(marks) < 40:
            wanted = calibration.to_mark(ranking, marks, 8)
            assert not {m.image for m in marks} & set(wanted)
            marks += [Mark(i, bool(right[int(i, 16)])) for i in wanted]
        advice = calibration.advise(ranking, marks, wish=wish, at=0.85)
        kept = ranking.scores >= np.float32(advice.threshold)
        assert kept.sum() == advice.kept
        true = right[kept].mean() if wish == "precision" else right[kept].sum() / right.sum()
        expected, low, high = advice.precision if wish == "precision" else advice.recall
        errors.append(abs(true - 0.85))
        covered.append(low - 0.05 <= true <= high + 0.05)
    assert np.mean(errors) < 0.07, errors
    assert np.mean(covered) >= 0.75, "the interval says how far it may be off"


def test_marks_of_one_kind_ask_for_the_other(tmp_path):
    ranking = scored(tmp_path, np.linspace(0.1, 0.5, 300))
    top = [i for i, _ in ranking.top(5)]
    advice = calibration.advise(ranking, [Mark(i, True) for i in top])
    assert "mark some wrong ones too" in advice.sentence and not advice.sure
    assert "mark some right ones" in calibration.advise(ranking, [Mark(i, False) for i in top]).sentence
    with pytest.raises(BadInput, match="two at least"):
        calibration.advise(ranking, [Mark(top[0], True), Mark("0" * 31 + "z", False)])
    with pytest.raises(BadInput, match="between 0 and 1"):
        calibration.advise(ranking, [Mark(i, True) for i in top], at=1.5)
    assert len(set(calibration.to_mark(ranking, (), 8))) == 8


def test_a_ranking_that_knows_nothing_says_that_the_wish_cannot_be_met(tmp_path):
    rng = np.random.default_rng(0)
    ranking = scored(tmp_path, rng.uniform(0.1, 0.5, 500))
    marks = [Mark(ranking.collection.ids[i], bool(i % 2)) for i in range(40)]
    advice = calibration.advise(ranking, marks, at=0.95)
    assert "cannot be reached" in advice.sentence and not advice.sure


# ---- classes --------------------------------------------------------------------------------------


def test_images_are_sorted_by_the_names_of_classes(studio, embedded):
    found = classify.classify(studio, "local", embedded.id, "colours", Naming(COLOUR_NAMES))
    assert found.counts() == {"": 0, **dict.fromkeys(COLOUR_NAMES, 3)}
    for place, image_id in enumerate(found.collection.ids):
        assert names(studio, [image_id])[0].startswith(found.name_of(place))
    assert (found.margin >= 0).all() and (found.confidence > 1 / 4).all()
    none = classify.classify(studio, "local", embedded.id, "colours", Naming(COLOUR_NAMES, least=0.999999))
    assert none.counts()[""] == 12
    assert len(found.packed()) > 12 * 12


def test_classes_described_by_phrases_of_their_own(studio, embedded):
    naming = Naming(("warm", "cold"), {"warm": ("red", "yellow"), "cold": ("blue", "green")})
    found = classify.classify(studio, "local", embedded.id, "colours", naming)
    assert found.counts() == {"": 0, "warm": 6, "cold": 6}
    assert Naming.from_json(json.loads(json.dumps(naming.to_json()))) == naming


@pytest.mark.parametrize("classes", [(), ("one",), ("a", "a"), ("a", " "), ("a", "b" * 101)])
def test_classes_that_cannot_be_told_apart_are_refused(studio, embedded, classes):
    with pytest.raises(BadInput):
        classify.classify(studio, "local", embedded.id, "colours", Naming(classes))


def test_classes_become_drafts_that_one_undo_takes_back(studio, embedded):
    found = classify.classify(studio, "local", embedded.id, "colours", Naming(COLOUR_NAMES))
    mine = found.collection.ids[0]
    studio.store.apply(mine, "local", [Change(Annotation("blue", Label()))], verb="put")
    kept = classify.write_tags(studio, "local", found)
    assert (kept.images, kept.left) == (11, 1) and tags(studio, mine) == [("blue", False, "person")]
    (tag,) = studio.store.annotations(found.collection.ids[4])
    assert (tag.class_name, tag.draft, tag.model, tag.model_version) == ("green", True, "colours", "1")
    assert tag.score == pytest.approx(float(found.confidence[4]))
    again = classify.classify(studio, "local", embedded.id, "colours", Naming(("red", "green", "blue")))
    classify.write_tags(studio, "local", again)
    assert all(len(studio.store.annotations(i)) == 1 for i in found.collection.ids[:9])
    assert studio.store.undo_group(kept.group, "local") <= 11
    studio.store.delete_images([mine], "local")
    first = classify.classify(studio, "local", embedded.id, "colours", Naming(COLOUR_NAMES))
    kept = classify.write_tags(studio, "local", first)
    assert studio.store.undo_group(kept.group, "local") == kept.images


def test_what_people_say_is_held_against_it_and_mends_it(studio, embedded):
    found = classify.classify(studio, "local", embedded.id, "colours", Naming(COLOUR_NAMES))
    classify.write_tags(studio, "local", found)
    first, second, third = found.collection.ids[:3]
    assert classify.confusion(studio, "local", found).accuracy is None
    classify.correct(studio, "local", first, "red", COLOUR_NAMES)  # confirms
    classify.correct(studio, "local", second, "blue", COLOUR_NAMES)
    classify.correct(studio, "local", third, None, COLOUR_NAMES)
    assert tags(studio, first) == [("red", False, "model")]
    assert tags(studio, second) == [("blue", False, "person")] and tags(studio, third) == []
    table = classify.confusion(studio, "local", found)
    assert table.accuracy == 0.5 and table.matrix.sum() == 2
    assert table.matrix[2, 0] == 1 and table.cells[2, 0] == (second,)
    studio.store.undo(second, "local")
    assert tags(studio, second) == [("red", True, "model")]
    with pytest.raises(NotFound):
        classify.correct(studio, "somebody", first, "red", COLOUR_NAMES)


def test_classes_go_out_as_folders_and_as_a_table(studio, embedded):
    add(studio, embedded.id, "=cmd() red.png", painted((220, 30, 30), seed=77))
    embed(studio, embedded.id)
    found = classify.classify(studio, "local", embedded.id, "colours", Naming(COLOUR_NAMES))
    classify.correct(studio, "local", found.collection.ids[0], "blue", COLOUR_NAMES)
    pieces = list(classify.export_folders(studio, "local", found))
    assert len(pieces) > 13
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as packed:
        inside = packed.namelist()
        assert packed.testzip() is None and len(inside) == 13
        assert "blue/red 0.png" in inside and "green/green 1.png" in inside
    rows = list(csv.reader(io.StringIO("".join(classify.export_csv(studio, "local", found)))))
    assert rows[0] == ["id", "name", "class", "confidence", "by"] and len(rows) == 14
    assert rows[1][2::2] == ["blue", "person"]
    assert rows[13][1] == "'=cmd() red.png" and float(rows[13][3]) <= 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "  =1"])
def test_no_text_in_a_table_is_a_formula(text):
    line = "".join(exporting.table(("a",), [(text, -0.5)]))
    assert list(csv.reader(io.StringIO(line)))[1] == [f"'{text}", "-0.5"]


# ---- kept -----------------------------------------------------------------------------------------


def test_a_tag_with_its_score_is_one_undo(studio, embedded):
    ranking = ranked(studio, embedded, "red")
    kept = keeping.tag(studio, "local", embedded.id, "colours", ranking.top(3), "warm")
    assert kept.images == 3
    (tag,) = studio.store.annotations(ranking.top(1)[0][0])
    assert (tag.class_name, tag.draft, tag.score) == ("warm", True, pytest.approx(ranking.top(1)[0][1]))
    again = keeping.tag(
        studio, "local", embedded.id, "colours", [(i, 0.5) for i, _ in ranking.top(4)], "warm"
    )
    assert again.images == 4 and len(studio.store.annotations(ranking.top(1)[0][0])) == 1
    assert studio.store.undo_group(again.group, "local") == 4
    assert studio.store.annotations(ranking.top(1)[0][0])[0].score == pytest.approx(ranking.top(1)[0][1])
    assert studio.store.undo_group(kept.group, "local") == 3
    assert all(not studio.store.annotations(i) for i in ranking.collection.ids)


def test_tagging_can_be_stopped_and_is_for_those_who_may_see(studio, embedded):
    ranking = ranked(studio, embedded, "red")
    with pytest.raises(Cancelled):
        keeping.tag(studio, "local", embedded.id, "colours", ranking.top(3), "warm", cancelled=lambda: True)
    with pytest.raises(NotAllowed):
        keeping.tag(studio, "somebody", embedded.id, "colours", ranking.top(3), "warm")
    other = studio.store.create_project("other", "local")
    assert keeping.tag(studio, "local", other.id, "colours", ranking.top(3), "warm").images == 0


def test_a_project_of_its_own_shares_files_and_takes_labels_along(studio, embedded):
    ranking = ranked(studio, embedded, "blue")
    chosen = [i for i, _ in ranking.top(3)]
    studio.store.add_class(embedded.id, "thing", "#123456")
    box = Annotation("thing", Box(1, 1, 9, 9))
    studio.store.apply(chosen[1], "local", [Change(box)], verb="put")
    studio.store.set_status(chosen[2], "done", "local")
    made = keeping.new_project(studio, "local", embedded.id, chosen, "Blue ones")
    copies = studio.store.images(made.id)
    assert [c.name for c in copies] == names(studio, chosen) and made.image_count == 3
    assert studio.store.annotations(copies[1].id)[0].shape == box.shape and copies[2].status == "done"
    assert [c.colour for c in studio.store.classes(made.id)] == ["#123456"]
    assert studio.store.original_path(copies[0]) == studio.store.original_path(studio.store.image(chosen[0]))
    studio.store.delete_project(embedded.id)
    assert studio.store.original_path(copies[0]).is_file(), "files stay as long as somebody uses them"
    assert len(collection.collection(studio, "local", made.id, "colours")) == 3, "vectors are there already"
    bare = keeping.new_project(studio, "local", made.id, [c.id for c in copies], "Bare", labels=False)
    assert not studio.store.classes(bare.id)


def test_a_project_of_nothing_or_that_was_stopped_is_not_made(studio, embedded):
    before = studio.store.projects("local")
    with pytest.raises(BadInput, match="No image is chosen"):
        keeping.new_project(studio, "local", embedded.id, [], "Empty")
    ids = studio.store.image_ids(embedded.id)
    with pytest.raises(Cancelled):
        keeping.new_project(studio, "local", embedded.id, ids, "Stopped", cancelled=lambda: True)
    assert studio.store.projects("local") == before


def test_images_out_of_view_are_found_no_more_and_come_back(studio, embedded):
    ranking = ranked(studio, embedded, "red")
    top = [i for i, _ in ranking.top(3)]
    assert keeping.hide(studio, "local", embedded.id, [*top, "0" * 32]).images == 3
    assert keeping.hide(studio, "local", embedded.id, top).images == 0
    now = ranked(studio, embedded, "red")
    assert len(now.order) == 9 and not set(top) & set(now.collection.ids) and now.collection.hidden == 3
    assert [i.id for i in keeping.hidden(studio, "local", embedded.id)] == sorted(
        top, key=ranking.collection.ids.index
    )
    assert (
        studio.store.count_images(embedded.id) == 12
        and studio.store.count_images(embedded.id, hidden=False) == 9
    )
    shown = search.rank(studio, "local", embedded.id, "colours", read_phrases("red"), with_hidden=True)
    assert len(shown.order) == 12
    assert all(studio.store.original_path(studio.store.image(i)).is_file() for i in top)
    assert keeping.show(studio, "local", embedded.id).images == 3
    assert len(ranked(studio, embedded, "red").order) == 12
    with pytest.raises(NotAllowed):
        keeping.hide(studio, "somebody", embedded.id, top)


def test_a_view_is_saved_changed_and_looked_at_again(studio, embedded):
    ranking = ranked(studio, embedded, "red NOT blue")
    marks = (Mark(ranking.top(1)[0][0], True),)
    view = View("Reds", "colours", ranking.query, threshold=0.6, top=2, marks=marks)
    saved = views.save(studio, "local", embedded.id, view)
    assert views.listed(studio, "local", embedded.id) == [saved]
    assert (saved.query, saved.threshold, saved.marks) == (view.query, 0.6, marks)
    _, kept = views.look(studio, "local", embedded.id, saved)
    assert len(kept) == 2 and names(studio, [kept[0][0]])[0].startswith("red")
    with pytest.raises(Conflict, match="Reds"):
        views.save(studio, "local", embedded.id, View("Reds", "colours", ranking.query))
    other = views.save(studio, "local", embedded.id, View("All", "colours", ranking.query, id=saved.id))
    assert [v.name for v in views.listed(studio, "local", embedded.id)] == ["All"] and other.id == saved.id
    with pytest.raises(NotFound):
        views.view_for(studio, "somebody", saved.id)
    with pytest.raises(NotFound):
        views.delete(studio, "somebody", saved.id)
    views.delete(studio, "local", saved.id)
    assert views.listed(studio, "local", embedded.id) == []


def test_ids_and_scores_go_out(studio, embedded):
    ranking = ranked(studio, embedded, "red")
    rows = list(
        csv.reader(io.StringIO("".join(exporting.scores_csv(studio, "local", embedded.id, ranking.top(2)))))
    )
    assert [row[0] for row in rows[1:]] == [i for i, _ in ranking.top(2)]
    lines = [json.loads(x) for x in exporting.scores_jsonl(studio, "local", embedded.id, ranking.top(2))]
    assert lines[0] == {
        "id": ranking.top(1)[0][0],
        "name": rows[1][1],
        "score": round(ranking.top(1)[0][1], 6),
    }
    with pytest.raises(NotAllowed):
        exporting.scores_csv(studio, "somebody", embedded.id, ranking.top(2))
