"""The drawn scenes: the same each time, and true in what they say of themselves."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from studio.errors import BadInput
from studio.scenes import CLASSES, KEYPOINTS, PHRASES, Scene, still_life

SEEDS = range(20, 32)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [still_life(seed, 320, 240) for seed in SEEDS]


def test_a_seed_gives_the_same_picture_and_another_seed_another():
    first, again, other = still_life(3, 200, 150), still_life(3, 200, 150), still_life(4, 200, 150)
    assert np.array_equal(first.image, again.image)
    assert [t.box for t in first.things] == [t.box for t in again.things]
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (97, 333), (333, 97), (32, 32)])
def test_any_size_can_be_drawn(width: int, height: int):
    scene = still_life(8, width, height)
    assert scene.image.shape == (height, width, 3) and scene.image.dtype == np.uint8
    assert scene.things
    for thing in scene.things:
        assert thing.mask.shape == thing.alpha.shape == (height, width)


def test_the_same_scene_at_twice_the_size_has_its_things_in_the_same_places():
    small, large = still_life(11, 320, 240), still_life(11, 640, 480)
    assert [t.phrase for t in small.things] == [t.phrase for t in large.things]
    for a, b in zip(small.things, large.things, strict=True):
        for (x, y, _), (twice_x, twice_y, _) in zip(a.keypoints.points, b.keypoints.points, strict=True):
            assert abs(2 * x - twice_x) < 1e-3 and abs(2 * y - twice_y) < 1e-3


def test_what_is_seen_of_a_thing_is_a_part_of_it_and_belongs_to_no_other(scenes: list[Scene]):
    for scene in scenes:
        owners = np.zeros(scene.image.shape[:2], int)
        for thing in scene.things:
            assert not (thing.mask & ~thing.amodal).any()
            owners += thing.mask
        assert owners.max() <= 1


def test_boxes_are_tight_around_what_is_seen(scenes: list[Scene]):
    for thing in (t for scene in scenes for t in scene.things):
        rows, columns = np.flatnonzero(thing.mask.any(1)), np.flatnonzero(thing.mask.any(0))
        assert thing.box.xyxy == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def test_a_later_thing_covers_an_earlier_one(scenes: list[Scene]):
    covered = 0
    for scene in scenes:
        for i, low in enumerate(scene.things):
            for high in scene.things[i + 1 :]:
                both = low.amodal & high.amodal
                covered += np.count_nonzero(both)
                assert not (both & low.mask & (high.alpha > 0.5)).any()
    assert covered > 500, "nothing covers anything in any of the scenes"


def test_enough_of_everything_can_be_seen(scenes: list[Scene]):
    shares = [t.visible for scene in scenes for t in scene.things]
    assert min(shares) > 0.3
    assert min(shares) < 0.95, "nothing is covered or cut off anywhere"


def test_alphas_of_a_pixel_never_add_up_to_more_than_one(scenes: list[Scene]):
    for scene in scenes:
        total = sum(t.alpha for t in scene.things)
        assert total.max() <= 1 + 1e-5 and min(t.alpha.min() for t in scene.things) >= 0


def test_the_picture_is_the_thing_laid_over_the_rest_by_its_alpha():
    """Two backgrounds, one thing: where alpha is 1 they agree, where it is 0 they differ."""
    light, dark = (
        still_life(5, 320, 240, count=1, classes=["feather"], background=b) for b in ("paper", "slate")
    )
    alpha = light.things[0].alpha
    difference = np.abs(light.image.astype(int) - dark.image).mean(axis=2)
    assert difference[alpha > 0.99].mean() < 10 < difference[alpha < 0.01].mean()
    frayed = (alpha > 0.1) & (alpha < 0.9)
    assert frayed.sum() > 0.15 * (alpha > 0.1).sum(), "a feather is to have fine barbs"
    assert difference[alpha > 0.99].mean() < difference[frayed].mean() < difference[alpha < 0.01].mean()


def test_keypoints_that_are_seen_lie_on_their_thing(scenes: list[Scene]):
    seen = 0
    for scene in scenes:
        for thing in scene.things:
            assert len(thing.keypoints.points) == len(KEYPOINTS)
            for x, y, visibility in thing.keypoints.points:
                if visibility == 2:
                    seen += 1
                    box = thing.box
                    assert box.x0 - 4 <= x <= box.x1 + 4 and box.y0 - 4 <= y <= box.y1 + 4
    assert seen > 50


def test_captions_and_answers_agree_with_what_is_there(scenes: list[Scene]):
    numbers = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    for scene in scenes:
        names, phrases = Counter(t.name for t in scene.things), {t.phrase for t in scene.things}
        for question in scene.questions():
            words = question.text.rstrip("?").split()
            if words[0] == "is":
                assert (question.answer == "yes") == (" ".join(words[2:]) in phrases)
            elif words[0] == "how":
                name = next(c for c in CLASSES if c[:3] == words[2][:3] and c[0] == words[2][0])
                assert question.answer == numbers[names[name]]
            else:
                assert question.answer in {t.colour for t in scene.things if t.name == words[-1]}
        for thing in scene.things:
            assert thing.phrase in PHRASES
            assert thing.name[:3] in scene.caption


def test_asked_classes_weights_count_and_background_are_kept():
    scene = still_life(2, 320, 240, count=4, classes=["apple", "mug"], weights={"mug": 0}, background="wood")
    assert {t.name for t in scene.things} == {"apple"} and len(scene.things) <= 4
    assert scene.caption.endswith("on a wooden table")


def test_the_evening_style_is_another_light():
    day, evening = still_life(6, 320, 240), still_life(6, 320, 240, style="evening")
    assert [t.name for t in day.things] == [t.name for t in evening.things]
    ratio = evening.image[..., 2].mean() / evening.image[..., 0].mean()
    assert ratio < 0.8 * day.image[..., 2].mean() / day.image[..., 0].mean()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (dict(width=10), "32 pixels"),
        (dict(classes=["cat"]), "cat"),
        (dict(classes=[]), "at least one class"),
        (dict(style="noir"), "noir"),
        (dict(background="lava"), "lava"),
    ],
)
def test_what_cannot_be_drawn_is_said(wrong: dict, told: str):
    with pytest.raises(BadInput, match=told):
        still_life(1, **wrong)
