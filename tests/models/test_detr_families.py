"""The other families of DETR: what the adapter finds is what transformers' own processors find."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models import detr as family
from studio.adapters import Detector
from studio.errors import BadInput
from tests.models.tiny_detr import NAMES
from tests.models.tiny_detr_families import KINDS, save
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

EVERY = pytest.mark.parametrize("kind", list(KINDS))
SIZES = {"landscape": (90, 120), "portrait": (170, 101), "1 pixel": (1, 1)}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    for kind in KINDS:
        save(kind, folder / kind)
    return folder


def detector(folder: Path, kind: str) -> family.DetrDetector:
    load = family.load_with_masks if kind.endswith("masks") else family.load
    return load(str(folder / kind), "cpu", family.DetrOptions())


def opened(folder: Path, kind: str):
    auto = (
        transformers.RfDetrForInstanceSegmentation
        if kind.endswith("masks")
        else transformers.AutoModelForObjectDetection
    )
    model = auto.from_pretrained(folder / kind).eval()
    return model, transformers.AutoImageProcessor.from_pretrained(folder / kind)


def documented(folder: Path, kind: str, image: np.ndarray) -> tuple[list, list[np.ndarray]]:
    """What transformers' documentation does with one image: name, score and box of everything, and masks."""
    from PIL import Image

    model, processor = opened(folder, kind)
    pil = Image.fromarray(image)
    with torch.no_grad():
        outputs = model(**processor(images=pil, return_tensors="pt"))
    sizes = [pil.size[::-1]]
    result = processor.post_process_object_detection(outputs, threshold=-1.0, target_sizes=sizes)[0]
    boxes = result["boxes"].numpy().clip(0, [*pil.size, *pil.size])
    found = [
        (model.config.id2label[label], score, box)
        for label, score, box in zip(result["labels"].tolist(), result["scores"].tolist(), boxes, strict=True)
        if box[2] > box[0] and box[3] > box[1]
    ]
    if not kind.endswith("masks"):
        return sorted(found, key=lambda one: -one[1]), []
    drawn = processor.post_process_instance_segmentation(
        outputs, threshold=-1.0, target_sizes=sizes, return_binary_maps=True
    )[0]
    masks = [
        (segment["score"], mask.numpy())
        for segment, mask in zip(drawn["segments_info"], drawn["segmentation"], strict=True)
    ]
    return sorted(found, key=lambda one: -one[1]), masks


@EVERY
@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
def test_boxes_and_scores_are_those_of_transformers_own_processor(checkpoints, kind, height, width):
    image = picture(height, width)
    expected, masks = documented(checkpoints, kind, image)
    ours = detector(checkpoints, kind)
    assert isinstance(ours, Detector) and ours.names == NAMES
    found = ours.detect([image], floor=0.0)[0]
    if not kind.endswith("masks"):
        assert len(found) == len(expected) and (len(found) > 1 or height == 1)
        for one, (name, score, box) in zip(found, expected, strict=True):
            assert one.name == name
            assert one.score == pytest.approx(score, abs=1e-3)
            assert np.abs(np.array(one.box.xyxy) - box).max() <= 0.5
    if len(found) > 5:
        scores = [one.score for one in found]
        assert max(scores) - min(scores) > 0.05, "the scores say nothing"


def test_the_masks_are_those_of_transformers_own_processor(checkpoints):
    image = picture(90, 120)
    expected, masks = documented(checkpoints, "rf_detr_masks", image)
    found = detector(checkpoints, "rf_detr_masks").detect([image], floor=0.0)[0]
    assert 3 < len(found) == len(masks) <= len(expected)
    for one, (score, mask) in zip(found, masks, strict=True):
        assert one.score == pytest.approx(score, abs=1e-3)
        assert np.array_equal(one.mask.to_array(), mask)
        assert any(
            name == one.name
            and abs(s - one.score) < 1e-3
            and np.abs(np.array(one.box.xyxy) - box).max() <= 0.5
            for name, s, box in expected
        )
    assert len({one.mask.area for one in found}) > 1, "the masks say nothing"


@EVERY
def test_what_is_found_does_not_depend_on_the_batch(checkpoints, kind):
    ours = detector(checkpoints, kind)
    images = [picture(90, 120), picture(120, 90, 1), picture(90, 120, 2)]
    for image, found in zip(images, ours.detect(images, floor=0.2), strict=True):
        alone = ours.detect([image], floor=0.2)[0]
        assert [one.name for one in found] == [one.name for one in alone]
        for a, b in zip(found, alone, strict=True):
            assert np.abs(np.subtract(a.box.xyxy, b.box.xyxy)).max(initial=0) <= 0.5


@EVERY
def test_seen_in_half_precision_the_answer_hardly_changes(checkpoints, kind):
    exact, halved = detector(checkpoints, kind), detector(checkpoints, kind)
    family.see_in_bfloat16(halved._model)  # what a graphics card is given; the processor can do it too
    pixels = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        a, b = exact._model(pixel_values=pixels), halved._model(pixel_values=pixels)
    assert a.logits.dtype == b.logits.dtype == b.pred_boxes.dtype == torch.float32
    if kind != "yolos":  # it has no part that only sees
        assert not torch.equal(a.logits, b.logits)


def test_rf_detr_sees_and_scores_as_it_was_taught_whatever_processor_its_authors_name(checkpoints, tmp_path):
    image = picture(90, 120)
    expected = detector(checkpoints, "rf_detr").detect([image])[0]
    model, _ = opened(checkpoints, "rf_detr")
    model.save_pretrained(tmp_path / "rf_detr")
    transformers.DetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path / "rf_detr")
    found = detector(tmp_path, "rf_detr").detect([image])[0]
    assert [one.name for one in found] == [one.name for one in expected] and len(found) > 3
    assert found == expected


def test_a_checkpoint_that_leaves_class_numbers_out_still_names_every_class(checkpoints, tmp_path):
    model, processor = opened(checkpoints, "yolos")
    model.save_pretrained(tmp_path / "yolos")
    processor.save_pretrained(tmp_path / "yolos")
    config = json.loads((tmp_path / "yolos" / "config.json").read_text())
    config["id2label"] = {str(2 * i): name for i, name in enumerate(NAMES)}
    (tmp_path / "yolos" / "config.json").write_text(json.dumps(config))
    names = detector(tmp_path, "yolos").names
    assert names[:4] == (NAMES[0], "class 1", NAMES[1], "class 3") and len(names) == 9


def test_what_a_config_says_decides_which_detector_is_described():
    def examine(architecture: str, **more):
        return family.examine("someone/model", {"architectures": [architecture], **more})

    assert examine("RfDetrForObjectDetection") == "boxes"
    assert examine("RfDetrForInstanceSegmentation") == "masks"
    assert examine("DetrForObjectDetection", use_timm_backbone=True) == "timm"
    assert examine("BertModel") is None and family.examine("a/b", {}) is None
    with pytest.raises(BadInput, match="writing"):
        examine("PPOCRV5MobileDetForObjectDetection")
    card = family.describe("timm", 1000)
    assert card.packages == ("timm",) and card.roles == ("detector",)
    assert family.describe("masks", 1000).load is family.load_with_masks
