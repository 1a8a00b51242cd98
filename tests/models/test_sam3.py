"""SAM 3's adapter on a tiny random checkpoint laid out as the hub's, held against transformers' own pipelines."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models import sam3 as family
from models._sam import sam3 as inner
from studio.adapters import BatchSegmenter, Example, ExampleDetector, Segmenter, TextDetector
from studio.annotations import Box, Mask, Point, Prompt
from studio.errors import BadInput
from tests.models.tiny_sam2 import picture
from tests.models.tiny_sam3 import save_video_model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {"square": (96, 96), "wide": (60, 173), "tall": (310, 77), "larger": (300, 420)}
CLICK = Prompt(points=(Point(40, 40),))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sam3")
    save_video_model(folder)
    return folder


def load(checkpoint: Path):
    return family.load(str(checkpoint), "cpu", family.Sam3Options())


@pytest.fixture(scope="module")
def sam3(checkpoint: Path):
    return load(checkpoint)


@pytest.fixture(scope="module")
def theirs(checkpoint: Path):
    """transformers' own models and processors over the same folder, as its documentation uses them."""
    images = transformers.Sam3ImageProcessor.from_pretrained(checkpoint)
    return SimpleNamespace(
        detector=transformers.Sam3Model.from_pretrained(checkpoint).eval(),
        processor=transformers.Sam3Processor.from_pretrained(checkpoint),
        tracker=transformers.Sam3TrackerModel.from_pretrained(checkpoint).eval(),
        click_processor=transformers.Sam3TrackerProcessor(images, target_size=images.size["height"]),
    )


@pytest.fixture
def encodings(sam3):
    """Count what the shared encoder is shown."""
    seen = []
    hook = sam3._detector.vision_encoder.backbone.register_forward_hook(lambda *_: seen.append(1))
    sam3._seen.clear()
    sam3._latest = None
    yield seen
    hook.remove()


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum()
    return 1.0 if union == 0 else float((a & b).sum() / union)


# ---- one folder, two halves --------------------------------------------------------------------------------


def test_both_halves_load_from_the_hubs_one_folder_and_nothing_is_left_random(checkpoint: Path):
    for kind in (transformers.Sam3Model, transformers.Sam3TrackerModel):
        _, told = kind.from_pretrained(checkpoint, output_loading_info=True)
        assert not told["missing_keys"] and not told["mismatched_keys"]


def test_it_is_what_its_card_says(sam3):
    (card,) = family.CARDS
    assert all(isinstance(sam3, p) for p in (Segmenter, BatchSegmenter, TextDetector, ExampleDetector))
    assert set(card.roles) == {"segmenter", "text-detector", "example-detector"}
    assert card.download.gated


def test_the_encoder_looks_once_at_an_image_that_is_clicked_and_asked_about(sam3, encodings):
    image = picture(96, 96)
    embedding = sam3.embed(image)
    sam3.segment(embedding, CLICK)
    sam3.detect_text([image], ["cat", "dog", "bird"])
    sam3.detect_like([image], [Example(image, Box(10, 10, 50, 50))])
    sam3.segment(sam3.embed(image.copy()), CLICK)
    assert len(encodings) == 1


def test_an_image_is_known_for_as_long_as_its_embedding_is_kept(sam3, encodings):
    image, other = picture(96, 96), picture(96, 96, 1)
    kept = sam3.embed(image)
    sam3.detect_text([other], ["cat"])
    sam3.detect_text([image], ["cat"])
    assert len(encodings) == 2
    del kept
    sam3.detect_text([other], ["cat"])  # takes the place of the latest
    sam3.detect_text([image], ["cat"])
    assert len(encodings) == 4


def test_a_model_loaded_again_goes_on_from_an_embedding_of_before(sam3, encodings):
    image = picture(96, 96)
    kept = sam3.embed(image)
    sam3._seen.clear()  # what a new adapter starts with
    sam3._latest = None
    sam3.segment(kept, CLICK)
    sam3.detect_text([image], ["cat"])
    assert len(encodings) == 1


def test_two_who_look_at_one_image_at_once_share_the_work(sam3, encodings):
    image, together = picture(96, 96), threading.Barrier(2)

    def look():
        together.wait()
        sam3.embed(image)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(encodings) == 1


