from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from studio.annotations import Annotation, Box, Keypoints, Mask, Point
from studio.errors import BadInput, Cancelled, NotFound
from studio.operations import concept, label, segment
from studio.operations.concept import Like
from studio.project import Change
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.conftest import add_photograph
from tests.fakes import disc_card
from tests.operations.finder import FOUND, Finder, finder_card


@pytest.fixture
def boxes() -> Finder:
    return Finder()


@pytest.fixture
def outlines() -> Finder:
    return Finder(outlined=True)


@pytest.fixture
def studio(tmp_path, disc, boxes, outlines):
    cards = [disc_card(disc), finder_card(boxes, "boxer"), finder_card(outlines, "outliner", "segmenter")]
    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry(cards))
    yield made
    made.close()


@pytest.fixture
def image(studio):
    project = studio.store.create_project("apples", "ann")
    return add_photograph(studio.store, project.id, person="ann")


def saved(studio, image) -> list[Annotation]:
    return studio.store.annotations(image.id)


def named(studio, image, *phrases: str, model="outliner", **options):
    return concept.find_named(studio, image, model, phrases or ["apple"], **options)


def shown(studio, image, findings, threshold=0.5, name=""):
    return concept.show(studio, image, "ann", findings, threshold, name)


# ---- finding ------------------------------------------------------------------------------------


def test_what_is_found_becomes_drafts_in_one_step_that_one_undo_takes_back(studio, image):
    findings = named(studio, image, "apple", "pear", cutter_id="outliner")
    assert saved(studio, image) == []
    done = shown(studio, image, findings)
    drafts = saved(studio, image)
    assert sorted(a.class_name for a in drafts) == ["apple", "apple", "pear", "pear"]
    assert all(a.draft and a.source == "model" and a.model == "outliner" for a in drafts)
    assert {a.score for a in drafts} == {0.9, 0.6} and {a.prompt.text for a in drafts} == {"apple", "pear"}
    assert len(done.findings.drafts) == 4
    studio.store.undo(image.id, "ann")
    assert saved(studio, image) == []


def test_boxes_become_masks_by_the_segmenter_chosen(studio, image, disc):
    findings = named(studio, image, model="boxer", cutter_id="disc")
    shapes = [item.shape for item in findings.items]
    assert all(isinstance(shape, Mask) for shape in shapes)
    assert shapes[0].box == FOUND[0][1] and len(disc.asked) == 3 and len(disc.embeds) == 1
    assert [item.prompt.box for item in findings.items] == [box for _, box in FOUND]


def test_without_a_segmenter_they_stay_boxes_of_either_model(studio, image, disc):
    for model in ("boxer", "outliner"):
        findings = named(studio, image, model=model)
        assert [item.shape for item in findings.items] == [box for _, box in FOUND]
    assert disc.asked == []


def test_a_model_with_masks_of_its_own_asks_no_other(studio, image, disc):
    named(studio, image, cutter_id="disc")
    assert disc.asked == [] and disc.embeds == []


def test_what_cannot_be_cut_out_stays_a_box(studio, image, disc):
    answer = disc.segment

    def segment_some(embedding, prompt, previous=None):
        if prompt.box == FOUND[1][1]:
            raise BadInput("Nothing there.")
        if prompt.box == FOUND[2][1]:
            return [replace(answer(embedding, prompt)[0], mask=Mask(240, 320, np.array([240 * 320])))]
        return answer(embedding, prompt)

    disc.segment = segment_some
    findings = named(studio, image, model="boxer", cutter_id="disc")
    assert [type(item.shape) for item in findings.items] == [Mask, Box, Box]
    assert findings.unclear == 2


def test_phrases_whose_answers_depend_on_each_other_are_asked_together(studio, image, boxes, outlines):
    named(studio, image, "apple", "pear", model="boxer")
    named(studio, image, "apple", "pear", model="outliner")
    assert boxes.phrases == [["apple", "pear"]]
    assert outlines.phrases == [["apple"], ["pear"]]


def test_a_model_that_is_clicked_too_encodes_the_image_for_both_at_once(studio, image, outlines):
    named(studio, image)
    segment.prepare(studio, image, "outliner")
    assert len(outlines.embeds) == 1


