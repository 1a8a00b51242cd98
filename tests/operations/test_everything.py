from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from studio.adapters import BatchSegmenter, Candidate, Embedding
from studio.annotations import Annotation, Box, Mask, Point, Prompt
from studio.errors import BadInput, OutOfMemory
from studio.gate import Turn
from studio.geometry import mask_iou, mask_to_polygon
from studio.operations import everything, segment
from studio.operations._proposals import Proposal, Sieve, View, placed, without_crumbs
from studio.operations.everything import Options
from studio.project import Change
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import disc_card

HEIGHT, WIDTH = 240, 320
GROUND = (0, 0, 0)


class Flood:
    """Answers a click with all that is connected to it and of its very colour: exact on flat pictures.

    The ground is answered too, with a low score.
    """

    def __init__(self) -> None:
        self.embeds: list[tuple[int, int]] = []
        self.portions: list[int] = []

    def embed(self, image: np.ndarray) -> Embedding:
        self.embeds.append(image.shape[:2])
        return Embedding(*image.shape[:2], image.copy(), image.nbytes)

    def segment(self, embedding, prompt, previous=None):
        return [self.answer(embedding.data, prompt)]

    def answer(self, image: np.ndarray, prompt: Prompt) -> Candidate:
        (point,) = prompt.points
        x, y = int(point.x), int(point.y)
        colour = image[y, x]
        _, parts = cv2.connectedComponents((image == colour).all(2).astype(np.uint8), connectivity=4)
        mask = Mask.from_array(parts == parts[y, x])
        score = 0.5 if tuple(colour) == GROUND else 0.8 + int(colour[2]) / 2000
        return Candidate(mask, score)


class FloodMany(Flood):
    """The same, many at once; the stability it claims is the green of what was clicked, in hundredths."""

    def segment_many(self, embedding, prompts, *, floor=0.0, steady=0.0):
        self.portions.append(len(prompts))
        found = []
        for prompt in prompts:
            (point,) = prompt.points
            one = self.answer(embedding.data, prompt)
            green = int(embedding.data[int(point.y), int(point.x), 1])
            one = replace(one, stability=min(1.0, green / 100))
            found.append([one] if one.score >= floor and one.stability >= steady else [])
        return found


DISCS = [  # x, y, radius, colour
    (60, 60, 40, (200, 98, 10)),
    (200, 60, 30, (50, 97, 20)),
    (60, 180, 25, (120, 99, 30)),
    (250, 180, 35, (200, 98, 10)),  # of the same colour as the first, and apart from it
    (160, 150, 12, (10, 99, 40)),
]


def paint(*discs: tuple[int, int, int, tuple[int, int, int]], size=(HEIGHT, WIDTH)) -> np.ndarray:
    image = np.zeros((*size, 3), np.uint8)
    ys, xs = np.mgrid[: size[0], : size[1]]
    for x, y, radius, colour in discs:
        image[(xs - x) ** 2 + (ys - y) ** 2 < radius**2] = colour
    return image


def disc_mask(x: int, y: int, radius: int) -> np.ndarray:
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return (xs - x) ** 2 + (ys - y) ** 2 < radius**2


def add(studio: Studio, pixels: np.ndarray, name: str = "discs.png", person: str = "ann"):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    projects = studio.store.projects(person)
    project = projects[0] if projects else studio.store.create_project("discs", person)
    record, _ = studio.store.add_image(
        project.id,
        name,
        out.getvalue(),
        width=pixels.shape[1],
        height=pixels.shape[0],
        display=None,
        thumbnail=out.getvalue(),
        person=person,
    )
    return record


@pytest.fixture
def models() -> SimpleNamespace:
    return SimpleNamespace(many=FloodMany(), one=Flood())


@pytest.fixture
def studio(tmp_path, models):
    cards = [
        disc_card(models.many, "many", title="Many"),
        disc_card(models.one, "one", title="One", rank=1),
        disc_card(models.one, "words", title="Words", prompts=("text",), rank=2),
    ]
    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry(cards))
    yield made
    made.close()


