"""Florence-2's adapter: parity with transformers' own way on tiny random weights, and outputs gone wrong."""

from __future__ import annotations

import functools
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from models import florence2 as family
from models._answers import florence
from models._florence import tasks
from studio.adapters import Answerer, Describer, TextDetector
from studio.errors import BadInput
from tests.models.tiny_florence2 import PLACES, tiny_checkpoint
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PHRASES = ("a cat", "two very long dogs", "x")
GREEDY = dict(num_beams=1, do_sample=False, early_stopping=False, max_new_tokens=62)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("florence2")
    tiny_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> family.Florence2:
    return family.load(str(checkpoint), "cpu", family.Florence2Options())


@pytest.fixture(scope="module")
def plain(checkpoint: Path):
    """The same checkpoint as transformers' documentation loads it."""
    network = transformers.Florence2ForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    return network.eval(), transformers.AutoProcessor.from_pretrained(checkpoint)


def documented(plain, image: np.ndarray, task: str, text: str = ""):
    """What the documentation's lines write and read for one prompt, and what ``generate`` returned."""
    network, processor = plain
    inputs = processor(text=task + text, images=image, return_tensors="pt")
    with torch.inference_mode():
        made = network.generate(**inputs, **GREEDY, return_dict_in_generate=True, output_scores=True)
    written = processor.batch_decode(made.sequences, skip_special_tokens=False)[0]
    size = (image.shape[1], image.shape[0])
    return processor.post_process_generation(written, task=task, image_size=size).get(task), made


# ---- parity ---------------------------------------------------------------------------------------


def test_it_has_the_methods_of_its_roles(model):
    assert all(isinstance(model, role) for role in (TextDetector, Answerer, Describer))


def test_boxes_and_names_are_those_of_the_documented_way(model, plain):
    images = [picture(60, 90), picture(120, 40, 1), picture(33, 300, 2)]
    found = model.detect_text(images, PHRASES, floor=0.0)
    total = 0
    for image, detections in zip(images, found, strict=True):
        for phrase in PHRASES:
            read, _ = documented(plain, image, family.GROUNDING, phrase)
            expected = sorted(box for box in read["bboxes"] if box[0] <= box[2] and box[1] <= box[3])
            ours = sorted([int(v) for v in d.box.xyxy] for d in detections if d.name == phrase)
            assert [box for box in expected if box in ours] == ours
            # The processor rounds to pixels, where a box that we pass over may seem to have a side of 0.
            assert all(box[0] == box[2] or box[1] == box[3] for box in expected if box not in ours)
            total += len(ours)
    assert total >= 3, "the tiny network wrote no boxes"
    assert all(d.score >= e.score for row in found for d, e in zip(row, row[1:], strict=False))


def test_a_score_is_the_least_chance_of_a_boxs_four_places(model, plain):
    image = picture(60, 90)
    _, made = documented(plain, image, family.GROUNDING, PHRASES[0])
    places = plain[1].tokenizer.convert_tokens_to_ids(PLACES)
    chances = [torch.softmax(step[0], -1)[places].numpy() for step in made.scores]
    sides = []
    for token, chance in zip(made.sequences[0, 1:].tolist(), chances, strict=True):
        near = slice(max(0, token - places[0] - tasks.NEAR), token - places[0] + tasks.NEAR + 1)
        sides.append(float(chance[near].sum()) if token in places else 0.0)
    least = {round(min(sides[i : i + 4]), 5) for i in range(len(sides) - 3)}
    found = model.detect_text([image], PHRASES[:1], floor=0.0)[0]
    assert found and all(0 < d.score <= 1 for d in found)
    assert {round(d.score, 5) for d in found} <= least


@pytest.mark.parametrize("question", ["", "  ", "how many cats?", "is it late?"])
def test_an_answer_is_what_the_documented_way_writes(model, plain, question):
    image = picture(60, 90)
    task, text = ("<VQA>", question) if question.strip() else ("<CAPTION>", "")
    _, made = documented(plain, image, task, text)
    pieces = list(model.answer(image, question))
    expected = plain[1].batch_decode(made.sequences, skip_special_tokens=True)[0].lstrip()
    assert "".join(pieces) == expected and expected


