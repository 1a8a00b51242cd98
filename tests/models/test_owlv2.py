"""The adapter of OWLv2 and OWL-ViT: its contract, and parity with transformers' documented pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import owlv2 as family
from models._owl import Seen, query
from studio.adapters import Example, ExampleDetector, TextDetector
from studio.annotations import Box
from studio.errors import BadInput
from tests.models.tiny_clip import text_config, tiny_tokenizer, vision_config
from tests.models.tiny_sam2 import picture, shake

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

KINDS = {
    "owlv2": ("Owlv2Config", "Owlv2ForObjectDetection", "Owlv2Processor", "Owlv2ImageProcessor"),
    "owlvit": ("OwlViTConfig", "OwlViTForObjectDetection", "OwlViTProcessor", "OwlViTImageProcessor"),
}
PHRASES = ["a cat", "a red apple", "two dogs, one hat"]
SIZES = [(96, 96), (60, 173), (210, 77)]
ALL = family.OwlOptions(overlap=1.0)


def save(folder: Path, kind: str) -> Path:
    config, architecture, processor, image_processor = (getattr(transformers, n) for n in KINDS[kind])
    torch.manual_seed(0)
    model = architecture(
        config(text_config=text_config(), vision_config=vision_config(96), projection_dim=32)
    )
    shake(model)
    with torch.no_grad():  # heads start from numbers around 1 in transformers: all boxes would be lines
        for name, value in model.named_parameters():
            if name.partition(".")[0].endswith("_head") and value.ndim == 2:
                value /= value.shape[1] ** 0.5
        model.box_head.dense2.weight *= 0.3
        model.box_head.dense2.bias.copy_(torch.tensor([-0.3, -0.3, 0.7, 0.7]))
        model.class_head.logit_shift.weight *= 0.3
        model.class_head.logit_shift.bias.fill_(-0.3)
        model.class_head.logit_scale.weight *= 0.3
        model.class_head.logit_scale.bias.fill_(2.0)
    made = image_processor(size={"height": 96, "width": 96})
    with torch.no_grad():  # no one phrase ahead of the others everywhere
        maps = model.eval().image_embedder(made(picture(96, 96), return_tensors="pt")["pixel_values"])[0]
        model.class_head.dense0.bias -= model.class_head.dense0(maps).mean((0, 1, 2))
    model.save_pretrained(folder)
    processor(made, tiny_tokenizer(24)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def v2(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("v2"), "owlv2")


@pytest.fixture
def detector(v2: Path):
    return family.load(str(v2), "cpu", family.OwlOptions())


def documented(folder: Path):
    """Return transformers' model and processor, as its documentation loads them."""
    model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    return model, transformers.AutoProcessor.from_pretrained(folder)