def test_halves_of_different_weights_keep_an_encoder_each(checkpoint: Path, theirs):
    detector, tracker = (
        kind.from_pretrained(checkpoint).requires_grad_(False)
        for kind in (transformers.Sam3Model, transformers.Sam3TrackerModel)
    )
    with torch.no_grad():
        detector.vision_encoder.backbone.layers[0].mlp.fc1.weight.mul_(1.1)
    apart = inner.Sam3(detector, tracker, theirs.processor)
    encoders = [apart._detector.vision_encoder.backbone, apart._tracker.vision_encoder.backbone]
    assert all(isinstance(e, transformers.Sam3ViTModel) for e in encoders)
    image = picture(96, 96)
    a, b = apart.segment(apart.embed(image), CLICK)[0], asked_by_clicks(theirs, image, CLICK)[0]
    assert np.abs(a.state - b.logits).max() <= 1e-3


def test_an_embedding_knows_its_true_size(sam3):
    embedding = sam3.embed(picture(60, 173))
    parts = [embedding.data.tokens, *embedding.data.maps]
    assert embedding.nbytes == sum(p.numel() * p.element_size() for p in parts)
    assert embedding.nbytes == sum(p.untyped_storage().nbytes() for p in parts)
    assert embedding.nbytes == 4 * (16 * 16 * 32 + 64 * 64 * 4 + 32 * 32 * 8 + 16 * 16 * 32)
    assert (embedding.height, embedding.width) == (60, 173)


def test_a_phrase_is_read_once_and_only_the_latest_are_kept(checkpoint: Path, monkeypatch):
    monkeypatch.setattr(inner, "KEPT_PHRASES", 2)
    sam3, read = load(checkpoint), []
    sam3._detector.text_encoder.register_forward_hook(lambda *_: read.append(1))
    sam3.detect_text([picture(96, 96), picture(96, 96, 1)], ["cat", "dog", "cat"])
    sam3.detect_text([picture(96, 96, 2)], ["cat"])
    assert len(read) == 2
    sam3.detect_text([picture(96, 96)], ["bird"])  # dog is the longest unused
    sam3.detect_text([picture(96, 96)], ["cat"])
    assert len(read) == 3 and len(sam3._read) == 2


def test_no_tensor_grows_with_the_number_of_phrases(sam3, encodings):
    """The largest tensor that goes through any layer, and the largest batch, are those of one phrase."""
    image, largest = picture(96, 96), {}
    kept = sam3.embed(image)

    def watch(module, arguments, result):
        for tensor in (*arguments, *(result if isinstance(result, tuple) else (result,))):
            if isinstance(tensor, torch.Tensor):
                count = largest.setdefault(phrases, [0, 0])
                count[0] = max(count[0], tensor.numel())
                count[1] = max(count[1], tensor.shape[0] if tensor.ndim > 2 else 0)

    hooks = [layer.register_forward_hook(watch) for layer in sam3._detector.modules()]
    for phrases in (1, 8):
        sam3.detect_text([image], [f"thing {n}" for n in range(phrases)])
    for hook in hooks:
        hook.remove()
    assert kept.data and largest[1] == largest[8] and largest[1][0] >= 64 * 64 * 32


# ---- phrases and examples ----------------------------------------------------------------------------------


def answered(theirs, image: np.ndarray, floor: float, **asked) -> list[SimpleNamespace]:
    """Return what transformers' documented pipeline finds, best first."""
    inputs = theirs.processor(images=image, input_data_format="channels_last", return_tensors="pt", **asked)
    with torch.no_grad():
        outputs = theirs.detector(**inputs)
    (found,) = theirs.processor.post_process_instance_segmentation(
        outputs, threshold=floor, mask_threshold=0.5, target_sizes=inputs["original_sizes"].tolist()
    )
    rows = zip(found["scores"], found["boxes"], found["masks"], strict=True)
    height, width = image.shape[:2]
    return sorted(
        (
            SimpleNamespace(
                score=float(s), box=Box(*b.tolist()).clipped(width, height), mask=m.bool().numpy()
            )
            for s, b, m in rows
        ),
        key=lambda one: -one.score,
    )


def agree(ours, expected) -> None:
    assert len(ours) == len(expected) > 1
    assert [d.score for d in ours] == sorted((d.score for d in ours), reverse=True)
    left = list(expected)
    for found in ours:
        same = min(left, key=lambda e: np.abs(np.subtract(e.box.xyxy, found.box.xyxy)).max())
        left.remove(same)
        assert np.abs(np.subtract(same.box.xyxy, found.box.xyxy)).max() <= 0.5
        assert found.score == pytest.approx(same.score, abs=1e-3)
        assert iou(found.mask.to_array(), same.mask) >= 0.999
    assert any(0.02 < d.mask.area / (d.mask.height * d.mask.width) < 0.98 for d in ours), (
        "the masks say nothing"
    )


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
def test_a_phrase_finds_what_transformers_finds(sam3, theirs, height, width):
    image = picture(height, width)
    ours = sam3.detect_text([image], ["a red cat"], floor=0.05)[0]
    agree(ours, answered(theirs, image, 0.05, text="a red cat"))
    assert {d.name for d in ours} == {"a red cat"}