@pytest.fixture
def image(studio):
    return add(studio, paint(*DISCS))


def arrays(found) -> list[np.ndarray]:
    return [p.mask.to_array() for p in found.objects]


# ---- what is found ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["many", "one"])
def test_each_object_is_found_once_and_exactly_the_largest_first(studio, image, model):
    found = everything.find(studio, image, model, Options(grid=16))
    expected = sorted((disc_mask(*d[:3]) for d in DISCS), key=np.sum, reverse=True)
    assert len(found.objects) == len(DISCS)
    assert all(np.array_equal(a, b) for a, b in zip(arrays(found), expected, strict=True))
    assert found.complete and found.asked == found.points == 16 * 12
    assert found.alone is (model == "one")
    assert studio.store.annotations(image.id) == [], "nothing is saved before it is asked for"


def test_many_at_once_finds_what_one_by_one_does(studio, image):
    lenient = Options(grid=12, sure=0.0, stable=0.0, crops=True)
    many, one = (everything.find(studio, image, model, lenient) for model in ("many", "one"))
    assert [p.mask for p in many.objects] == [p.mask for p in one.objects]
    assert [p.score for p in many.objects] == [p.score for p in one.objects]


def test_parts_are_objects_beside_the_whole_they_lie_in(studio):
    nested = [(160, 120, 80, (200, 98, 10)), (160, 120, 30, (50, 97, 20))]
    found = everything.find(studio, add(studio, paint(*nested)), "many", Options(grid=16))
    assert [int(a.sum()) for a in arrays(found)] == [
        int(disc_mask(160, 120, 80).sum() - disc_mask(160, 120, 30).sum()),
        int(disc_mask(160, 120, 30).sum()),
    ]


def test_sizes_sureness_and_stability_sort_out(studio, image):
    def count(**marks) -> int:
        return len(everything.find(studio, image, "many", Options(grid=16, **marks)).objects)

    areas = sorted(int(disc_mask(*d[:3]).sum()) / (HEIGHT * WIDTH) for d in DISCS)
    assert count(smallest=areas[1] - 1e-5) == 4 and count(smallest=areas[1] + 1e-5) == 3
    assert count(largest=areas[3] + 1e-5) == 4 and count(largest=areas[3] - 1e-5) == 3
    assert count(sure=0.8149) == 2  # the blue of 30 and of 40
    assert count(stable=0.985) == 2  # the green of 99
    assert count(sure=0.4, stable=0.0, largest=1.0) == len(DISCS) + 1  # the ground, too


def test_quarters_find_what_the_whole_is_too_coarse_for_and_cut_nothing_in_two(studio, models):
    tiny = [(x, y, 5, (90, 98, 60)) for x in (30, 80, 250, 300) for y in (30, 100, 200)]
    large = (165, 118, 70, (200, 98, 10))  # across the edges of all four quarters
    pixels = paint(*tiny, large)
    image = add(studio, pixels)
    whole = everything.find(studio, image, "many", Options(grid=9))
    assert models.many.embeds == [(HEIGHT, WIDTH)]
    quarters = everything.find(studio, image, "many", Options(grid=36, crops=True))
    assert models.many.embeds[1:] == [(144, 192)] * 4, "each quarter is encoded for itself"
    assert studio.embeddings.stats.items == 1, "what was made of a quarter is not kept"
    _, parts = cv2.connectedComponents((pixels != 0).any(2).astype(np.uint8), connectivity=4)
    sizes = sorted(np.bincount(parts.ravel())[1:].tolist(), reverse=True)
    assert sorted((int(a.sum()) for a in arrays(quarters)), reverse=True) == sizes
    assert len(whole.objects) < len(quarters.objects)


