"""YOLO-World's adapter: the boxes of ultralytics itself for the same words, and an image that is looked at once."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from models import yolo_world as family
from models._yolo import world
from models._yolo.package import ultralytics
from studio.adapters import TextDetector
from studio.errors import BadInput
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
if importlib.util.find_spec("ultralytics") is None:
    pytest.skip("ultralytics is not installed", allow_module_level=True)

SIDE = 160
PHRASES = ["a red apple", "a mug", "two plums"]
MANY = [f"{colour} {thing} {i}" for i in range(50) for colour in ("red", "blue") for thing in ("mug", "pear")]
FILE = "yolov8n-worldv2.pt"

pytestmark = pytest.mark.usefixtures("one_thread")


def vectors(phrases) -> torch.Tensor:
    """Return unit vectors (n, 512) as arbitrary as a random network's, and the same for the same phrase."""
    seeds = (int.from_bytes(phrase.encode()[-8:]) for phrase in phrases)
    rows = [torch.randn(512, generator=torch.Generator().manual_seed(seed % 2**40)) for seed in seeds]
    return torch.nn.functional.normalize(torch.stack(rows), dim=-1)


@torch.no_grad()
def shake(network) -> None:
    """Give a random network weights that let the picture reach its head, and answers that differ."""
    generator = torch.Generator().manual_seed(1)
    for name, value in network.named_parameters():
        if value.ndim == 4 and "dfl" not in name:
            value.copy_(torch.randn(value.shape, generator=generator) * 1.4 / value[0].numel() ** 0.5)
    head = network.model[-1]
    for branch in head.cv2:
        branch[-1].weight *= 0.3
        branch[-1].bias.copy_(torch.randn(64, generator=generator))
    for contrast in head.cv4:
        contrast.bias.fill_(-1.0)
        contrast.logit_scale.fill_(0.7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A random network as ultralytics saves it."""
    folder = tmp_path_factory.mktemp("world")
    torch.manual_seed(0)
    model = ultralytics().YOLOWorld("yolov8n-worldv2.yaml")
    shake(model.model.eval())
    model.ckpt = {"train_args": {"imgsz": SIDE}}
    model.save(folder / FILE)
    return folder


@pytest.fixture
def detector(folder: Path) -> world.YoloWorld:
    return world.YoloWorld(world.read(folder / FILE), vectors, SIDE)


def predicted(folder: Path, image: np.ndarray, phrases):
    """Return what ultralytics' own predictor finds, its classes set as its ``set_classes`` sets them."""
    model = ultralytics().YOLOWorld(folder / FILE)
    model.model.txt_feats = vectors(phrases)[None]
    model.model.model[-1].nc = len(phrases)
    model.model.names = dict(enumerate(phrases))
    return model.predict(image[..., ::-1], conf=0.05, iou=0.7, imgsz=SIDE, verbose=False)[0]


def rows(found) -> list[tuple]:
    return sorted((d.name, *(round(v, 1) for v in d.box.xyxy), round(d.score, 3)) for d in found)


@pytest.mark.parametrize("height, width", [(90, 120), (170, 100), (7, 300)])
def test_boxes_and_scores_are_those_of_ultralytics(folder, detector, height, width):
    image = picture(height, width)
    expected = predicted(folder, image, PHRASES)
    found = detector.detect_text([image], PHRASES)[0]
    assert len(found) == len(expected) > 3
    assert np.abs(np.array([d.box.xyxy for d in found]) - expected.boxes.xyxy.numpy()).max() < 0.5
    assert np.abs(np.array([d.score for d in found]) - expected.boxes.conf.numpy()).max() < 1e-3
    assert [d.name for d in found] == [PHRASES[int(number)] for number in expected.boxes.cls]
    assert len({d.name for d in found}) > 1


def test_other_phrases_on_an_image_do_not_run_the_backbone_again(detector):
    assert isinstance(detector, TextDetector)
    runs: list[str] = []
    detector._layers[0].register_forward_hook(lambda *_: runs.append("backbone"))
    detector._layers[-1].register_forward_hook(lambda *_: runs.append("head"))
    images = [picture(90, 120), picture(90, 120, 1)]
    first = detector.detect_text(images, PHRASES)
    assert runs == ["backbone", "head"]
    detector.detect_text(images[1:], ["a jug"])
    again = detector.detect_text(images, PHRASES)
    assert runs == ["backbone", "head", "head", "head"]
    assert list(map(rows, again)) == list(map(rows, first))
    detector.detect_text([picture(90, 120, 2)], PHRASES)
    assert runs.count("backbone") == 2


def test_what_is_kept_is_bounded_and_phrases_are_read_once(detector, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(world, "KEPT_PHRASES", 3)
    monkeypatch.setattr(detector, "_read_texts", lambda phrases: (asked.extend(phrases), vectors(phrases))[1])
    detector._look([detector._letterboxed(picture(90, 120))])
    (one,) = detector._seen.values()
    monkeypatch.setattr(world, "KEPT_BYTES", int(2.5 * one.nbytes))
    for seed in range(4):
        detector.detect_text([picture(90, 120, seed)], [*PHRASES[:2], f"thing {seed}"])
    assert len(detector._seen) == 2 and len(detector._read) == 3
    assert asked == [*PHRASES[:2], *(f"thing {seed}" for seed in range(4))]


def test_two_hundred_phrases_find_what_each_finds_alone(folder, detector):
    image = picture(60, 80)
    together = detector.detect_text([image], MANY, floor=0.05)[0]
    alone = [d for phrase in MANY for d in detector.detect_text([image], [phrase], floor=0.05)[0]]
    assert rows(together) == rows(alone) and len({d.name for d in together}) > 50


def test_of_phrases_together_a_box_goes_to_the_best_and_the_features_hear_them_all(detector):
    image = picture(60, 80)
    together = detector.detect_text([image], PHRASES, floor=0.0)[0]
    alone = [d for phrase in PHRASES for d in detector.detect_text([image], [phrase], floor=0.0)[0]]
    assert {d.name for d in together} <= set(PHRASES) and rows(together) != rows(alone)


def test_images_together_are_answered_as_each_alone(folder, detector):
    images = [picture(90, 120), picture(170, 100, 1), picture(90, 120, 2), picture(300, 7, 3)]
    together = detector.detect_text(images, PHRASES, floor=0.2)
    fresh = world.YoloWorld(world.read(folder / FILE), vectors, SIDE)
    for image, found in zip(images, together, strict=True):
        (alone,) = fresh.detect_text([image], PHRASES, floor=0.2)
        assert len(found) == len(alone)
        assert np.allclose([d.score for d in found], [d.score for d in alone], atol=1e-4)


def test_what_cannot_be_asked_is_refused_and_nothing_finds_nothing(detector):
    assert detector.detect_text([picture(20, 30)], []) == [[]] and detector.detect_text([], PHRASES) == []
    with pytest.raises(BadInput, match="phrase is empty"):
        detector.detect_text([picture(20, 30)], ["a cat", " "])
    with pytest.raises(BadInput, match="uint8"):
        detector.detect_text([np.zeros((5, 5), np.uint8)], PHRASES)
    with pytest.raises(BadInput, match="between 0 and 1"):
        detector.detect_text([picture(20, 30)], PHRASES, floor=2)


def test_another_checkpoint_of_ultralytics_is_refused(tmp_path):
    ultralytics().YOLO("yolo11n.yaml").save(tmp_path / "yolo11n.pt")
    with pytest.raises(BadInput, match="no YOLO-World of the second generation"):
        world.read(tmp_path / "yolo11n.pt")


def test_phrases_are_read_by_the_text_half_of_a_clip_whose_weights_are_given(tmp_path, monkeypatch):
    open_clip = pytest.importorskip("open_clip")
    from safetensors.torch import save_file

    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    (tmp_path / "tiny-words.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-words.json")
    monkeypatch.setattr(family, "TEXT_MODEL", "tiny-words")
    torch.manual_seed(3)
    model = open_clip.create_model("tiny-words", force_quick_gelu=True).eval()
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / family.TEXT_FILE)
    phrases = ["a red apple", "mug", "word " * 200]
    with torch.no_grad():
        expected = model.encode_text(open_clip.tokenize(phrases), normalize=True)
    read = family.reader(tmp_path / family.TEXT_FILE, "cpu")
    assert torch.allclose(read(phrases), expected, atol=1e-6)
    monkeypatch.setattr(family, "TEXT_BATCH", 2)
    assert torch.allclose(read(phrases), expected, atol=1e-5)
    save_file({"logit_scale": torch.ones([])}, tmp_path / "half.safetensors")
    with pytest.raises(BadInput, match="does not hold the text half"):
        family.reader(tmp_path / "half.safetensors", "cpu")
    with pytest.raises(BadInput, match="cannot be read"):
        family.reader(tmp_path / "none.safetensors", "cpu")
