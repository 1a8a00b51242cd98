"""Streams of scenes: a class that comes late, a light that changes."""

from __future__ import annotations

import pytest

from studio.errors import BadInput
from studio.scenes import stream


def test_a_rare_class_is_not_seen_before_its_time_and_is_afterwards():
    names = [{t.name for t in s.things} for s in stream(1, 24, 96, 72, rare="plum", rare_from=0.5)]
    assert not any("plum" in seen for seen in names[:12])
    assert any("plum" in seen for seen in names[12:])


def test_the_light_shifts_from_the_wished_share_on():
    scenes = list(stream(2, 8, 96, 72, shifted="evening", shifted_from=0.5))
    warmth = [s.image[..., 0].mean() / s.image[..., 2].mean() for s in scenes]
    plain = [s.image[..., 0].mean() / s.image[..., 2].mean() for s in stream(2, 8, 96, 72)]
    assert warmth[:4] == plain[:4]
    assert all(shifted > 1.15 * usual for shifted, usual in zip(warmth[4:], plain[4:], strict=True))


def test_what_cannot_be_streamed_is_said():
    with pytest.raises(BadInput, match="cat"):
        next(stream(1, 2, rare="cat"))
    with pytest.raises(BadInput, match="between 0 and 1"):
        next(stream(1, 2, rare_from=1.5))