def test_an_object_cut_by_a_quarters_edge_is_dropped_unless_the_image_ends_there():
    size = dict(smallest=0.0, largest=1.0, same=0.7)
    view = View(
        100, 0, 300, 150, level=1
    )  # of an image 300 wide and 200 high: its right and upper edges are real

    def kept(x0: int, y0: int, x1: int, y1: int) -> int:
        drawn = np.zeros((150, 200), bool)
        drawn[y0:y1, x0:x1] = True
        sieve = Sieve(200, 300, **size)
        sieve.add(view, [Point(1, 1)], [[Candidate(Mask.from_array(drawn), 0.9)]])
        return len(sieve.found())

    assert kept(50, 50, 90, 90) == 1
    assert kept(0, 50, 90, 90) == 0 and kept(50, 50, 90, 150) == 0
    assert kept(150, 50, 200, 90) == 1 and kept(50, 0, 90, 90) == 1


def test_of_two_that_are_the_same_the_nearer_look_stays_and_else_the_surer():
    def square(side: int) -> Mask:
        drawn = np.zeros((100, 100), bool)
        drawn[10 : 10 + side, 10 : 10 + side] = True
        return Mask.from_array(drawn)

    def outcome(*proposals: Proposal) -> list[int]:
        sieve = Sieve(100, 100, smallest=0.0, largest=1.0, same=0.7)
        sieve._keep(proposals)
        return [p.mask.area for p in sieve.found()]

    assert outcome(Proposal(square(50), 0.8), Proposal(square(48), 0.9)) == [48 * 48]
    assert outcome(Proposal(square(50), 0.95, 0.8), Proposal(square(48), 0.9, 0.9)) == [48 * 48]
    assert outcome(Proposal(square(50), 0.8, level=1), Proposal(square(48), 0.9)) == [50 * 50]
    assert sorted(outcome(Proposal(square(50), 0.8), Proposal(square(30), 0.9))) == [900, 2500]


def test_the_outcome_does_not_depend_on_the_order_or_the_portions():
    random = np.random.default_rng(3)
    ys, xs = np.mgrid[:90, :120]
    masks = []
    for _ in range(60):
        x, y, r = random.uniform(20, 100), random.uniform(20, 70), random.uniform(8, 25)
        masks.append(Candidate(Mask.from_array(np.hypot(xs - x, ys - y) < r), float(random.uniform(0.5, 1))))
    masks += [masks[0], replace(masks[1], score=masks[0].score)]

    def outcome(order, portion: int):
        sieve = Sieve(90, 120, smallest=0.0, largest=1.0, same=0.5)
        for start in range(0, len(order), portion):
            answers = [[masks[i]] for i in order[start : start + portion]]
            sieve.add(View(0, 0, 120, 90), [Point(1, 1)] * len(answers), answers)
        return [(p.score, p.mask.counts.tolist()) for p in sieve.found()]

    first = outcome(range(len(masks)), 1)
    assert 3 < len(first) < 60
    assert first == outcome(random.permutation(len(masks)), 7) == outcome(random.permutation(len(masks)), 99)
    kept = [Mask(90, 120, np.array(counts)) for _, counts in first]
    overlaps = mask_iou(kept, kept) - np.eye(len(kept))
    assert overlaps.max() <= 0.5


def test_tiny_islands_and_holes_go_and_large_ones_stay():
    drawn = disc_mask(100, 100, 60)
    clean = drawn.copy()
    clean[disc_mask(100, 100, 20)] = False  # a ring: its hole is meant
    clean[:, 40] &= True
    drawn = clean.copy()
    drawn[disc_mask(130, 130, 3)] = False
    drawn[disc_mask(250, 200, 3)] = True
    assert np.array_equal(without_crumbs(Mask.from_array(drawn)).to_array(), clean)
    border = np.zeros((40, 40), bool)
    border[:, :] = True
    border[0:2, 10:12] = False  # open to the image's border: no hole
    assert np.array_equal(without_crumbs(Mask.from_array(border)).to_array(), border)
    speck = np.zeros((40, 40), bool)
    speck[3, 3] = True
    assert without_crumbs(Mask.from_array(speck)).area == 1, "the largest island stays, however small"
    empty = Mask(4, 5, np.array([20]))
    assert without_crumbs(empty) == empty


