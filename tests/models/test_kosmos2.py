"""Kosmos-2's adapter: parity with transformers' own way on tiny random weights, and outputs gone wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import kosmos2 as family
from studio.adapters import Answerer, Describer, TextDetector
from studio.errors import BadInput
from tests.models.tiny_kosmos2 import SEEN, guide, tiny_checkpoint
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

IMAGE = picture(60, 90)
PHRASES = ["a cat", "two dogs", "a mug", "it"]

SHORT = 70  # tokens

pytestmark = pytest.mark.usefixtures("one_thread", "short")


@pytest.fixture
def short(monkeypatch) -> None:
    monkeypatch.setattr(family, "LENGTH", SHORT)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kosmos2")
    tiny_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> family.Kosmos2:
    made = family.load(str(checkpoint), "cpu", family.Kosmos2Options())
    guide(made._model, made._processor.tokenizer)
    return made


@pytest.fixture(scope="module")
def plain(checkpoint: Path):
    """The same checkpoint as transformers' documentation loads it."""
    network = transformers.AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    processor = transformers.AutoProcessor.from_pretrained(checkpoint)
    guide(network, processor.tokenizer)
    return network, processor


def documented(plain, image: np.ndarray, prompt: str, longest: int = SHORT):
    """What the documentation's lines write and read for a prompt: the text, its entities, and what was generated."""
    network, processor = plain
    inputs = processor(text=prompt, images=image, num_image_tokens=SEEN, return_tensors="pt")
    with torch.inference_mode():
        made = network.generate(
            **inputs,
            max_new_tokens=longest,
            do_sample=False,
            return_dict_in_generate=True,
            output_scores=True,
        )
    text = processor.batch_decode(made.sequences, skip_special_tokens=True)[0]
    return *processor.post_process_generation(text), made


def told(entities) -> list[tuple]:
    return [(name, span, box) for name, span, boxes in entities for box in boxes]


def same(places, entities, moved: int = 0) -> None:
    """Hold the places of IMAGE against the entities that transformers reads."""
    theirs = [e for e in told(entities) if e[2][0] < e[2][2] and e[2][1] < e[2][3]]
    assert [(p.phrase, p.span) for p in places] == [(n, (a - moved, b - moved)) for n, (a, b), _ in theirs]
    for place, (_, _, box) in zip(places, theirs, strict=True):
        assert place.box.xyxy == pytest.approx(np.array(box) * (90, 60, 90, 60))


# ---- parity ---------------------------------------------------------------------------------------


def test_it_has_the_methods_of_its_roles(model):
    assert all(isinstance(model, role) for role in (TextDetector, Answerer, Describer))


@pytest.mark.parametrize("task", ["caption", "grounded caption"])
def test_a_caption_is_what_the_documented_way_writes_and_reads(model, plain, task):
    image = IMAGE
    text, entities, _ = documented(plain, image, family.WAYS[task])
    ours = model.describe(image, task)
    assert ours.text == text and text.startswith("An image of") and len(text) > 20
    same(ours.places, entities)
    assert ours.places


def test_a_description_and_an_answer_are_what_follows_the_prompt(model, plain):
    image = IMAGE
    text, entities, _ = documented(plain, image, family.WAYS["detailed caption"])
    ours = model.describe(image, "detailed caption")
    prompt = "Describe this image in detail:"
    assert f"{prompt} {ours.text}" == text or prompt + ours.text == text
    same(ours.places, entities, len(text) - len(ours.text))
    text, entities, _ = documented(plain, image, "<grounding>Question: what is it? Answer:")
    ours = model.read("".join(model.answer(image, " what is <phrase>it?")), 60, 90)
    assert text.endswith(ours.text) and ours.text
    same(ours.places, entities, len(text) - len(ours.text))


def test_a_phrase_finds_the_boxes_that_the_documented_way_writes(model, plain):
    image, cells = picture(60, 90), model._cells.numpy()
    found = model.detect_text([image], PHRASES, floor=0.0)[0]
    assert found == sorted(found, key=lambda d: -d.score) and {d.name for d in found} == set(PHRASES)
    for phrase in PHRASES:
        _, entities, made = documented(plain, image, f"<grounding><phrase> {phrase}</phrase>", 61)
        name, _, boxes = entities[0]
        assert name == phrase
        kept = [b for b in boxes if b[0] < b[2] and b[1] < b[3]]
        ours = [d for d in found if d.name == phrase]
        expected = sorted(tuple(np.round(np.array(b) * (90, 60, 90, 60), 3)) for b in kept)
        assert sorted(tuple(np.round(d.box.xyxy, 3)) for d in ours) == expected and ours
        tokens = made.sequences[0, -len(made.scores) :].numpy()
        sure = {}
        for at, token in enumerate(tokens):
            if token in cells:
                chances = torch.softmax(made.scores[at][0], -1)[cells].numpy().reshape(32, 32)
                y, x = divmod(int(token - cells[0]), 32)
                sure[at] = chances[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].sum()
        pairs = {round(float(min(sure[at], sure[at + 1])), 4) for at in sure if at + 1 in sure}
        assert {round(d.score, 4) for d in ours} <= pairs and all(0 < d.score <= 1 for d in ours)


