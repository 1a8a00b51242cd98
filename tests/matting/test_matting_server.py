"""What the matting stage asks of the server: trimaps, mattes that can be watched and stopped, refinement, files."""

from __future__ import annotations

import io
import json
import threading
import time
import uuid

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from studio.annotations import Alpha, Mask, shape_from_json
from studio.canvas.cut_route import cut_routes
from studio.canvas.matting_server import matting_function
from studio.canvas.working import Tasks
from studio.errors import Cancelled, NotFound
from studio.operations._labelled import Labelled
from studio.operations.propagate import objects
from tests.matting.pictures import add, put_mask, soft_disc


@pytest.fixture
def picture():
    return soft_disc(96, 128)


@pytest.fixture
def image(studio, project, picture):
    return add(studio, project.id, picture[0])


@pytest.fixture
def ask(studio, image):
    function = matting_function(studio)

    def ask(op: str, **request):
        answer = function({"op": op, "seq": 3, "image": image.id, **request})
        assert answer["seq"] == 3
        return json.loads(json.dumps(answer))

    return ask


def ended(ask, op: str, **request):
    begun = ask(op, **request)
    assert begun["ok"], begun
    for _ in range(400):
        seen = ask("look", task=begun["task"])
        if seen.get("ended") or not seen["ok"]:
            return seen
        time.sleep(0.02)
    raise AssertionError("it never ended")


def matted(ask, mask) -> dict:
    return ended(ask, "matte", annotation=mask.id, revision=1, matter="shared-matting")


def test_from_a_click_to_a_matte_that_is_undone_to_the_mask_it_was_made_from(ask, picture):
    name = uuid.uuid4().hex
    cut = ask("segment", model="disc", annotation=name, **{"class": "orange"}, points=[[64, 48, 1]])
    trimap = ask("trimap", annotation=name, band={"pixels": 6})
    unknown = shape_from_json(trimap["unknown"]).to_array()
    assert (
        trimap["ok"]
        and unknown.any()
        and not (unknown & shape_from_json(trimap["foreground"]).to_array()).any()
    )
    wider = ask("trimap", annotation=name, band={"pixels": 9})
    assert wider["share"] > trimap["share"]
    made = ended(
        ask, "matte", annotation=name, revision=cut["annotation"]["revision"], matter="shared-matting",
        band={"pixels": 6},
    )  # fmt: skip
    (alpha,) = made["annotations"]
    assert (
        alpha["id"] == name and alpha["shape"]["kind"] == "alpha" and alpha["model"] == "disc+shared-matting"
    )
    assert alpha["shape"]["mask"]["kind"] == "mask" and alpha["prompt"]["points"] == [[64, 48, 1]]
    back = ask("undo")["annotations"][0]
    assert back["shape"]["kind"] == "mask"


def test_what_is_painted_into_the_band_is_in_the_trimap(ask, studio, image, picture):
    mask = put_mask(studio, image, picture[1] > 0.5)
    corner = np.zeros((96, 128), bool)
    corner[:10, :10] = True
    counts = Mask.from_array(corner).counts.tolist()
    for level in ("unknown", "foreground"):
        told = ask("trimap", annotation=mask.id, strokes=[{"level": level, "mask": counts}])
        assert shape_from_json(told[level]).to_array()[:10, :10].all()


def test_a_refinement_changes_only_what_the_band_leaves_unknown(ask, studio, image, picture):
    mask = put_mask(studio, image, picture[1] > 0.5)
    (before,) = matted(ask, mask)["annotations"]
    everything = Mask.from_array(np.ones((96, 128), bool)).counts.tolist()
    told = ask(
        "refine", annotation=mask.id, revision=before["revision"], touches=[{"mask": everything, "to": 1}]
    )  # fmt: skip
    levels = np.array(Image.open(studio.store.alpha_path(image.id, before["shape"]["trimap"])))
    was, now = (
        np.array(Image.open(studio.store.alpha_path(image.id, a["shape"]["digest"])))
        for a in (before, told["annotations"][0])
    )
    known = (levels == 0) | (levels == 255)
    assert (was[known] == now[known]).all() and (now[~known] == 255).all() and (was != now).any()


def test_a_class_given_to_an_alpha_and_its_acceptance_keep_its_files(ask, studio, image, picture):
    mask = put_mask(studio, image, picture[1] > 0.5, draft=True, source="model")
    (alpha,) = matted(ask, mask)["annotations"]
    named = ask("put", annotations=[{**alpha, "class": "orange", "draft": False}], verb="class")
    (now,) = studio.store.annotations(image.id)
    assert named["ok"] and not named["conflicts"]
    assert isinstance(now.shape, Alpha) and now.shape.digest == alpha["shape"]["digest"]
    assert (now.class_name, now.draft) == ("orange", False)
    assert studio.store.alpha_path(image.id, now.shape.digest).exists()


def test_an_alpha_of_a_file_that_the_image_has_not_got_is_refused(ask, studio, image, picture):
    mask = put_mask(studio, image, picture[1] > 0.5)
    (alpha,) = matted(ask, mask)["annotations"]
    forged = {**alpha, "shape": {**alpha["shape"], "digest": "0" * 64}}
    assert not ask("put", annotations=[forged], verb="put")["ok"]
    assert studio.store.annotations(image.id)[0].shape.digest == alpha["shape"]["digest"]


