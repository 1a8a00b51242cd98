"""MaskFormer, OneFormer and EoMT: what the adapter sees is what transformers' own processors see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import _mask_maps
from models import mask2former as family
from studio.adapters import Detector, NoOptions, SemanticSegmenter
from studio.errors import BadInput
from tests.models.tiny_masks import LABELS, save
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

KINDS = ("maskformer", "oneformer", "eomt", "eomt-instances")
SIZES = {"square": (96, 96), "odd": (67, 93), "wide": (50, 211), "tall": (180, 40), "1 pixel": (1, 1)}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("masks")
    for kind in KINDS:
        save(kind, folder / kind)
    return folder


@pytest.fixture(scope="module")
def adapters(checkpoints: Path) -> dict[str, family.MaskTransformer]:
    return {kind: family.load(str(checkpoints / kind), "cpu", NoOptions()) for kind in KINDS}


def documented(folder: Path, image: np.ndarray, task: str):
    """What transformers' documentation does with one image: the processor, and the model's answer."""
    model = transformers.AutoModelForUniversalSegmentation.from_pretrained(folder).eval()
    more, given = {}, {"input_data_format": "channels_last", "return_tensors": "pt"}
    if folder.name == "oneformer":
        images = transformers.OneFormerImageProcessor.from_pretrained(folder)
        images.class_info_file = "classes.json"
        tokens = transformers.AutoTokenizer.from_pretrained(folder)
        whole = transformers.OneFormerProcessor(images, tokens, max_seq_length=24, task_seq_length=24)
        inputs = whole(images=image, task_inputs=[task], **given)
        processor = images
    else:
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        inputs = processor(image, **given)
    with torch.no_grad():
        return processor, model(**inputs, **more)


def test_they_keep_both_contracts(adapters):
    for adapter in adapters.values():
        assert isinstance(adapter, Detector) and isinstance(adapter, SemanticSegmenter)
        assert adapter.names == tuple(LABELS.values())


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("kind", ["maskformer", "oneformer", "eomt"])
def test_classes_of_pixels_are_those_of_transformers_own_processor(
    adapters, checkpoints, kind, height, width
):
    image = picture(height, width)
    processor, answer = documented(checkpoints / kind, image, "semantic")
    (theirs,) = processor.post_process_semantic_segmentation(answer, target_sizes=[(height, width)])
    (ours,) = adapters[kind].classify_pixels([image])
    assert ours.dtype == np.uint16 and ours.shape == (height, width)
    assert (ours == theirs.numpy()).mean() > 0.995
    if kind == "eomt" and width > 200:
        assert len(answer.patch_offsets) > 2, "nothing was cut up"


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("kind", ["maskformer", "oneformer", "eomt-instances"])
def test_masks_and_scores_are_those_of_transformers_own_processor(adapters, checkpoints, kind, height, width):
    image = picture(height, width)
    processor, answer = documented(checkpoints / kind, image, "instance")
    more = {"return_binary_maps": True} if kind == "maskformer" else {}
    (theirs,) = processor.post_process_instance_segmentation(
        answer, threshold=0.05, target_sizes=[(height, width)], **more
    )
    (ours,) = adapters[kind].detect([image], floor=0.05)
    maps = theirs["segmentation"]
    expected = []
    for place, segment in enumerate(theirs["segments_info"]):
        drawn = maps[place] > 0 if maps.ndim == 3 else maps == segment["id"]
        expected.append((LABELS[segment["label_id"]], segment["score"], drawn.numpy()))
    if (
        kind == "eomt-instances"
    ):  # theirs paints each over those before it: only what nothing covers can be compared
        assert len(ours) == len(expected)
        for name, score, drawn in expected:
            same = [d for d in ours if d.name == name and abs(d.score - score) < 1e-3]
            assert any((drawn & ~d.mask.to_array()).sum() == 0 for d in same)
        return
    expected = sorted([one for one in expected if one[2].any()], key=lambda one: -one[1])
    assert len(ours) == len(expected)
    for detection, (name, score, _) in zip(ours, expected, strict=True):
        assert abs(detection.score - score) < 1e-3
        assert detection.name == name or kind == "oneformer"
    for detection in ours:
        mask = detection.mask.to_array()
        assert any(np.array_equal(mask, drawn) for name, _, drawn in expected if name == detection.name)


def test_things_are_told_apart(adapters):
    for kind in ("maskformer", "eomt-instances"):
        (found,) = adapters[kind].detect([picture(96, 96)], floor=0.0)
        scores = [d.score for d in found]
        assert len(found) > 1 and scores == sorted(scores, reverse=True) and scores[0] > scores[-1]
        (few,) = adapters[kind].detect([picture(96, 96)], floor=(scores[0] + scores[-1]) / 2)
        assert 0 < len(few) < len(found)


def test_a_part_of_the_patches_at_a_time_gives_what_all_give(adapters, monkeypatch):
    image = picture(50, 211)
    at_once = adapters["eomt"].classify_pixels([image])[0]
    monkeypatch.setattr(family, "PATCHES", 1)
    assert (adapters["eomt"].classify_pixels([image])[0] == at_once).mean() > 0.999


def test_an_image_too_thin_to_be_cut_up_is_refused_with_its_size(adapters):
    image = np.zeros((3, 3 * _mask_maps.THINNEST + 1, 3), np.uint8)
    with pytest.raises(BadInput, match="49 × 3"):
        adapters["eomt"].classify_pixels([image])
    adapters["eomt"].classify_pixels([image[:, :-1]])


@pytest.mark.parametrize(
    ("hub_id", "architecture", "role"),
    [
        ("facebook/mask2former-swin-tiny-coco-instance", "Mask2FormerForUniversalSegmentation", "instance"),
        ("facebook/mask2former-swin-tiny-ade-semantic", "Mask2FormerForUniversalSegmentation", "semantic"),
        ("someone/mask2former", "Mask2FormerForUniversalSegmentation", "both"),
        ("tue-mps/ade20k_semantic_eomt_large_512", "EomtForUniversalSegmentation", "semantic"),
        ("shi-labs/oneformer_semantic", "OneFormerForUniversalSegmentation", "both"),
        ("someone/video", "VideomtForUniversalSegmentation", None),
        ("facebook/detr-resnet-50-panoptic", "DetrForSegmentation", None),
    ],
)
def test_what_a_checkpoint_was_taught_is_read_from_its_name(hub_id, architecture, role):
    assert family.examine(hub_id, {"architectures": [architecture]}) == role
    if role:
        roles = {"instance": ("detector",), "semantic": ("semantic",), "both": ("detector", "semantic")}
        assert family.describe(role, 1000).roles == roles[role]
