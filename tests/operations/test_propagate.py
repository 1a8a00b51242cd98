"""Objects carried on to the next images: followed or found by example, always as drafts, never over a person's."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from studio.adapters import Candidate, Detection
from studio.annotations import Annotation, Box, Mask, Point, Prompt
from studio.errors import BadInput, NotFound, OutOfMemory
from studio.operations import propagate
from studio.project import Change
from tests.conftest import add_photograph
from tests.fakes import DiscSegmenter, disc_card

STEP = 10  # pixels an object moves to the right from image to image


@dataclass
class Mover(DiscSegmenter):
    """A follower whose objects move to the right; ``lost`` names the steps on which each is not seen."""

    lost: dict[int, set[int]] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)
    breaks_at: int = 0

    def remember(self, embedding, masks, images):
        self.told.append(images)
        return 0, tuple((m.box, m.height, m.width) for m in masks)

    def follow(self, embedding, memory):
        step, shown = memory[0] + 1, memory[1]
        if step == self.breaks_at:
            raise OutOfMemory("Mover needs 9 GB.")
        found = []
        for n, (box, height, width) in enumerate(shown):
            drawn = np.zeros((embedding.height, embedding.width), bool)
            gone = step in self.lost.get(n, ())
            if not gone:
                sx, sy = embedding.width / width, embedding.height / height
                x0, x1 = (int(v * sx) + STEP * step for v in (box.x0, box.x1))
                drawn[int(box.y0 * sy) : int(box.y1 * sy), x0:x1] = True
            found.append(Candidate(Mask.from_array(drawn), 0.2 if gone else 0.9))
        return found, (step, shown)


@dataclass
class Finder:
    """Finds the same two boxes on every image, of scores 0.8 and 0.4."""

    asked: list[int] = field(default_factory=list)
    with_masks: bool = False
    more: tuple[tuple[float, Box], ...] = ()

    def detect_like(self, images, examples, *, floor=0.05):
        self.asked.append(len(examples))
        answer = []
        for image in images:
            boxes = [(0.8, Box(20, 20, 70, 60)), (0.4, Box(120, 40, 9000, 90)), *self.more]
            answer.append([Detection("", s, b, self._mask(image, b)) for s, b in boxes if s >= floor])
        return answer

    def _mask(self, image, box):
        if not self.with_masks:
            return None
        drawn = np.zeros(image.shape[:2], bool)
        drawn[int(box.y0) : int(box.y1), int(box.x0) + 5 : int(box.x1)] = True
        return Mask.from_array(drawn)


@pytest.fixture
def mover() -> Mover:
    return Mover()


@pytest.fixture
def finder() -> Finder:
    return Finder()


@pytest.fixture
def studio(tmp_path, disc, mover, finder):
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    cards = [
        disc_card(disc),
        disc_card(mover, "mover", title="Mover", roles=("segmenter", "follower"), version="3"),
        disc_card(DiscSegmenter(), "image-only", title="Image only", roles=("segmenter", "follower")),
        disc_card(finder, "finder", title="Finder", roles=("example-detector",), prompts=("reference",)),
        disc_card(finder, "homely", title="Homely", roles=("example-detector",), examples_travel=False),
        disc_card(DiscSegmenter(), "points", title="Points", prompts=("point",)),
    ]
    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry(cards))
    yield made
    made.close()


SIZES = [(200, 150), (200, 150), (300, 120), (200, 150), (160, 160)]


@pytest.fixture
def series(studio):
    project = studio.store.create_project("walk", "ann")
    return [
        add_photograph(studio.store, project.id, f"{n}.jpg", "ann", width=w, height=h, seed=n)
        for n, (w, h) in enumerate(SIZES)
    ]


def square(image, x: int, y: int, side: int = 30) -> Mask:
    drawn = np.zeros((image.height, image.width), bool)
    drawn[y : y + side, x : x + side] = True
    return Mask.from_array(drawn)


def put(studio, image, annotation: Annotation, person="ann") -> Annotation:
    return studio.store.apply(image.id, person, [Change(annotation)], verb="put").put[0]


@pytest.fixture
def apple(studio, series) -> Annotation:
    return put(studio, series[0], Annotation("apple", square(series[0], 20, 30)))


def follow(studio, series, *sources, model="mover", **more):
    return propagate.follow(studio, series[0], "ann", model, sources, series[1:], **more)


# ---- following ------------------------------------------------------------------------------------


def test_an_object_is_proposed_on_each_next_image_as_a_draft_with_where_it_came_from(
    studio, series, apple, mover
):
    outcome = follow(studio, series, apple)
    assert [p.image.name for p in outcome.proposed] == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    for image, proposed in zip(series[1:], outcome.proposed, strict=True):
        (saved,) = studio.store.annotations(image.id)
        assert saved == proposed.annotation
        assert saved.draft and saved.source == "model" and saved.class_name == "apple"
        assert (saved.model, saved.model_version, saved.score) == ("mover", "3", 0.9)
        assert (saved.shape.height, saved.shape.width) == (image.height, image.width)
    assert studio.store.annotations(series[0].id) == [apple]
    assert mover.told == [5], "the model is told how long the series is"


def test_several_objects_are_followed_at_once(studio, series, apple, mover):
    pear = put(studio, series[0], Annotation("pear", square(series[0], 100, 80)))
    outcome = follow(studio, series, apple, pear)
    assert [p.annotation.class_name for p in outcome.proposed] == ["apple", "pear"] * 4
    assert mover.embeds == [(h, w) for w, h in SIZES], "each image is encoded once, whatever is followed"


def test_what_is_not_seen_is_not_proposed_and_the_person_is_told(studio, series, apple, mover):
    mover.lost = {0: {2, 3}}
    outcome = follow(studio, series, apple)
    assert [p.image.name for p in outcome.proposed] == ["1.jpg", "4.jpg"]
    assert outcome.notes == ("“apple” was not seen on 2.jpg, 3.jpg.",)
    assert studio.store.annotations(series[2].id) == []


def test_the_walk_ends_where_nothing_has_been_seen_for_long(studio, apple, series, mover):
    more = [
        add_photograph(studio.store, series[0].project_id, f"more{n}.jpg", "ann", seed=100 + n)
        for n in range(8)
    ]
    mover.lost = {0: set(range(2, 50))}
    outcome = propagate.follow(studio, series[0], "ann", "mover", [apple], [*series[1:], *more])
    assert outcome.looked == 1 + propagate.GONE < outcome.images
    assert any("8 pictures in a row" in note for note in outcome.notes)


def test_a_persons_label_is_left_alone_and_not_doubled(studio, series, apple):
    theirs = put(studio, series[1], Annotation("apfel", square(series[1], 20 + STEP, 30)))
    outcome = follow(studio, series, apple)
    assert studio.store.annotations(series[1].id) == [theirs]
    assert [p.image.name for p in outcome.proposed] == ["2.jpg", "3.jpg", "4.jpg"]
    assert any("labelled already" in note for note in outcome.notes)


def test_a_label_elsewhere_on_the_image_does_not_stop_a_proposal(studio, series, apple):
    theirs = put(studio, series[1], Annotation("apple", square(series[1], 20 + STEP + 4, 30)))
    follow(studio, series, apple)
    assert len(studio.store.annotations(series[1].id)) == 2
    assert theirs in studio.store.annotations(series[1].id)


def test_a_second_run_renews_what_nobody_touched_and_keeps_what_somebody_did(studio, series, apple):
    first = follow(studio, series, apple).proposed
    worked_on = first[1].annotation
    kept = put(studio, series[2], replace(worked_on, prompt=Prompt(mask=worked_on.shape)))
    moved = replace(apple, shape=square(series[0], 25, 30))
    second = follow(studio, series, moved)
    assert [a.id for a in studio.store.annotations(series[1].id)] == [second.proposed[0].annotation.id]
    assert kept in studio.store.annotations(series[2].id)


def test_two_objects_that_overlap_do_not_take_each_others_place(studio, series, apple):
    other = put(studio, series[0], Annotation("apple", square(series[0], 23, 33)))
    outcome = follow(studio, series, apple, other)
    assert len(outcome.proposed) == 8
    assert len(studio.store.annotations(series[1].id)) == 2


def test_one_undo_takes_back_one_image_and_taking_back_takes_all_but_what_was_accepted(studio, series, apple):
    outcome = follow(studio, series, apple)
    studio.store.undo(series[1].id, "ann")
    assert studio.store.annotations(series[1].id) == []
    assert len(studio.store.annotations(series[2].id)) == 1
    propagate.accept(studio, "ann", outcome.proposed[1:2])
    assert propagate.take_back(studio, "ann", outcome) == 2
    left = [len(studio.store.annotations(i.id)) for i in series]
    assert left == [1, 0, 1, 0, 0]


def test_accepting_and_rejecting_settle_drafts(studio, series, apple):
    outcome = follow(studio, series, apple)
    one, two, *others = outcome.proposed
    done, troubles = propagate.accept(studio, "ann", [one])
    assert done == {one.annotation.id: "accepted"} and not troubles
    (accepted,) = studio.store.annotations(series[1].id)
    assert not accepted.draft and accepted.source == "model" and accepted.shape == one.annotation.shape
    propagate.reject(studio, "ann", [two])
    assert studio.store.annotations(series[2].id) == []
    done, _ = propagate.reject(studio, "ann", outcome.proposed)
    assert set(done) == {p.annotation.id for p in outcome.proposed}
    assert [len(studio.store.annotations(i.id)) for i in series] == [1, 1, 0, 0, 0], "what was accepted stays"
    assert list(done.values()).count("accepted") == 1


def test_a_draft_somebody_worked_on_is_accepted_as_it_is_now_and_not_rejected(studio, series, apple):
    outcome = follow(studio, series, apple)
    one = outcome.proposed[0]
    better = put(studio, series[1], replace(one.annotation, shape=square(series[1], 60, 60)), "bob")
    done, troubles = propagate.reject(studio, "ann", [one])
    assert not done and "changed" in troubles[0]
    propagate.accept(studio, "ann", [one])
    (saved,) = studio.store.annotations(series[1].id)
    assert saved.shape == better.shape and not saved.draft


def test_stopping_keeps_what_was_proposed(studio, series, apple):
    seen = []
    outcome = follow(studio, series, apple, told=seen.append, cancelled=lambda: len(seen) >= 2)
    assert len(outcome.proposed) == outcome.looked == 2
    assert any("Stopped" in note for note in outcome.notes)
    assert len(studio.store.annotations(series[2].id)) == 1


def test_an_image_that_cannot_be_read_is_named_and_the_next_one_followed(studio, series, apple):
    studio.store.original_path(series[2]).write_bytes(b"not a picture")
    outcome = follow(studio, series, apple)
    assert [p.image.name for p in outcome.proposed] == ["1.jpg", "3.jpg", "4.jpg"]
    assert any(note.startswith("2.jpg: ") for note in outcome.notes)


def test_what_breaks_midway_is_told_beside_what_was_proposed(studio, series, apple, mover):
    mover.breaks_at = 3
    outcome = follow(studio, series, apple)
    assert len(outcome.proposed) == 2 and outcome.looked == 3
    assert outcome.notes == ("Ended at 3.jpg: Mover needs 9 GB.",)
    mover.breaks_at = 1
    with pytest.raises(OutOfMemory):
        follow(studio, series, apple)


def test_models_that_cannot_follow_say_so(studio, series, apple):
    with pytest.raises(BadInput, match="no memory"):
        follow(studio, series, apple, model="disc")
    with pytest.raises(BadInput, match="image model alone"):
        follow(studio, series, apple, model="image-only")


def test_progress_counts_the_images_and_names_them(studio, series, apple):
    told = []
    follow(studio, series, apple, progress=lambda *step: told.append(step))
    assert told[1:] == [(0, 4, "1.jpg"), (1, 4, "2.jpg"), (2, 4, "3.jpg"), (3, 4, "4.jpg"), (4, 4, "")]


# ---- by example -----------------------------------------------------------------------------------


def alike(studio, series, *sources, segmenter="disc", **more):
    return propagate.find_alike(studio, series[0], "ann", "finder", segmenter, sources, series[1:3], **more)


def test_what_is_like_an_example_gets_a_mask_from_the_segmenter(studio, series, apple, disc):
    outcome = alike(studio, series, apple)
    assert len(outcome.proposed) == 4
    first, second = (p.annotation for p in outcome.proposed[:2])
    assert (first.score, second.score) == (0.8, 0.4)
    assert first.shape.box == Box(20, 20, 70, 60) and first.prompt == Prompt(box=Box(20, 20, 70, 60))
    assert second.shape.box.x1 == series[1].width, "boxes are cut to the image"
    assert first.draft and first.model == "finder + disc"
    assert len(disc.embeds) == 2


def test_a_floor_leaves_out_what_is_less_alike(studio, series, apple):
    assert [p.annotation.score for p in alike(studio, series, apple, floor=0.5).proposed] == [0.8, 0.8]


def test_examples_of_one_class_are_asked_together_and_classes_apart(studio, series, apple, finder):
    more = put(studio, series[0], Annotation("apple", Box(5, 5, 25, 25)))
    pear = put(studio, series[0], Annotation("pear", Box(100, 80, 130, 110)))
    alike(studio, series, apple, more, pear)
    assert finder.asked == [2, 1, 2, 1]


def test_two_boxes_of_one_thing_are_proposed_once_by_the_surer(studio, series, apple, finder):
    finder.more = ((0.6, Box(22, 20, 75, 62)), (0.5, Box(60, 50, 110, 90)))
    scores = [p.annotation.score for p in alike(studio, series, apple).proposed]
    assert scores == [0.8, 0.5, 0.4] * 2


def test_without_a_segmenter_the_detectors_own_masks_or_boxes_are_taken(studio, series, apple, finder):
    boxes = alike(studio, series, apple, segmenter="")
    assert boxes.proposed[0].annotation.shape == Box(20, 20, 70, 60)
    assert boxes.proposed[0].annotation.model == "finder"
    propagate.take_back(studio, "ann", boxes)
    finder.with_masks = True
    masks = alike(studio, series, apple, segmenter="")
    assert masks.proposed[0].annotation.shape.box == Box(25, 20, 70, 60)


def test_the_same_thing_found_again_is_not_proposed_twice(studio, series, apple):
    done, _ = propagate.accept(studio, "ann", alike(studio, series, apple).proposed)
    again = alike(studio, series, apple)
    assert len(done) == 4 and again.proposed == ()
    assert "4 proposals were labelled already" in again.notes[0]


def test_a_detector_or_segmenter_that_cannot_is_refused(studio, series, apple):
    with pytest.raises(BadInput, match="by example"):
        propagate.find_alike(studio, series[0], "ann", "disc", "disc", [apple], series[1:])
    with pytest.raises(BadInput, match="own picture only"):
        propagate.find_alike(studio, series[0], "ann", "homely", "disc", [apple], series[1:])
    with pytest.raises(BadInput, match="no boxes"):
        alike(studio, series, apple, segmenter="points")


# ---- what and where to ----------------------------------------------------------------------------


def test_one_all_of_a_class_or_all_objects(studio, series, apple):
    other = put(studio, series[0], Annotation("apple", Box(5, 5, 25, 25)))
    pear = put(studio, series[0], Annotation("pear", Box(100, 80, 130, 110)))
    one = propagate.objects(studio, series[0], apple.id, "one")
    assert one == [apple]
    assert propagate.objects(studio, series[0], apple.id, "class") == [apple, other]
    assert propagate.objects(studio, series[0], "", "one") == [pear], "the newest, where none is selected"
    assert len(propagate.objects(studio, series[0], "", "all")) == 3
    with pytest.raises(BadInput, match="no object"):
        propagate.objects(studio, series[1], "", "all")


def test_the_next_images_and_chosen_ones_come_in_the_projects_order(studio, series):
    assert propagate.following(studio, series[1], 2) == series[2:4]
    assert propagate.following(studio, series[1], 50) == series[2:]
    with pytest.raises(BadInput, match="last picture"):
        propagate.following(studio, series[-1], 1)
    with pytest.raises(BadInput, match="1 to 1,000"):
        propagate.following(studio, series[0], 0)
    ids = [series[3].id, series[0].id, series[1].id, "nothing"]
    assert propagate.chosen(studio, series[0], "ann", ids) == [series[1], series[3]]
    with pytest.raises(BadInput, match="No other picture"):
        propagate.chosen(studio, series[0], "ann", [series[0].id])
    bob = studio.store.create_project("other", "bob")
    foreign = add_photograph(studio.store, bob.id, "x.jpg", "bob", seed=77)
    with pytest.raises((BadInput, NotFound)):
        propagate.chosen(studio, series[0], "ann", [foreign.id])


def test_a_click_goes_on_from_a_proposal(studio, series, apple, disc):
    from studio.operations import segment

    proposed = follow(studio, series, apple).proposed[0].annotation
    segment.segment(
        studio,
        series[1],
        "ann",
        "disc",
        annotation_id=proposed.id,
        class_name="apple",
        points=[Point(100, 100)],
        box=None,
        revision=proposed.revision,
    )
    assert disc.asked[-1][0].mask == proposed.shape
