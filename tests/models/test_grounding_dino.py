"""Grounding DINO's adapter: its contract on tiny random checkpoints, and parity with transformers' own pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import grounding_dino as family
from studio.errors import BadInput
from tests.models.tiny_grounding_dino import save_tiny
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {"square": (96, 96), "wide": (60, 173), "tall": (150, 77), "small": (20, 30)}
MANY = [f"{word} {i}" for i, word in enumerate(["red cat", "green dog", "zebra", "mug"] * 50)]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", params=["", "MM"], ids=["grounding-dino", "mm-grounding-dino"])
def checkpoint(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("grounding_dino")
    save_tiny(folder, request.param)
    return folder


def load(folder: Path, **options):
    return family.load(str(folder), "cpu", family.GroundingDinoOptions(**options))


@pytest.fixture(scope="module")
def detector(checkpoint: Path):
    return load(checkpoint)


@pytest.fixture(scope="module")
def pipeline(checkpoint: Path):
    """The processor and model as transformers' documentation uses them."""
    model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(checkpoint)
    return transformers.AutoProcessor.from_pretrained(checkpoint), model.eval()


def documented(pipeline, image: np.ndarray, phrases: list[str], threshold: float):
    """Return transformers' own answer. What ends a phrase has no name, so its answers do not count."""
    processor, model = pipeline
    inputs = processor(
        images=image,
        text=[phrases],
        return_tensors="pt",
        images_kwargs={"input_data_format": "channels_last"},
    )
    with torch.no_grad():
        outputs = model(**inputs)
    ends = torch.isin(inputs["input_ids"][0], model.model.special_tokens)
    outputs.logits[..., : len(ends)][..., ends] = -torch.inf
    size = [image.shape[:2]]
    kind = dict(threshold=threshold, text_threshold=threshold, target_sizes=size)
    return outputs, processor.post_process_grounded_object_detection(outputs, inputs["input_ids"], **kind)[0]


def rows(detections) -> list[tuple]:
    return sorted((d.name, round(d.score, 4), *(round(v, 2) for v in d.box.xyxy)) for d in detections)


def same(ours, theirs) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(sorted(ours, key=_place), sorted(theirs, key=_place), strict=True):
        assert a.name == b.name and a.score == pytest.approx(b.score, abs=1e-4)
        assert a.box.xyxy == pytest.approx(b.box.xyxy, abs=0.05)


def _place(detection):
    return detection.name, *(round(v) for v in detection.box.xyxy), detection.score


# ---- parity with transformers ---------------------------------------------------------------------


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("phrase", ["cat", "a red apple", "Ünusual long-winded mug"])
def test_a_phrase_finds_what_transformers_finds(detector, pipeline, height, width, phrase):
    image = picture(height, width)
    _, theirs = documented(pipeline, image, [phrase], 0.2)
    limit = torch.tensor([width, height, width, height])
    boxes = torch.minimum(theirs["boxes"].clamp(min=0), limit)
    kept = ((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])).numpy()
    scores, boxes = theirs["scores"].numpy()[kept], boxes.numpy()[kept]
    ours = detector.detect_text([image], [phrase], floor=0.2)[0]
    assert len(ours) == len(scores) > 2
    assert {d.name for d in ours} == {phrase}
    assert [d.score for d in ours] == pytest.approx(sorted(scores, reverse=True), abs=1e-4)
    for d in ours:
        assert min(np.abs(boxes - d.box.xyxy).max(1) + np.abs(scores - d.score)) < 0.05


def test_of_several_phrases_each_box_gets_the_best_and_never_a_merged_name(detector, pipeline):
    image, phrases = picture(96, 96), ["red apple", "green apple", "mug"]
    outputs, theirs = documented(pipeline, image, phrases, 0.01)
    assert any(name not in phrases for name in theirs["text_labels"]), (
        "nothing was merged: this shows nothing"
    )
    answers = outputs.logits[0].sigmoid()
    each = torch.stack([answers[:, span].amax(-1) for span in (slice(1, 3), slice(4, 6), slice(7, 8))], -1)
    expected = sorted(zip(each.amax(-1).tolist(), each.argmax(-1).tolist(), strict=True), reverse=True)
    ours = detector.detect_text([image], phrases, floor=0.0)[0]
    assert len(ours) == len(expected)
    assert [d.score for d in ours] == pytest.approx([score for score, _ in expected], abs=1e-4)
    assert [d.name for d in ours] == [phrases[number] for _, number in expected]


def test_the_text_is_the_processors(detector, pipeline):
    phrases = ["red apple", "A Cat", "zebra", "mug-dog"]
    (asked,) = detector.passes(phrases)
    assert asked.ids == pipeline[0](text=[phrases])["input_ids"][0]
    read = [pipeline[0].tokenizer.decode(asked.ids[span]) for span in asked.spans]
    assert read == ["red apple", "a cat", "zebra", "mug - dog"]


# ---- many phrases ---------------------------------------------------------------------------------


def test_many_phrases_packed_go_in_passes_that_lose_none_and_fit(checkpoint):
    passes = list(load(checkpoint, packed=True).passes(MANY))
    assert len(passes) > 3
    assert [name for asked in passes for name in asked.phrases] == MANY
    assert all(len(asked.ids) <= 256 for asked in passes)
    assert all(len(a.ids) + 12 > 256 for a in passes[:-1]), "a pass leaves room for another phrase"