def test_tidying_can_be_left_off(studio):
    pixels = paint((100, 100, 60, (200, 98, 10)))
    pixels[100:103, 100:103] = 0
    image = add(studio, pixels)
    tidy = everything.find(studio, image, "many", Options(grid=8))
    plain = everything.find(studio, image, "many", Options(grid=8, tidy=False))
    assert tidy.objects[0].mask.area == plain.objects[0].mask.area + 9


def test_a_views_mask_comes_to_lie_where_the_view_is():
    random = np.random.default_rng(0)
    for y0, x0, height, width in [(0, 0, 30, 40), (5, 7, 20, 33), (10, 0, 20, 40), (0, 17, 30, 23)]:
        for share in (0.0, 0.1, 0.5, 1.0):
            part = random.random((height, width)) < share
            whole = np.zeros((30, 40), bool)
            whole[y0 : y0 + height, x0 : x0 + width] = part
            view = View(x0, y0, x0 + width, y0 + height, level=1)
            assert np.array_equal(placed(Mask.from_array(part), view, 30, 40).to_array(), whole)


def test_of_a_model_without_stability_two_clicks_must_agree(studio, image, models):
    """The model answers each click on the ground with something else, and has a bold second guess."""
    plain = models.one.segment

    def wild(embedding, prompt, previous=None):
        (best,) = plain(embedding, prompt)
        (point,) = prompt.points
        if best.score > 0.5:
            return [best, replace(best, mask=Mask.from_array(np.ones((HEIGHT, WIDTH), bool)), score=0.99)]
        ys, xs = np.mgrid[:HEIGHT, :WIDTH]
        around = np.hypot(xs - point.x, ys - point.y) < 15
        return [Candidate(Mask.from_array(around), 0.97)]

    models.one.segment = wild
    strict = everything.find(studio, image, "one", Options(grid=16, same=0.5))
    assert [int(a.sum()) for a in arrays(strict)] == sorted(
        (int(disc_mask(*d[:3]).sum()) for d in DISCS), reverse=True
    )
    lenient = everything.find(studio, image, "one", Options(grid=16, same=0.5, stable=0.0))
    assert len(lenient.objects) > 3 * len(DISCS)


def test_the_share_of_clicks_that_agree_is_of_those_that_lie_on_the_object():
    drawn = np.zeros((100, 100), bool)
    drawn[:40, :40] = True
    seen, other = Candidate(Mask.from_array(drawn), 0.9), Candidate(Mask.from_array(~drawn), 0.9)
    on = [Point(5, 5), Point(30, 5), Point(5, 30), Point(30, 30)]
    off = [Point(90, 90), Point(60, 10), Point(10, 60)]

    def found(agreement: float, agreeing: int) -> int:
        sieve = Sieve(100, 100, smallest=0.0, largest=0.5, same=0.7, agreement=agreement)
        answers = [[seen]] * agreeing + [[]] * (len(on) - agreeing) + [[seen]] * len(off)
        sieve.add(View(0, 0, 100, 100), [*on, *off], answers)
        sieve.add(View(0, 0, 100, 100), [Point(99, 99)], [[other]])
        return len(sieve.found())

    assert found(0.5, 2) == 1 and found(0.6, 2) == 0
    assert found(0.1, 1) == 0, "one click alone agrees with nobody"
    assert found(0.0, 1) == 1


def test_points_lie_in_a_square_lattice_over_the_view():
    points = everything.points_of(View(50, 50, 350, 150), 6)
    assert {(p.x, p.y) for p in points} == {(x, y) for x in (25, 75, 125, 175, 225, 275) for y in (25, 75)}
    (only,) = everything.points_of(View(0, 0, 1, 1), 1)
    assert (only.x, only.y) == (0.5, 0.5)