@pytest.mark.parametrize(
    ("op", "request_", "says"),
    [
        ("trimap", {"annotation": "0" * 32}, "not on this image"),
        ("trimap", {"band": {"width": 99}, "annotation": "0" * 32}, "width"),
        ("trimap", {}, "incomplete request"),
        ("words", {"words": " , ", "detector": "x", "segmenter": "disc"}, "Write what to look for"),
        ("look", {"task": "nobody"}, "not known here"),
        (
            "refine",
            {"annotation": "0" * 32, "revision": 1, "touches": [{"mask": [1], "to": 1}]},
            "run lengths",
        ),
    ],
)
def test_what_cannot_be_done_gets_a_sentence(ask, op, request_, says):
    answer = ask(op, **request_)
    assert not answer["ok"] and says in answer["error"]


def test_a_mask_that_is_the_whole_image_gets_a_sentence_from_the_task_too(ask, studio, image):
    mask = put_mask(studio, image, np.ones((96, 128), bool))
    assert "whole image" in ask("trimap", annotation=mask.id)["error"]
    outcome = matted(ask, mask)
    assert outcome["kind"] == "BadInput" and "whole image" in outcome["error"]
    assert isinstance(studio.store.annotations(image.id)[0].shape, Mask)


def test_what_stands_out_is_cut_out_without_a_prompt(ask, studio, image):
    made = ended(ask, "alone", **{"class": "orange"}, cutter="")
    (alpha,) = made["annotations"]
    assert alpha["class"] == "orange" and alpha["draft"] and alpha["shape"]["kind"] == "alpha"


def test_the_stage_is_told_what_there_is_and_which_is_taken_first(ask):
    told = ask("choices")
    assert [c["id"] for c in told["offered"]["segmenter"]] == ["disc"]
    assert told["first"]["matter"] == "shared-matting" and told["first"]["detector"] == ""
    assert told["offered"]["cutter"][0]["id"] == "" and "glass" in told["see_through"]
    assert ask("pictures")["pictures"][0]["name"] == "a.png"


def test_work_is_known_to_whoever_began_it_alone_and_can_be_stopped():
    tasks, going = Tasks(), threading.Event()

    def do(told, cancelled):
        told(0.4)
        going.set()
        while not cancelled():
            time.sleep(0.005)
        raise Cancelled("Stopped. The object is as it was.")

    name = tasks.begin("ann", do)
    assert going.wait(5) and tasks.look("ann", name) == {"share": 0.4}
    for act in (tasks.look, tasks.stop):
        with pytest.raises(NotFound):
            act("bob", name)
    tasks.stop("ann", name)
    for _ in range(200):
        if tasks.look("ann", name).get("ended"):
            break
        time.sleep(0.01)
    assert tasks.look("ann", name) == {
        "ended": True, "stopped": True, "error": "Stopped. The object is as it was."
    }  # fmt: skip


@pytest.fixture
def files(studio):
    app = FastAPI()
    app.include_router(cut_routes(studio))
    return TestClient(app)


def opened(response) -> Image.Image:
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def test_a_cut_out_is_fetched_as_a_file_in_each_form(files, ask, studio, image, picture):
    mask = put_mask(studio, image, picture[1] > 0.5, name="Orangé")
    matted(ask, mask)
    at = f"/media/cut/{image.id}/{mask.id}"
    cut = files.get(at)
    assert opened(cut).mode == "RGBA" and opened(cut).size == (128, 96)
    assert (
        "attachment" in cut.headers["content-disposition"] and "%C3%A9" in cut.headers["content-disposition"]
    )
    assert opened(files.get(at, params={"what": "alpha", "bits": "16"})).mode.startswith("I")
    assert opened(files.get(at, params={"what": "cutout", "kind": "webp"})).format == "WEBP"
    blue = opened(files.get(at, params={"what": "composite", "background": "#0000ff"}))
    assert blue.convert("RGB").getpixel((1, 1)) == (0, 0, 255)
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (255, 0, 0)).save(out, "PNG")
    red = opened(files.post(at, params={"what": "composite"}, content=out.getvalue()))
    assert red.convert("RGB").getpixel((1, 1)) == (255, 0, 0)
    behind = opened(files.get(at, params={"what": "composite", "background": image.id}))
    assert behind.convert("RGB").getpixel((1, 1)) == tuple(picture[0][1, 1])


def test_a_file_that_cannot_be_had_gets_a_sentence(files, ask, studio, image, picture, project):
    mask = put_mask(studio, image, picture[1] > 0.5)
    at = f"/media/cut/{image.id}/{mask.id}"
    assert files.get(at).status_code == 400 and "no matte yet" in files.get(at).json()["detail"]
    matted(ask, mask)
    wrong = [{"kind": "gif"}, {"bits": "12"}, {"what": "hologram"}, {"kind": "jpeg"}]
    for params in wrong:
        response = files.get(at, params=params)
        assert response.status_code in (400, 404) and response.json()["detail"], params
    assert files.post(at, params={"what": "composite"}, content=b"not a picture").status_code == 400
    assert files.get(f"/media/cut/{image.id}/{'0' * 32}").status_code == 404
    theirs = studio.store.create_project("theirs", "somebody else")
    hidden = add(studio, theirs.id, picture[0], "b.png")
    assert files.get(at, params={"what": "composite", "background": hidden.id}).status_code == 404
    assert files.get(f"/media/cut/{hidden.id}/{mask.id}").status_code == 404


def test_what_is_an_alpha_already_is_not_found_anew_and_can_be_carried_on(ask, studio, image, picture):
    mask = put_mask(studio, image, picture[1] > 0.5)
    (alpha,) = matted(ask, mask)["annotations"]
    there = Labelled(studio.store.annotations(image.id), image.height, image.width)
    elsewhere = np.zeros((96, 128), bool)
    elsewhere[:12, :12] = True
    assert there.among([mask.shape, Mask.from_array(elsewhere)]) == [0, None]
    (carried,) = objects(studio, image, alpha["id"], "one")
    assert isinstance(carried.shape, Alpha)