def inside(boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return boxes.clip(0, [width, height, width, height])


def same_boxes(found, boxes, image, atol: float = 1e-2) -> bool:
    """Say whether detections have these boxes (n, 4), in this order, but for what lies beside the image."""
    boxes = inside(np.asarray(boxes), image)
    boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
    return len(boxes) == len(found) and np.allclose([d.box.xyxy for d in found], boxes, atol=atol)


# ---- parity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("height, width", SIZES)
def test_phrases_find_what_transformers_own_pipeline_finds(folder, height, width):
    image = picture(height, width)
    model, processor = documented(folder)
    inputs = processor(text=[PHRASES], images=image, return_tensors="pt", truncation=True)
    with torch.inference_mode():
        answer = processor.post_process_grounded_object_detection(
            model(**inputs), threshold=0.2, target_sizes=[(height, width)], text_labels=[PHRASES]
        )[0]
    order = answer["scores"].argsort(descending=True, stable=True)
    (found,) = family.load(str(folder), "cpu", ALL).detect_text([image], PHRASES, floor=0.2)
    assert same_boxes(found, answer["boxes"][order], image)
    beside = len(order) - len(found)
    assert len(found) > 5 and beside < 25
    if not beside:
        assert np.allclose([d.score for d in found], answer["scores"][order], atol=1e-4)
        assert [d.name for d in found] == [answer["text_labels"][i] for i in order]
    assert len({d.name for d in found}) > 1 or (height, width) != (96, 96)


def test_an_example_cut_out_finds_what_image_guided_detection_finds(folder):
    image, shown, box = picture(96, 96), picture(60, 173, 1), Box(20, 10, 90, 50)
    model, processor = documented(folder)
    inputs = processor(images=image, query_images=shown[10:50, 20:90], return_tensors="pt")
    with torch.inference_mode():
        outputs = model.image_guided_detection(**inputs)
        scores = outputs.logits[0].max(-1).values.sigmoid()
        answer = processor.post_process_image_guided_detection(
            outputs, threshold=0.0, nms_threshold=0.3, target_sizes=torch.tensor([[96, 96]])
        )[0]
    order = answer["scores"].argsort(descending=True, stable=True)
    options = family.OwlOptions(cut_out=True, overlap=0.3)
    (found,) = family.load(str(folder), "cpu", options).detect_like([image], [Example(shown, box)], floor=0)
    assert found[0].score == pytest.approx(scores.max().item(), abs=1e-4)
    # transformers leaves out what scores under a tenth of the best, and gives all others relative to it
    assert same_boxes(found[: len(order)], answer["boxes"][order], image)
    best = found[0].score
    relative = [(d.score - 0.1 * best) / (0.9 * best) for d in found[: len(order)]]
    assert np.allclose(relative, answer["scores"][order], atol=1e-3)


def test_an_example_in_its_image_is_the_patch_that_sees_it_best(v2: Path, detector):
    image, shown = picture(96, 96), picture(60, 173, 1)
    model, processor = documented(v2)
    with torch.inference_mode():
        maps = model.image_embedder(processor(images=shown, return_tensors="pt")["pixel_values"])[0]
        features = maps.flatten(1, 2)
        boxes = model.box_predictor(features, maps)[0].numpy() * 173
        whether = model.objectness_predictor(features)[0].numpy()
        _, vectors = model.class_predictor(features)
    corners = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)
    sure, unsure = sorted((14, 15), key=lambda patch: -whether[patch])  # neighbours
    middle = (0.45 * corners[sure] + 0.55 * corners[unsure]).clip(0, [173, 60, 173, 60])
    shared = np.minimum(corners[:, 2:], middle[2:]) - np.maximum(corners[:, :2], middle[:2])
    shared = shared.clip(0).prod(1)
    fit = shared / (boxes[:, 2:].prod(1) + (middle[2:] - middle[:2]).prod() - shared)
    near = np.flatnonzero(fit >= 0.8 * fit.max())
    chosen = near[whether[near].argmax()]
    with torch.inference_mode():
        target = model.image_embedder(processor(images=image, return_tensors="pt")["pixel_values"])[0]
        logits, _ = model.class_predictor(target.flatten(1, 2), vectors[:, chosen : chosen + 1])
    (found,) = detector.detect_like([image], [Example(shown, Box(*middle))], floor=0)
    assert found[0].score == pytest.approx(logits.sigmoid().max().item(), abs=1e-4)


def test_of_patches_that_fit_an_example_the_surest_speaks_or_the_one_least_like_the_image():
    boxes = [(0, 0, 40, 40), (0, 0, 42, 40), (0, 0, 40, 43), (0, 0, 90, 90)]
    corners = torch.tensor(boxes, dtype=torch.float32)
    vectors = torch.tensor([[1.0, 0.2], [1.0, 0.1], [0.9, 0.5], [9.0, 0.0]])
    sure = torch.tensor([0.1, 0.7, 0.2, 0.9])
    with_sense = Seen(corners, vectors, torch.zeros(4), torch.ones(4), sure)
    assert torch.equal(query(with_sense, corners[0]), vectors[1])
    assert torch.equal(query(with_sense, None), vectors[3])
    assert torch.equal(query(replace(with_sense, objectness=None), corners[0]), vectors[2])
    beside = torch.tensor([200.0, 200, 210, 210])
    assert torch.equal(query(with_sense, beside), vectors[3])


# ---- phrases --------------------------------------------------------------------------------------


def test_what_is_found_lies_inside_best_first_under_a_phrase_that_was_asked(detector):
    assert isinstance(detector, TextDetector) and isinstance(detector, ExampleDetector)
    images = [picture(h, w, seed) for seed, (h, w) in enumerate(SIZES)]
    for image, found in zip(images, detector.detect_text(images, PHRASES, floor=0.2), strict=True):
        scores = [d.score for d in found]
        assert found and scores == sorted(scores, reverse=True) and min(scores) >= 0.2
        assert {d.name for d in found} <= set(PHRASES)
        assert all(d.box.area and d.box == d.box.clipped(image.shape[1], image.shape[0]) for d in found)