def test_several_phrases_find_what_each_finds_alone(sam3, theirs):
    image = picture(96, 130)
    ours = sam3.detect_text([image], ["cat", "house"], floor=0.1)[0]
    for phrase in ("cat", "house"):
        agree([d for d in ours if d.name == phrase], answered(theirs, image, 0.1, text=phrase))
    assert [d.score for d in ours] == sorted((d.score for d in ours), reverse=True)


def test_two_hundred_phrases_find_what_each_finds_when_asked_one_by_one(sam3, encodings):
    image = picture(40, 60)
    phrases = [f"{word} {number}" for number in range(50) for word in ("cat", "a dog", "an ox", "two")]
    together = sam3.detect_text([image], phrases, floor=0.1)[0]
    alone = [d for phrase in phrases for d in sam3.detect_text([image], [phrase], floor=0.1)[0]]
    assert together == sorted(alone, key=lambda d: -d.score) and len({d.name for d in together}) > 50
    assert len(encodings) == 1


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
def test_examples_find_what_transformers_finds(sam3, theirs, height, width):
    image = picture(height, width)
    boxes = [(0.1, 0.2, 0.4, 0.6), (0.5, 0.1, 0.9, 0.5), (0.3, 0.6, 0.8, 0.95)]
    boxes = [[x0 * width, y0 * height, x1 * width, y1 * height] for x0, y0, x1, y1 in boxes]
    labels = [1, 1, 0]
    examples = [Example(image, Box(*b), bool(label)) for b, label in zip(boxes, labels, strict=True)]
    ours = sam3.detect_like([image], examples, floor=0.05)[0]
    expected = answered(theirs, image, 0.05, input_boxes=[boxes], input_boxes_labels=[labels])
    agree(ours, expected)
    assert {d.name for d in ours} == {""}
    without = sam3.detect_like([image], examples[:2], floor=0.05)[0]
    assert [d.score for d in without] != [d.score for d in ours], "the negative example says nothing"


def test_examples_of_another_image_find_nothing(sam3):
    image, other = picture(96, 96), picture(96, 96, 1)
    here, there = Example(image, Box(10, 10, 50, 50)), Example(other, Box(10, 10, 50, 50))
    first, second = sam3.detect_like([image, other], [here])
    assert first and not second
    assert sam3.detect_like([other], [here, Example(other, Box(1, 1, 9, 9), positive=False)]) == [[]]
    alone = sam3.detect_like([image], [here])[0]
    assert [d.score for d in sam3.detect_like([image], [here, there])[0]] == [d.score for d in alone]


def test_what_cannot_be_asked_is_refused_with_a_sentence(sam3):
    image = picture(96, 96)
    with pytest.raises(BadInput, match="phrase is empty"):
        sam3.detect_text([image], ["cat", " "])
    with pytest.raises(BadInput, match="too long for SAM 3, which reads 32 pieces of words; this is"):
        sam3.detect_text([image], ["the red apple on the left side of the old table"])
    with pytest.raises(BadInput, match="at least one example"):
        sam3.detect_like([image], [Example(image, Box(1, 1, 9, 9), positive=False)])
    with pytest.raises(BadInput, match="outside its image"):
        sam3.detect_like([image], [Example(image, Box(200, 1, 250, 9))])
    with pytest.raises(BadInput, match="uint8"):
        sam3.detect_text([image.astype(np.float32)], ["cat"])


def test_no_phrase_and_no_image_are_no_error(sam3):
    assert sam3.detect_text([], ["cat"]) == []
    assert sam3.detect_text([picture(96, 96)], []) == [[]]


def test_an_image_of_one_pixel_is_asked_and_clicked(sam3):
    image = np.full((1, 1, 3), 200, np.uint8)
    assert all(d.mask.height == 1 for d in sam3.detect_text([image], ["cat"], floor=0.0)[0])
    assert sam3.segment(sam3.embed(image), Prompt(points=(Point(0.5, 0.5),)))[0].mask.height == 1


# ---- clicks, boxes and masks -------------------------------------------------------------------------------