def test_quarters_too_small_to_show_more_are_not_looked_at():
    assert len(everything.look_at(100, 100, crops=True)) == 5
    assert len(everything.look_at(100, 70, crops=True)) == 1
    for view in everything.look_at(101, 333, crops=True):
        assert 0 <= view.x0 < view.x1 <= 101 and 0 <= view.y0 < view.y1 <= 333


# ---- what is there already ----------------------------------------------------------------------


def test_a_second_run_proposes_nothing_twice(studio, image):
    first = everything.find(studio, image, "many", Options(grid=16))
    everything.save(studio, image, "ann", "many", first.objects, "disc")
    again = everything.find(studio, image, "many", Options(grid=16, crops=True))
    assert again.objects == () and again.labelled == len(DISCS)
    with pytest.raises(BadInput, match="labelled already"):
        everything.save(studio, image, "ann", "many", first.objects, "disc")
    assert len(studio.store.annotations(image.id)) == len(DISCS)
    wanted = everything.find(studio, image, "many", Options(grid=16, again=True))
    assert len(wanted.objects) == len(DISCS) and wanted.labelled == 0


def test_what_is_labelled_by_outline_or_box_counts_too(studio, image):
    x, y, r, _ = DISCS[0]
    polygon = mask_to_polygon(Mask.from_array(disc_mask(x, y, r - 4)))
    x, y, r, _ = DISCS[1]
    box = Box(x - r - 3, y - r - 3, x + r + 3, y + r + 3)
    labels = [Annotation("a", polygon), Annotation("b", box)]
    studio.store.apply(image.id, "ann", [Change(label) for label in labels], verb="put")
    found = everything.find(studio, image, "many", Options(grid=16))
    assert len(found.objects) == len(DISCS) - 2 and found.labelled == 2


# ---- saving -------------------------------------------------------------------------------------


def test_all_are_saved_as_drafts_in_one_step_that_one_undo_takes_back(studio, image):
    found = everything.find(studio, image, "many", Options(grid=16))
    everything.save(studio, image, "ann", "many", found.objects, "disc")
    saved = studio.store.annotations(image.id)
    assert [a.shape for a in saved] == [p.mask for p in found.objects]
    assert {(a.class_name, a.source, a.draft, a.model, a.created_by) for a in saved} == {
        ("disc", "model", True, "many", "ann")
    }
    assert [a.score for a in saved] == [p.score for p in found.objects]
    studio.store.undo(image.id, "ann")
    assert studio.store.annotations(image.id) == []
    studio.store.redo(image.id, "ann")
    assert len(studio.store.annotations(image.id)) == len(DISCS)


def test_a_found_object_is_corrected_from_its_own_mask(studio, image, models):
    found = everything.find(studio, image, "many", Options(grid=16))
    applied = everything.save(studio, image, "ann", "many", found.objects[:1], "disc")
    assert segment.base(applied.put[0], image) == found.objects[0].mask


def test_without_a_class_nothing_is_saved(studio, image):
    found = everything.find(studio, image, "many", Options(grid=16))
    with pytest.raises(BadInput, match="class"):
        everything.save(studio, image, "ann", "many", found.objects, "  ")
    assert studio.store.annotations(image.id) == []


# ---- stopping, and others -----------------------------------------------------------------------


def test_who_stops_gets_what_was_found_so_far_and_nothing_is_saved(studio, image):
    counts: list[tuple[int, int, int]] = []
    stop = threading.Event()

    def told(asked: int, points: int, objects: int) -> None:
        counts.append((asked, points, objects))
        if objects >= 2:
            stop.set()

    found = everything.find(studio, image, "many", Options(grid=16, crops=True), told, stop.is_set)
    assert not found.complete and found.asked == counts[-1][0] < found.points
    assert len(found.objects) == counts[-1][2] >= 2
    assert [c[0] for c in counts] == sorted(c[0] for c in counts), "the count only grows"
    assert studio.store.annotations(image.id) == []
    everything.save(studio, image, "ann", "many", found.objects, "disc")
    rest = everything.find(studio, image, "many", Options(grid=16))
    everything.save(studio, image, "ann", "many", rest.objects, "disc")
    assert len(studio.store.annotations(image.id)) == len(DISCS), "going on later completes it"