def test_two_hundred_phrases_in_passes_find_what_one_pass_finds(v2: Path, detector, monkeypatch):
    phrases = [f"{word} {number}" for number in range(50) for word in ("cat", "a dog", "an ox", "two")]
    image = picture(96, 96)
    passes = detector.detect_text([image], phrases, floor=0.2)
    monkeypatch.setattr(family, "PHRASES", 500)
    at_once = family.load(str(v2), "cpu", family.OwlOptions()).detect_text([image], phrases, floor=0.2)
    assert [(d.name, d.box) for d in passes[0]] == [(d.name, d.box) for d in at_once[0]]
    assert len({d.name for d in passes[0]}) > 3


def test_two_hundred_phrases_find_what_each_finds_alone(v2: Path, detector):
    phrases = [f"{word} {number}" for number in range(50) for word in ("cat", "a dog", "an ox", "two")]
    image = picture(96, 96)
    (every,) = detector.detect_text([image], phrases, floor=0.2)
    together = {p: [d for d in every if d.name == p] for p in phrases}
    assert sum(map(bool, together.values())) > 100
    for phrase, found in together.items():
        (alone,) = detector.detect_text([image], [phrase], floor=0.2)
        assert [d.box for d in found] == [d.box for d in alone]
        assert [d.score for d in found] == pytest.approx([d.score for d in alone], abs=1e-5)


def test_of_phrases_together_each_box_goes_to_the_best_of_those_that_find_it_alone(v2: Path):
    image, every = picture(96, 96), family.load(str(v2), "cpu", ALL)
    together = every.detect_text([image], PHRASES, floor=0.2)[0]
    alone = [d for phrase in PHRASES for d in every.detect_text([image], [phrase], floor=0.2)[0]]
    best = {box: max((d.score, d.name) for d in alone if d.box == box) for box in {d.box for d in alone}}
    assert len(together) == len(best) < len(alone)
    assert all(best[d.box] == (pytest.approx(d.score, abs=1e-6), d.name) for d in together)


def test_batches_change_nothing(v2: Path, detector, monkeypatch):
    images = [picture(h, w, seed) for seed, (h, w) in enumerate(SIZES)]
    together = detector.detect_text(images, PHRASES)
    alone = [family.load(str(v2), "cpu", family.OwlOptions()).detect_text([i], PHRASES)[0] for i in images]
    for a, b in zip(together, alone, strict=True):
        assert [d.name for d in a] == [d.name for d in b]
        assert np.allclose([d.box.xyxy for d in a], [d.box.xyxy for d in b], atol=1e-2)


def test_a_second_phrase_on_the_same_image_does_not_encode_it_again(detector, monkeypatch):
    image = picture(96, 96)
    detector.detect_text([image], ["a cat"])

    def encode(*args, **kwargs):
        raise AssertionError("encoded again")

    monkeypatch.setattr(detector._model, "image_embedder", encode)
    assert detector.detect_text([image, image], ["a dog"], floor=0)[1]
    assert detector.detect_like([image], [Example(image, Box(10, 10, 40, 40))], floor=0)[0]


def test_the_vision_tower_runs_once_an_image_whatever_is_asked(detector):
    runs: list[int] = []
    detector._core.vision_model.register_forward_hook(lambda *_: runs.append(1))
    image = picture(96, 96, 7)
    for phrase in PHRASES:
        detector.detect_text([image.copy()], [phrase])
    detector.detect_like([image], [Example(image, Box(10, 10, 40, 40))])
    assert len(runs) == 1
    detector.detect_text([image, picture(60, 173, 7)], PHRASES)
    assert len(runs) == 2


def test_what_is_kept_of_images_is_bounded(detector, monkeypatch):
    monkeypatch.setattr(family, "KEPT_BYTES", 20_000)
    for seed in range(6):
        detector.detect_text([picture(96, 96, seed)], ["a cat"])
    assert 1 <= len(detector._seen) and sum(s.nbytes for s in detector._seen.values()) <= 20_000


def test_boxes_of_one_phrase_do_not_lie_on_each_other(v2: Path):
    image = picture(96, 96)
    (every,) = family.load(str(v2), "cpu", ALL).detect_text([image], ["a cat"], floor=0)
    (apart,) = family.load(str(v2), "cpu", replace(ALL, overlap=0.3)).detect_text([image], ["a cat"], floor=0)
    assert 0 < len(apart) < len(every) and apart[0] == every[0]


