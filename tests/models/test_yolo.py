"""YOLO's adapter: the same boxes, masks and keypoints as ultralytics itself, and pickles that cannot run anything."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import yolo
from models._yolo import checkpoint, detector
from models._yolo.package import ultralytics
from studio.adapters import Classifier, Detector
from studio.errors import BadInput
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
if importlib.util.find_spec("ultralytics") is None:
    pytest.skip("ultralytics is not installed", allow_module_level=True)

ROOT = Path(__file__).parents[2]
SIDE = 160
SIZES = {"landscape": (90, 120), "portrait": (170, 100), "thin": (7, 300), "pixel": (1, 1)}
NAMES = ("yolo11n", "yolo11n-seg", "yolo11n-pose", "yolo26n", "yolo26n-seg", "yolo26n-pose")
KINDS = pytest.mark.parametrize("kind", NAMES)
WHOLE = pytest.mark.parametrize("kind", ["yolo11n-cls", "yolo26n-cls"])


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> Path:
    """A folder of random networks as ultralytics saves them, whose scores and boxes are all different."""
    folder = tmp_path_factory.mktemp("yolo")
    for kind in (*NAMES, "yolo11n-cls", "yolo26n-cls"):
        torch.manual_seed(0)
        model = ultralytics().YOLO(f"{kind}.yaml")
        if not kind.endswith("cls"):
            shake(model.model.eval())
        model.ckpt = {"train_args": {"imgsz": SIDE}}
        model.save(folder / f"{kind}.pt")
    return folder


@torch.no_grad()
def shake(network) -> None:
    """Give a random network weights that let the picture reach its head, and answers that differ."""
    for name, value in network.named_parameters():
        if value.ndim == 4 and "dfl" not in name:
            value.normal_(std=1.4 / value[0].numel() ** 0.5)
    head = network.model[-1]
    seen: dict = {}
    ends = getattr(head, "one2one_cv2", head.cv2), getattr(head, "one2one_cv3", head.cv3)
    for layer in [branch[-1] for end in ends for branch in end]:
        layer.bias.zero_()
        layer.register_forward_hook(lambda layer, _, answer: seen.update({layer: answer.std()}))
    network(torch.from_numpy(picture(128, SIDE)).permute(2, 0, 1)[None] / 255)
    for layer, spread in seen.items():
        layer._forward_hooks.clear()
        layer.weight /= 2 * spread
        # A box of YOLO26 is four distances; those of YOLO11 are made of bins, and cannot be below zero.
        middle = {80: -3.0, 4: 4.0}.get(layer.out_channels, 0.0)
        layer.bias.normal_(middle)


def load(folder: Path, kind: str, **options):
    return yolo.load_yolo(str(folder), "cpu", yolo.YoloOptions(**options), file=f"{kind}.pt")


@pytest.fixture(scope="module")
def detectors(checkpoints: Path) -> dict:
    return {kind: load(checkpoints, kind) for kind in NAMES}


def predicted(folder: Path, kind: str, image: np.ndarray, **settings):
    model = ultralytics().YOLO(folder / f"{kind}.pt")
    settings = {"conf": 0.05, "iou": 0.7, "retina_masks": True, "verbose": False, **settings}
    if kind.startswith("yolo26"):
        settings["nms"] = False  # each thing has one box
    return model.predict(image[..., ::-1], **settings)[0]


def boxes(found) -> np.ndarray:
    return np.array([detection.box.xyxy for detection in found]).reshape(-1, 4)


# ---- the adapter's contract -----------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
def test_boxes_scores_and_masks_are_those_of_ultralytics(checkpoints, detectors, kind, height, width):
    image = picture(height, width)
    expected = predicted(checkpoints, kind, image)
    found = detectors[kind].detect([image])[0]
    assert len(found) == len(expected) and (found or height == 1)  # a mask may miss the only pixel
    assert np.abs(boxes(found) - expected.boxes.xyxy.numpy()).max(initial=0) < 0.5
    assert np.abs([d.score for d in found] - expected.boxes.conf.numpy()).max(initial=0) < 1e-3
    assert [d.name for d in found] == [expected.names[int(number)] for number in expected.boxes.cls]
    if kind.endswith("pose"):
        assert detectors[kind].keypoint_names[0] == "nose" and len(detectors[kind].keypoint_names) == 17
        for detection, points in zip(found, expected.keypoints.data.numpy(), strict=True):
            ours = np.array(detection.keypoints.points)
            assert np.abs(ours[:, :2] - points[:, :2]).max() < 0.5
            assert np.abs(np.array(detection.keypoint_scores) - points[:, 2]).max() < 1e-3
            assert np.array_equal(ours[:, 2] == 2, np.array(detection.keypoint_scores) >= 0.5)
        assert len({point for d in found for point in d.keypoints.points}) > 17, "the keypoints say nothing"
        return
    if not kind.endswith("seg"):
        assert expected.masks is None and all(d.mask is None and d.keypoints is None for d in found)
        return
    for detection, drawn in zip(found, expected.masks.data.numpy() > 0, strict=True):
        mask = detection.mask.to_array()
        assert mask.shape == (height, width)
        assert (mask & drawn).sum() >= 0.99 * (mask | drawn).sum()


@KINDS
def test_what_is_found_does_not_depend_on_the_batch(detectors, kind):
    images = [picture(90, 120), picture(170, 100, 1), picture(90, 120, 2), picture(300, 7, 3)]
    together = detectors[kind].detect(images, floor=0.2)
    alone = [detectors[kind].detect([image], floor=0.2)[0] for image in images]
    assert [len(found) for found in together] == [len(found) for found in alone]
    for one, other in zip(together, alone, strict=True):
        if one:  # those of one score may come in another order
            apart = np.abs(boxes(one)[:, None] - boxes(other)[None]).max(2)
            assert max(apart.min(0).max(), apart.min(1).max()) < 0.01


def test_the_floor_is_kept_and_the_best_come_first(detectors):
    found = detectors["yolo11n"].detect([picture(90, 120)], floor=0.05)[0]
    scores = [detection.score for detection in found]
    assert scores == sorted(scores, reverse=True) and scores[-1] >= 0.05
    middle = scores[len(scores) // 2]
    assert detectors["yolo11n"].detect([picture(90, 120)], floor=middle)[0][-1].score == middle


def test_yolo26_keeps_boxes_that_overlap_since_its_network_has_sorted_them_out(checkpoints, detectors):
    found = detectors["yolo26n"].detect([picture(90, 120)], floor=0.05)[0]
    assert checkpoint.read_pickle(checkpoints / "yolo26n.pt").architecture == "yolo26n.yaml"
    overlaps = [iou(a.box, b.box) for i, a in enumerate(found) for b in found[:i] if a.name == b.name]
    assert max(overlaps) > 0.7


def iou(a, b) -> float:
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    both = max(width, 0) * max(height, 0)
    return both / (a.area + b.area - both)


@WHOLE
@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
def test_the_scores_of_whole_pictures_are_those_of_ultralytics(checkpoints, kind, height, width):
    image = picture(height, width)
    expected = predicted(checkpoints, kind, image).probs
    classifier = load(checkpoints, kind)
    assert isinstance(classifier, Classifier) and len(classifier.names) == 1000
    found = classifier.classify([image], most=1000)[0]
    assert np.abs(np.sort([s.score for s in found])[::-1] - np.sort(expected.data.numpy())[::-1]).max() < 1e-5
    assert [s.name for s in found[:5]] == [str(number) for number in expected.top5]
    together = classifier.classify([image, picture(40, 40)])
    assert [s.name for s in together[0]] == [s.name for s in found[:5]] and len(together[1]) == 5


def test_parts_that_only_training_needs_may_be_missing(checkpoints, detectors):
    saved = checkpoint.read_pickle(checkpoints / "yolo26n-pose.pt")
    fewer = {name: t for name, t in saved.tensors.items() if not checkpoint.TRAINING.match(name)}
    assert 0 < len(fewer) < len(saved.tensors)
    checkpoint.build(replace(saved, tensors=fewer))
    del fewer["model.0.conv.weight"]
    with pytest.raises(BadInput, match=r"1 differ, such as model\.0\.conv\.weight"):
        checkpoint.build(replace(saved, tensors=fewer))


def test_a_network_for_other_poses_has_as_many_points_as_it_says(tmp_path):
    write(
        tmp_path,
        "yolo26n-pose.yaml",
        ["hand"],
        checkpoint.blank("yolo26n-pose.yaml", 1, (5, 2)),
        keypoints=[5, 2],
    )
    hands = yolo.load_yolo(str(tmp_path), "cpu", yolo.YoloOptions())
    assert hands.keypoint_names == ("point 1", "point 2", "point 3", "point 4", "point 5")
    for found in hands.detect([picture(90, 120)], floor=0.0)[0][:3]:
        assert found.keypoint_scores == (found.score,) * 5 and len(found.keypoints.points) == 5
    write(tmp_path, "yolo26n-pose.yaml", ["hand"], checkpoint.blank("yolo26n-pose.yaml", 1), keypoints=[0, 3])
    with pytest.raises(BadInput, match="number of its keypoints"):
        yolo.load_yolo(str(tmp_path), "cpu", yolo.YoloOptions())


def test_nothing_found_is_an_empty_list(detectors):
    assert detectors["yolo11n-seg"].detect([picture(90, 120)], floor=1.0) == [[]]
    assert detectors["yolo11n"].detect([]) == []


def test_masks_are_drawn_a_few_at_a_time_to_the_same_effect(detectors, monkeypatch):
    image = picture(90, 120)
    at_once = detectors["yolo11n-seg"].detect([image], floor=0.2)[0]
    monkeypatch.setattr(detector, "MASK_PIXELS", 3 * 90 * 120)
    assert detectors["yolo11n-seg"].detect([image], floor=0.2)[0] == at_once


def test_the_side_may_be_chosen_and_is_made_a_whole_number_of_strides(checkpoints):
    image = picture(90, 120)
    found = load(checkpoints, "yolo11n", side=250).detect([image])[0]
    expected = predicted(checkpoints, "yolo11n", image, imgsz=256)
    assert np.abs(boxes(found) - expected.boxes.xyxy.numpy()).max() < 0.5


def test_in_sixteen_bits_the_boxes_hardly_move(detectors, monkeypatch):
    yolo11, image = detectors["yolo11n"], picture(90, 120)
    exact = boxes(yolo11.detect([image])[0])
    monkeypatch.setattr(yolo11, "_halves", True)
    coarse = boxes(yolo11.detect([image])[0])
    moved = np.abs(exact[:, None] - coarse[None]).max(2).min(1)
    assert 0 < np.median(moved) < 0.1
    assert (moved > 1).mean() < 0.1  # of boxes as good as each other, another may be kept


def test_it_is_a_detector_with_the_names_of_its_checkpoint(detectors):
    assert isinstance(detectors["yolo11n"], Detector)
    assert detectors["yolo11n"].names == tuple(str(number) for number in range(80))


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
    ids=["grey", "float", "empty"],
)
def test_what_is_no_image_is_said_to_be_none(detectors, image):
    with pytest.raises(BadInput, match="uint8"):
        detectors["yolo11n"].detect([image])


def test_a_floor_is_between_0_and_1(detectors):
    with pytest.raises(BadInput, match="between 0 and 1"):
        detectors["yolo11n"].detect([], floor=1.5)


# ---- safetensors ----------------------------------------------------------------------------------


def write(folder: Path, architecture: str, names: list[str], network, **more) -> None:
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / "model.safetensors")
    config = {"architecture": architecture, "names": names, "side": SIDE, **more}
    (folder / "config.json").write_text(json.dumps(config))


@KINDS
def test_safetensors_give_what_the_pickle_gives(checkpoints, detectors, tmp_path, kind):
    saved = checkpoint.read_pickle(checkpoints / f"{kind}.pt")
    network = checkpoint.blank(saved.architecture, 80)
    network.load_state_dict({name: tensor.float() for name, tensor in saved.tensors.items()})
    pose = {"keypoints": [17, 3]} if kind.endswith("pose") else {}
    write(tmp_path, f"{kind}.yaml", [str(number) for number in range(80)], network, **pose)
    found = yolo.load_yolo(str(tmp_path), "cpu", yolo.YoloOptions()).detect([picture(90, 120)])
    assert found == detectors[kind].detect([picture(90, 120)])


@pytest.mark.parametrize(
    ("architecture", "names", "said"),
    [
        ("yolo11s.yaml", ["cup"], "not the weights of yolo11s.yaml"),
        ("yolo11n.yaml", ["cup", "jug"], "not the weights of yolo11n.yaml"),
        ("../evil.yaml", ["cup"], "is no YOLO11"),
        ("yolo11n.yaml", [], "class names"),
    ],
)
def test_a_folder_that_does_not_fit_together_is_refused(tmp_path, architecture, names, said):
    write(tmp_path, architecture, names, checkpoint.blank("yolo11n.yaml", 1))
    with pytest.raises(BadInput, match=said):
        yolo.load_yolo(str(tmp_path), "cpu", yolo.YoloOptions())


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        yolo.load_yolo(str(tmp_path), "cpu", yolo.YoloOptions())
    with pytest.raises(BadInput, match="cannot be read"):
        load(tmp_path, "yolo11n")


# ---- pickles --------------------------------------------------------------------------------------


class Call:
    """Pickles as a call of a function, which is made when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def traps(marker: Path) -> dict[str, object]:
    """Things that leave a file behind when somebody unpickles them."""
    nn = ultralytics().nn
    text = f"open({str(marker)!r}, 'w') and None or __import__('torch').nn.SiLU()"
    layers = {"nc": 1, "activation": text, "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": []}
    return {
        "shell": Call(os.system, f"touch {marker}"),
        "eval": Call(eval, text),
        "path": Call(Path.touch, marker),
        "network": Call(nn.tasks.DetectionModel, layers),  # runs the text of its activation
    }


