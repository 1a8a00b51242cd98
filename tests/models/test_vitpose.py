"""ViTPose's adapter: its contract, and parity with transformers' own processor."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from models import vitpose as family
from studio.adapters import NoOptions, PoseEstimator
from studio.annotations import Box
from studio.errors import BadInput
from tests.models.tiny_sam2 import picture, shake

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BOXES = [Box(10, 12, 60, 80), Box(0, 0, 33.5, 21.25), Box(40, 5, 47, 90), Box(-20, 30, 30, 200)]


def save(folder: Path, keypoints: tuple[str, ...], *, experts: int = 1, simple: bool = True) -> Path:
    torch.manual_seed(0)
    backbone = transformers.VitPoseBackboneConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        out_indices=[2],
        image_size=[64, 48],
        patch_size=[16, 16],
        num_experts=experts,
        part_features=8,
    )
    config = transformers.VitPoseConfig(
        backbone_config=backbone,
        use_simple_decoder=simple,
        id2label=dict(enumerate(keypoints)),
        label2id={name: i for i, name in enumerate(keypoints)},
    )
    model = transformers.VitPoseForPoseEstimation(config)
    shake(model)
    model.save_pretrained(folder)
    transformers.VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("vitpose"), ("stem", "tip", "middle"))


@pytest.fixture(scope="module")
def poser(checkpoint: Path):
    return family.load(str(checkpoint), "cpu", NoOptions())


def documented(checkpoint: Path, image: np.ndarray, boxes: list[Box], **asked) -> list[dict]:
    """What transformers' documentation does with the boxes of one image."""
    from PIL import Image

    model = transformers.VitPoseForPoseEstimation.from_pretrained(checkpoint).eval()
    processor = transformers.AutoProcessor.from_pretrained(checkpoint)
    xywh = [[list(box.xywh) for box in boxes]]
    inputs = processor(Image.fromarray(image), boxes=xywh, return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs, **asked)
    return processor.post_process_pose_estimation(outputs, boxes=xywh)[0]


def agree(found, expected) -> None:
    assert len(found) == len(expected)
    for (keypoints, scores), pose in zip(found, expected, strict=True):
        ours = np.array([point[:2] for point in keypoints.points])
        assert np.abs(ours - pose["keypoints"].numpy().reshape(ours.shape)).max() <= 1e-3
        assert np.abs(np.array(scores) - pose["scores"].numpy().clip(0, 1)).max() <= 1e-5


def test_it_is_a_pose_estimator_and_names_its_keypoints(poser):
    assert isinstance(poser, PoseEstimator)
    assert poser.keypoint_names == ("stem", "tip", "middle")


@pytest.mark.parametrize("height, width", [(96, 128), (97, 61), (31, 203)])
def test_the_keypoints_are_those_of_transformers_own_processor(poser, checkpoint, height, width):
    image = picture(height, width)
    found = poser.estimate(image, BOXES)
    agree(found, documented(checkpoint, image, BOXES))
    places = {point[:2] for keypoints, _ in found for point in keypoints.points}
    assert len(places) > len(BOXES), "the heatmaps say nothing"


def test_many_boxes_go_through_in_parts_and_keep_their_order(poser, monkeypatch):
    image = picture(96, 128)
    whole = poser.estimate(image, BOXES)
    monkeypatch.setattr(family, "BATCH", 3)
    for one, other in zip(poser.estimate(image, BOXES), whole, strict=True):
        assert np.allclose(one[0].points, other[0].points, atol=1e-3)
    assert poser.estimate(image, []) == []


def test_half_precision_hardly_moves_the_scores(poser, monkeypatch):
    image = picture(96, 128)
    exact = [scores for _, scores in poser.estimate(image, BOXES)]
    monkeypatch.setattr(poser, "_bf16", True)  # what a graphics card is given; the processor can do it too
    halved = [scores for _, scores in poser.estimate(image, BOXES)]
    assert np.abs(np.array(exact) - np.array(halved)).max() <= 0.05


def test_a_mixture_of_experts_answers_as_its_first_the_one_of_coco(tmp_path: Path):
    folder = save(tmp_path, ("stem", "tip"), experts=3, simple=False)
    image = picture(96, 128)
    found = family.load(str(folder), "cpu", NoOptions()).estimate(image, BOXES)
    index = torch.zeros(len(BOXES), dtype=torch.long)
    agree(found, documented(folder, image, BOXES, dataset_index=index))
    other = documented(folder, image, BOXES, dataset_index=index + 1)
    ours = np.array([k.points for k, _ in found])[..., :2]
    assert np.abs(ours - np.stack([p["keypoints"].numpy() for p in other])).max() > 0.01


def test_a_single_keypoint_and_a_single_box_keep_their_shape(tmp_path: Path):
    folder = save(tmp_path, ("stem",))
    found = family.load(str(folder), "cpu", NoOptions()).estimate(picture(50, 50), BOXES[:1])
    assert len(found) == 1 and len(found[0][0].points) == len(found[0][1]) == 1


@pytest.mark.parametrize("box", [Box(5, 5, 5, 5), Box(0, 0, 1, 1), Box(900, 900, 950, 990), Box(3, 0, 3, 40)])
@pytest.mark.parametrize("height, width", [(1, 1), (3, 200), (40, 40)])
def test_empty_and_outlying_boxes_and_tiny_images_give_keypoints_all_the_same(poser, height, width, box):
    ((keypoints, scores),) = poser.estimate(picture(height, width), [box])
    assert len(keypoints.points) == 3
    assert all(math.isfinite(v) for point in keypoints.points for v in point)
    assert all(0 <= s <= 1 for s in scores)
    for x, y, seen in keypoints.points:
        assert seen == (2 if 0 <= x <= width and 0 <= y <= height else 0)


def test_a_keypoint_thrown_to_infinity_is_absent_and_lies_in_the_box():
    places = np.array([[np.inf, 3.0], [np.nan, np.nan], [4.0, 5.0]], np.float32)
    keypoints, scores = family._pose(places, np.array([2.0, -1.0, 0.5]), np.zeros((9, 9, 3)), Box(2, 2, 6, 8))
    assert keypoints.points == ((4, 5, 0), (4, 5, 0), (4, 5, 2))
    assert scores == (1, 0, 0.5)


def test_what_is_no_image_is_refused_with_a_sentence(poser):
    with pytest.raises(BadInput, match="uint8"):
        poser.estimate(np.zeros((5, 5), np.uint8), BOXES)
