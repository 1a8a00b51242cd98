"""The adapter of image classifiers: its contract, and parity with transformers' own model and processor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import classification as family
from studio.adapters import Classifier
from studio.errors import BadInput
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LABELS = {0: "apple", 1: "mug", 2: "leaf", 3: "feather", 4: "spoon", 5: "stone", 6: "pear"}
SIZES = {"square": (64, 64), "odd": (67, 93), "wide": (50, 211), "1 pixel": (1, 1)}

pytestmark = pytest.mark.usefixtures("one_thread")


def vit(labels: dict) -> tuple:
    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=64,
        **labels,
    )
    processor = transformers.ViTImageProcessor(size={"height": 64, "width": 64})
    return transformers.ViTForImageClassification(config), processor


def resnet(labels: dict) -> tuple:
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1], layer_type="basic", **labels
    )
    processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 64}, crop_pct=0.875)
    return transformers.ResNetForImageClassification(config), processor


def dinov2(labels: dict) -> tuple:
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=70, **labels
    )
    processor = transformers.BitImageProcessor(
        size={"shortest_edge": 80}, crop_size={"height": 70, "width": 70}
    )
    return transformers.Dinov2ForImageClassification(config), processor


def swin(labels: dict) -> tuple:
    config = transformers.SwinConfig(
        image_size=64, embed_dim=12, depths=[1, 1], num_heads=[1, 2], window_size=4, **labels
    )
    processor = transformers.ViTImageProcessor(size={"height": 64, "width": 64})
    return transformers.SwinForImageClassification(config), processor


KINDS = {"vit": vit, "resnet": resnet, "dinov2": dinov2, "swin": swin}
EVERY = pytest.mark.parametrize("kind", list(KINDS))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    """Networks whose answers differ from picture to picture, with no class ahead of all others everywhere."""
    folder = tmp_path_factory.mktemp("classifiers")
    for kind, make in KINDS.items():
        torch.manual_seed(0)
        model, processor = make(dict(id2label=LABELS, label2id={n: i for i, n in LABELS.items()}))
        head = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
        with torch.no_grad():
            for value in model.parameters():
                value.add_(torch.randn_like(value) * 0.05)
            seen = [processor(picture(64, 64, i), return_tensors="pt")["pixel_values"] for i in range(4)]
            logits = torch.cat([model.eval()(one).logits for one in seen])
            scale = 2 / logits.std(0).mean()
            head.weight *= scale
            head.bias *= scale
            head.bias -= logits.mean(0) * scale
        model.save_pretrained(folder / kind)
        processor.save_pretrained(folder / kind)
    return folder


def load(checkpoints: Path, kind: str):
    return family.load(str(checkpoints / kind), "cpu", family.ClassifierOptions())


def documented(folder: Path, image: np.ndarray) -> np.ndarray:
    """What transformers' documentation does with one image: the softmax of the logits."""
    model = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        return model(**processor(Image.fromarray(image), return_tensors="pt")).logits[0].softmax(-1).numpy()


@EVERY
@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
def test_scores_are_those_of_transformers_own_model(checkpoints, kind, height, width):
    image = picture(height, width)
    classifier = load(checkpoints, kind)
    expected = documented(checkpoints / kind, image)
    found = classifier.classify([image], most=len(LABELS))[0]
    assert isinstance(classifier, Classifier) and classifier.names == tuple(LABELS.values())
    assert [one.name for one in found] == [LABELS[i] for i in np.argsort(-expected, kind="stable")]
    assert [one.score for one in found] == pytest.approx(sorted(expected, reverse=True), abs=1e-3)
    assert sum(one.score for one in found) == pytest.approx(1, abs=1e-4)
    assert found[0].score - found[-1].score > 0.05, "the scores say nothing"


@EVERY
def test_images_of_different_sizes_go_through_together_and_keep_their_order(checkpoints, kind):
    classifier = load(checkpoints, kind)
    images = [picture(h, w, i) for i, (h, w) in enumerate([(64, 64), (67, 93), (1, 1), (50, 211)] * 2)]
    together = classifier.classify(images)
    for image, found in zip(images, together, strict=True):
        alone = classifier.classify([image])[0]
        assert [one.name for one in found] == [one.name for one in alone]
        assert [one.score for one in found] == pytest.approx([one.score for one in alone], abs=1e-4)
    assert len({found[0].name for found in together}) > 1, "every picture is of one class"
    assert classifier.classify([]) == []


def test_only_as_many_classes_as_asked_for_come_best_first(checkpoints):
    classifier = load(checkpoints, "vit")
    every = classifier.classify([picture(64, 64)], most=100)[0]
    assert len(every) == len(LABELS)
    assert [one.score for one in every] == sorted((one.score for one in every), reverse=True)
    assert classifier.classify([picture(64, 64)], most=2)[0] == every[:2]
    assert len(classifier.classify([picture(64, 64)])[0]) == 5


def test_half_precision_hardly_moves_the_scores(checkpoints, monkeypatch):
    classifier = load(checkpoints, "vit")
    exact = {one.name: one.score for one in classifier.classify([picture(64, 64)], most=7)[0]}
    monkeypatch.setattr(classifier, "_bf16", True)  # what a graphics card is given
    coarse = {one.name: one.score for one in classifier.classify([picture(64, 64)], most=7)[0]}
    assert coarse == pytest.approx(exact, abs=0.02) and coarse != exact


def test_networks_of_timm_serve_as_well(tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.create_model("resnet10t")
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    config = json.loads((tmp_path / "config.json").read_text())
    assert "architectures" not in config
    variant = family.examine("timm/resnet10t", config)
    assert family.describe(variant, 1000).packages == ("timm",)
    classifier = family.load(str(tmp_path), "cpu", family.ClassifierOptions())
    data = timm.data.resolve_model_data_config(model)
    prepare = timm.data.create_transform(**data, is_training=False)
    for image in (picture(90, 120), picture(40, 3)):
        with torch.no_grad():  # what timm's documentation does
            logits = model.eval()(prepare(Image.fromarray(image))[None])
        found = classifier.classify([image], most=1000)[0]
        assert [one.score for one in found] == pytest.approx(
            sorted(logits[0].softmax(-1).tolist(), reverse=True), abs=1e-3
        )
        assert len({one.score for one in found}) > 100, "the scores say nothing"


def test_a_config_of_a_classifier_is_recognised_and_no_other():
    assert family.examine("a/b", {"architectures": ["ViTForImageClassification"]})
    assert family.examine("a/b", {"architectures": ["ViTForMaskedImageModeling"]}) is None
    assert family.examine("a/b", {"architectures": "ViTForImageClassification"}) is None
    assert family.examine("a/b", {"architectures": ["ImageGPTForImageClassification"]}) is None


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)]
)
def test_what_is_no_image_is_refused_with_a_sentence(checkpoints, image):
    with pytest.raises(BadInput, match="uint8"):
        load(checkpoints, "vit").classify([image])