def test_a_paragraph_is_asked_for_where_the_option_says_so(checkpoint, plain):
    detailed = family.load(str(checkpoint), "cpu", family.Florence2Options(detailed=True))
    image = picture(60, 90)
    _, made = documented(plain, image, "<MORE_DETAILED_CAPTION>")
    expected = plain[1].batch_decode(made.sequences, skip_special_tokens=True)[0].lstrip()
    assert "".join(detailed.answer(image, "")) == expected


@pytest.mark.parametrize("task", list(tasks.WAYS))
def test_a_description_is_what_the_documented_way_writes_and_reads(model, plain, task):
    way = tasks.WAYS[task]
    given = "a cat and two dogs" if task == "grounded caption" else ""
    for seed in range(2):
        image = picture(60, 90, seed)
        read, made = documented(plain, image, way.token, given)
        written = plain[1].batch_decode(made.sequences, skip_special_tokens=False)[0]
        ours = model.describe(image, task, given)
        words = re.sub("</?s>|<pad>|<unk>|<mask>", "", written)
        expected = florence.read(words, 60, 90, way.form, listed=way.listed)
        assert ours.text == expected.text and ours.text
        if way.form == "text":
            assert re.sub("<loc_[0-9]+>", "", read).strip() == ours.text and not ours.places
        if way.form == "boxes":
            theirs = [tuple(b) for b in read["bboxes"] if b[0] < b[2] and b[1] < b[3]]
            found = [tuple(int(v) for v in p.box.xyxy) for p in ours.places]
            # The processor rounds to pixels, where a box that we keep may seem to have a side of 0.
            assert [b for b in found if b[0] < b[2] and b[1] < b[3]] == theirs


@pytest.mark.parametrize("task", ["things", "regions", "grounded caption"])
def test_boxes_are_read_as_the_processor_reads_them(model, monkeypatch, task):
    text = "mug<loc_1><loc_2><loc_30><loc_40><loc_500><loc_2><loc_700><loc_90>red apple<loc_5><loc_6><loc_70><loc_80>"
    monkeypatch.setattr(model, "_stream", lambda image, prompt: iter([text]))
    reading = model.describe(picture(1000, 1000), task, "x" if task == "grounded caption" else "")
    (read,) = model._processor.post_process_generation(
        text, task=tasks.WAYS[task].token, image_size=(1000, 1000)
    ).values()
    assert [p.phrase for p in reading.places] == read["labels"] == ["mug", "mug", "red apple"]
    assert [[int(v) for v in p.box.xyxy] for p in reading.places] == read["bboxes"]


def test_written_words_are_read_as_the_processor_reads_them(model, monkeypatch):
    def locs(*numbers: int) -> str:
        return "".join(f"<loc_{n}>" for n in numbers)

    text = f"STOP{locs(10, 20, 500, 25, 495, 300, 12, 310)}NO ENTRY{locs(1, 2, 3, 4, 5, 6, 7, 8)}"
    monkeypatch.setattr(model, "_stream", lambda image, prompt: iter([text[:20], text[20:]]))
    ours = model.describe(picture(1000, 1000), "written words")
    (read,) = model._processor.post_process_generation(
        text, task="<OCR_WITH_REGION>", image_size=(1000, 1000)
    ).values()
    assert [p.phrase for p in ours.places] == read["labels"] == ["STOP", "NO ENTRY"]
    for place, corners in zip(ours.places, read["quad_boxes"], strict=True):
        assert [int(v) for point in place.outline for v in point] == corners
    assert ours.text == "STOP, NO ENTRY"


def test_a_caption_of_the_models_own_is_grounded_where_none_is_given(model, monkeypatch):
    asked = []
    kept = model._stream

    def stream(image, prompt):
        asked.append(prompt)
        return kept(image, prompt)

    monkeypatch.setattr(model, "_stream", stream)
    image = picture(60, 90)
    caption = model.describe(image, "caption").text
    alone = model.describe(image, "grounded caption")
    assert asked[0] == asked[1] and asked[2].endswith(caption)
    assert alone == model.describe(image, "grounded caption", caption)
    assert len(asked) == 4


def test_words_that_name_no_thing_are_no_places(model, monkeypatch):
    text = "the image<loc_1><loc_2><loc_30><loc_40> shows a cat<loc_1><loc_2><loc_30><loc_40>"
    monkeypatch.setattr(model, "_stream", lambda image, prompt: iter([text]))
    reading = model.describe(picture(60, 90), "grounded caption", "x")
    assert [p.phrase for p in reading.places] == ["shows a cat"]
    assert [p.phrase for p in model.describe(picture(60, 90), "things").places] == [
        "the image",
        "shows a cat",
    ]


