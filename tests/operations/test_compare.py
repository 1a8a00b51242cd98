"""The same clicks on other models: what is replayed, what is measured, and what saving one of them changes."""

from __future__ import annotations

import uuid
from dataclasses import replace

import numpy as np
import pytest

from studio.adapters import Download
from studio.annotations import Annotation, Box, Mask, Point
from studio.errors import BadInput, Conflict
from studio.operations import compare, label, segment
from studio.project import Change
from tests.conftest import add_photograph
from tests.fakes import DiscSegmenter, disc_card


class Failing(DiscSegmenter):
    def segment(self, embedding, prompt, previous=None):
        raise RuntimeError("a fault of the model's own")


@pytest.fixture
def wide() -> DiscSegmenter:
    return DiscSegmenter(radius=80)


@pytest.fixture
def studio(tmp_path, disc, wide):
    from studio.hub import Hub
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    cards = [
        disc_card(disc),
        disc_card(wide, "wide", title="Wide", version="7"),
        disc_card(Failing(), "failing", title="Failing"),
        disc_card(DiscSegmenter(), "points", title="Points", prompts=("point",)),
        disc_card(card_id="far", title="Far", download=Download("someone/far", 123_000_000)),
    ]
    hub = Hub("http://127.0.0.1:9", tmp_path / "cache", offline=True)
    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry(cards), hub=hub)
    yield made
    made.close()


@pytest.fixture
def image(studio):
    project = studio.store.create_project("apples", "ann")
    return add_photograph(studio.store, project.id, person="ann")


@pytest.fixture
def clicked(studio, image) -> Annotation:
    """An object made by two clicks of the disc."""
    made, name = None, uuid.uuid4().hex
    for n in (1, 2):
        points = [Point(100, 100), Point(150, 100, False)][:n]
        made = segment.segment(
            studio,
            image,
            "ann",
            "disc",
            annotation_id=name,
            class_name="apple",
            points=points,
            box=None,
            revision=made.annotation.revision if made else 0,
        )
    return made.annotation


def put(studio, image, annotation: Annotation) -> Annotation:
    return studio.store.apply(image.id, "ann", [Change(annotation)], verb="put").put[0]


def test_clicks_are_replayed_one_by_one_and_each_answer_goes_on_from_the_last(studio, image, clicked, wide):
    (trial,) = compare.compare(studio, image, clicked, ["wide"])
    first, second = wide.asked[:2]
    assert (first[0].points, first[1]) == (clicked.prompt.points[:1], None)
    assert second[0].points == clicked.prompt.points
    assert second[1][0, 0] == 1.0, "the second click must be given the state of the first"
    drawn = trial.candidate.mask.to_array()
    assert drawn[100, 60] and not drawn[100, 150]


def test_a_box_comes_before_the_clicks_and_a_corrected_mask_goes_along(studio, image, clicked, wide):
    mask = Mask.from_array(np.eye(image.height, image.width, dtype=bool))
    prompt = replace(clicked.prompt, box=Box(60, 60, 140, 140), mask=mask)
    framed = put(studio, image, replace(clicked, prompt=prompt))
    list(compare.compare(studio, image, framed, ["wide"]))
    asked = [p for p, _ in wide.asked[:3]]
    assert [len(p.points) for p in asked] == [0, 1, 2]
    assert all(p.box == prompt.box and p.mask == mask for p in asked)


def test_agreement_is_the_overlap_with_what_is_saved(studio, image, clicked):
    same, other = compare.compare(studio, image, clicked, ["disc", "wide"])
    assert same.agreement == pytest.approx(1.0)
    a, b = clicked.shape.to_array(), other.candidate.mask.to_array()
    assert other.agreement == pytest.approx((a & b).sum() / (a | b).sum())


def test_one_model_that_fails_says_so_and_the_next_goes_on(studio, image, clicked):
    failed, worked = compare.compare(studio, image, clicked, ["failing", "wide"])
    assert failed.candidate is None and "went wrong" in failed.trouble
    assert worked.candidate is not None and not worked.trouble


def test_a_model_that_is_not_downloaded_says_so_in_its_row(studio, image, clicked):
    (trial,) = compare.compare(studio, image, clicked, ["far"])
    assert "not on this machine" in trial.trouble


def test_a_model_that_cannot_take_the_prompt_says_what_it_lacks(studio, image, clicked):
    framed = put(studio, image, replace(clicked, prompt=replace(clicked.prompt, box=Box(60, 60, 140, 140))))
    (trial,) = compare.compare(studio, image, framed, ["points"])
    assert trial.trouble == "Points takes no box, and this object was made with one."


