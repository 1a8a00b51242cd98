"""Reading YOLO checkpoints: safetensors with a config.json, and ultralytics' own pickles without running them."""

from __future__ import annotations

import json
import pickle
import re
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from models._yolo.package import ultralytics
from studio.errors import BadInput

TASKS = {"": "detect", "-seg": "segment", "-pose": "pose", "-cls": "classify"}
# Parts that only training needs: some versions of ultralytics save them, others do not.
TRAINING = re.compile(r"model\.\d+\.(flow_model|(one2one_)?cv4_sigma|proto\.semseg)\.")
MOST_KEYPOINTS = 1_000
SIDE = 640  # what ultralytics takes where a checkpoint does not say
SIDE_OF_WHOLE = 224  # and of one that says what a whole picture shows
MOST_CLASSES = 10_000

# What a checkpoint of ultralytics may name. Its network is a pickled object made of the first two; the others
# come with what it says of its training.
NAMED = re.compile(
    r"torch\.nn\.modules\.\w+\.\w+"
    r"|ultralytics\.(nn|utils|yolo)\.[\w.]+"
    r"|torchvision\.transforms\.(transforms|functional)\.\w+"  # how a classifier wants its pictures
    r"|numpy\.(dtype|_?core\.multiarray\.scalar)"
    r"|pathlib\.(_local\.)?(Posix|Windows|PurePosix|PureWindows)?Path"
    r"|builtins\.getattr"
)
UNREADABLE = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    EOFError,
    AssertionError,
    pickle.UnpicklingError,
    struct.error,
)
T = TypeVar("T")
_allowing = threading.Lock()  # which names torch allows is one list for the whole process


@dataclass(frozen=True)
class Checkpoint:
    """A network's description and weights. ``architecture`` is the name of one of ultralytics' own files.

    ``keypoints`` are how many each thing has and how many numbers each, of a network for poses.
    """

    architecture: str
    names: tuple[str, ...]
    side: int
    tensors: Mapping[str, Any]
    keypoints: tuple[int, int] | None = None

    @property
    def task(self) -> str:
        """Return what the network does: "detect", "segment", "pose" or "classify"."""
        return TASKS[_parts(self.architecture)[2]]


def _parts(architecture: str) -> tuple[str, str, str]:
    """Return the family, the size and what the network does, from a name. Raises BadInput for one of no family here."""
    known = re.fullmatch(r"yolo(11|26)([nsmlx])(-seg|-pose|-cls)?\.yaml", str(architecture))
    if known is None:
        raise BadInput(
            f"“{architecture}” is no YOLO11 or YOLO26; there is yolo11n.yaml to yolo11x.yaml, yolo26n.yaml to "
            "yolo26x.yaml, and each with -seg, -pose or -cls."
        )
    return known[1], known[2], known[3] or ""


class Husk:
    """Stands in for everything a pickle names: keeps what was saved of it, and can do nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


def read(folder: Path, file: str | None) -> Checkpoint:
    """Read the folder of a card: ``file`` is a pickle of ultralytics; None asks for config.json and safetensors.

    Raises BadInput that says what is wrong with them.
    """
    return read_pickle(folder / file) if file else read_safetensors(folder)


def read_safetensors(folder: Path) -> Checkpoint:
    """Read model.safetensors, and config.json with "architecture", "names" and "side"."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        tensors = load_file(folder / "model.safetensors")
        return Checkpoint(
            config["architecture"],
            _names(config["names"]),
            _side(config["side"]),
            tensors,
            _keypoints(config.get("keypoints")),
        )
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise BadInput(
            f"The model in {folder.name} cannot be read: {type(error).__name__} {error}."
        ) from None


def read_pickle(path: Path) -> Checkpoint:
    """Read a .pt file as ultralytics saves it, taking names and tensors from it and running nothing of it.

    Torch's restricted loader keeps out whatever is not allowed by name. Its classes are not let in either,
    for some of them run text that they are given (a network's "activation"): each name stands for a Husk,
    from which the tensors are collected, and the network is built anew from ultralytics' own description.
    """
    return unpickled(path, _described)


def unpickled(path: Path, describe: Callable[[dict[str, Any]], T]) -> T:
    """Return what ``describe`` makes of a .pt file read as husks. Raises BadInput where it cannot be made sense of."""
    import torch

    try:
        with _allowing, _nothing_allowed():
            named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            strange = sorted(name for name in named if not NAMED.fullmatch(name))
            if strange:
                raise BadInput(
                    f"{path.name} was not opened: it asks to run {', '.join(strange[:5])}, which no YOLO checkpoint "
                    "needs. Take the file from Ultralytics, or from somebody you trust."
                )
            with torch.serialization.safe_globals([(Husk, name) for name in named]):
                saved = torch.load(path, map_location="cpu", weights_only=True)
        return describe(saved)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"{path.name} is no checkpoint of ultralytics, or is damaged: {reason[:200]}"
        ) from None
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error.strerror}.") from None