def test_who_stops_at_once_has_nothing(studio, image, models):
    found = everything.find(studio, image, "many", Options(grid=16), cancelled=lambda: True)
    assert found.objects == () and not found.complete and models.many.embeds == []


def click(studio: Studio, image) -> None:
    points = [Point(60, 60)]
    segment.segment(
        studio,
        image,
        "bob",
        "one",
        annotation_id="0" * 32,
        class_name="disc",
        points=points,
        box=None,
        revision=0,
    )


def waits(studio: Studio, level: Turn) -> None:
    """Return once somebody waits for a turn of this level."""
    deadline = time.monotonic() + 20
    while not studio.pool.gate.waiting(level):
        assert time.monotonic() < deadline, f"nobody came to the gate for a turn of {level!r}"
        time.sleep(0.005)


def test_somebody_elses_click_is_answered_between_two_portions(studio, image, models):
    log: list[str] = []
    begun, go_on = threading.Event(), threading.Event()
    plain_many, plain_one = models.many.segment_many, models.one.segment

    def many(*args, **more):
        log.append("portion")
        begun.set()
        assert go_on.wait(20)
        return plain_many(*args, **more)

    def one(*args, **more):
        log.append("click")
        return plain_one(*args, **more)

    models.many.segment_many, models.one.segment = many, one
    segment.prepare(studio, image, "one")
    searching = threading.Thread(
        target=everything.find, args=(studio, image, "many", Options(grid=16)), daemon=True
    )
    searching.start()
    assert begun.wait(20)
    clicking = threading.Thread(target=click, args=(studio, image), daemon=True)
    clicking.start()
    waits(studio, Turn.CLICK)
    go_on.set()
    clicking.join(20)
    searching.join(20)
    assert log[:3] == ["portion", "click", "portion"]


def test_a_click_goes_before_a_portion_that_waited_longer(studio, image, models):
    log: list[str] = []
    plain_many, plain_one = models.many.segment_many, models.one.segment
    models.many.segment_many = lambda *a, **m: (log.append("portion"), plain_many(*a, **m))[1]
    models.one.segment = lambda *a, **m: (log.append("click"), plain_one(*a, **m))[1]
    for model in ("one", "many"):
        segment.prepare(studio, image, model)
    with studio.pool.gate.turn(Turn.CLICK):
        searching = threading.Thread(
            target=everything.find, args=(studio, image, "many", Options(grid=4)), daemon=True
        )
        searching.start()
        waits(studio, Turn.BATCH)
        clicking = threading.Thread(target=click, args=(studio, image), daemon=True)
        clicking.start()
        waits(studio, Turn.CLICK)
    clicking.join(20)
    searching.join(20)
    assert log[0] == "click" and "portion" in log


def test_a_portion_that_does_not_fit_into_memory_is_asked_in_smaller_ones(studio, image, models):
    plain = models.many.segment_many

    def tight(embedding, prompts, **more):
        if len(prompts) > 2:
            raise MemoryError
        return plain(embedding, prompts, **more)

    models.many.segment_many = tight
    found = everything.find(studio, image, "many", Options(grid=16))
    assert len(found.objects) == len(DISCS) and found.complete
    assert max(models.many.portions) <= 2

    def full(embedding, prompts, **more):
        raise MemoryError

    models.many.segment_many = full
    with pytest.raises(OutOfMemory):
        everything.find(studio, image, "many", Options(grid=16))


