from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("skimage")

from models.grabcut import CARDS
from studio.adapters import Segmenter
from studio.annotations import Box, Mask, Point, Prompt
from studio.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("STUDIO_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def model():
    return CARDS[0].load(None, "cpu", CARDS[0].options())


def scene(
    height: int = 240, width: int = 320, noise: float = 6.0
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A red disc, a blue square and a green bar on grey, with noise; and their true masks."""
    ys, xs = np.mgrid[:height, :width]
    truth = {
        "disc": (xs - 0.25 * width) ** 2 + (ys - 0.5 * height) ** 2 < (0.17 * height) ** 2,
        "square": (np.abs(xs - 0.65 * width) < 0.12 * width) & (np.abs(ys - 0.3 * height) < 0.16 * height),
        "bar": (np.abs(xs - 0.68 * width) < 0.2 * width) & (np.abs(ys - 0.8 * height) < 0.08 * height),
    }
    image = np.full((height, width, 3), 128.0)
    for name, colour in (("disc", (200, 60, 50)), ("square", (50, 70, 190)), ("bar", (70, 160, 60))):
        image[truth[name]] = colour
    image += np.random.default_rng(0).normal(0, noise, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), truth


@pytest.fixture(scope="module")
def encoded(model):
    image, truth = scene()
    return model.embed(image), truth


def middle(mask: np.ndarray, positive: bool = True) -> Point:
    ys, xs = np.nonzero(mask)
    return Point(float(xs.mean()) + 0.5, float(ys.mean()) + 0.5, positive)


def at(mask: np.ndarray, point: Point) -> bool:
    return bool(mask[int(point.y), int(point.x)])


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def best(model, embedding, prompt: Prompt, previous=None) -> np.ndarray:
    return model.segment(embedding, prompt, previous)[0].mask.to_array()


def test_it_is_a_segmenter_and_its_card_imports_nothing_heavy(model):
    assert isinstance(model, Segmenter)
    heavy = ("cv2", "skimage", "scipy", "torch")
    script = f"import sys, models.grabcut; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", ["disc", "square", "bar"])
def test_one_click_finds_a_plain_object(model, encoded, name):
    embedding, truth = encoded
    assert iou(best(model, embedding, Prompt((middle(truth[name]),))), truth[name]) > 0.9


@pytest.mark.parametrize("name", ["disc", "square", "bar"])
def test_a_box_finds_the_object_and_is_not_left(model, encoded, name):
    embedding, truth = encoded
    box = Mask.from_array(truth[name]).box
    mask = best(model, embedding, Prompt(box=box))
    assert iou(mask, truth[name]) > 0.9
    inside = np.zeros_like(mask)
    inside[max(int(box.y0) - 6, 0) : int(box.y1) + 6, max(int(box.x0) - 6, 0) : int(box.x1) + 6] = True
    assert not (mask & ~inside).any()


def test_masks_hold_every_positive_click_and_no_negative_one(model, encoded):
    embedding, _ = encoded
    rng = np.random.default_rng(3)
    for _ in range(12):
        spots = rng.uniform([0, 0], [320, 240], (6, 2))
        points = tuple(Point(x, y, i == 0 or bool(rng.integers(2))) for i, (x, y) in enumerate(spots))
        mask = best(model, embedding, Prompt(points))
        assert all(at(mask, p) == p.positive for p in points)


def test_of_two_clicks_on_one_pixel_the_later_counts(model, encoded):
    embedding, truth = encoded
    click = middle(truth["disc"])
    away = Point(click.x, click.y, False)
    assert not at(best(model, embedding, Prompt((click, away))), click)
    assert at(best(model, embedding, Prompt((click, away, click))), click)


def test_a_negative_click_takes_its_region_away_and_keeps_the_rest(model, encoded):
    embedding, truth = encoded
    both = truth["disc"] | truth["square"]
    mask = best(model, embedding, Prompt((middle(truth["square"], False),), mask=Mask.from_array(both)))
    assert (mask & truth["square"]).sum() < 0.1 * truth["square"].sum()
    assert (mask & truth["disc"]).sum() == truth["disc"].sum()


def test_a_positive_click_on_another_object_adds_it(model, encoded):
    embedding, truth = encoded
    mask = best(model, embedding, Prompt((middle(truth["disc"]), middle(truth["square"]))))
    assert iou(mask, truth["disc"] | truth["square"]) > 0.85


def test_one_click_corrects_an_imported_mask_locally(model, encoded):
    embedding, truth = encoded
    rough = truth["disc"].copy()
    rough[:, :70] = False  # lacks a part on the left; elsewhere its outline is not where edges are
    rough[120:124, 100:150] = True
    click = Point(60.5, 120.5)
    mask = best(model, embedding, Prompt((click,), mask=Mask.from_array(rough)))
    assert at(mask, click)
    assert iou(mask[:, :70], truth["disc"][:, :70]) > 0.85
    assert np.array_equal(mask[:, 90:], rough[:, 90:])


def test_a_mask_alone_comes_back_as_it_is(model, encoded):
    embedding, truth = encoded
    given = Mask.from_array(truth["bar"])
    assert model.segment(embedding, Prompt(mask=given))[0].mask == given


def test_clicks_one_by_one_with_logits_and_all_at_once_agree(model, encoded):
    embedding, truth = encoded
    points = (middle(truth["disc"]), middle(truth["bar"]), Point(5, 5, False), middle(truth["disc"], False))
    previous = None
    for count in range(1, len(points) + 1):
        step = model.segment(embedding, Prompt(points[:count]), previous)[0]
        previous = step.state
    assert iou(step.mask.to_array(), best(model, embedding, Prompt(points))) > 0.99


def test_a_chosen_alternative_is_what_the_next_click_corrects(model, encoded):
    embedding, truth = encoded
    first = model.segment(embedding, Prompt((middle(truth["disc"]),)))
    other = first[-1]
    corner = Point(300, 20)
    wrong = Point(300, 20, not at(other.mask.to_array(), corner))
    prompt = Prompt((middle(truth["disc"]), wrong))
    mask = best(model, embedding, prompt, other.state)
    assert iou(mask, other.mask.to_array()) > iou(mask, first[0].mask.to_array())


def test_candidates_are_sorted_distinct_and_at_most_three(model, encoded):
    embedding, truth = encoded
    for prompt in (Prompt((middle(truth["square"]),)), Prompt(box=Box(180, 20, 260, 120))):
        found = model.segment(embedding, prompt)
        scores = [c.score for c in found]
        assert 1 <= len(found) <= 3
        assert scores == sorted(scores, reverse=True) and all(0 <= s <= 1 for s in scores)
        masks = [c.mask.to_array() for c in found]
        assert all(iou(a, b) < 0.9 for i, a in enumerate(masks) for b in masks[:i])


def test_the_same_prompt_gives_the_same_answer_in_any_order_and_thread(model, encoded):
    _, truth = encoded
    image, _ = scene()
    prompts = [Prompt((middle(truth[n]), Point(10, 10, False))) for n in truth] + [
        Prompt(box=Box(30, 60, 130, 180))
    ]
    embedding = model.embed(image)
    expected = [model.segment(model.embed(image), p)[0].mask for p in prompts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda p: model.segment(embedding, p)[0].mask, prompts * 3))
    assert all(a == b for a, b in zip(found, expected * 3, strict=True))


def test_prompts_that_show_nothing_are_refused_in_a_sentence(model, encoded):
    embedding, _ = encoded
    with pytest.raises(BadInput, match="Click the object"):
        model.segment(embedding, Prompt())
    with pytest.raises(BadInput, match="does not read text"):
        model.segment(embedding, Prompt(text="a disc"))
    with pytest.raises(BadInput, match="Click the object first"):
        model.segment(embedding, Prompt((Point(10, 10, False),)))
    with pytest.raises(BadInput, match=r"321, 10 lies outside the image of 320 × 240"):
        model.segment(embedding, Prompt((Point(321, 10),)))
    with pytest.raises(BadInput, match="covers nothing"):
        model.segment(embedding, Prompt(box=Box(400, 10, 420, 30)))
    with pytest.raises(BadInput, match="mask to correct is 4 × 3"):
        model.segment(embedding, Prompt(mask=Mask.from_array(np.ones((3, 4), bool))))
    with pytest.raises(BadInput, match="uint8"):
        model.embed(np.zeros((4, 4), np.uint8))


def test_a_click_on_the_far_edge_belongs_to_the_last_pixel(model, encoded):
    embedding, _ = encoded
    assert best(model, embedding, Prompt((Point(320, 240),)))[-1, -1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (3, 500), (500, 3), (7, 7)])
def test_tiny_and_thin_images_are_answered(model, shape):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    embedding = model.embed(image)
    height, width = shape
    click, corner = Point(width / 2, height / 2), Point(0, 0, False)
    for prompt in (Prompt((click,)), Prompt((click, corner)), Prompt(box=Box(0, 0, width, height))):
        mask = model.segment(embedding, prompt)[0].mask
        assert (mask.height, mask.width) == shape


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_without_texture_is_answered(model, value):
    embedding = model.embed(np.full((120, 160, 3), value, np.uint8))
    click = Point(80, 60)
    assert at(best(model, embedding, Prompt((click,))), click)
    mask = best(model, embedding, Prompt(box=Box(40, 30, 120, 90)))
    assert 0 < mask.sum() <= 84 * 64


def test_a_grey_picture_is_cut_by_lightness(model):
    image, truth = scene()
    grey = np.repeat(np.where(truth["disc"], 190, 90)[..., None], 3, 2).astype(np.uint8)
    grey += np.random.default_rng(0).integers(0, 12, grey.shape[:2], np.uint8)[..., None]
    assert iou(best(model, model.embed(grey), Prompt((middle(truth["disc"]),))), truth["disc"]) > 0.9


def test_a_huge_picture_stays_within_bounds(model):
    image, truth = scene(400, 600, noise=0)
    huge = image.repeat(10, 0).repeat(10, 1)  # 6000 × 4000
    embedding = model.embed(huge)
    assert embedding.nbytes < 64_000_000
    point = middle(truth["disc"])
    started = time.perf_counter()
    mask = model.segment(embedding, Prompt((Point(point.x * 10, point.y * 10),)))[0].mask
    assert time.perf_counter() - started < 10
    assert (mask.height, mask.width) == (4000, 6000)
    assert iou(mask.to_array()[5::10, 5::10], truth["disc"]) > 0.9


def held_bytes(thing: object, seen: set[int] | None = None) -> int:
    """Bytes of all arrays reachable from an object through dataclass fields, tuples and dicts."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        owner = thing if thing.base is None or not isinstance(thing.base, np.ndarray) else thing.base
        return owner.nbytes if owner is thing else held_bytes(owner, seen)
    if isinstance(thing, dict):
        return sum(held_bytes(v, seen) for v in thing.values())
    if isinstance(thing, tuple | list):
        return sum(held_bytes(v, seen) for v in thing)
    if hasattr(thing, "__dataclass_fields__"):
        return sum(held_bytes(getattr(thing, f), seen) for f in thing.__dataclass_fields__)
    return 0


def test_an_embedding_knows_its_size(model, encoded):
    image, truth = scene()
    embedding = model.embed(image)
    for prompt in (Prompt((middle(truth["disc"]),)), Prompt(box=Box(30, 60, 130, 180))):
        model.segment(embedding, prompt)
    held = held_bytes(embedding.data)
    assert abs(embedding.nbytes - held) < 0.2 * held


def test_a_box_beats_plain_grabcut_on_real_pictures(model):
    folders = [DATA / f"inst_{name}" for name in ("coco6", "facade", "fruits_nuts", "nuclei")]
    if not all(f.is_dir() for f in folders):
        pytest.skip(f"real pictures are absent: {DATA}/inst_*")
    pytest.importorskip("pycocotools")
    from benchmarks.clicks_quality import plain_grabcut, read_picture, sample, things

    ours, plain = [], []
    for folder in folders:
        for thing in sample(things(folder), 2, 1):
            picture, truth = read_picture(thing.picture), thing.mask()
            box = Mask.from_array(truth).box
            ours.append(iou(best(model, model.embed(picture), Prompt(box=box)), truth))
            plain.append(iou(plain_grabcut(picture, box), truth))
    assert np.mean(ours) > np.mean(plain) + 0.05
