"""One image: a mask becomes a matte in its place, undo gives it back, and a brush stays within the band."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from studio.annotations import Alpha, Box, Mask, Point, Prompt
from studio.errors import BadInput, Cancelled
from studio.operations import label, segment
from studio.operations.matting import matte as matting
from studio.operations.matting.matte import Touch
from studio.operations.matting.stored import alpha_of, cutout, cutout_shown, trimap_stored
from studio.operations.matting.trimaps import Band, Stroke
from studio.project import Change
from tests.matting.pictures import add, put_mask, soft_disc


@pytest.fixture
def scene(studio, project):
    """An image, its true alpha, and an object on it whose mask is that alpha's half."""
    picture, alpha = soft_disc()
    image = add(studio, project.id, picture)
    prompt = Prompt((Point(80, 60),), Box(40, 20, 120, 100))
    made = put_mask(studio, image, alpha >= 0.5, prompt=prompt, model="disc", model_version="1")
    return image, alpha, made


def make(studio, image, made, matter="closed-form", **more):
    return matting.matte(
        studio, image, "local", matter, annotation_id=made.id, revision=made.revision, **more
    )


def test_a_mask_becomes_a_matte_near_to_the_true_one(studio, scene):
    image, alpha, made = scene
    told = []
    done = make(studio, image, made, told=told.append)
    found = alpha_of(studio, image, done.annotation.shape)
    assert np.abs(found - alpha).mean() < 0.3 * np.abs((alpha >= 0.5) - alpha).mean()
    assert told == sorted(told) and told[-1] >= 0.9
    saved = studio.store.annotation(image.id, made.id)
    assert isinstance(saved.shape, Alpha) and saved.shape == done.annotation.shape
    assert (saved.model, saved.model_version) == ("disc+closed-form", "1+1")
    assert saved.prompt == made.prompt and saved.draft == made.draft and saved.class_name == "fruit"
    half = saved.shape.mask.to_array()
    assert np.array_equal(half, np.round(found * 255) >= 128)


def test_the_trimap_is_kept_and_the_alpha_is_sure_where_that_is(studio, scene):
    image, _, made = scene
    shape = make(studio, image, made).annotation.shape
    trimap, alpha = trimap_stored(studio, image, shape), alpha_of(studio, image, shape)
    assert set(np.unique(trimap)) == {0, 128, 255}
    assert (alpha[trimap == 255] == 1).all() and (alpha[trimap == 0] == 0).all()


def test_undo_gives_the_mask_back_and_redo_the_matte(studio, scene):
    image, _, made = scene
    done = make(studio, image, made)
    assert studio.store.undo(image.id, "local").put[0].shape == made.shape
    again = studio.store.redo(image.id, "local").put[0]
    assert again.shape == done.annotation.shape
    alpha_of(studio, image, again.shape)


def test_beside_leaves_the_mask(studio, scene):
    image, _, made = scene
    done = make(studio, image, made, beside=True)
    kinds = {a.id: type(a.shape) for a in studio.store.annotations(image.id)}
    assert kinds == {made.id: Mask, done.annotation.id: Alpha}


def test_sixteen_bits_keep_finer_steps(studio, scene):
    image, _, made = scene
    done = make(studio, image, made, bits=16)
    values = alpha_of(studio, image, done.annotation.shape)
    assert len(np.unique(values)) > 256


def test_a_cancelled_matte_changes_nothing(studio, scene):
    image, _, made = scene
    with pytest.raises(Cancelled):
        make(studio, image, made, cancelled=lambda: True)
    assert studio.store.annotation(image.id, made.id) == made


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(studio, scene):
    image, _, made = scene
    other = made.with_(class_name="ball")
    studio.store.apply(image.id, "somebody", [Change(other)], verb="put")
    done = make(studio, image, made)
    assert done.conflicts and done.annotation.id != made.id and done.annotation.draft
    assert studio.store.annotation(image.id, made.id).class_name == "ball"


def test_a_mask_that_is_everything_gets_a_sentence(studio, project):
    image = add(studio, project.id, soft_disc()[0])
    everything = put_mask(studio, image, np.ones((120, 160), bool))
    with pytest.raises(BadInput, match="covers the whole image"):
        make(studio, image, everything)
    nothing = put_mask(studio, image, np.zeros((120, 160), bool))
    with pytest.raises(BadInput, match="The mask is empty"):
        matting.trimap(studio, image, nothing.id)


def test_strokes_are_painted_into_the_trimap_and_later_ones_win(studio, scene):
    image, _, made = scene
    corner, whole = np.zeros((120, 160), bool), np.zeros((120, 160), bool)
    whole[:20, :20], corner[:10, :10] = True, True
    strokes = [Stroke("unknown", Mask.from_array(whole)), Stroke("foreground", Mask.from_array(corner))]
    trimap = matting.trimap(studio, image, made.id, strokes=strokes)
    assert (trimap[:10, :10] == 255).all() and (trimap[10:20, 10:20] == 128).all()
    shape = make(studio, image, made, strokes=strokes).annotation.shape
    assert np.array_equal(trimap_stored(studio, image, shape), trimap)
    assert (alpha_of(studio, image, shape)[:10, :10] == 1).all()


