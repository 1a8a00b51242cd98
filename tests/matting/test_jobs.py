"""Mattes of many images: drafts that one undo takes back, and that never take the place of what a person made."""

from __future__ import annotations

import time

import numpy as np
import pytest

from studio.adapters import Card, Detection
from studio.annotations import Alpha, Annotation, Box, Mask
from studio.errors import BadInput, NotAllowed
from studio.operations import jobs
from studio.operations.matting import finding
from studio.operations.matting import jobs as mattes
from studio.operations.matting import matte as matting
from studio.operations.matting.jobs import MatteRecipe
from studio.operations.matting.stored import alpha_of
from studio.operations.matting.trimaps import Band
from studio.operations.predict import Recipe
from studio.operations.words import Word
from studio.project import Change
from tests.matting.pictures import add, put_mask, soft_disc, studio_in

MIDDLE = Box(40, 20, 120, 100)


class Finder:
    """Finds a box in the middle, by its class or by any phrase; nothing on pictures that are dark."""

    names = ("fruit",)

    def detect(self, images, *, floor=0.05):
        return [[Detection("fruit", 0.9, MIDDLE)] if i.mean() > 20 else [] for i in images]

    def detect_text(self, images, phrases, *, floor=0.05):
        return [[Detection(p, 0.9, MIDDLE) for p in phrases if i.mean() > 20] for i in images]


def finder_card():
    return Card(
        id="finder",
        title="Finder",
        family="fake",
        roles=("detector", "text-detector"),
        prompts=("text",),
        licence="MIT",
        load=lambda folder, device, options: Finder(),
        memory_bytes=1,
        rank=0,
    )


@pytest.fixture
def studio(tmp_path):
    made = studio_in(tmp_path / "data", finder_card())
    yield made
    jobs.runs(made).stop_all()
    made.close()


@pytest.fixture
def images(studio, project):
    return [add(studio, project.id, soft_disc(seed=i)[0], f"{i}.png") for i in range(3)]


FOUND = MatteRecipe("closed-form", find=Recipe(("finder",), segmenter="disc"))


def done(studio, job):
    jobs.runs(studio).get(job.id).wait(60)
    return studio.store.job(job.id)


def run(studio, project, images, recipe, **more):
    return done(studio, mattes.begin(studio, "local", project.id, recipe, [i.id for i in images], **more))


def test_a_recipe_comes_back_from_json():
    recipe = MatteRecipe(
        "closed-form", "found", Recipe(("finder",), "disc", words=(Word("cat"),)), "disc", ("a",), "thing",
        {"x": 1}, Band(2.0, None, ("glass",), "finder"), "skip", 0.7, 16,
    )  # fmt: skip
    assert MatteRecipe.from_json(recipe.to_json()) == recipe


def test_what_is_found_is_matted_as_drafts_and_one_undo_takes_all_back(studio, project, images):
    job = run(studio, project, images, FOUND)
    assert (job.state, job.done, job.failed, job.kind) == ("done", 3, 0, "matte"), job.problem
    for image in images:
        (made,) = studio.store.annotations(image.id)
        assert isinstance(made.shape, Alpha) and made.draft and made.source == "model"
        assert made.model == "finder+disc+closed-form" and made.prompt.box == MIDDLE
        assert alpha_of(studio, image, made.shape).max() == 1
    assert jobs.undo(studio, "local", job.id) == 3
    assert not any(studio.store.annotations(i.id) for i in images)


def test_words_name_what_is_matted(studio, project, images):
    recipe = MatteRecipe("closed-form", find=Recipe(("finder",), "disc", words=(Word("a fruit", "apple"),)))
    run(studio, project, images[:1], recipe)
    (made,) = studio.store.annotations(images[0].id)
    assert made.class_name == "apple" and made.prompt.text == "a fruit"


def test_what_is_labelled_is_matted_beside_the_labels(studio, project, images):
    mask = put_mask(studio, images[0], soft_disc()[1] >= 0.5, name="apple")
    boxed = Annotation("pear", MIDDLE)
    studio.store.apply(images[1].id, "local", [Change(boxed)], verb="put")
    recipe = MatteRecipe("closed-form", take="labels", segmenter="disc", policy="append")
    assert run(studio, project, images, recipe).done == 3
    first, second, third = (studio.store.annotations(i.id) for i in images)
    assert [type(a.shape) for a in first] == [Mask, Alpha] and first[0] == mask
    assert [type(a.shape) for a in second] == [Box, Alpha] and second[1].model == "disc+closed-form"
    assert third == []
    run(
        studio, project, images, MatteRecipe("closed-form", take="labels", classes=("pear",), policy="append")
    )
    assert len(studio.store.annotations(images[0].id)) == 2


def test_what_stands_out_needs_neither_words_nor_a_download(studio, project, images):
    recipe = MatteRecipe(take="alone", class_name="thing")
    job = run(studio, project, images[:1], recipe)
    (made,) = studio.store.annotations(images[0].id)
    assert job.state == "done" and isinstance(made.shape, Alpha) and made.class_name == "thing"