def test_an_answer_with_places_is_read(model):
    reading = model.read("a cat<loc_0><loc_0><loc_499><loc_999>", 10, 20)
    assert reading.text == "a cat" and reading.places[0].box.xyxy == pytest.approx((0.01, 0.005, 9.99, 9.995))


def test_what_cannot_be_described_is_refused_with_a_sentence(model):
    with pytest.raises(BadInput, match="no task “colours”. There is caption"):
        model.describe(picture(20, 30), "colours")
    with pytest.raises(BadInput, match="takes no text"):
        model.describe(picture(20, 30), "things", "a cat")
    with pytest.raises(BadInput, match="uint8"):
        model.describe(np.zeros((5, 5), np.uint8), "caption")


def test_a_checkpoint_that_runs_by_its_own_code_is_refused_by_its_id():
    named = {"architectures": ["Florence2ForConditionalGeneration"]}
    assert family.examine("a/b", named | {"vision_config": {"model_type": "florence_vision"}}) == "florence2"
    with pytest.raises(BadInput, match="florence-community"):
        family.examine("microsoft/Florence-2-base", named | {"vision_config": {"model_type": "davit"}})
    assert family.examine("a/b", {"architectures": ["BertModel"]}) is None


# ---- what is written may be anything --------------------------------------------------------------


def pairs(model, text: str, width: int = 1000, height: int = 1000) -> list[tuple[int, ...]]:
    tokens = model._processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    chances = np.full(len(tokens), 0.5, np.float32)
    return [tuple(int(v) for v in box.xyxy) for box, _ in model._boxes(tokens, chances, width, height)]


def test_what_is_written_is_read_as_the_processor_reads_it(model):
    rng = np.random.default_rng(0)
    pieces = ["a cat", " dog", "<od>", "</s>", "<s>", "<pad>", " a car", *PLACES[::25]]
    shares = np.array([1, 1, 0.3, 0.3, 0.3, 0.3, 0.3, *[0.3] * 40])
    boxes = 0
    for _ in range(300):
        text = "a cat" + "".join(rng.choice(pieces, rng.integers(1, 24), p=shares / shares.sum()))
        for tag in ("<s>", "</s>", "<pad>"):  # the processor takes these out, which joins what they parted
            text = text.replace(tag, "")
        read = model._processor.post_process_generation(text, task=family.GROUNDING, image_size=(1000, 1000))
        expected = [tuple(b) for b in read[family.GROUNDING]["bboxes"] if b[0] < b[2] and b[1] < b[3]]
        assert pairs(model, text) == expected, text
        boxes += len(expected)
    assert boxes > 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a cat",
        "<loc_1><loc_2><loc_3><loc_4>",
        "<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6><loc_7><loc_8>",
        "a cat<loc_1><loc_2><loc_3>",
        "a cat<loc_9><loc_2><loc_3><loc_4>",
        "a cat<loc_5><loc_5><loc_5><loc_5>",
        "a cat<loc_1><loc_2> and <loc_3><loc_4>",
        "the image<loc_1><loc_2><loc_3><loc_4>",
        "</s><s><poly><sep></poly></s>",
        "a < b <loc_x> <loc_1 ><<<<",
    ],
)
def test_malformed_writing_gives_no_box_and_no_crash(model, text):
    assert pairs(model, text) == []


def test_boxes_are_of_the_images_own_size_to_a_thousandth(model):
    text = "<s>a cat<loc_0><loc_250><loc_499><loc_999></s>"
    tokens = model._processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    (box, score), *others = model._boxes(tokens, np.linspace(0.9, 0.1, len(tokens)), 20, 10)
    assert not others
    assert box.xyxy == pytest.approx((0.01, 2.505, 9.99, 9.995))
    assert score == pytest.approx(np.linspace(0.9, 0.1, len(tokens))[-2])


# ---- the edges of what may be asked ---------------------------------------------------------------


def test_no_phrases_or_blank_ones_find_nothing(model):
    images = [picture(20, 30), picture(30, 20)]
    assert model.detect_text(images, []) == [[], []]
    assert model.detect_text(images, ["", " \n", "<s>"]) == [[], []]
    assert model.detect_text([], ["a cat"]) == []


