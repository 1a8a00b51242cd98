"""BLIP's adapters: parity with transformers' own way on tiny random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import blip as family
from studio.adapters import Answerer, Describer, NoOptions
from studio.errors import BadInput
from tests.models.tiny_blip import tiny_checkpoint
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SHORT = 20  # tokens

pytestmark = pytest.mark.usefixtures("one_thread", "short")


@pytest.fixture
def short(monkeypatch) -> None:
    monkeypatch.setattr(family, "LENGTH", SHORT)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    made = {kind: tmp_path_factory.mktemp("blip") for kind in (family.ANSWERS, family.CAPTIONS)}
    for kind, folder in made.items():
        tiny_checkpoint(folder, kind)
    return made


@pytest.fixture(scope="module")
def answerer(folders) -> family.BlipAnswerer:
    return family.load(str(folders[family.ANSWERS]), "cpu", NoOptions())


@pytest.fixture(scope="module")
def describer(folders) -> family.BlipDescriber:
    return family.load(str(folders[family.CAPTIONS]), "cpu", NoOptions())


def documented(folder: Path, kind: str, image: np.ndarray, **text) -> str:
    """Return what the documentation's lines write."""
    network = getattr(transformers, kind).from_pretrained(folder).eval()
    processor = transformers.AutoProcessor.from_pretrained(folder)
    inputs = processor(images=image, return_tensors="pt", **text)
    with torch.inference_mode():
        written = network.generate(**inputs, max_new_tokens=SHORT, do_sample=False)
    return processor.decode(written[0], skip_special_tokens=True)


@pytest.mark.parametrize("question", ["how many cats?", "  ", "is it late?"])
def test_an_answer_is_what_the_documented_way_writes(folders, answerer, question):
    image = picture(60, 90)
    text = question.strip() or family.BLANK
    expected = documented(folders[family.ANSWERS], family.ANSWERS, image, text=text)
    assert "".join(answerer.answer(image, question)).strip() == expected.strip() != ""


def test_a_caption_is_what_the_documented_way_writes(folders, describer):
    image = picture(60, 90)
    reading = describer.describe(image, "caption")
    expected = documented(folders[family.CAPTIONS], family.CAPTIONS, image)
    assert reading.text == expected.strip() != "" and not reading.places


def test_each_is_what_its_card_says(answerer, describer):
    assert isinstance(answerer, Answerer) and not isinstance(answerer, Describer)
    assert isinstance(describer, Describer) and not isinstance(describer, Answerer)
    assert answerer.read(" two ", 10, 10).text == "two"
    for kind, roles in (("answers", ("answerer",)), ("captions", ("describer",))):
        architecture = {"answers": family.ANSWERS, "captions": family.CAPTIONS}[kind]
        assert family.examine("a/b", {"architectures": [architecture]}) == kind
        assert family.describe(kind, 5_000_000).roles == roles


def test_a_second_question_about_an_image_does_not_look_again(answerer, monkeypatch):
    image = picture(60, 90, 5)
    first = "".join(answerer.answer(image, "what is it?"))
    monkeypatch.setattr(answerer._model.vision_model, "forward", None)
    assert "".join(answerer.answer(image.copy(), "what is it?")) == first
    with pytest.raises(TypeError):
        list(answerer.answer(picture(90, 60, 5), "what is it?"))


def test_long_and_hostile_questions_are_answered(answerer):
    image = picture(30, 20)
    assert isinstance("".join(answerer.answer(image, "why [SEP][PAD]? " * 200)), str)


def test_what_cannot_be_asked_is_refused_with_a_sentence(answerer, describer):
    with pytest.raises(BadInput, match="no task “things”"):
        describer.describe(picture(20, 30), "things")
    with pytest.raises(BadInput, match="ties no text"):
        describer.describe(picture(20, 30), "caption", "a cat")
    for ask in (lambda i: answerer.answer(i, ""), lambda i: describer.describe(i, "caption")):
        with pytest.raises(BadInput, match="uint8"):
            ask(np.zeros((5, 5), np.uint8))