def asked_by_clicks(
    theirs, image: np.ndarray, prompt: Prompt, previous: np.ndarray | None = None
) -> list[SimpleNamespace]:
    """Return what Sam3TrackerModel with its processor answers, best first."""
    asked = {}
    if prompt.points:
        asked["input_points"] = [[[[p.x, p.y] for p in prompt.points]]]
        asked["input_labels"] = [[[int(p.positive) for p in prompt.points]]]
    if prompt.box:
        asked["input_boxes"] = [[list(prompt.box.xyxy)]]
    inputs = theirs.click_processor(
        images=image, input_data_format="channels_last", return_tensors="pt", **asked
    )
    if previous is not None:
        inputs["input_masks"] = torch.from_numpy(previous)[None, None]
    ambiguous = len(prompt.points) == 1 and prompt.box is None and previous is None
    with torch.no_grad():
        outputs = theirs.tracker(**inputs, multimask_output=ambiguous)
    masks = theirs.click_processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"])[0][0]
    scores, logits = outputs.iou_scores[0, 0].numpy(), outputs.pred_masks[0, 0].numpy()
    order = np.argsort(-scores, kind="stable")
    return [SimpleNamespace(score=scores[i], logits=logits[i], mask=masks[i].numpy()) for i in order]


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(
    "what", ["click", "clicks", "box", "box and click", "previous mask", "previous, box"]
)
def test_clicks_cut_out_what_transformers_cuts_out(sam3, theirs, height, width, what):
    image = picture(height, width)
    points = [Point(0.4 * width, 0.6 * height), Point(0.1 * width, 0.2 * height, False)]
    box = Box(0.2 * width, 0.1 * height, 0.7 * width, 0.8 * height)
    embedding = sam3.embed(image)
    prompt = {
        "click": Prompt((points[0],)),
        "clicks": Prompt(tuple(points)),
        "box": Prompt(box=box),
        "box and click": Prompt((points[1],), box),
        "previous mask": Prompt(tuple(points)),
        "previous, box": Prompt((), box),
    }[what]
    previous = sam3.segment(embedding, Prompt((points[0],)))[0].state if "previous" in what else None
    ours = sam3.segment(embedding, prompt, previous)
    expected = asked_by_clicks(theirs, image, prompt, previous)
    assert len(ours) == len(expected) == (3 if what == "click" else 1)
    for a, b in zip(ours, expected, strict=True):
        assert np.abs(a.state - b.logits.clip(-32, 32)).max() <= 1e-3
        assert a.score == pytest.approx(float(b.score), abs=1e-4)
        assert iou(a.mask.to_array(), b.mask) >= 0.999
    assert any(0 < c.mask.area < height * width for c in ours), "the masks say nothing"


def test_a_drawn_mask_is_corrected_by_a_click(sam3):
    image = picture(96, 96)
    drawn = np.zeros((96, 96), bool)
    drawn[20:60, 30:80] = True
    embedding, click = sam3.embed(image), (Point(40, 40),)
    (with_mask,) = sam3.segment(embedding, Prompt(click, mask=Mask.from_array(drawn)))
    assert all(not np.array_equal(with_mask.state, c.state) for c in sam3.segment(embedding, Prompt(click)))


def test_many_prompts_at_once_are_answered_as_one_by_one(sam3):
    embedding = sam3.embed(picture(96, 130))
    prompts = [Prompt(box=Box(10, 10, 60, 70)), Prompt(box=Box(50, 20, 120, 90))]
    for many, one in zip(
        sam3.segment_many(embedding, prompts), (sam3.segment(embedding, p) for p in prompts), strict=True
    ):
        assert np.allclose(many[0].state, one[0].state, atol=1e-4)


def test_half_precision_halves_what_is_kept_and_hardly_moves_the_answers(checkpoint: Path, sam3):
    halved, image = load(checkpoint), picture(96, 130)
    halved._bf16 = True  # what a graphics card is given; the processor can do it too
    one, two = sam3.embed(image), halved.embed(image)
    assert two.nbytes * 2 == one.nbytes
    click = Prompt(points=(Point(40, 40), Point(80, 10, False)))
    a, b = sam3.segment(one, click)[0], halved.segment(two, click)[0]
    assert iou(a.mask.to_array(), b.mask.to_array()) > 0.9
    ours, theirs = (m.detect_text([image], ["cat"], floor=0.0)[0][0] for m in (halved, sam3))
    assert ours.score == pytest.approx(theirs.score, abs=0.05)