def test_portions_grow_as_long_as_turns_stay_short(studio, image, models):
    everything.find(studio, image, "many", Options(grid=24))
    assert models.many.portions[0] < max(models.many.portions) <= everything.MOST_AT_ONCE
    assert sum(models.many.portions) == 24 * 18


# ---- what cannot be -----------------------------------------------------------------------------


def test_a_model_that_takes_no_clicks_is_refused_with_one_that_does(studio, image):
    with pytest.raises(BadInput, match="Words takes no clicks.*like Many"):
        everything.find(studio, image, "words")


def test_a_point_without_an_object_is_passed_over_and_a_model_that_refuses_all_says_why(
    studio, image, models
):
    plain = models.one.segment

    def picky(embedding, prompt, previous=None):
        if prompt.points[0].x < WIDTH / 2:
            raise BadInput("There is nothing.")
        return plain(embedding, prompt, previous)

    models.one.segment = picky
    found = everything.find(studio, image, "one", Options(grid=16))
    assert len(found.objects) == 2  # those on the right

    def never(embedding, prompt, previous=None):
        raise BadInput("This model wants a box.")

    models.one.segment = never
    with pytest.raises(BadInput, match="wants a box"):
        everything.find(studio, image, "one", Options(grid=4))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (Options(grid=0), "points a side"),
        (Options(grid=1000), "points a side"),
        (Options(smallest=0.5, largest=0.4), "nothing fits"),
        (Options(sure=1.5), "sure"),
    ],
)
def test_settings_that_cannot_be_are_refused(studio, image, options, says):
    with pytest.raises(BadInput, match=says):
        everything.find(studio, image, "many", options)


def test_fewer_points_are_asked_of_a_model_that_answers_one_at_a_time(studio, image):
    many, one = (everything.find(studio, image, model) for model in ("many", "one"))
    assert one.points < many.points and one.alone and not many.alone


# ---- the decoders of SAM's family, many at once -------------------------------------------------


def _tiny_sam(high_quality: bool):
    import torch
    import transformers

    from models.sam import SamSegmenter
    from tests.models.tiny_sam2 import shake

    kind = "SamHQ" if high_quality else "Sam"
    vision = dict(
        hidden_size=16,
        output_channels=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=128,
        patch_size=16,
        window_size=4,
        global_attn_indexes=[1],
        num_pos_feats=16,
        mlp_dim=32,
    )
    decoder = dict(hidden_size=32, mlp_dim=64, num_attention_heads=2, iou_head_hidden_dim=32)
    if high_quality:
        decoder["vit_dim"] = 16
    config = getattr(transformers, f"{kind}Config")(
        vision_config=vision,
        prompt_encoder_config=dict(hidden_size=32, image_size=128, patch_size=16, image_embedding_size=8),
        mask_decoder_config=decoder,
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}Model")(config)
    shake(model)
    return SamSegmenter(model)


def _tiny_sam2():
    import torch
    import transformers

    from models.sam2 import Sam2Segmenter
    from tests.models.tiny_sam2 import shake, tiny_config

    torch.manual_seed(0)
    model = transformers.Sam2Model(tiny_config())
    shake(model)
    return Sam2Segmenter(model)


@pytest.fixture(scope="module", params=["sam2", "sam", "sam-hq"])
def sam(request):
    pytest.importorskip("transformers")
    made = _tiny_sam2() if request.param == "sam2" else _tiny_sam(request.param == "sam-hq")
    assert isinstance(made, BatchSegmenter)
    return made


def _prompts(height: int, width: int) -> list[Prompt]:
    random = np.random.default_rng(1)
    clicks = [Prompt(points=(Point(x * width, y * height),)) for x, y in random.random((9, 2))]
    pairs = [
        Prompt(points=(Point(x * width, y * height), Point(y * width, x * height, False)))
        for x, y in random.random((3, 2))
    ]
    boxes = [Prompt(box=Box(x * 9, y * 9, x * 9 + 30, y * 9 + 30)) for x, y in random.random((3, 2))]
    mixed = [*clicks, *pairs, *boxes]
    return [mixed[i] for i in random.permutation(len(mixed))]