def test_many_phrases_packed_find_what_each_pass_finds_by_itself(checkpoint):
    detector = load(checkpoint, packed=True)
    # The phrases of one pass are read together, and the encoder mixes them into the image's features, so
    # that lists cut elsewhere cannot agree to the digit; lists cut at the passes do.
    image = picture(96, 96)
    together = detector.detect_text([image], MANY, floor=0.3)[0]
    alone = [d for a in detector.passes(MANY) for d in detector.detect_text([image], a.phrases, floor=0.3)[0]]
    assert len({d.name for d in together}) > 3
    same(together, alone)
    assert [d.score for d in together] == sorted((d.score for d in together), reverse=True)


def test_phrases_apart_find_the_same_whatever_else_is_asked(checkpoint):
    apart, image, phrases = load(checkpoint, apart=True), picture(60, 90), ["red apple", "green apple", "mug"]
    together = apart.detect_text([image], phrases, floor=0.2)[0]
    alone = [d for phrase in phrases for d in apart.detect_text([image], [phrase], floor=0.2)[0]]
    assert rows(together) == rows(alone)


def test_two_hundred_phrases_find_what_each_finds_when_asked_one_by_one(detector):
    # Packed, only whole passes agree, as the tests above say.
    image = picture(30, 40)
    together = detector.detect_text([image], MANY, floor=0.3)[0]
    alone = [d for phrase in MANY for d in detector.detect_text([image], [phrase], floor=0.3)[0]]
    assert len({d.name for d in together}) > 50
    same(together, alone)


def test_an_image_goes_through_the_backbone_once_for_all_passes(detector, monkeypatch):
    seen = []
    handle = detector._backbone.inner.register_forward_hook(lambda *_: seen.append(1))
    detector.detect_text([picture(40, 60), picture(40, 60, 1)], MANY[:60])
    handle.remove()
    assert len(seen) == 2
    assert detector._backbone._kept is None, "the last image's features are kept for nobody"


# ---- the adapter's contract -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "phrase",
    [
        "St. Bernard",
        "what? a cat.",
        "...cat",
        "red " * 400,
        "猫",
        "🐈 cat",
        "[SEP] cat [PAD]",
        "a\x00b",
        "½ mug\n",
    ],
)
def test_hostile_phrases_are_answered_by_their_own_name(detector, phrase):
    image = picture(60, 80)
    found = detector.detect_text([image], [phrase, "dog"], floor=0.0)[0]
    assert {d.name for d in found} <= {phrase, "dog"}
    (asked,) = list(detector.passes([phrase]))
    inside = asked.ids[asked.spans[0]]
    assert inside and not {0, 101, 102, 1012, 1029} & set(inside) and len(asked.ids) <= 256
    assert detector.detect_text([image], [phrase], floor=0.0)[0]


@pytest.mark.parametrize("phrase", ["", "  ", "...", "?"])
def test_a_phrase_without_a_word_is_refused(detector, phrase):
    with pytest.raises(BadInput, match="holds no word"):
        detector.detect_text([picture(60, 80)], ["cat", phrase])


def test_a_phrase_given_twice_is_asked_once(detector):
    image = picture(60, 80)
    once = detector.detect_text([image], ["cat", "dog"], floor=0.0)[0]
    assert rows(detector.detect_text([image], ["cat", "dog", "cat"], floor=0.0)[0]) == rows(once)


def test_the_mean_of_a_phrases_words_is_never_above_the_best(checkpoint, detector):
    image = picture(60, 80)
    best = detector.detect_text([image], ["red apple"], floor=0.0)[0]
    mean = load(checkpoint, mean=True).detect_text([image], ["red apple"], floor=0.0)[0]
    assert sum(d.score for d in mean) < sum(d.score for d in best)
    assert rows(detector.detect_text([image], ["mug"], floor=0.0)[0]) == rows(
        load(checkpoint, mean=True).detect_text([image], ["mug"], floor=0.0)[0]
    )


def test_images_together_are_answered_as_each_alone(checkpoint):
    detector = load(checkpoint)
    images = [picture(60, 90), picture(90, 60), picture(60, 90, 1), picture(30, 45, 2), picture(60, 90, 3)]
    alone = [detector.detect_text([image], ["cat", "mug"], floor=0.1)[0] for image in images]
    detector._together = 2  # as on a graphics card
    for ours, theirs in zip(detector.detect_text(images, ["cat", "mug"], floor=0.1), alone, strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 3000), (2500, 2), (3, 3), (1, 40)])
def test_an_image_of_any_shape_is_answered_within_it(detector, height, width):
    for d in detector.detect_text([picture(height, width)], ["cat"], floor=0.0)[0]:
        assert 0 <= d.box.x0 < d.box.x1 <= width and 0 <= d.box.y0 < d.box.y1 <= height


def test_nothing_asked_or_nothing_sure_enough_finds_nothing(detector):
    assert detector.detect_text([picture(60, 80)] * 2, []) == [[], []]
    assert detector.detect_text([], ["cat"]) == []
    assert detector.detect_text([picture(60, 80)], ["cat"], floor=1.01) == [[]]


def test_what_is_no_image_is_refused(detector):
    with pytest.raises(BadInput, match="uint8"):
        detector.detect_text([np.zeros((5, 5), np.uint8)], ["cat"])


def test_half_precision_of_the_backbone_hardly_moves_the_answer(checkpoint, detector):
    image = picture(96, 96)
    halved = load(checkpoint)
    halved._model.model.backbone = halved._backbone = family._kept_backbone(halved._backbone.inner, bf16=True)
    a, b = (d.detect_text([image], ["cat"], floor=0.0)[0] for d in (detector, halved))
    assert not np.array_equal([d.score for d in a], [d.score for d in b])
    assert [d.score for d in a] == pytest.approx([d.score for d in b], abs=0.05)
