"""Several detectors' answers become one that is no worse than the best of them."""

from __future__ import annotations

import numpy as np
import pytest

from studio.adapters import Detection
from studio.annotations import Box, Keypoints, Mask
from studio.errors import BadInput
from studio.operations.fusion import Fusion, fuse, once

SIZE = (100, 200)


def found(name, score, *corners, mask=False, keypoints=None) -> Detection:
    shown = None
    if mask:
        array = np.zeros(SIZE, bool)
        array[int(corners[1]) : int(corners[3]), int(corners[0]) : int(corners[2])] = True
        shown = Mask.from_array(array)
    return Detection(name, score, Box(*corners), shown, keypoints)


@pytest.mark.parametrize("way", ["wbf", "nms", "soft-nms"])
def test_two_that_agree_give_one_thing_and_classes_stay_apart(way):
    one = [found("cat", 0.9, 10, 10, 50, 50), found("dog", 0.6, 12, 12, 52, 52)]
    two = [found("cat", 0.8, 12, 10, 52, 50)]
    made = fuse([one, two], *SIZE, Fusion(way, floor=0.3))
    assert [d.name for d in made] == ["cat", "dog"]
    assert all(a.score >= b.score for a, b in zip(made, made[1:], strict=False))


def test_weighted_boxes_lie_between_their_members_nearer_to_the_surer():
    one, two = [found("cat", 0.9, 10, 10, 50, 50)], [found("cat", 0.3, 14, 10, 54, 50)]
    (made,) = fuse([one, two], *SIZE)
    assert made.box.x0 == pytest.approx((10 * 0.9 + 14 * 0.3) / 1.2, abs=1e-3)


def test_a_weight_counts():
    one, two = [found("cat", 0.5, 10, 10, 50, 50)], [found("cat", 0.5, 14, 10, 54, 50)]
    (made,) = fuse([one, two], *SIZE, Fusion(weights=(3.0, 1.0)))
    assert made.box.x0 == pytest.approx(11, abs=1e-3)


def test_what_only_one_of_several_sees_is_believed_less():
    one, two = [found("cat", 0.9, 10, 10, 50, 50)], []
    (made,) = fuse([one, two], *SIZE)
    assert made.score == pytest.approx(0.45, abs=1e-6)


def test_masks_are_put_to_the_vote():
    members = [
        [found("cat", 0.9, 10, 10, 50, 50, mask=True)],
        [found("cat", 0.9, 12, 10, 50, 50, mask=True)],
        [found("cat", 0.9, 12, 10, 54, 50, mask=True)],
    ]
    (made,) = fuse(members, *SIZE)
    assert made.mask.box == Box(12, 10, 50, 50)


def test_keypoints_are_those_of_the_surest():
    first, second = Keypoints(((20, 20, 2),)), Keypoints(((30, 30, 2),))
    members = [
        [found("cat", 0.9, 10, 10, 50, 50, keypoints=first)],
        [found("cat", 0.5, 10, 10, 50, 50, keypoints=second)],
    ]
    assert fuse(members, *SIZE)[0].keypoints == first


def test_nothing_found_is_nothing():
    assert fuse([[], []], *SIZE) == []
    assert fuse([[found("cat", 0.01, 1, 1, 5, 5)], []], *SIZE) == []


def test_a_box_at_the_edge_or_beyond_stays_inside():
    (made,) = fuse([[found("cat", 0.9, 150, 50, 260, 130)]], *SIZE)
    assert made.box.x1 <= 200 and made.box.y1 <= 100


@pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0), (-1.0, 2.0)])
def test_weights_that_make_no_sense_are_refused(weights):
    with pytest.raises(BadInput, match="weight"):
        fuse([[], []], *SIZE, Fusion(weights=weights))


def test_too_many_models_are_refused():
    with pytest.raises(BadInput, match="1 to 5"):
        fuse([[]] * 6, *SIZE)


def test_what_one_model_finds_twice_counts_once_with_the_surer_score():
    twice = [found("cat", 0.4, 11, 10, 50, 50), found("cat", 0.9, 10, 10, 50, 50)]
    other = [found("dog", 0.5, 10, 10, 50, 50), found("cat", 0.3, 30, 10, 70, 50)]
    assert [(d.name, d.score) for d in once([*twice, *other])] == [("cat", 0.9), ("dog", 0.5), ("cat", 0.3)]
    assert len(once([*twice, *other], 1)) == 4


def test_two_things_that_share_a_box_are_told_apart_by_their_masks():
    one = found("spoon", 0.9, 10, 10, 50, 50, mask=True)
    array = np.zeros(SIZE, bool)
    array[10:50, 48:50] = True
    other = Detection("spoon", 0.8, one.box, Mask.from_array(array))
    again = Detection("spoon", 0.7, one.box, one.mask)
    assert [d.score for d in once([one, other, again])] == [0.9, 0.8]
