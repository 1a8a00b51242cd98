"""The adapter of pixel classifiers: its contract, and parity with transformers' own processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import _pixels
from models import segformer as family
from studio.adapters import NoOptions, SemanticSegmenter
from studio.errors import BadInput
from tests.models.tiny_sam2 import picture, shake

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "square": (64, 64),
    "odd": (67, 93),
    "wide": (50, 211),
    "long and thin": (3, 400),
    "3 wide": (40, 3),
    "1 pixel": (1, 1),
}
LABELS = {0: "background", 1: "apple", 2: "mug", 3: "leaf", 4: "feather"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("segformer")
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 2, 3, 4],
        decoder_hidden_size=16,
        id2label=LABELS,
        label2id={name: i for i, name in LABELS.items()},
    )
    model = transformers.SegformerForSemanticSegmentation(config)
    shake(model)
    processor = transformers.SegformerImageProcessor(size={"height": 64, "width": 96})
    with torch.no_grad():  # no class ahead of the others everywhere
        logits = model.eval()(**processor(picture(64, 64), return_tensors="pt")).logits
        model.decode_head.classifier.bias -= logits.mean((0, 2, 3))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def segmenter(checkpoint: Path):
    return family.load(str(checkpoint), "cpu", NoOptions())


def documented(checkpoint: Path, image: np.ndarray) -> np.ndarray:
    """What transformers' documentation does with one image."""
    from PIL import Image

    model = transformers.AutoModelForSemanticSegmentation.from_pretrained(checkpoint).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(checkpoint)
    with torch.no_grad():
        outputs = model(**processor(Image.fromarray(image), return_tensors="pt"))
    # Borrowed, since not every image processor that serves has it.
    finish = transformers.SegformerImageProcessor().post_process_semantic_segmentation
    return finish(outputs, target_sizes=[image.shape[:2]])[0].numpy()


def test_it_is_a_semantic_segmenter_and_names_its_classes(segmenter):
    assert isinstance(segmenter, SemanticSegmenter)
    assert segmenter.names == tuple(LABELS.values())


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
def test_the_classes_are_those_of_transformers_own_processor(segmenter, checkpoint, height, width):
    image = picture(height, width)
    found = segmenter.classify_pixels([image])[0]
    expected = documented(checkpoint, image)
    assert found.dtype == np.uint16 and found.shape == (height, width)
    assert (found != expected).mean() <= 1e-3  # ties, decided by the last bit of a sum
    if min(height, width) > 40:
        assert len(np.unique(found)) > 1, "the classes say nothing"


def test_images_of_different_sizes_go_through_together_and_keep_their_order(segmenter):
    images = [picture(h, w, i) for i, (h, w) in enumerate([(64, 64), (67, 93), (1, 1), (50, 211)] * 3)]
    together = segmenter.classify_pixels(images)
    assert [one.shape for one in together] == [image.shape[:2] for image in images]
    for image, one in zip(images, together, strict=True):
        assert (one != segmenter.classify_pixels([image])[0]).mean() <= 1e-3
    assert segmenter.classify_pixels([]) == []


def test_bands_of_rows_give_what_the_whole_gives(segmenter, monkeypatch):
    image = picture(120, 90)
    whole = segmenter.classify_pixels([image])[0]
    monkeypatch.setattr(_pixels, "BAND", 7 * 4 * len(LABELS) * 90)
    assert np.array_equal(segmenter.classify_pixels([image])[0], whole)


def test_half_precision_hardly_moves_the_classes(segmenter, monkeypatch):
    image = picture(67, 93)
    exact = segmenter.classify_pixels([image])[0]
    monkeypatch.setattr(
        segmenter, "_bf16", True
    )  # what a graphics card is given; the processor can do it too
    assert (segmenter.classify_pixels([image])[0] == exact).mean() >= 0.95


def test_a_processor_that_keeps_the_aspect_serves_as_well(tmp_path: Path):
    torch.manual_seed(0)
    backbone = transformers.ConvNextConfig(
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.UperNetConfig(
        backbone_config=backbone, hidden_size=16, auxiliary_in_channels=24, auxiliary_channels=8, num_labels=5
    )
    transformers.UperNetForSemanticSegmentation(config).save_pretrained(tmp_path)
    transformers.ViTImageProcessor(size={"shortest_edge": 64}).save_pretrained(tmp_path)
    segmenter = family.load(str(tmp_path), "cpu", NoOptions())
    images = [picture(64, 100), picture(90, 64, 1), picture(64, 100, 2)]
    for image, found in zip(images, segmenter.classify_pixels(images), strict=True):
        assert (found != documented(tmp_path, image)).mean() <= 1e-3


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)]
)
def test_what_is_no_image_is_refused_with_a_sentence(segmenter, image):
    with pytest.raises(BadInput, match="uint8"):
        segmenter.classify_pixels([image])