def test_a_matte_is_made_again_from_its_own_trimap(studio, scene):
    image, _, made = scene
    first = make(studio, image, made, band=Band(pixels=9)).annotation
    widened = np.zeros((120, 160), bool)
    widened[:5] = True
    strokes = [Stroke("unknown", Mask.from_array(widened))]
    second = make(studio, image, first, kept=True, strokes=strokes).annotation
    before, after = (trimap_stored(studio, image, a.shape) for a in (first, second))
    assert np.array_equal(after[5:], before[5:]) and (after[:5] == 128).all()
    assert second.model == "disc+closed-form"
    assert make(studio, image, second, "knn-matting", kept=True).annotation.model == "disc+knn-matting"


def test_a_brush_in_the_alpha_touches_nothing_outside_of_the_band(studio, scene):
    image, _, made = scene
    matte = make(studio, image, made).annotation
    before, trimap = alpha_of(studio, image, matte.shape), trimap_stored(studio, image, matte.shape)
    rng = np.random.default_rng(3)
    for to in (1.0, 0.0):
        everywhere = Mask.from_array(rng.random(before.shape) < 0.9)
        done = matting.refine(
            studio,
            image,
            "local",
            annotation_id=matte.id,
            revision=matte.revision,
            touches=[Touch(everywhere, to)],
        )
        matte, now = done.annotation, alpha_of(studio, image, done.annotation.shape)
        assert np.array_equal(now[trimap != 128], before[trimap != 128])
        assert (now[(trimap == 128) & everywhere.to_array()] == to).all()
    assert studio.store.undo(image.id, "local") is not None


def test_a_half_strength_brush_goes_half_the_way(studio, scene):
    image, _, made = scene
    matte = make(studio, image, made, bits=16).annotation
    before, trimap = alpha_of(studio, image, matte.shape), trimap_stored(studio, image, matte.shape)
    everywhere = Mask.from_array(np.ones(before.shape, bool))
    done = matting.refine(
        studio,
        image,
        "local",
        annotation_id=matte.id,
        revision=matte.revision,
        touches=[Touch(everywhere, 1, strength=0.5)],
    )
    now, open_ = alpha_of(studio, image, done.annotation.shape), trimap == 128
    assert np.abs(now[open_] - (before[open_] + 1) / 2).max() < 1e-4


def test_clicks_go_on_from_a_matte(studio, scene):
    image, _, made = scene
    matte = make(studio, image, made).annotation
    more = segment.segment(
        studio, image, "local", "disc", annotation_id=made.id, class_name="fruit",
        points=[*made.prompt.points, Point(10, 10)], box=None, revision=matte.revision,
    )  # fmt: skip
    assert isinstance(more.annotation.shape, Mask) and not more.conflicts
    assert isinstance(make(studio, image, more.annotation).annotation.shape, Alpha)


def test_a_cutout_has_the_objects_own_colours(studio, scene):
    image, alpha, made = scene
    shape = make(studio, image, made).annotation.shape
    rgba = cutout(studio, image, shape)
    edge = (alpha > 0.2) & (alpha < 0.5)
    green = soft_disc()[0][edge].astype(int)
    assert (
        np.abs(rgba[edge][:, :3] - np.array((230, 120, 30))).mean()
        < 0.5 * np.abs(green - (230, 120, 30)).mean()
    )
    path = cutout_shown(studio, image, shape.digest)
    assert path.read_bytes()[:4] == b"RIFF" and cutout_shown(studio, image, shape.digest) == path


def test_without_a_prompt_or_a_download_what_stands_out_is_matted_and_said_to_be_a_guess(studio, scene):
    image, alpha, _ = scene
    done = matting.alone(studio, image, "local", class_name="thing")
    assert done.annotation.draft and done.annotation.source == "model" and "guessed" in done.notes[0]
    assert done.annotation.model == "disc+shared-matting"
    found = alpha_of(studio, image, done.annotation.shape)
    assert found[60, 80] == 1 and found[:5].max() == 0


def test_a_model_without_the_role_is_refused(studio, scene):
    image, _, made = scene
    with pytest.raises(BadInput, match="makes no matte from a trimap"):
        make(studio, image, made, "disc")


def test_a_matte_that_the_page_sends_back_stays_as_it_is(studio, scene):
    image, _, made = scene
    matte = make(studio, image, made).annotation
    bare = replace(matte.shape, mask=None)
    for sent in (matte, matte.with_(shape=bare)):
        label.put(studio, image, "local", [sent.with_(class_name="ball", draft=False, revision=2)], "put")
        saved = studio.store.annotation(image.id, matte.id)
        assert saved.class_name == "ball" and saved.shape == matte.shape
        assert (saved.model, saved.prompt) == (matte.model, matte.prompt)
    other = Alpha(120, 160, image.digest, None, matte.shape.mask)
    with pytest.raises(BadInput, match="not this image's"):
        label.put(studio, image, "local", [saved.with_(shape=other)], "put")
