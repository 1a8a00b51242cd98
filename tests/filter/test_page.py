"""The Filter page's server function: what it answers, and that what a page sends is read with suspicion."""

from __future__ import annotations

import base64
import json
import time

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from studio.annotations import Label
from studio.gallery.filter.prepared import prepared_routes
from studio.gallery.filter.server import answer_filter
from tests.filter.conftest import COLOURS, add, embed, painted

RED = {"terms": [{"text": "red"}], "how": "all", "templates": "as written"}


@pytest.fixture
def ask(studio, project):
    embed(studio, project.id)
    answer = answer_filter(studio)

    def asked(op, **more):
        found = answer({"op": op, "seq": 1, "project": project.id, "model": "colours", "stamp": "", **more})
        assert found["ok"], found
        return found

    asked.refused = lambda op, **more: answer({"op": op, "project": project.id, "model": "colours", **more})
    return asked


def unpack(text, kind):
    return np.frombuffer(base64.b64decode(text), kind)


def ids_of(answer):
    raw = base64.b64decode(answer["roster"]["ids"])
    return [raw[i : i + 16].hex() for i in range(0, len(raw), 16)]


def sent(ids):
    return base64.b64encode(bytes.fromhex("".join(ids))).decode()


def finished(ask, work, **more):
    token = ask("work", work=work, **more)["token"]
    deadline = time.monotonic() + 30
    while not (now := ask("look", token=token))["ended"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return now["result"]


def test_scores_come_in_the_order_of_the_ids_which_are_sent_once(ask, studio, project):
    answer = ask("rank", query=RED)
    ids = ids_of(answer)
    scores, order = unpack(answer["scores"], "<f4"), unpack(answer["head"], "<u4")
    assert ids == studio.store.image_ids(project.id)
    assert (np.diff(scores[order]) <= 1e-6).all() and "red" in studio.store.image(ids[order[0]]).name
    again = ask("rank", query=RED, stamp=answer["roster"]["stamp"])
    assert "roster" not in again and again["scores"] == answer["scores"]
    studio.store.hide_images(project.id, ids[:1], "local")
    assert ids_of(ask("rank", query=RED, stamp=answer["roster"]["stamp"])) == ids[1:]


def test_the_state_tells_how_many_are_ready(ask, studio, project):
    total = studio.store.count_images(project.id)
    add(studio, project.id, "new.png", painted(COLOURS["red"], seed=99))
    state = ask("state")
    assert (state["total"], state["embedded"], state["job"]["state"]) == (total + 1, total, "done")
    ask("begin")
    deadline = time.monotonic() + 20
    while ask("state")["embedded"] <= total:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_tags_carry_scores_and_are_taken_back(ask, studio, project):
    ranked = ask("rank", query=RED)
    ids, order = ids_of(ranked), unpack(ranked["head"], "<u4")
    best = [ids[i] for i in order[:2]]
    done = finished(ask, "tag", images=sent(best), query=RED, **{"class": "rot"})
    assert done["images"] == 2
    tag = studio.store.annotations(best[0])[0]
    assert tag.draft and isinstance(tag.shape, Label)
    assert tag.score == pytest.approx(unpack(ranked["scores"], "<f4")[order[0]], abs=1e-6)
    ask("undo", group=done["group"])
    assert not studio.store.annotations(best[0])


def test_a_tag_without_a_query_has_no_score(ask, studio, project):
    first = studio.store.image_ids(project.id)[0]
    finished(ask, "tag", images=sent([first]), draft=False, **{"class": "mine"})
    (tag,) = studio.store.annotations(first)
    assert tag.score is None and not tag.draft


def test_a_new_project_and_deleting(ask, studio, project):
    ids = studio.store.image_ids(project.id)
    made = finished(ask, "new_project", images=sent(ids[:2]), name="Two")
    assert studio.store.count_images(made["project"]) == made["images"] == 2
    assert finished(ask, "delete", images=sent(ids[:1]))["deleted"] == 1
    assert studio.store.image_ids(project.id) == ids[1:]


def test_hidden_images_come_back(ask, studio, project):
    ids = studio.store.image_ids(project.id)
    assert ask("hide", images=sent(ids[:3]))["images"] == 3
    assert [each["id"] for each in ask("hidden")["images"]] == ids[:3]
    ask("show", images=sent(ids[:1]))
    assert ask("hidden")["total"] == 2
    ask("show", all=True)
    assert ask("hidden")["total"] == 0


def test_views_keep_query_threshold_and_marks(ask, studio, project):
    first = studio.store.image_ids(project.id)[0]
    view = {"name": "reds", "query": RED, "threshold": 0.25, "keep": "below", "top": 7}
    saved = ask("save_view", view={**view, "marks": [{"image": first, "right": True}]})
    (line,) = saved["views"]
    assert {key: line[key] for key in ("name", "threshold", "keep", "top")} == {
        key: view[key] for key in ("name", "threshold", "keep", "top")
    }
    assert line["query"]["templates"] == "as written" and line["marks"] == [{"image": first, "right": True}]
    assert ask("delete_view", view=saved["view"])["views"] == []


def test_marks_set_a_threshold_and_more_are_proposed(ask, studio, project):
    ranked = ask("rank", query=RED)
    ids, order = ids_of(ranked), unpack(ranked["head"], "<u4")
    marks = [{"image": ids[order[0]], "right": True}, {"image": ids[order[-1]], "right": False}]
    advice = ask("advise", query=RED, marks=marks, wish="recall", at=0.9)
    scores = unpack(ranked["scores"], "<f4")
    assert scores[order[-1]] < advice["threshold"] <= scores[order[0]] and advice["sentence"]
    rows = ask("suggest", query=RED, marks=marks)["rows"]
    assert rows and not {ids[row] for row in rows} & {mark["image"] for mark in marks}


def test_classes_and_what_people_say_of_them(ask, studio, project):
    naming = {"classes": ["red", "green", "blue", "yellow"], "phrases": {}, "templates": "as written"}
    answer = ask("classify", naming=naming)
    ids, best = ids_of(answer), unpack(answer["best"], "<i2")
    assert all(naming["classes"][b] in studio.store.image(i).name for i, b in zip(ids, best, strict=True))
    assert (unpack(answer["given"], "<i2") == -1).all()
    ask("correct", image=ids[0], classes=naming["classes"], **{"class": "blue"})
    assert unpack(ask("classify", naming=naming)["given"], "<i2")[0] == 2
    ask("undo", image=ids[0])
    assert unpack(ask("classify", naming=naming)["given"], "<i2")[0] == -1
    done = finished(ask, "write_tags", naming=naming, images=sent(ids), least=0.0)
    assert done["images"] == len(ids)


def test_duplicates_outliers_and_the_map_are_of_the_roster_they_come_with(ask, studio, project):
    for work, more in (("outliers", {"way": "distance"}), ("map", {"way": "pca"})):
        found = finished(ask, work, **more)
        assert ids_of(found) == studio.store.image_ids(project.id)
    points = unpack(found["points"], "<f4")
    assert len(points) == 2 * studio.store.count_images(project.id) and 0 <= points.min() <= points.max() <= 1
    groups = finished(ask, "duplicates", likeness=0.9)["groups"]
    assert all(len(group["rows"]) > 1 for group in groups)


def test_files_are_for_the_person_who_asked(ask, studio, project, monkeypatch):
    ids = studio.store.image_ids(project.id)
    url = ask("export", format="jsonl", images=sent(ids[:2]), query=RED)["url"]
    app = FastAPI()
    app.include_router(prepared_routes(studio))
    with TestClient(app) as client:
        lines = [json.loads(line) for line in client.get(f"/{url}").text.splitlines()]
        assert [line["id"] for line in lines] == ids[:2] and lines[0]["score"] is not None
        monkeypatch.setattr(studio, "person", lambda request=None: "somebody else")
        assert client.get(f"/{url}").status_code == 404
        assert client.get("/media/prepared/nonsense").status_code == 404


@pytest.mark.parametrize(
    ("op", "request_"),
    [
        ("rank", {}),
        ("rank", {"query": {"terms": []}}),
        ("rank", {"query": {**RED, "templates": ["{}" * 3]}}),
        ("rank", {"query": RED, "model": "none"}),
        ("rank", {"query": RED, "project": "other"}),
        ("advise", {"query": RED, "marks": "x", "at": 0.9}),
        ("advise", {"query": RED, "marks": [], "at": "much"}),
        ("suggest", {"query": RED, "marks": [{"wrong": 1}]}),
        ("hide", {"images": "%%%"}),
        ("hide", {"images": base64.b64encode(b"short").decode()}),
        ("work", {"work": "format the disk"}),
        ("work", {"work": "duplicates", "likeness": True}),
        ("work", {"work": "tag", "images": ""}),
        ("look", {"token": "guess"}),
        ("classify", {"naming": {"classes": "ab"}}),
        ("classify", {"naming": {"classes": ["one"], "templates": "photo"}}),
        ("save_view", {"view": {"name": "x", "query": RED, "threshold": "high"}}),
        ("uploaded", {"data": base64.b64encode(b"no picture").decode()}),
        ("undo", {"image": "0" * 32}),
    ],
)
def test_nonsense_is_answered_with_a_sentence(ask, op, request_):
    answer = ask.refused(op, **request_)
    assert not answer["ok"] and answer["kind"] != "Bug" and answer["error"].strip(), answer