@pytest.mark.parametrize("size", [(96, 96), (60, 173)], ids=["square", "wide"])
def test_a_decoder_asked_many_at_once_answers_as_one_by_one(sam, size):
    from tests.models.tiny_sam2 import picture

    embedding = sam.embed(picture(*size))
    prompts = _prompts(*size)
    together = sam.segment_many(embedding, prompts)
    for prompt, many in zip(prompts, together, strict=True):
        one = sam.segment(embedding, prompt)
        assert len(many) == len(one)
        for a, b in zip(many, one, strict=True):
            assert np.abs(a.state - b.state).max() <= 1e-3
            assert a.score == pytest.approx(b.score, abs=1e-4)
            assert mask_iou([a.mask], [b.mask])[0, 0] >= 0.999 or a.mask == b.mask
            assert 0 <= a.stability <= 1
    spread = [c.state for found in together for c in found]
    assert max(np.abs(s - spread[0]).max() for s in spread) > 0.1, "the prompts make no difference"


def test_what_does_not_reach_the_marks_is_left_out_before_it_becomes_a_mask(sam, monkeypatch):
    from tests.models.tiny_sam2 import picture

    embedding = sam.embed(picture(96, 96))
    prompts = [p for p in _prompts(96, 96) if len(p.points) == 1]
    every = [c for found in sam.segment_many(embedding, prompts) for c in found]
    floor = float(np.median([c.score for c in every]))
    steady = float(np.median([c.stability for c in every]))
    worthy = [c for found in sam.segment_many(embedding, prompts, floor=floor, steady=steady) for c in found]
    expected = [c for c in every if c.score >= floor and c.stability >= steady]
    assert 0 < len(worthy) < len(every)
    assert [c.score for c in worthy] == [c.score for c in expected]


def test_a_mask_to_correct_is_not_for_many_at_once(sam):
    from tests.models.tiny_sam2 import picture

    embedding = sam.embed(picture(96, 96))
    for prompt in (Prompt(mask=Mask.from_array(np.eye(96, dtype=bool))), Prompt()):
        with pytest.raises(BadInput, match="clicks or boxes"):
            sam.segment_many(embedding, [prompt])


def test_stability_is_the_overlap_of_a_stricter_and_a_laxer_cut():
    from models._sam.many import stability

    logits = np.full((3, 4, 4), -5.0, np.float32)
    logits[0, :2] = 5.0
    logits[1, 0], logits[1, 1] = 5.0, 0.5
    assert stability(logits).tolist() == [1.0, 0.5, 0.0]


# ---- a model without a decoder to ask many at once ----------------------------------------------


def test_the_classical_model_finds_what_colours_set_apart(tmp_path):
    from models.grabcut import CARDS

    studio = Studio(Settings(tmp_path / "data", sample=False), registry=Registry(CARDS))
    discs = [(50, 50, 36, (200, 60, 40)), (150, 70, 40, (40, 90, 210)), (90, 148, 38, (230, 200, 60))]
    pixels = paint(*discs, size=(200, 220)).astype(int)
    pixels[pixels.sum(2) == 0] = (110, 115, 110)
    pixels += np.random.default_rng(0).integers(-8, 9, pixels.shape)
    image = add(studio, pixels.clip(0, 255).astype(np.uint8))
    found = everything.find(studio, image, "grabcut", Options(grid=7))
    ys, xs = np.mgrid[:200, :220]
    truth = [Mask.from_array((xs - x) ** 2 + (ys - y) ** 2 < r**2) for x, y, r, _ in discs]
    overlaps = mask_iou([p.mask for p in found.objects], truth)
    assert found.alone and (overlaps.max(0) > 0.9).all(), overlaps.max(0)
    assert len(found.objects) <= 2 * len(discs), "more pieces of the ground than objects"
    studio.close()