def test_a_machines_matte_never_takes_a_persons_place(studio, project, images):
    image, alpha = images[0], soft_disc()[1]
    made = put_mask(studio, image, alpha >= 0.5)
    mine = matting.matte(
        studio, image, "local", "knn-matting", annotation_id=made.id, revision=made.revision
    ).annotation
    draft = run(studio, project, [image], FOUND)
    assert studio.store.annotation(image.id, mine.id) == mine
    before = {a.id: a for a in studio.store.annotations(image.id)}
    assert draft.done == 1 and len(before) == 2, "the box's disc is another shape than mine"
    run(studio, project, [image], MatteRecipe(**{**vars(FOUND), "policy": "replace-drafts"}))
    after = {a.id: a for a in studio.store.annotations(image.id)}
    assert after[mine.id] == mine and len(after) == 2 and set(after) != set(before)
    with pytest.raises(BadInput, match="never replace what people made"):
        mattes.check(studio, MatteRecipe(**{**vars(FOUND), "policy": "replace-all"}))


def test_a_draft_that_a_person_painted_in_is_a_persons(studio, project, images):
    image = images[0]
    run(studio, project, [image], FOUND)
    (draft,) = studio.store.annotations(image.id)
    touch = matting.Touch(Mask.from_array(np.ones((120, 160), bool)), 0.3)
    painted = matting.refine(
        studio, image, "local", annotation_id=draft.id, revision=draft.revision, touches=[touch]
    ).annotation
    run(studio, project, [image], MatteRecipe(**{**vars(FOUND), "policy": "replace-drafts"}))
    assert studio.store.annotation(image.id, draft.id) == painted


def test_run_again_with_merge_adds_nothing(studio, project, images):
    run(studio, project, images, FOUND)
    before = [studio.store.annotations(i.id) for i in images]
    run(studio, project, images, FOUND)
    assert [studio.store.annotations(i.id) for i in images] == before


def test_a_job_is_paused_and_goes_on_where_it_stood(studio, project, images, monkeypatch):
    slow = mattes.Matting._mattes

    def slowly(self, record, picture):
        time.sleep(0.3)
        return slow(self, record, picture)

    monkeypatch.setattr(mattes.Matting, "_mattes", slowly)
    job = mattes.begin(studio, "local", project.id, FOUND, [i.id for i in images])
    while studio.store.job(job.id).done < 1:
        time.sleep(0.02)
    jobs.pause(studio, "local", job.id)
    paused = done(studio, job)
    assert paused.state == "paused" and 1 <= paused.done < 3
    jobs.go_on(studio, "local", job.id)
    assert done(studio, job).done == 3
    assert all(len(studio.store.annotations(i.id)) == 1 for i in images)


def test_an_image_whose_only_mask_is_everything_fails_alone(studio, project, images):
    put_mask(studio, images[0], np.ones((120, 160), bool))
    put_mask(studio, images[1], soft_disc()[1] >= 0.5)
    job = run(studio, project, images, MatteRecipe("closed-form", take="labels"))
    assert (job.done, job.failed) == (2, 1)
    (failed,) = studio.store.job_report(job.id)
    assert "covers the whole image" in failed.problem


def test_a_preview_counts_and_changes_nothing(studio, project, images):
    dark = add(studio, project.id, np.zeros((120, 160, 3), np.uint8), "dark.png")
    seen = list(mattes.preview(studio, "local", FOUND, [*images, dark]))
    assert [p.counts for p in seen] == [(1, 0, 0)] * 3 + [(0, 0, 0)]
    assert not any(studio.store.annotations(i.id) for i in images)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (MatteRecipe("disc", find=Recipe(("finder",), "disc")), "makes no matte from a trimap"),
        (MatteRecipe("closed-form"), "Choose a detector"),
        (MatteRecipe("closed-form", find=Recipe(("finder",))), "Choose a segmenter"),
        (MatteRecipe("closed-form", take="alone"), "from nothing but the image"),
        (MatteRecipe("closed-form", take="labels", bits=12), "8 or 16 bits"),
    ],
)
def test_recipes_that_cannot_be_followed_get_a_sentence(studio, recipe, words):
    with pytest.raises(BadInput, match=words):
        mattes.check(studio, recipe)


def test_nobody_mattes_a_project_that_is_not_theirs(studio, project, images):
    with pytest.raises(NotAllowed):
        mattes.begin(studio, "somebody", project.id, FOUND, [images[0].id])


def test_words_on_one_image_leave_drafts_with_masks(studio, project, images):
    recipe = Recipe(("finder",), "disc", words=(Word("fruit"),))
    (made,) = finding.by_words(studio, images[0], "local", recipe)
    assert isinstance(made.shape, Mask) and made.draft and made.prompt.text == "fruit"
    assert studio.store.undo(images[0].id, "local") and not studio.store.annotations(images[0].id)
    dark = add(studio, project.id, np.zeros((120, 160, 3), np.uint8), "dark.png")
    with pytest.raises(BadInput, match="Nothing was found for “fruit”"):
        finding.by_words(studio, dark, "local", recipe)


def test_see_through_things_are_unknown_and_looked_for_once(studio, project, images, monkeypatch):
    calls = []
    look = Finder.detect_text

    def counted(self, images, phrases, *, floor=0.05):
        calls.append(tuple(phrases))
        return look(self, images, phrases, floor=floor)

    monkeypatch.setattr(Finder, "detect_text", counted)
    made = put_mask(studio, images[0], soft_disc()[1] >= 0.5)
    band = Band(see_through=("glass",))
    for width in (1.0, 1.5):
        trimap = matting.trimap(studio, images[0], made.id, Band(width, None, ("glass",)))
        assert not (trimap[25:95, 45:115] == 255).any() and (trimap[:5] == 0).all()
    assert len(calls) == 1
    with pytest.raises(BadInput, match="no sure foreground"):
        matting.matte(studio, images[0], "local", "closed-form", annotation_id=made.id,
                      revision=made.revision, band=band)  # fmt: skip
