from __future__ import annotations

import threading
import uuid
from dataclasses import replace

import numpy as np
import pytest

from studio.annotations import Annotation, Box, Mask, Point, Polygon
from studio.errors import BadInput, NotFound
from studio.gate import Turn
from studio.operations import label, segment
from studio.project import Change
from tests.conftest import add_photograph


@pytest.fixture
def image(studio):
    project = studio.store.create_project("apples", "ann")
    return add_photograph(studio.store, project.id, person="ann")


def click(studio, image, *points, of=None, box=None, model="disc", name="apple"):
    """Click a new object, or go on with the annotation ``of``."""
    return segment.segment(
        studio,
        image,
        "ann",
        model,
        annotation_id=of.id if of else uuid.uuid4().hex,
        class_name=name,
        points=[Point(*p) for p in points],
        box=box,
        revision=of.revision if of else 0,
    )


def test_the_image_is_encoded_once_whatever_is_clicked(studio, image, disc):
    first = click(studio, image, (100, 100))
    again = click(studio, image, (100, 100), (180, 100), of=first.annotation)
    click(studio, image, (50, 50))
    segment.prepare(studio, image, "disc")
    assert len(disc.embeds) == 1
    assert again.annotation.shape.area > first.annotation.shape.area


def test_a_click_is_saved_before_it_is_answered(studio, image):
    done = click(studio, image, (100, 100), (120, 100, False))
    (saved,) = studio.store.annotations(image.id)
    assert saved == done.annotation
    assert saved.draft and saved.model == "disc" and saved.created_by == "ann"
    assert [(p.x, p.y, p.positive) for p in saved.prompt.points] == [(100, 100, True), (120, 100, False)]


def test_a_corrected_object_stays_accepted(studio, image):
    done = click(studio, image, (100, 100))
    label.put(studio, image, "ann", [replace(done.annotation, draft=False)], "accept")
    (saved,) = studio.store.annotations(image.id)
    again = click(studio, image, (100, 100), (160, 100), of=saved)
    assert not again.annotation.draft


def test_the_next_click_refines_what_the_model_said_before(studio, image, disc):
    first = click(studio, image, (100, 100))
    click(studio, image, (100, 100), (150, 100), of=first.annotation)
    assert disc.asked[0][1] is None
    assert disc.asked[1][1][0, 0] == 1.0


def test_after_choosing_a_candidate_its_own_state_is_refined(studio, image, disc):
    first = click(studio, image, (100, 100))
    other = first.candidates[1]
    label.put(studio, image, "ann", [replace(first.annotation, shape=other.mask)], "candidate")
    (saved,) = studio.store.annotations(image.id)
    assert saved.prompt == first.annotation.prompt
    click(studio, image, (100, 100), (150, 100), of=saved)
    assert disc.asked[1][1][0, 0] == 0.5


def test_a_brushed_mask_is_where_later_clicks_start_from(studio, image, disc):
    first = click(studio, image, (100, 100))
    brushed = np.zeros((image.height, image.width), bool)
    brushed[200:220, 200:230] = True
    label.put(studio, image, "ann", [replace(first.annotation, shape=Mask.from_array(brushed))], "brush")
    (saved,) = studio.store.annotations(image.id)
    assert saved.prompt.points == () and saved.score is None
    done = click(studio, image, (50, 50), of=saved)
    assert disc.asked[-1][1] is None, "the state of the mask before the brush describes it no longer"
    assert done.annotation.shape.to_array()[210, 215]


def test_an_imported_polygon_is_corrected_by_clicks(studio, image, disc):
    ring = ((10.0, 10.0), (60.0, 10.0), (60.0, 60.0), (10.0, 60.0))
    imported = Annotation("apple", Polygon((ring,)), source="import")
    studio.store.apply(image.id, "ann", [Change(imported)], verb="import")
    (saved,) = studio.store.annotations(image.id)
    done = click(studio, image, (200, 150), of=saved)
    drawn = done.annotation.shape.to_array()
    assert drawn[30, 30] and drawn[150, 200]
    assert done.annotation.source == "import"