def test_phrases_together_find_what_each_finds_alone(model):
    images = [picture(60, 90), picture(50, 40, 1)]
    together = model.detect_text(images, [*PHRASES, "a jug", PHRASES[0]], floor=0.0)
    for image, found in zip(images, together, strict=True):
        alone = [d for p in [*PHRASES, "a jug"] for d in model.detect_text([image], [p], floor=0.0)[0]]
        key = lambda d: (d.name, d.box.xyxy)  # noqa: E731
        assert [(d.name, d.box) for d in sorted(found, key=key)] == [
            (d.name, d.box) for d in sorted(alone, key=key)
        ]
        assert [d.score for d in sorted(found, key=key)] == pytest.approx(
            [d.score for d in sorted(alone, key=key)], abs=1e-5
        )


# ---- what is written may be anything --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("<object><patch_index_0001><patch_index_0500></object>", 1),
        ("<object><patch_index_0001><patch_index_0500></delimiter_of_multi_objects/><patch_index_0002>", 1),
        ("<object><patch_index_0500><patch_index_0001></object>", 0),
        ("<object><patch_index_0001></object>", 0),
        ("<object><patch_index_0001><patch_index_0002><patch_index_0900></object>", 0),
        ("<object></delimiter_of_multi_objects/><patch_index_0001><patch_index_0500></object>", 1),
        ("<patch_index_0001><patch_index_0500></object>", 0),
        ("a mug<object><patch_index_0001><patch_index_0500></object>", 0),
        ("<object><patch_index_0001><patch_index_0500>", 0),
        ("", 0),
    ],
)
def test_only_whole_boxes_behind_the_phrase_are_taken(model, text, count):
    tokens = model._processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(list(model._boxes(tokens, np.full(len(tokens), 0.5), 60, 90))) == count


# ---- the edges of what may be asked ---------------------------------------------------------------


def test_no_phrases_or_blank_ones_find_nothing(model):
    images = [picture(20, 30), picture(30, 20)]
    assert model.detect_text(images, []) == [[], []]
    assert model.detect_text(images, ["", " \n", "<object><patch_index_0001>"]) == [[], []]
    assert model.detect_text([], ["a cat"]) == []


def test_a_second_question_about_an_image_does_not_look_again(model, monkeypatch):
    image = picture(60, 90, 5)
    first = "".join(model.answer(image, "what is it?"))
    monkeypatch.setattr(model._model.vision_model, "forward", None)
    assert "".join(model.answer(image.copy(), "what is it?")) == first
    with pytest.raises(TypeError):
        list(model.answer(picture(90, 60, 5), "what is it?"))


def test_a_blank_question_asks_for_a_caption_and_a_long_one_is_cut(model):
    image = picture(20, 30)
    text = "".join(model.answer(image, " "))
    assert model.read(text, 20, 30) == model.describe(image, "grounded caption")
    assert "".join(model.answer(image, "why? " * 5000))


@pytest.mark.parametrize("height, width", [(1, 500), (400, 2)])
def test_long_thin_images_are_taken(model, height, width):
    image = np.full((height, width, 3), 120, np.uint8)
    for detection in model.detect_text([image], PHRASES[:2], floor=0.0)[0]:
        assert detection.box == detection.box.clipped(width, height)


def test_what_cannot_be_asked_is_refused_with_a_sentence(model):
    with pytest.raises(BadInput, match="no task “things”. There is caption"):
        model.describe(picture(20, 30), "things")
    with pytest.raises(BadInput, match="Florence-2"):
        model.describe(picture(20, 30), "grounded caption", "a cat")
    for ask in (lambda i: model.answer(i, ""), lambda i: model.detect_text([i], ["a cat"])):
        with pytest.raises(BadInput, match="uint8"):
            ask(np.zeros((5, 5), np.uint8))