def test_it_stops_between_phrases_and_between_boxes(studio, image, outlines, disc):
    asked = []
    outlines.during = lambda: asked.append(1)
    with pytest.raises(Cancelled):
        named(studio, image, "apple", "pear", "plum", cancelled=lambda: len(asked) > 1)
    assert len(outlines.phrases) == 2
    with pytest.raises(Cancelled):
        named(studio, image, model="boxer", cutter_id="disc", cancelled=lambda: len(disc.embeds) > 0)
    assert disc.asked == []


def test_only_the_surest_are_kept(studio, image, boxes, monkeypatch):
    monkeypatch.setattr(concept, "MOST", 2)
    boxes.found.reverse()
    findings = named(studio, image, model="boxer")
    assert [item.score for item in findings.items] == [0.9, 0.6] and findings.left_out == 1


def test_a_text_is_read_as_phrases():
    assert concept.phrases_of(" red  apple, pear;apple\nred apple,, ") == ["red apple", "pear", "apple"]
    for text, says in ((" , ", "Write what"), ("a" * 200, "too long"), (",".join(map(str, range(30))), "30")):
        with pytest.raises(BadInput, match=says):
            concept.phrases_of(text)


def test_a_model_that_cannot_do_it_names_one_that_can(studio, image):
    with pytest.raises(BadInput, match="Disc reads no words. Choose another, such as"):
        named(studio, image, model="disc")
    with pytest.raises(BadInput, match="Disc takes no examples"):
        concept.find_alike(studio, image, "ann", "disc", [])


# ---- examples -----------------------------------------------------------------------------------


def labelled(studio, image, *boxes: Box, name="apple") -> list[str]:
    changes = [Change(Annotation(name, box)) for box in boxes]
    return [a.id for a in studio.store.apply(image.id, "ann", changes, verb="draw").put]


def alike(studio, image, *likes: Like, model="outliner", **options):
    return concept.find_alike(studio, image, "ann", model, likes, **options)


def test_objects_of_the_image_are_examples_for_and_against(studio, image, outlines):
    one, two = labelled(studio, image, Box(150, 10, 190, 60), Box(5, 200, 40, 230))
    findings = alike(studio, image, Like(image.id, one), Like(image.id, two, positive=False))
    (examples,) = outlines.examples
    assert [(e.box, e.positive) for e in examples] == [
        (Box(150, 10, 190, 60), True),
        (Box(5, 200, 40, 230), False),
    ]
    assert examples[0].image.shape == (240, 320, 3)
    assert {item.name for item in findings.items} == {"apple"} and not findings.elsewhere
    shown(studio, image, findings)
    assert {a.class_name for a in saved(studio, image) if a.draft} == {"apple"}


def test_an_example_of_another_image_comes_with_its_pixels_and_is_told(studio, image, outlines):
    other = add_photograph(studio.store, image.project_id, "b.jpg", person="ann", seed=3, width=200)
    (there,) = labelled(studio, other, Box(10, 10, 50, 60))
    findings = alike(studio, image, Like(other.id, there))
    assert outlines.examples[0][0].image.shape == (240, 200, 3)
    assert findings.elsewhere
    (here,) = labelled(studio, image, Box(1, 1, 9, 9))
    assert not alike(studio, image, Like(other.id, there), Like(image.id, here)).elsewhere


def test_nobody_gets_at_another_persons_objects_by_an_example(tmp_path, studio, image, outlines):
    theirs = studio.store.create_project("theirs", "bob")
    secret = add_photograph(studio.store, theirs.id, "b.jpg", person="bob", seed=3)
    (there,) = labelled(studio, secret, Box(10, 10, 50, 60))
    studio.store.may_see = lambda project, person: project == image.project_id
    with pytest.raises(BadInput, match="Give at least one object"):
        alike(studio, image, Like(secret.id, there))
    assert outlines.examples == []


def test_examples_that_are_gone_are_no_examples(studio, image):
    (one,) = labelled(studio, image, Box(10, 10, 50, 60))
    with pytest.raises(BadInput, match="at least one object"):
        alike(studio, image, Like(image.id, one, positive=False))
    studio.store.undo(image.id, "ann")
    with pytest.raises(BadInput, match="at least one object"):
        alike(studio, image, Like(image.id, one))


# ---- what is shown ------------------------------------------------------------------------------


