"""Molmo 2's adapter: parity with transformers' own way on tiny random weights, its points, and Molmo 1 refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models import molmo2 as family
from studio.adapters import Answerer
from studio.errors import BadInput
from tests.models.tiny_molmo2 import tiny_checkpoint
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SHORT = 40  # tokens

pytestmark = pytest.mark.usefixtures("one_thread", "short")


@pytest.fixture
def short(monkeypatch) -> None:
    monkeypatch.setattr(family, "LENGTH", SHORT)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("molmo2")
    tiny_checkpoint(folder)
    return folder


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> family.Molmo2:
    return family.load(str(checkpoint), "cpu", family.Molmo2Options())


@pytest.fixture(scope="module")
def plain(checkpoint: Path):
    """The same checkpoint as transformers' documentation loads it."""
    network = transformers.AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
    return network.eval(), transformers.AutoProcessor.from_pretrained(checkpoint)


def documented(plain, image: np.ndarray, question: str) -> str:
    from PIL import Image

    network, processor = plain
    content = [{"type": "text", "text": question}, {"type": "image", "image": Image.fromarray(image)}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True,
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.inference_mode():
        ids = network.generate(**inputs, max_new_tokens=SHORT, do_sample=False)
    written = ids[:, inputs["input_ids"].size(1) :]
    return processor.post_process_image_text_to_text(written, skip_special_tokens=True)[0]


@pytest.mark.parametrize("height, width", [(60, 90), (120, 40)])
@pytest.mark.parametrize("question", ["Point to all mugs", "", " how many <|image|><|im_end|>cats?"])
def test_an_answer_is_what_the_documented_way_writes(model, plain, height, width, question):
    image = picture(height, width)
    asked = {"": family.CAPTION, "Point to all mugs": "Point to all mugs"}.get(question, "how many   cats?")
    expected = documented(plain, image, asked)
    pieces = list(model.answer(image, question))
    assert "".join(pieces) == expected.lstrip() and expected.strip()


def test_it_is_an_answerer_whose_points_are_read_in_pixels(model):
    assert isinstance(model, Answerer)
    reading = model.read('<points coords="1 1 500 250 2 100 900">mugs</points>', 200, 400)
    assert reading.text == "mugs" and reading.places[0].points == ((200, 50), (40, 180))


def test_points_beside_a_thin_image_are_left_out(model):
    image = picture(2, 400)
    assert "".join(model.answer(image, "what?"))
    reading = model.read('<points coords="1 1 500 100 2 500 900">a</points>', 2, 400)
    assert reading.places[0].points == ((200, pytest.approx(0.8)),)
    assert not model.read('<points coords="1 1 500 900">a</points>', 2, 400).places


def test_a_second_question_about_an_image_does_not_look_again(model, monkeypatch):
    image = picture(60, 90, 5)
    first = "".join(model.answer(image, "what is it?"))
    monkeypatch.setattr(model._model.model.vision_tower, "forward", None)
    assert "".join(model.answer(image.copy(), "what is it?")) == first
    with pytest.raises(TypeError):
        list(model.answer(picture(90, 60, 5), "what is it?"))


def test_what_is_no_image_is_refused_at_once(model):
    with pytest.raises(BadInput, match="uint8"):
        model.answer(np.zeros((5, 5), np.uint8), "")


def test_a_molmo_of_the_first_kind_is_refused_with_what_to_take_instead(tmp_path):
    first = {"model_type": "molmo", "architectures": ["MolmoForCausalLM"]}
    with pytest.raises(BadInput, match="Molmo-7B-D-0924 is a Molmo 1.*allenai/Molmo2-4B"):
        family.examine("allenai/Molmo-7B-D-0924", first)
    (tmp_path / "config.json").write_text(json.dumps(first))
    with pytest.raises(BadInput, match="is a Molmo 1"):
        family.load(str(tmp_path), "cpu", family.Molmo2Options())
    second = {"model_type": "molmo2", "architectures": ["Molmo2ForConditionalGeneration"]}
    assert family.examine("a/b", second) == "molmo2" and family.examine("a/b", {}) is None
    (tmp_path / "config.json").unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        family.load(str(tmp_path), "cpu", family.Molmo2Options())