def test_each_detection_is_named_by_the_whole_phrase_and_weak_ones_are_left_out(model):
    phrases = ["  a Cat, and <image>{more}</s> ", "a dog", "a dog"]
    image = picture(60, 90)
    found = model.detect_text([image], phrases, floor=0.0)[0]
    assert {d.name for d in found} <= set(phrases)
    once = model.detect_text([image], phrases[:2], floor=0.0)[0]
    assert found == once, "a phrase given twice finds a thing twice"
    floor = sorted(d.score for d in found)[len(found) // 2]
    assert model.detect_text([image], phrases, floor=floor)[0] == [d for d in found if d.score >= floor]


def test_images_that_go_together_are_answered_as_if_alone(model, monkeypatch):
    monkeypatch.setattr(family, "PIXELS", 2)
    monkeypatch.setattr(family, "PROMPTS", 3)
    images = [picture(60, 90), picture(120, 40, 1), picture(33, 300, 2)]
    together = model.detect_text(images, PHRASES, floor=0.0)
    for image, detections in zip(images, together, strict=True):
        (alone,) = model.detect_text([image], PHRASES, floor=0.0)
        assert [(d.name, d.box) for d in alone] == [(d.name, d.box) for d in detections]
        assert [d.score for d in alone] == pytest.approx([d.score for d in detections], abs=1e-5)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 500), (400, 2)])
def test_tiny_and_long_thin_images_are_taken(model, height, width):
    image = np.full((height, width, 3), 120, np.uint8)
    for detection in model.detect_text([image], PHRASES, floor=0.0)[0]:
        assert detection.box == detection.box.clipped(width, height)
    assert "".join(model.answer(image, "what is it?"))


def test_a_second_question_about_an_image_does_not_look_again(model, monkeypatch):
    image = picture(60, 90, 5)
    first = "".join(model.answer(image, "what is it?"))
    monkeypatch.setattr(model._model, "get_image_features", None)
    assert "".join(model.answer(image.copy(), "what is it?")) == first
    with pytest.raises(TypeError):
        list(model.answer(picture(90, 60, 5), "what is it?"))


def test_a_question_longer_than_the_network_can_read_is_cut(model):
    assert "".join(model.answer(picture(20, 30), "why? " * 500))


def test_what_is_no_image_is_refused_at_once(model):
    wrong = np.zeros((5, 5), np.uint8)
    with pytest.raises(BadInput, match="uint8"):
        model.detect_text([wrong], ["a cat"])
    with pytest.raises(BadInput, match="uint8"):
        model.answer(wrong, "")


# ---- the thread that writes -----------------------------------------------------------------------


@pytest.fixture
def words(model, monkeypatch) -> list[int]:
    """Make the network write a blank at every other step; the list grows by one at each."""
    steps: list[int] = []
    forward = model._model.forward
    blank = model._processor.tokenizer.convert_tokens_to_ids("Ġ")

    @functools.wraps(forward)
    def write(*args, **kwargs):
        made = forward(*args, **kwargs)
        steps.append(len(steps))
        made.logits[..., blank] += 1e4 * (len(steps) % 2 == 0)
        return made

    monkeypatch.setattr(model._model, "forward", write)
    return steps


def test_an_answer_comes_word_by_word(model, words):
    pieces = [piece for piece in model.answer(picture(60, 90), "") if piece]
    assert len(pieces) > 10
    assert len(words) > 50


def test_nothing_is_written_ahead_of_what_is_asked_for(model, words):
    pieces = model.answer(picture(60, 90), "")
    assert not words
    for count in range(1, 6):
        next(pieces)
        time.sleep(0.02)  # for a writer that would go on by itself
        assert len(words) == count
    pieces.close()


def test_writing_stops_when_nobody_listens_any_more(model, words):
    before = threading.active_count()
    pieces = model.answer(picture(60, 90), "")
    next(pieces)
    pieces.close()
    assert threading.active_count() == before
    assert len(words) < 50


def test_an_error_while_writing_reaches_the_listener(model, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError("no more")

    monkeypatch.setattr(model._model, "get_image_features", fail)
    with pytest.raises(MemoryError, match="no more"):
        list(model.answer(picture(60, 90, 6), ""))
