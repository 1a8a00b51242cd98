"""The adapter of Mask2Former: its contract, and parity with transformers' own processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import mask2former as family
from studio.adapters import Detector, NoOptions, SemanticSegmenter
from studio.errors import BadInput
from tests.models.tiny_sam2 import picture, shake

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {"square": (96, 96), "odd": (67, 93), "wide": (50, 211), "tall": (180, 40), "1 pixel": (1, 1)}
LABELS = {0: "apple", 1: "mug", 2: "leaf", 3: "feather"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("mask2former")
    swin = dict(
        model_type="swin",
        image_size=96,
        patch_size=4,
        embed_dim=12,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 3, 4],
        window_size=3,
        out_indices=[1, 2, 3, 4],
    )
    config = transformers.Mask2FormerConfig(
        backbone_config=swin,
        hidden_dim=32,
        feature_size=32,
        mask_feature_size=32,
        encoder_feedforward_dim=64,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=64,
        num_queries=12,
        id2label=LABELS,
        label2id={name: i for i, name in LABELS.items()},
    )
    model = transformers.Mask2FormerForUniversalSegmentation(config)
    shake(model)
    with torch.no_grad():
        model.class_predictor.bias[-1] = -4.0  # else most queries say that there is nothing
    model.save_pretrained(folder)
    transformers.Mask2FormerImageProcessor(size={"height": 96, "width": 96}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def adapter(checkpoint: Path):
    return family.load(str(checkpoint), "cpu", NoOptions())


def documented(checkpoint: Path, image: np.ndarray):
    """What transformers' documentation does with one image."""
    processor = transformers.AutoImageProcessor.from_pretrained(checkpoint)
    model = transformers.Mask2FormerForUniversalSegmentation.from_pretrained(checkpoint).eval()
    with torch.no_grad():
        return processor, model(**processor(image, return_tensors="pt", input_data_format="channels_last"))


def test_it_keeps_both_contracts(adapter):
    assert isinstance(adapter, Detector) and isinstance(adapter, SemanticSegmenter)
    assert adapter.names == tuple(LABELS.values())


@pytest.mark.parametrize(("height", "width"), SIZES.values(), ids=SIZES)
def test_masks_and_scores_are_those_of_transformers_own_processor(adapter, checkpoint, height, width):
    image = picture(height, width)
    processor, answer = documented(checkpoint, image)
    (theirs,) = processor.post_process_instance_segmentation(
        answer, threshold=0.05, target_sizes=[(height, width)], return_binary_maps=True
    )
    (ours,) = adapter.detect([image], floor=0.05)
    expected = sorted(
        zip(theirs["segments_info"], theirs["segmentation"], strict=False), key=lambda pair: -pair[0]["score"]
    )
    expected = [(info, mask) for info, mask in expected if mask.any()]
    assert len(ours) == len(expected)
    assert len(ours) > 1 or height == 1
    for detection, (info, mask) in zip(ours, expected, strict=True):
        assert abs(detection.score - info["score"]) < 1e-3
        assert np.array_equal(detection.mask.to_array(), mask.numpy() > 0)
        assert detection.box == detection.mask.box


@pytest.mark.parametrize(("height", "width"), SIZES.values(), ids=SIZES)
def test_classes_of_pixels_are_those_of_transformers_own_processor(adapter, checkpoint, height, width):
    image = picture(height, width)
    processor, answer = documented(checkpoint, image)
    (theirs,) = processor.post_process_semantic_segmentation(answer, target_sizes=[(height, width)])
    (ours,) = adapter.classify_pixels([image])
    assert ours.dtype == np.uint16 and ours.shape == (height, width)
    assert (ours == theirs.numpy()).mean() > 0.999


def test_best_comes_first_and_the_floor_holds(adapter):
    (every,) = adapter.detect([picture(96, 96)], floor=0.0)
    scores = [d.score for d in every]
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1]
    floor = (scores[0] + scores[-1]) / 2
    (few,) = adapter.detect([picture(96, 96)], floor=floor)
    assert [d.score for d in few] == [score for score in scores if score >= floor]


def test_what_is_no_image_is_refused(adapter):
    with pytest.raises(BadInput):
        adapter.detect([np.zeros((4, 4), np.uint8)])
    with pytest.raises(BadInput):
        adapter.classify_pixels([np.zeros((4, 4, 3), np.float32)])
