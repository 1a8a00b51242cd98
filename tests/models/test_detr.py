"""The adapter of DETR-like detectors: its contract, and parity with transformers' own processors."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from models import detr as family
from studio.adapters import Detector
from studio.errors import BadInput
from tests.models.tiny_detr import NAMES, save
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

KINDS = ("d_fine", "rt_detr", "rt_detr_v2", "detr")
FIXED = ("d_fine", "rt_detr", "rt_detr_v2")  # whose processors resize without keeping the aspect
SIZES = {
    "landscape": (90, 120),
    "portrait": (170, 101),
    "long and thin": (3, 400),
    "1 wide": (40, 1),
    "1 pixel": (1, 1),
}
FLOOR = 0.2


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("detr")
    for kind in KINDS:
        save(kind, folder / kind)
    return folder


@pytest.fixture(scope="module")
def detectors(checkpoints: Path) -> dict[str, family.DetrDetector]:
    return {kind: family.load(str(checkpoints / kind), "cpu", family.DetrOptions()) for kind in KINDS}


@functools.cache
def opened(folder: Path):
    model = transformers.AutoModelForObjectDetection.from_pretrained(folder).eval()
    return model, transformers.AutoImageProcessor.from_pretrained(folder)


def documented(folder: Path, image: np.ndarray, floor: float) -> list[tuple[str, float, np.ndarray]]:
    """What transformers' documentation does with one image: name, score and box, without empty boxes."""
    from PIL import Image

    model, processor = opened(folder)
    pil = Image.fromarray(image)
    with torch.no_grad():
        outputs = model(**processor(images=pil, return_tensors="pt"))
    sizes = torch.tensor([pil.size[::-1]])
    result = processor.post_process_object_detection(outputs, threshold=floor, target_sizes=sizes)[0]
    boxes = result["boxes"].numpy().clip(0, [*pil.size, *pil.size])
    found = []
    for score, label, box in zip(result["scores"].tolist(), result["labels"].tolist(), boxes, strict=True):
        if box[2] > box[0] and box[3] > box[1]:
            found.append((model.config.id2label[label], score, box))
    return sorted(found, key=lambda one: -one[1])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_detector_and_names_its_classes(detectors, kind):
    assert isinstance(detectors[kind], Detector)
    assert detectors[kind].names == NAMES


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("kind", FIXED)
def test_the_detections_are_those_of_transformers_own_processor(checkpoints, detectors, kind, height, width):
    image = picture(height, width)
    everything = [score for _, score, _ in documented(checkpoints / kind, image, -1.0)]
    floor = (everything[4] + everything[5]) / 2
    expected = documented(checkpoints / kind, image, floor)
    found = detectors[kind].detect([image], floor=floor)[0]
    assert len(found) == len(expected) == 5 < len(everything)
    for ours, (name, score, box) in zip(found, expected, strict=True):
        assert ours.name == name
        assert ours.score == pytest.approx(score, abs=1e-3)
        assert np.abs(np.array(ours.box.xyxy) - box).max() <= 0.5


def test_a_processor_that_keeps_the_aspect_serves_as_well(checkpoints, detectors):
    images = [picture(90, 120), picture(120, 90, 1), picture(90, 120, 2)]
    for image, found in zip(images, detectors["detr"].detect(images, floor=0.0), strict=True):
        expected = documented(checkpoints / "detr", image, -1.0)
        assert [one.name for one in found] == [name for name, _, _ in expected]
        for ours, (_, score, box) in zip(found, expected, strict=True):
            assert ours.score == pytest.approx(score, abs=1e-3)
            assert np.abs(np.array(ours.box.xyxy) - box).max() <= 0.5


def test_detections_come_best_first_inside_the_image_and_from_the_floor_on(detectors):
    found = detectors["d_fine"].detect([picture(90, 120)], floor=FLOOR)[0]
    scores = [one.score for one in found]
    assert len(found) > 5 and len({one.name for one in found}) > 1, "the detections say nothing"
    assert scores == sorted(scores, reverse=True) and min(scores) >= FLOOR
    assert all(0 <= d.box.x0 < d.box.x1 <= 120 and 0 <= d.box.y0 < d.box.y1 <= 90 for d in found)
    middle = scores[len(scores) // 2]
    again = detectors["d_fine"].detect([picture(90, 120)], floor=middle)[0]
    assert again == [one for one in found if one.score >= middle]


def test_a_box_turned_inside_out_is_left_out(detectors):
    result = {
        "scores": torch.tensor([0.9, 0.8, 0.7, float("nan")]),
        "labels": torch.tensor([0, 1, 2, 3]),
        "boxes": torch.tensor([[5, 5, 1, 9], [-5, -5, 3, 3], [200, 0, 210, 9], [0, 0, 5, 5]]).float(),
    }
    found = detectors["d_fine"]._detections(result, (90, 120), 0.0)
    assert [(one.name, one.box.xyxy) for one in found] == [("mug", (0, 0, 3, 3))]


def test_images_of_different_sizes_go_through_together_and_keep_their_order(detectors):
    images = [picture(h, w, i) for i, (h, w) in enumerate([(64, 64), (67, 93), (1, 1), (50, 211)] * 3)]
    together = detectors["rt_detr"].detect(images, floor=FLOOR)
    assert len(together) == len(images)
    for image, found in zip(images, together, strict=True):
        alone = detectors["rt_detr"].detect([image], floor=FLOOR)[0]
        assert [one.name for one in found] == [one.name for one in alone]
        for a, b in zip(found, alone, strict=True):
            assert np.abs(np.subtract(a.box.xyxy, b.box.xyxy)).max() <= 0.1
    assert detectors["rt_detr"].detect([]) == []


def test_where_nothing_reaches_the_floor_the_list_is_empty(detectors):
    assert detectors["d_fine"].detect([picture(90, 120)], floor=1.0) == [[]]


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_for_what_sees_the_picture_and_not_for_what_places_boxes(checkpoints, kind):
    exact = family.load(str(checkpoints / kind), "cpu", family.DetrOptions())
    halved = family.load(str(checkpoints / kind), "cpu", family.DetrOptions())
    family.see_in_bfloat16(halved._model)  # what a graphics card is given; the processor can do it too
    seen: dict[str, set[torch.dtype]] = {}

    def note(part: str):
        return lambda module, inputs, output: seen.setdefault(part, set()).add(output.dtype)

    inner = halved._model.model
    for part in ("backbone", "decoder"):
        for module in getattr(inner, part).modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.register_forward_hook(note(part))
    pixels = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        a, b = exact._model(pixel_values=pixels), halved._model(pixel_values=pixels)
    assert seen == {"backbone": {torch.bfloat16}, "decoder": {torch.float32}}
    assert b.logits.dtype == b.pred_boxes.dtype == torch.float32
    assert not torch.equal(a.logits, b.logits)
    maps = [one._model.model.backbone(pixels, torch.ones(2, 64, 96)) for one in (exact, halved)]
    pairs = [m[0] if isinstance(m, tuple) else m for m in maps]
    for (first, _), (second, _) in zip(*pairs, strict=True):
        assert second.dtype == torch.float32
        assert (first - second).norm() <= 0.05 * first.norm()


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)]
)
def test_what_is_no_image_is_refused_with_a_sentence(detectors, image):
    with pytest.raises(BadInput, match="uint8"):
        detectors["d_fine"].detect([image])