def test_encoding_is_measured_anew_and_kept_once(studio, image, clicked, disc, wide):
    known, new = compare.compare(studio, image, clicked, ["disc", "wide"])
    assert known.kept and len(disc.embeds) == 2
    assert not new.kept and len(wide.embeds) == 1
    assert segment.prepare(studio, image, "wide").cached, "what was encoded for the comparison is kept"
    assert known.embedding_bytes == 1000 and known.encode_s > 0 and known.click_ms > 0


def test_comparing_saves_nothing(studio, image, clicked):
    before = studio.store.image(image.id).version
    list(compare.compare(studio, image, clicked, ["disc", "wide", "failing"]))
    assert studio.store.image(image.id).version == before
    assert studio.store.annotations(image.id) == [clicked]


def test_stopping_leaves_out_the_models_not_yet_asked(studio, image, clicked):
    done = []
    trials = compare.compare(studio, image, clicked, ["wide", "disc"], cancelled=lambda: bool(done))
    done.append(next(trials))
    assert list(trials) == []


def test_using_one_is_one_step_that_keeps_clicks_and_class(studio, image, clicked):
    (trial,) = compare.compare(studio, image, clicked, ["wide"])
    compare.use(studio, image, "ann", clicked, trial)
    (saved,) = studio.store.annotations(image.id)
    assert saved.shape == trial.candidate.mask
    assert (saved.model, saved.model_version) == ("wide", "7")
    assert (saved.prompt, saved.class_name, saved.draft) == (clicked.prompt, "apple", clicked.draft)
    studio.store.undo(image.id, "ann")
    (back,) = studio.store.annotations(image.id)
    assert (back.shape, back.model, back.prompt) == (clicked.shape, "disc", clicked.prompt)


def test_the_next_click_goes_on_from_the_mask_that_was_used(studio, image, clicked, wide):
    (trial,) = compare.compare(studio, image, clicked, ["wide"])
    saved = compare.use(studio, image, "ann", clicked, trial).put[0]
    segment.segment(
        studio,
        image,
        "ann",
        "wide",
        annotation_id=saved.id,
        class_name="apple",
        points=[*saved.prompt.points, Point(200, 100)],
        box=None,
        revision=saved.revision,
    )
    assert wide.asked[-1][1] is trial.candidate.state


def test_an_object_changed_since_is_not_overwritten(studio, image, clicked):
    (trial,) = compare.compare(studio, image, clicked, ["wide"])
    brushed = Mask.from_array(np.eye(image.height, image.width, dtype=bool))
    label.put(studio, image, "ann", [replace(clicked, shape=brushed)], "brush")
    with pytest.raises(Conflict, match="changed"):
        compare.use(studio, image, "ann", clicked, trial)
    studio.store.apply(image.id, "ann", [Change(delete=clicked.id)], verb="delete")
    with pytest.raises(Conflict, match="deleted"):
        compare.use(studio, image, "ann", clicked, trial)


def test_an_object_that_was_only_accepted_since_can_be_given_the_mask(studio, image, clicked):
    (trial,) = compare.compare(studio, image, clicked, ["wide"])
    label.put(studio, image, "ann", [replace(clicked, draft=False)], "accept")
    compare.use(studio, image, "ann", clicked, trial)
    (saved,) = studio.store.annotations(image.id)
    assert not saved.draft and saved.model == "wide"


def test_without_a_selection_the_newest_clicked_object_is_compared(studio, image, clicked):
    drawn = put(studio, image, Annotation("leaf", Box(5, 5, 50, 50)))
    assert compare.object_to_compare(studio, image, "") == clicked
    assert compare.object_to_compare(studio, image, clicked.id) == clicked
    with pytest.raises(BadInput, match="nothing to replay"):
        compare.object_to_compare(studio, image, drawn.id)
    studio.store.apply(image.id, "ann", [Change(delete=clicked.id)], verb="delete")
    with pytest.raises(BadInput, match="No object"):
        compare.object_to_compare(studio, image, "")


def test_models_to_download_are_listed_apart(studio):
    ready, absent = compare.segmenters(studio)
    assert [c.id for c in absent] == ["far"]
    assert {c.id for c in ready} == {"disc", "wide", "failing", "points"}


def test_the_picture_shows_the_object_outlined_and_the_rest_dimmed(studio, image, clicked):
    (trial,) = compare.compare(studio, image, clicked, ["disc"])
    plain = compare.saved_picture(studio, image, clicked)
    assert trial.picture.shape == plain.shape and max(plain.shape) == 240
    assert np.array_equal(trial.picture, plain), "the same mask in the same frame is the same picture"
    yellow = np.abs(trial.picture.astype(int) - (255, 214, 10)).sum(-1) < 40
    assert yellow.any(), "an outline"