def build(checkpoint: Checkpoint) -> Any:
    """Return the network, float32, in evaluation mode, its normalisations folded into the convolutions.

    Raises BadInput where the weights are not those of that network.
    """
    network = blank(checkpoint.architecture, len(checkpoint.names), checkpoint.keypoints)
    tensors = {name: tensor.float() for name, tensor in checkpoint.tensors.items()}
    try:
        differing = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"These are not the weights of {checkpoint.architecture}: {reason}") from None
    wrong = [
        name for name in (*differing.missing_keys, *differing.unexpected_keys) if not TRAINING.match(name)
    ]
    if wrong:
        raise BadInput(
            f"These are not the weights of {checkpoint.architecture}: {len(wrong)} differ, such as {wrong[0]}."
        )
    if hasattr(network.model[-1], "one2one_cv2"):
        network.end2end = (
            True  # of its two heads, the one with a box for each thing; fusing lets go of the other
        )
    return network.eval().fuse(verbose=False)


def blank(architecture: str, classes: int, keypoints: tuple[int, int] | None = None) -> Any:
    """Return a network of ultralytics' own description with random weights, ready to be trained.

    Raises BadInput for a name that is of neither YOLO11 nor YOLO26.
    """
    import yaml

    family, scale, work = _parts(architecture)
    package = ultralytics()
    folder = Path(package.__file__).parent / "cfg" / "models" / family
    description = yaml.safe_load((folder / f"yolo{family}{work}.yaml").read_text("utf-8"))
    if keypoints:
        description["kpt_shape"] = list(keypoints)
    tasks = package.nn.tasks
    kinds = {
        "detect": tasks.DetectionModel,
        "segment": tasks.SegmentationModel,
        "pose": tasks.PoseModel,
        "classify": tasks.ClassificationModel,
    }
    return kinds[TASKS[work]]({**description, "scale": scale}, nc=classes, verbose=False)


@contextmanager
def _nothing_allowed() -> Iterator[None]:
    """Take back for a while what other code of the process has allowed torch to load."""
    import torch

    others = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        yield
    finally:
        torch.serialization.add_safe_globals(others)


def _described(saved: dict[str, Any]) -> Checkpoint:
    """Return what matters of a checkpoint made of husks."""
    network, tensors = network_of(saved)
    described = network["yaml"]
    work = _work(tensors)
    architecture = f"yolo{_family(described, tensors)}{described['scale']}{work}.yaml"
    usual = SIDE_OF_WHOLE if work == "-cls" else SIDE
    side = (saved.get("train_args") or {}).get("imgsz", usual)
    keypoints = _keypoints(described["kpt_shape"]) if work == "-pose" else None
    return Checkpoint(architecture, _names(network["names"]), _side(side), tensors, keypoints)


def network_of(saved: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes of a checkpoint's network, and its tensors by the names of a state dict."""
    network = _state(saved.get("ema") or saved.get("model"))
    return network, dict(_tensors(network, set()))


def _work(tensors: Mapping[str, Any]) -> str:
    """Return what a network does, as the end of its name, from the parts that it has."""
    if any(".proto." in name for name in tensors):
        return "-seg"
    if any(re.match(r"model\.\d+\.cv4\.", name) for name in tensors):
        return "-pose"
    return "-cls" if any(name.endswith(".linear.weight") for name in tensors) else ""


def _family(described: Mapping[str, Any], tensors: Mapping[str, Any]) -> str:
    """Return which family a network is of: YOLO26 has a second head, of one box for each thing."""
    if any(".one2one_" in name for name in tensors):
        return "26"
    named = re.match(
        r"yolo(11|26)", str(described.get("yaml_file", "")).replace("\\", "/").rpartition("/")[2]
    )
    return named[1] if named else "11"


def _state(husk: Any) -> dict[str, Any]:
    if not isinstance(husk, Husk) or not isinstance(husk.__dict__.get("state"), dict):
        raise ValueError("it holds no network")
    return husk.state


def _tensors(module: dict[str, Any], seen: set[int], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the parameters and buffers of a module and of all below it, by the names of a state dict."""
    import torch

    fleeting = module.get("_non_persistent_buffers_set") or ()
    for kind in ("_parameters", "_buffers"):
        for name, tensor in (module.get(kind) or {}).items():
            if isinstance(tensor, torch.Tensor) and name not in fleeting:
                yield f"{prefix}{name}", tensor.detach()
    for name, child in (module.get("_modules") or {}).items():
        if child is not None and id(child) not in seen:  # a module inside itself would have no end
            seen.add(id(child))
            yield from _tensors(_state(child), seen, f"{prefix}{name}.")


def _names(saved: Any) -> tuple[str, ...]:
    if isinstance(saved, Mapping):
        saved = (
            [saved[number] for number in range(len(saved))] if set(saved) == set(range(len(saved))) else None
        )
    if not isinstance(saved, list | tuple) or not 0 < len(saved) <= MOST_CLASSES:
        raise BadInput(f"A YOLO needs a list of 1 to {MOST_CLASSES} class names; this one has none.")
    return tuple(str(name) for name in saved)


def _side(saved: Any) -> int:
    side = max(saved, default=SIDE) if isinstance(saved, list | tuple) else saved
    return side if isinstance(side, int) and 32 <= side <= 4096 else SIDE


def _keypoints(saved: Any) -> tuple[int, int] | None:
    if saved is None:
        return None
    if isinstance(saved, list | tuple) and len(saved) == 2 and all(isinstance(n, int) for n in saved):
        count, numbers = saved
        if 0 < count <= MOST_KEYPOINTS and numbers in (2, 3):
            return count, numbers
    raise BadInput(f"A YOLO for poses needs the number of its keypoints; this one says {str(saved)[:60]}.")