def test_no_phrase_finds_nothing_and_an_empty_one_is_refused(detector):
    assert detector.detect_text([picture(96, 96)], []) == [[]]
    assert detector.detect_text([], PHRASES) == []
    with pytest.raises(BadInput, match="phrase is empty"):
        detector.detect_text([picture(96, 96)], ["a cat", " "])
    with pytest.raises(BadInput, match="uint8"):
        detector.detect_text([np.zeros((5, 5), np.uint8)], PHRASES)


def test_a_floor_above_all_scores_finds_nothing(detector):
    assert detector.detect_text([picture(96, 96)], PHRASES, floor=1.0) == [[]]


def test_a_phrase_given_twice_and_one_far_too_long_are_taken(detector):
    long = "a very long phrase " * 20
    (found,) = detector.detect_text([picture(96, 96)], [long, "a cat", "a cat"], floor=0)
    assert {d.name for d in found} <= {long, "a cat"}


@pytest.mark.parametrize("height, width", [(1, 1), (1, 900), (5000, 3)])
def test_tiny_and_long_thin_images_are_searched(detector, height, width):
    image = np.full((height, width, 3), 90, np.uint8)
    for found in (
        detector.detect_text([image], PHRASES, floor=0)[0],
        detector.detect_like([image], [Example(image, Box(0, 0, width, height))], floor=0)[0],
    ):
        assert all(d.box == d.box.clipped(width, height) for d in found)


# ---- examples -------------------------------------------------------------------------------------


def test_of_several_examples_any_or_their_mean_is_looked_for(v2: Path, detector):
    image, shown = picture(96, 96), picture(96, 96, 1)
    one, two = Example(shown, Box(0, 0, 30, 30)), Example(shown, Box(50, 50, 90, 90))

    def best(detector, *examples) -> float:
        return detector.detect_like([image], examples, floor=0)[0][0].score

    assert best(detector, one, two) == pytest.approx(max(best(detector, one), best(detector, two)))
    blending = family.load(str(v2), "cpu", family.OwlOptions(blend=True))
    assert best(blending, one, one) == pytest.approx(best(detector, one), abs=1e-4)
    assert best(blending, one, two) != pytest.approx(best(detector, one, two), abs=1e-4)


def test_what_is_nearer_to_a_negative_example_is_left_out(v2: Path):
    detector = family.load(str(v2), "cpu", ALL)
    image = picture(96, 96)
    like, unlike = Example(image, Box(0, 0, 30, 30)), Example(image, Box(50, 50, 90, 90), positive=False)
    (before,) = detector.detect_like([image], [like], floor=0)
    (after,) = detector.detect_like([image], [like, unlike], floor=0)
    (seen,) = detector._look([image])
    vectors = seen.vectors / seen.vectors.norm(dim=1, keepdim=True)
    near, far = (vectors @ query(seen, torch.tensor(e.box.xyxy) / 96) for e in (like, unlike))
    kept = near / query(seen, torch.tensor(like.box.xyxy) / 96).norm() > (
        far / query(seen, torch.tensor(unlike.box.xyxy) / 96).norm()
    )
    boxes = inside(seen.corners[kept].numpy() * 96, image)
    assert 0 < len(after) < len(before) and {d.name for d in after} == {""}
    assert np.allclose(sorted(d.box.xyxy for d in after), sorted(map(tuple, boxes)), atol=1e-3)


def test_examples_that_cannot_be_are_refused_with_a_sentence(detector):
    image = picture(96, 96)
    with pytest.raises(BadInput, match="at least one"):
        detector.detect_like([image], [Example(image, Box(0, 0, 9, 9), positive=False)])
    with pytest.raises(BadInput, match="at least one"):
        detector.detect_like([image], [])
    with pytest.raises(BadInput, match="outside"):
        detector.detect_like([image], [Example(image, Box(100, 100, 120, 120))])
    with pytest.raises(BadInput, match="uint8"):
        detector.detect_like([image], [Example(np.zeros((5, 5), np.uint8), Box(0, 0, 3, 3))])


def test_half_precision_hardly_moves_the_boxes(v2: Path):
    exact, halved = (family.load(str(v2), "cpu", ALL) for _ in range(2))
    halved._bf16 = True  # what a graphics card is given; the processor can do it too
    a, b = (d.detect_text([picture(96, 96)], ["a cat"], floor=0)[0] for d in (exact, halved))
    nearest = [min(np.abs(np.subtract(x.box.xyxy, y.box.xyxy)).max() for y in a) for x in b]
    assert len(a) == len(b) and max(nearest) < 2