def test_the_threshold_moves_without_asking_the_model_again(studio, image, outlines, disc):
    findings = named(studio, image, model="boxer", cutter_id="disc")
    cut = len(disc.asked)
    scores = []
    for threshold in (0.5, 0.1, 0.95, 0.7):
        findings = shown(studio, image, findings, threshold).findings
        scores.append(sorted(a.score for a in saved(studio, image)))
        assert findings.reaching(threshold) == len(scores[-1])
    assert scores == [[0.6, 0.9], [0.2, 0.6, 0.9], [], [0.9]]
    assert len(disc.asked) == cut


def test_what_stays_is_not_touched_when_the_threshold_moves(studio, image):
    findings = shown(studio, image, named(studio, image), 0.5).findings
    before = {a.score: (a.id, a.revision) for a in saved(studio, image)}
    version = studio.store.image(image.id).version
    findings = shown(studio, image, findings, 0.55).findings
    assert studio.store.image(image.id).version == version, "nothing changed, so nothing is written"
    shown(studio, image, findings, 0.1)
    assert {a.score: (a.id, a.revision) for a in saved(studio, image) if a.score > 0.5} == before


def test_what_a_person_did_with_a_draft_stands(studio, image):
    findings = shown(studio, image, named(studio, image, "apple"), 0.1).findings
    first, second, third = saved(studio, image)
    label.put(studio, image, "ann", [replace(third, draft=False)], "accept")
    label.delete(studio, image, "ann", [(second.id, second.revision)])
    findings = shown(studio, image, findings, 0.95).findings
    assert [(a.score, a.draft) for a in saved(studio, image)] == [(third.score, False)]
    shown(studio, image, findings, 0.1)
    assert sorted(a.score for a in saved(studio, image)) == [0.2, 0.9], "what was rejected does not come back"


def test_after_undo_the_threshold_proposes_anew(studio, image):
    findings = shown(studio, image, named(studio, image), 0.5).findings
    studio.store.undo(image.id, "ann")
    shown(studio, image, findings, 0.1)
    assert len(saved(studio, image)) == 3


def test_undo_after_a_move_leaves_no_twins(studio, image):
    findings = shown(studio, image, named(studio, image), 0.1).findings
    findings = shown(studio, image, findings, 0.8).findings
    studio.store.undo(image.id, "ann")  # the two less sure ones are back, under their old ids
    again = shown(studio, image, findings, 0.1)
    assert len(saved(studio, image)) == 3 and again.labelled == 2


def test_what_is_labelled_already_is_not_put_there_twice(studio, image):
    labelled(studio, image, Box(12, 10, 50, 52))
    labelled(studio, image, Box(60, 60, 100, 90), name="leaf")
    points = Keypoints(((10.0, 10.0, 2), (50.0, 50.0, 2)))
    studio.store.apply(image.id, "ann", [Change(Annotation("leaf", points))], verb="draw")
    for options in ({"cutter_id": "outliner"}, {}):
        done = shown(studio, image, named(studio, image, **options))
        assert done.labelled == 1
        (new,) = [a for a in saved(studio, image) if a.draft]
        assert new.score == 0.6 and new.class_name == "apple"
        studio.store.undo(image.id, "ann")
    assert shown(studio, image, named(studio, image), name="leaf").labelled == 2


def test_the_class_chosen_goes_before_the_phrase(studio, image):
    shown(studio, image, named(studio, image, "red apple"), name=" fruit ")
    assert {a.class_name for a in saved(studio, image)} == {"fruit"}


def test_a_mask_that_was_found_is_what_clicks_correct(studio, image, outlines):
    shown(studio, image, named(studio, image, cutter_id="outliner"))
    mask = saved(studio, image)[0]
    segment.segment(
        studio, image, "ann", "outliner", annotation_id=mask.id, class_name="apple",
        points=[Point(150, 150)], box=None, revision=mask.revision,
    )  # fmt: skip
    assert outlines.asked[-1][0].mask == mask.shape
    (now,) = [a for a in saved(studio, image) if a.id == mask.id]
    assert now.shape.to_array()[30, 30] and now.shape.to_array()[150, 150]


def test_an_image_that_is_gone_takes_no_drafts(studio, image):
    findings = named(studio, image)
    studio.store.delete_images([image.id], "ann")
    with pytest.raises(NotFound):
        shown(studio, image, findings)