def test_undo_brings_back_the_mask_and_the_clicks_without_the_model(studio, image, disc):
    first = click(studio, image, (100, 100))
    click(studio, image, (100, 100), (180, 100), of=first.annotation)
    asked = len(disc.asked)
    studio.store.undo(image.id, "ann")
    (saved,) = studio.store.annotations(image.id)
    assert saved.shape == first.annotation.shape
    assert len(saved.prompt.points) == 1
    assert len(disc.asked) == asked


def test_a_late_click_on_an_object_changed_by_somebody_else_erases_nothing(studio, image):
    first = click(studio, image, (100, 100))
    theirs = replace(first.annotation, class_name="pear")
    studio.store.apply(image.id, "bob", [Change(theirs)], verb="class")
    late = click(studio, image, (100, 100), (200, 100), of=first.annotation)
    assert late.conflicts
    kept = {a.id: a for a in studio.store.annotations(image.id)}
    assert kept[first.annotation.id].class_name == "pear"
    assert kept[late.annotation.id].draft and late.annotation.id != first.annotation.id


@pytest.mark.parametrize(
    ("points", "box"),
    [
        ([], None),
        ([(-1, 5)], None),
        ([(5, 5000)], None),
        ([], Box(400, 300, 500, 400)),
        ([(1, 1)] * 501, None),
    ],
)
def test_a_prompt_that_cannot_be_answered_is_refused_and_saves_nothing(studio, image, points, box):
    with pytest.raises(BadInput):
        click(studio, image, *points, box=box)
    assert studio.store.annotations(image.id) == []


def test_an_unknown_model_names_the_nearest(studio, image):
    with pytest.raises(NotFound, match="disc"):
        click(studio, image, (5, 5), model="disk")


def test_the_same_bytes_in_two_projects_are_encoded_once(studio, image, disc):
    other = studio.store.create_project("other", "ann")
    twin = add_photograph(studio.store, other.id, person="ann")
    segment.prepare(studio, image, "disc")
    assert segment.prepare(studio, twin, "disc").cached
    assert len(disc.embeds) == 1


def test_the_same_request_twice_is_answered_twice_and_saved_once(studio, image):
    first = click(studio, image, (100, 100))
    again = click(studio, image, (100, 100), of=first.annotation)
    assert again.annotation.shape == first.annotation.shape
    assert len(studio.store.annotations(image.id)) == 1


def test_corrections_put_aside_leave_the_mask_and_its_clicks_from_before(studio, image):
    first = click(studio, image, (100, 100))
    click(studio, image, (100, 100), (200, 100), of=first.annotation)
    (now,) = studio.store.annotations(image.id)
    label.put(studio, image, "ann", [replace(first.annotation, revision=now.revision)], "restore")
    (saved,) = studio.store.annotations(image.id)
    assert saved.shape == first.annotation.shape
    assert saved.prompt == first.annotation.prompt


def test_reading_ahead_on_a_processor_does_not_keep_a_click_waiting(studio, image, disc):
    following = add_photograph(studio.store, image.project_id, "next.jpg", person="ann", seed=5)
    segment.prepare(studio, image, "disc")
    begun, go_on = threading.Event(), threading.Event()
    embed = disc.embed

    def slow(pixels):
        begun.set()
        assert go_on.wait(20)
        return embed(pixels)

    disc.embed = slow
    ahead = threading.Thread(target=segment.prepare, args=(studio, following, "disc", Turn.BATCH))
    ahead.start()
    assert begun.wait(10)
    answered = threading.Event()
    clicking = threading.Thread(target=lambda: (click(studio, image, (100, 100)), answered.set()))
    clicking.start()
    in_time = answered.wait(5)
    go_on.set()
    ahead.join(10)
    clicking.join(10)
    assert in_time, "the click waited for the next image to be encoded"
    assert len(disc.embeds) == 2
