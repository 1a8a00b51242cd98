"""Cutters: what onnxruntime gives for a tiny network built on the spot, at any size, and how files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import cutters
from models.cutters import BIREFNET, Manner
from studio.adapters import Cutter, NoOptions
from studio.errors import BadInput

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

WEIGHTS = np.float32((2.0, -1.0, 0.5)).reshape(1, 3, 1, 1)
PLAIN = Manner(64, (0.5, 0.25, 0.0), (0.5, 1.0, 2.0), "logits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A network that weighs the three colours of each pixel, as the hub's copies lie in a folder."""
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = [1, 3, "high", "wide"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["input_image", "weights"], ["output_image"])],
        "tiny",
        [helper.make_tensor_value_info("input_image", kinds.FLOAT, shape)],
        [helper.make_tensor_value_info("output_image", kinds.FLOAT, [1, 1, "high", "wide"])],
        [onnx.numpy_helper.from_array(WEIGHTS, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    made = tmp_path_factory.mktemp("cutter")
    (made / "onnx").mkdir()
    onnx.save(model, str(made / "onnx" / "model.onnx"))
    (made / "config.json").write_text("{}")
    return made


def expected(image: np.ndarray, manner: Manner) -> np.ndarray:
    """Return what the network says of a picture of one colour, anywhere."""
    colour = (image[0, 0] / 255 - np.float64(manner.mean)) / np.float64(manner.deviation)
    return float((colour * WEIGHTS.ravel()).sum())


@pytest.mark.parametrize("size", [(64, 64), (31, 77), (301, 200)])
def test_the_answer_is_the_networks_at_any_size(folder, size):
    cutter = cutters.load(PLAIN, str(folder), "cpu", NoOptions())
    assert isinstance(cutter, Cutter)
    image = np.full((*size, 3), (200, 90, 30), np.uint8)
    alpha = cutter.cut(image)
    assert alpha.shape == size and alpha.dtype == np.float32
    assert np.abs(alpha - 1 / (1 + np.exp(-expected(image, PLAIN)))).max() < 1e-5


def test_left_and_right_and_red_and_blue_are_not_mixed_up(folder):
    cutter = cutters.load(PLAIN, str(folder), "cpu", NoOptions())
    image = np.zeros((100, 160, 3), np.uint8)
    image[:50, :80, 0] = 255  # red counts most, and is at the upper left
    alpha = cutter.cut(image)
    assert alpha[20, 30] > alpha[80, 30] + 0.2 and alpha[20, 30] > alpha[20, 130] + 0.2


def test_a_map_is_stretched_and_an_alpha_is_taken_as_it_is(folder):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:, 0] = 255
    stretched = cutters.load(Manner(64, (0, 0, 0), (1, 1, 1), "map"), str(folder), "cpu", None).cut(image)
    assert stretched.min() == 0 and stretched.max() == 1
    plain = cutters.load(Manner(64, (0, 0, 0), (8, 1, 1), "alpha"), str(folder), "cpu", None).cut(image)
    assert abs(plain.max() - 0.25) < 1e-6


def test_a_network_that_keeps_the_aspect_is_shown_steps_of_32():
    manner = Manner(512, (0, 0, 0), (1, 1, 1), "alpha", step=32)
    assert manner.size(1000, 2000) == (512, 1024)
    high, wide = manner.size(333, 777)
    assert high % 32 == wide % 32 == 0 and min(high, wide) == 512
    assert max(manner.size(100, 9000)) <= 2048
    assert BIREFNET.size(333, 777) == (1024, 1024)


def test_files_that_are_no_network_get_a_sentence(tmp_path):
    with pytest.raises(BadInput, match="there are 0"):
        cutters.load(PLAIN, str(tmp_path), "cpu", None)
    (tmp_path / "model.onnx").write_bytes(b"not a network")
    with pytest.raises(BadInput, match="no network that can be run"):
        cutters.load(PLAIN, str(tmp_path), "cpu", None)


def test_what_is_no_image_is_refused(folder):
    with pytest.raises(BadInput):
        cutters.load(PLAIN, str(folder), "cpu", None).cut(np.zeros((5, 5), np.uint8))
