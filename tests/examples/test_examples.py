"""By example: what recipes, looks and jobs make of things pointed out, and who may point out what."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from studio.annotations import Annotation, Box, Mask
from studio.errors import BadInput, Cancelled, NotAllowed, NotFound
from studio.geometry import box_iou
from studio.operations import examples, jobs
from studio.operations._ray_worker import Order, Row, Worker
from studio.operations.examples import ExampleSet, Exemplar, read_exemplars
from studio.operations.predict import Recipe, check, find
from studio.operations.ray_engine import Cluster
from studio.operations.tiling import Tiling
from studio.project import Change
from tests.examples.world import SHOWN, add_pictures, box_at, picture, reds, studio_of_colours


@pytest.fixture
def world(tmp_path):
    made = studio_of_colours(tmp_path)
    yield made
    jobs.runs(made[0]).stop_all()
    made[0].close()


@pytest.fixture
def studio(world):
    return world[0]


@pytest.fixture
def models(world):
    return world[1]


@pytest.fixture
def project(studio):
    return studio.store.create_project("Colours", "ann")


@pytest.fixture
def records(studio, project):
    return add_pictures(studio.store, project.id)


@pytest.fixture
def red(records):
    return Exemplar(records[0].id, box_at(0))


def like(*shown: Exemplar, models=("matcher",), **changes) -> Recipe:
    return Recipe(models, **{"threshold": 0.5, "examples": shown, "example_class": "red thing", **changes})


def finished(studio, job):
    if (run := jobs.runs(studio).get(job.id)) is not None:
        run.wait(30)
    return studio.store.job(job.id)


def boxes(detections, least: float = 0.5) -> list[tuple]:
    return sorted(d.box.xyxy for d in detections if d.score >= least)


def matched(found, truth) -> bool:
    """Say whether what is found lies where it should, one for one."""
    sure = [d.box for d in found if d.score >= 0.5]
    if len(sure) != len(truth) or not truth:
        return len(sure) == len(truth)
    overlaps = box_iou(sure, [Box(*corners) for corners in truth]) >= 0.5
    return bool(overlaps.any(0).all() and overlaps.any(1).all())


def labelled(studio, record) -> list[tuple]:
    return sorted(a.shape.xyxy for a in studio.store.annotations(record.id))


def run_all(studio, project, records, recipe):
    return finished(studio, jobs.begin(studio, "ann", project.id, recipe, [r.id for r in records]))


# ---- what is found ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["matcher", "anew", "colours"])
def test_everything_like_the_example_is_found_on_its_image_and_on_others(studio, records, red, model):
    for number in (0, 1, 3, 5):
        found = jobs.look(studio, records[number], like(red, models=(model,))).detections
        assert {d.name for d in found} <= {"red thing"}
        if model == "colours":
            assert matched(found, reds(number))
        else:
            assert boxes(found) == reds(number)


def test_several_examples_are_looked_for_together_and_negative_ones_take_away(studio, records, red):
    blue = Exemplar(records[2].id, box_at(0))
    mixed = records[3]  # three red, one blue
    assert len(boxes(jobs.look(studio, mixed, like(red, blue)).detections)) == 4
    one_red = Exemplar(records[3].id, box_at(1), positive=False)
    assert boxes(jobs.look(studio, mixed, like(blue, one_red)).detections) == [box_at(2).xyxy]
    low = [d for d in jobs.look(studio, mixed, like(blue)).detections if d.score < 0.5]
    assert len(low) == 3, "without the negative one the red ones are there, less sure"


def test_an_embedder_leaves_out_what_is_like_a_negative_example(studio, records, red):
    green = Exemplar(records[0].id, box_at(1))
    both = jobs.look(studio, records[1], like(red, green, models=("colours",))).detections
    assert matched(both, [box_at(0).xyxy, box_at(1).xyxy])
    unlike = replace(green, positive=False)
    assert matched(jobs.look(studio, records[1], like(red, unlike, models=("colours",))).detections, reds(1))


def test_models_go_together_and_a_segmenter_makes_masks(studio, records, red):
    recipe = like(red, models=("matcher", "second"), segmenter="disc")
    found = jobs.look(studio, records[1], recipe).detections
    sure = [d for d in found if d.score >= 0.5]
    assert [d.score for d in sure] == [pytest.approx(0.8)] and isinstance(sure[0].mask, Mask)
    assert sure[0].box.xyxy == pytest.approx(reds(1)[0], abs=0.01)
    jobs.keep(studio, "ann", jobs.look(studio, records[1], recipe), [found.index(sure[0])])
    (kept,) = studio.store.annotations(records[1].id)
    assert (kept.class_name, kept.draft, kept.model) == ("red thing", True, "matcher+second+disc")


def test_tiles_find_what_examples_of_the_whole_image_show(studio, records, red):
    recipe = like(red, tiling=Tiling(64, 32))
    assert boxes(jobs.look(studio, records[3], recipe).detections) == reds(3)


# ---- once a job ------------------------------------------------------------------------------------


def test_a_job_labels_what_is_like_the_examples_and_one_undo_takes_it_back(studio, project, records, red):
    job = run_all(studio, project, records, like(red))
    assert (job.state, job.done) == ("done", 6) and "red thing" in job.title
    assert [labelled(studio, r) for r in records] == [reds(n) for n in range(6)]
    jobs.undo(studio, "ann", job.id)
    assert not any(labelled(studio, r) for r in records)


def test_examples_are_decoded_and_encoded_once_a_job(studio, models, project, records, red, monkeypatch):
    read = []
    original = examples.images.decode
    monkeypatch.setattr(
        examples.images, "decode", lambda path, name="": read.append(name) or original(path, name)
    )
    blue = Exemplar(records[2].id, box_at(0), positive=False)
    second = Exemplar(records[0].id, box_at(2))
    run_all(studio, project, records, like(red, second, blue))
    assert models.matcher.encoded == [2, 1] and models.matcher.looked == 6
    # Every image of the job once, and beside these the two that examples lie on.
    assert sorted(read) == sorted([r.name for r in records] + [records[0].name, records[2].name])
    list(jobs.preview(studio, "ann", like(red, second, blue), records))
    assert models.matcher.encoded == [2, 1], "a preview of the same examples finds them encoded"


def test_pictures_for_a_model_that_takes_them_anew_are_kept_within_bounds(records, monkeypatch):
    read = []

    def reading(image):
        read.append(image)
        return picture(int(image))

    shown = ExampleSet([Exemplar(str(n), box_at(0)) for n in range(4)], reading)
    for _ in range(3):
        assert len(shown.pictured({})) == 4
    assert sorted(read) == ["0", "1", "2", "3"]
    monkeypatch.setattr(examples, "KEPT_BYTES", picture(0).nbytes)
    tight = ExampleSet(shown.exemplars, reading)
    tight.pictured({"0": picture(0)})
    assert sum(p.nbytes for p in tight._pictures.values()) <= picture(0).nbytes
    assert read[4:] == ["1", "2", "3"], "the picture in hand is not read"


# ---- examples that hold for their own image only ---------------------------------------------------


def test_a_model_bound_to_the_examples_image_finds_there_and_refuses_others(studio, project, records, red):
    recipe = like(red, models=("bound",))
    assert boxes(jobs.look(studio, records[0], recipe).detections) == reds(0)
    with pytest.raises(BadInput, match="same image only, and this image has none.*Choose Matcher"):
        jobs.look(studio, records[1], recipe)
    with pytest.raises(BadInput, match="5 of the 6 images have none"):
        run_all(studio, project, records, recipe)
    assert studio.store.jobs(project.id) == []
    job = run_all(studio, project, records[:1], recipe)
    assert job.state == "done" and labelled(studio, records[0]) == reds(0)
    with pytest.raises(BadInput, match="tiles"):
        jobs.look(studio, records[0], replace(recipe, tiling=Tiling(64, 16)))


# ---- whose examples --------------------------------------------------------------------------------


def test_examples_of_another_project_are_not_there_whoever_owns_it(studio, project, records, red):
    theirs = studio.store.create_project("Theirs", "eve")
    mine_too = studio.store.create_project("Other", "ann")
    there = add_pictures(studio.store, theirs.id, 1, "eve")[0]
    other = add_pictures(studio.store, mine_too.id, 1)[0]
    said = set()
    for image in (there.id, other.id, "0" * 32, "../../etc/passwd", "x" * 10_000, ""):
        recipe = like(red, Exemplar(image, box_at(0)))
        for act in (
            lambda r=recipe: jobs.begin(studio, "ann", project.id, r, [records[0].id]),
            lambda r=recipe: jobs.look(studio, records[0], r),
        ):
            with pytest.raises(NotFound) as caught:
                act()
            said.add(str(caught.value))
    assert said == {examples.GONE}, "nobody learns from the sentence whether an image exists"
    with pytest.raises(NotAllowed):
        jobs.begin(studio, "eve", project.id, like(red), [records[0].id])
    assert studio.store.jobs(project.id) == []


def test_an_examples_image_deleted_meanwhile_is_said(studio, project, records, red):
    job = run_all(studio, project, records[:2], like(red))
    gone = Exemplar(records[2].id, box_at(0))
    begun = jobs.begin(studio, "ann", project.id, like(gone), [records[0].id])
    finished(studio, begun)
    studio.store.delete_images([records[2].id], "ann")
    with pytest.raises(NotFound, match="image of an example is not in this project"):
        jobs.look(studio, records[0], like(gone))
    with pytest.raises(NotFound, match="begin anew"):
        jobs.go_on(studio, "ann", begun.id)
    assert studio.store.job(job.id).state == "done"


def test_a_box_beside_its_image_is_said(studio, records):
    with pytest.raises(BadInput, match="outside"):
        jobs.look(studio, records[0], like(Exemplar(records[0].id, Box(500, 500, 600, 600))))


# ---- recipes ---------------------------------------------------------------------------------------


def test_a_recipe_with_examples_survives_json(red):
    recipe = like(red, Exemplar("b", Box(1, 2, 3.5, 4), False))
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert Recipe.from_json(Recipe(("a",)).to_json()) == Recipe(("a",))


HOSTILE = [
    {"image": "a"},
    {"image": 3, "box": [0, 0, 1, 1]},
    {"image": "a", "box": [0, 0, 1]},
    {"image": "a", "box": "0011"},
    {"image": "a", "box": [0, 0, float("nan"), 1]},
    {"image": "a", "box": [3, 0, 1, 1]},
    {"image": "a", "box": [0, 0, 1, 1], "positive": "no"},
    {"image": "a", "box": [0, 0, 1, 1], "label": "x"},
    "an image",
    None,
]


@pytest.mark.parametrize("wrong", HOSTILE)
def test_examples_that_make_no_sense_are_refused(wrong):
    with pytest.raises(BadInput):
        read_exemplars([wrong])
    with pytest.raises(BadInput):
        Recipe.from_json({"models": ["a"], "examples": [wrong]})


def test_too_many_examples_are_refused_and_the_same_one_counts_once():
    one = {"image": "a", "box": [0, 0, 9, 9]}
    assert len(read_exemplars([one, one])) == 1
    with pytest.raises(BadInput, match="At most 50"):
        read_exemplars([{"image": "a", "box": [0, 0, 9, 9 + n]} for n in range(51)])
    for wrong in ("examples", {"image": "a"}, 3):
        with pytest.raises(BadInput):
            Recipe.from_json({"models": ["a"], "examples": wrong})


WRONG = {
    "takes none": (dict(models=("disc",)), "takes no examples. Choose Matcher"),
    "no class": (dict(example_class=" "), "which class"),
    "long class": (dict(example_class="x" * 300), "at most"),
    "none positive": (dict(examples=(Exemplar("a", box_at(0), False),)), "at least one example"),
    "too many": (dict(examples=tuple(Exemplar(str(n), box_at(0)) for n in range(51))), "At most 50"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_followed_is_told_beforehand(studio, red, changes, said):
    with pytest.raises(BadInput, match=said):
        check(studio, replace(like(red), **changes))


def test_words_and_examples_are_not_mixed(studio, red):
    from studio.operations.words import Word

    with pytest.raises(BadInput):
        check(studio, like(red, words=(Word("a thing"),)))


def test_examples_need_their_pictures(studio, red):
    with pytest.raises(BadInput, match="images of a project"):
        find(studio, like(red), [picture(0)])


# ---- on a cluster ----------------------------------------------------------------------------------


def test_examples_travel_to_a_worker_with_their_images(studio, records, red, monkeypatch):
    order = Order.of(studio, like(red))
    assert set(order.shown) == {records[0].id}
    monkeypatch.setattr(Order, "_workshop", lambda self: studio)
    monkeypatch.setattr(studio.hub, "download", lambda card: None)
    rows = [Row(r, studio.store.original_path(r).read_bytes()) for r in records[:4]]
    for record in records:
        studio.store.original_path(record).unlink()  # a worker does not see them
    answers = Worker(order).answers(rows)
    assert [sorted(a.shape.xyxy for a in answer.found) for answer in answers] == [reds(n) for n in range(4)]


def test_examples_too_large_to_travel_are_refused_before_a_job_begins(
    studio, project, records, red, monkeypatch
):
    monkeypatch.setattr("studio.operations.ray_engine.MOST_SHOWN", 10)
    monkeypatch.setattr("studio.operations.ray_engine._ray", lambda: None)
    with pytest.raises(BadInput, match="1 images? of .* MB together"):
        jobs.begin(studio, "ann", project.id, like(red), [records[0].id], cluster=Cluster())
    assert studio.store.jobs(project.id) == []


def test_a_person_label_stays_beside_what_is_found(studio, project, records, red):
    mine = Annotation("red thing", box_at(0))
    studio.store.apply(records[0].id, "ann", [Change(mine)], verb="draw")
    run_all(studio, project, records, like(red, policy="merge"))
    assert labelled(studio, records[0]) == reds(0)
    assert [a.draft for a in studio.store.annotations(records[0].id)] == [False, True]
    assert len(SHOWN) == len(records)


def test_a_look_by_an_embedder_says_how_far_it_is_and_can_be_stopped(studio, records, red):
    compared: list[int] = []
    jobs.look(studio, records[1], like(red, models=("colours",)), step=compared.append)
    assert sum(compared) > 200 and max(compared) <= 64

    def stop(pieces: int) -> None:
        compared.append(pieces)
        raise Cancelled("Stopped.")

    compared.clear()
    with pytest.raises(Cancelled):
        jobs.look(studio, records[2], like(red, models=("colours",)), step=stop)
    assert len(compared) == 1
    assert matched(jobs.look(studio, records[1], like(red, models=("colours",))).detections, reds(1))
