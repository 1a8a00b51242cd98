"""A recipe finds what its models find: alone, together, in tiles and regions, with masks, keypoints and tags."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from studio.annotations import Box, Keypoints, Label, Mask
from studio.errors import BadInput, NotFound
from studio.operations.fusion import Fusion
from studio.operations.predict import FLOOR, Prediction, Recipe, annotations, check, find, find_in
from studio.operations.tiling import Tiling
from tests.predict.squares import picture, squares
from tests.predict.world import studio_of_squares

IMAGE = picture(3)  # with three squares


@pytest.fixture
def world(tmp_path):
    made = studio_of_squares(tmp_path)
    yield made
    made[0].close()


@pytest.fixture
def studio(world):
    return world[0]


def boxes(detections) -> list[tuple]:
    return sorted(d.box.xyxy for d in detections)


def test_a_detector_is_asked_for_all_images_at_once_down_to_the_floor(world):
    studio, detector, _ = world
    found = find(studio, Recipe(("squares",)), [IMAGE, picture(2)])
    assert [len(each) for each in found] == [3, 2] and detector.calls == [(2, FLOOR)]
    assert boxes(found[0]) == boxes(squares(IMAGE))


def test_names_become_those_of_the_project_or_are_left_out(studio):
    def names(**changes):
        return [d.name for d in find(studio, Recipe(("squares",), **changes), [picture(1)])[0]]

    assert names() == ["square"]
    assert names(classes={"square": "tile"}) == ["tile"]
    assert names(classes={"square": None}) == []
    assert names(unknown="drop") == []
    assert names(unknown="drop", classes={"square": "square"}) == ["square"]


def test_two_detectors_are_fused(studio):
    together = find(studio, Recipe(("squares", "beside")), [IMAGE])[0]
    alone = find(studio, Recipe(("squares",)), [IMAGE])[0]
    assert len(together) == 3
    assert all(a[0] < t[0] < a[0] + 1 for a, t in zip(boxes(alone), boxes(together), strict=True))
    weighted = Recipe(("squares", "beside"), fusion=Fusion(weights=(1, 0)))
    assert np.allclose(boxes(find(studio, weighted, [IMAGE])[0]), boxes(alone), atol=1e-3)


def test_a_segmenter_turns_boxes_into_masks_and_encodes_an_image_once(world):
    studio, _, segmenter = world
    found = find(studio, Recipe(("squares",), segmenter="disc"), [IMAGE, picture(0)])
    assert [d.mask.area for d in found[0]] == [100, 100, 100] and found[1] == []
    assert len(segmenter.embeds) == 1, "an image without boxes is not encoded"
    drafts = annotations(Recipe(("squares",), segmenter="disc"), studio, found[0])
    assert all(isinstance(a.shape, Mask) and a.model == "squares+disc" for a in drafts)


def test_keypoints_are_placed_in_the_boxes(studio):
    recipe = Recipe(("squares",), pose="corners")
    found = find(studio, recipe, [picture(1)])[0]
    b = found[0].box
    assert found[0].keypoints.points == ((b.x0, b.y0, 2), (b.x1, b.y1, 2))
    assert isinstance(annotations(recipe, studio, found)[0].shape, Keypoints)


def test_pixels_become_a_mask_a_class(studio):
    found = find(studio, Recipe(("pixels",), classes={"dark": None}), [IMAGE])[0]
    assert [(d.name, d.mask.area) for d in found] == [("bright", 300)]


def test_a_classifier_tags_the_image(studio):
    recipe = Recipe(("counter",), threshold=0.5)
    found = find(studio, recipe, [IMAGE, picture(0)])
    made = [annotations(recipe, studio, each) for each in found]
    assert [[(a.class_name, a.shape, a.score) for a in each] for each in made] == [
        [("full", Label(), 0.9)],
        [("empty", Label(), 0.95)],
    ]


def test_tiles_find_what_the_whole_image_shows(studio):
    large = np.zeros((128, 128, 3), np.uint8)
    large[:64, 64:] = IMAGE
    recipe = Recipe(("squares",), tiling=Tiling(64, 16))
    found = find(studio, recipe, [large])[0]
    assert boxes(found) == boxes(squares(large))


def test_a_region_is_looked_at_alone_and_told_in_the_images_pixels(world):
    studio, detector, _ = world
    recipe = Recipe(("squares",), segmenter="disc")
    first = min(squares(IMAGE), key=lambda d: d.box.y0)
    region = Box(0, 0, 64, first.box.y1 + 2)
    found = find_in(studio, recipe, IMAGE, region)
    assert boxes(found) == [first.box.xyxy]
    assert found[0].mask.to_array().shape == (64, 64) and found[0].mask.box.xyxy == first.box.xyxy
    assert boxes(find_in(studio, recipe, IMAGE, None)) == boxes(squares(IMAGE))
    with pytest.raises(BadInput, match="outside"):
        find_in(studio, recipe, IMAGE, Box(80, 80, 90, 90))


def test_options_reach_the_model(studio):
    recipe = Recipe(("shrinking",), options={"shrinking": {"shrink": 2}})
    (found,) = find(studio, recipe, [picture(1)])[0]
    assert (found.box.width, found.box.height) == (6, 6)


def test_only_what_reaches_the_threshold_becomes_a_draft_and_a_job_asks_for_no_more(world):
    studio, detector, _ = world
    recipe = Recipe(("squares",), threshold=0.75)
    (drafts,) = Prediction(studio, recipe).annotate([None], [IMAGE])
    assert [(a.score, a.draft, a.source, a.model) for a in drafts] == [
        (0.9, True, "model", "squares"),
        (0.8, True, "model", "squares"),
    ]
    assert detector.calls[-1] == (1, 0.75)


WRONG = {
    "no model": dict(models=()),
    "six models": dict(models=tuple("abcdef")),
    "twice": dict(models=("squares", "squares")),
    "finds nothing": dict(models=("corners",)),
    "ensemble": dict(models=("squares", "pixels")),
    "weights": dict(models=("squares", "beside"), fusion=Fusion(weights=(1.0,))),
    "threshold": dict(threshold=1.5),
    "overlap": dict(same=0.0),
    "no segmenter": dict(segmenter="squares"),
    "no pose": dict(pose="disc"),
    "masks of pixels": dict(models=("pixels",), segmenter="disc"),
    "range": dict(models=("shrinking",), options={"shrinking": {"shrink": 9}}),
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_what_cannot_be_followed_is_told_beforehand(studio, changes):
    with pytest.raises(BadInput):
        check(studio, Recipe(**{"models": ("squares",), **changes}))


def test_what_nobody_knows_is_told_beforehand(studio):
    for changes in (dict(models=("sqares",)), dict(options={"shrinking": {"shrinc": 1}})):
        with pytest.raises(NotFound, match="Did you mean"):
            check(studio, Recipe(**{"models": ("squares",), **changes}))


def test_a_recipe_survives_json():
    import json

    recipe = Recipe(
        ("a", "b"),
        "disc",
        "corners",
        0.4,
        {"a": {"side": 3}},
        {"x": None, "y": "z"},
        "drop",
        Tiling(320, 32),
        Fusion("nms", 0.6, 0.1, (1.0, 2.0)),
        "merge",
        0.8,
    )
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert Recipe.from_json({"models": ["a"]}) == Recipe(("a",))
    assert replace(Recipe.from_json({"models": "a"})) == Recipe(("a",))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"models": 3},
        {"models": ["a"], "threshold": "high"},
        {"models": ["a"], "tiling": {"side": 3}},
        {"models": ["a"], "tiling": {"wide": 3}},
        {"models": ["a"], "policy": "merge", "classes": [1]},
        {"models": ["a"], "options": {"a": 3}},
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(data):
    with pytest.raises(BadInput):
        Recipe.from_json(data)