@pytest.mark.parametrize("trap", ["shell", "eval", "path", "network"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path, trap, zipped):
    marker, path = tmp_path / "marker", tmp_path / "yolo11n.pt"
    torch.save({"model": traps(marker)[trap]}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BadInput, match="yolo11n.pt"):
        load(tmp_path, "yolo11n")
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "the trap is none"


def test_what_others_have_allowed_is_not_allowed_here(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "yolo11n.pt"
    torch.save({"model": traps(marker)["network"]}, path)
    with torch.serialization.safe_globals([ultralytics().nn.tasks.DetectionModel]):
        with pytest.raises(BadInput):
            load(tmp_path, "yolo11n")
        assert ultralytics().nn.tasks.DetectionModel in torch.serialization.get_safe_globals()
    assert not marker.exists()
    assert checkpoint.Husk not in [
        each[0] for each in torch.serialization.get_safe_globals() if type(each) is tuple
    ]


def test_the_refusal_names_what_was_asked_for(tmp_path):
    torch.save({"model": Call(os.system, "true")}, tmp_path / "best.pt")
    with pytest.raises(BadInput, match=r"best\.pt was not opened: it asks to run \w+\.system"):
        checkpoint.read_pickle(tmp_path / "best.pt")


def test_a_module_inside_itself_has_an_end(tmp_path, checkpoints, detectors):
    saved = torch.load(checkpoints / "yolo11n.pt", weights_only=False)
    saved["model"].model[0]._modules["again"] = saved["model"]
    torch.save(saved, tmp_path / "yolo11n.pt")
    found = load(tmp_path, "yolo11n").detect([picture(90, 120)])
    assert found == detectors["yolo11n"].detect([picture(90, 120)])


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", pickle.dumps({"model": 1})], ids=["empty", "text", "bare"]
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "yolo11n.pt").write_bytes(content)
    with pytest.raises(BadInput, match="no checkpoint of ultralytics"):
        load(tmp_path, "yolo11n")


def test_a_truncated_checkpoint_is_refused(tmp_path, checkpoints):
    (tmp_path / "yolo11n.pt").write_bytes((checkpoints / "yolo11n.pt").read_bytes()[:100_000])
    with pytest.raises(BadInput, match="damaged"):
        load(tmp_path, "yolo11n")


def test_weights_saved_without_their_network_are_refused(tmp_path):
    torch.save(checkpoint.blank("yolo11n.yaml", 2).state_dict(), tmp_path / "yolo11n.pt")
    with pytest.raises(BadInput, match="holds no network"):
        load(tmp_path, "yolo11n")


# ---- the package ----------------------------------------------------------------------------------


def test_importing_ultralytics_changes_nothing_for_the_rest_of_the_process(tmp_path):
    code = """
import os, socket, cv2, numpy, torch
from pathlib import Path
from PIL import Image
def refuse(*_): raise AssertionError("it asked the network")
socket.getaddrinfo = socket.create_connection = refuse
cv2.setNumThreads(3)
state = lambda: (torch.save, torch.load, Image.open, cv2.imread, cv2.getNumThreads(), numpy.get_printoptions(),
    {k: v for k, v in os.environ.items() if k not in QUIET})
from models._yolo.package import QUIET, ultralytics
before = state()
ultralytics()
assert state() == before
print(*Path.home().rglob("*"), sep="\\n")
"""
    kept = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "XDG_CONFIG_HOME")}
    environment = {k: v for k, v in kept.items() if not k.startswith("YOLO_")} | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "ltralytics" not in done.stdout
