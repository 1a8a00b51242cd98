"""YOLO-World: a network of ultralytics that looks for what phrases name, and the reader of its checkpoints.

Its neck mixes what the phrases say into the image's features, so only the part before it, about half of the work,
is done once an image; and what a phrase finds depends a little on the others of its list.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models._images import check_image
from models._yolo.checkpoint import network_of, unpickled
from models._yolo.detector import BATCH, MOST, OVERLAP, PATIENCE
from models._yolo.package import ultralytics
from studio.adapters import Detection
from studio.annotations import Box
from studio.errors import BadInput

CLASSES = 80  # what the networks are described with; how many phrases are asked for changes no weight
PHRASES = 400  # phrases of a pass
KEPT_PHRASES = 2_000
KEPT_BYTES = 96_000_000  # of what the backbone made of the latest images

ReadTexts = Callable[[Sequence[str]], Any]  # phrases → unit vectors (n, 512)


def read(path: Path) -> Any:
    """Return the network of a .pt file as ultralytics saves it, float32, running nothing of it.

    Raises BadInput for a file that is no second-generation YOLO-World.
    """
    scale, tensors = unpickled(path, _described)
    network = blank(scale)
    wanted = network.state_dict()
    # The first releases saved single numbers without a dimension.
    fitted = {
        name: t.float().reshape(wanted[name].shape) if t.numel() == wanted[name].numel() else t.float()
        for name, t in tensors.items()
        if name in wanted
    }
    try:
        network.load_state_dict(fitted)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"{path.name} holds other weights than yolov8{scale}-worldv2: {reason}") from None
    return network.eval().fuse(verbose=False)


def blank(scale: str) -> Any:
    """Return a YOLO-World of a size, "n" to "x", with random weights."""
    import yaml

    package = ultralytics()
    folder = Path(package.__file__).parent / "cfg" / "models" / "v8"
    description = yaml.safe_load((folder / "yolov8-worldv2.yaml").read_text("utf-8"))
    return package.nn.tasks.WorldModel({**description, "scale": scale}, nc=CLASSES, verbose=False)


def _described(saved: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    network, tensors = network_of(saved)
    described = network["yaml"]
    head = described["head"][-1]
    if head[2] != "WorldDetect" or not any(
        re.fullmatch(r"model\.\d+\.cv4\.0\.norm\.weight", n) for n in tensors
    ):
        raise ValueError("it is no YOLO-World of the second generation (-worldv2)")
    return str(described["scale"]), tensors


@dataclass(frozen=True)
class Seen:
    """What the backbone made of an image: by the number of the layer each map (1, c, h, w) that later ones want."""

    maps: dict[int, Any]

    @property
    def nbytes(self) -> int:
        return sum(m.numel() * m.element_size() for m in self.maps.values())


class YoloWorld:
    """A text detector over a ``WorldModel`` of ultralytics, and what reads its phrases.

    Boxes and scores are those of ultralytics' own predictor. What the backbone made of the latest images and the
    vectors of the latest phrases are kept. On a graphics card it computes in float16, and its head in float32.
    """

    def __init__(
        self,
        network: Any,
        read_texts: ReadTexts,
        side: int = 640,
        device: str = "cpu",
        *,
        apart: bool = False,
        packed: bool = False,
        full_precision: bool = False,
    ) -> None:
        import torch

        self._package = ultralytics()
        self._device = torch.device(device)
        self._halves = self._device.type == "cuda" and not full_precision
        self._layers = network.to(device).eval().requires_grad_(False).model
        mixing = self._package.nn.modules.C2fAttn
        self._cut = next(i for i, layer in enumerate(self._layers) if isinstance(layer, mixing))
        later = [layer.f if isinstance(layer.f, list) else [layer.f] for layer in self._layers[self._cut :]]
        wanted = {f for froms in later for f in froms if 0 <= f < self._cut}
        self._wanted = frozenset(wanted | {self._cut - 1})
        self._stride = int(network.stride.max())
        self._side = math.ceil(side / self._stride) * self._stride
        self._read_texts = read_texts
        self._apart, self._packed = apart, packed
        self._read: OrderedDict[str, Any] = OrderedDict()
        self._seen: OrderedDict[bytes, Seen] = OrderedDict()
        self._lock = threading.Lock()

    def detect_text(
        self, images: Sequence[np.ndarray], phrases: Sequence[str], *, floor: float = 0.05
    ) -> list[list[Detection]]:
        """Return the detections of each image, best first; of the phrases of a pass, a box goes to the best.

        What a phrase finds depends a little on the others of its pass, unless they are asked for apart: so are more
        phrases than the networks are described with, where they are not to be packed. Raises BadInput for a phrase
        without a letter, or an image that is not uint8 of shape (height, width, 3).
        """
        import torch

        if not 0 <= floor <= 1:
            raise BadInput(f"A detector's floor must be between 0 and 1; got {floor:g}.")
        for image in images:
            check_image(image)
        phrases = list(dict.fromkeys(phrases))
        if any(not phrase.strip() for phrase in phrases):
            raise BadInput("A phrase is empty. Write what to look for, such as “a red apple”.")
        found: list[list[Detection]] = [[] for _ in images]
        if not phrases or not images:
            return found
        apart = self._apart or (len(phrases) > CLASSES and not self._packed)
        together = 1 if apart else PHRASES
        alike: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = defaultdict(list)
        for number, image in enumerate(images):
            pixels = self._letterboxed(image)
            alike[pixels.shape].append((number, pixels))
        with torch.inference_mode():
            vectors = self._vectors(phrases)
            for same in alike.values():
                for start in range(0, len(same), BATCH):
                    some = same[start : start + BATCH]
                    maps = self._look([pixels for _, pixels in some])
                    for first in range(0, len(phrases), together):
                        part = slice(first, first + together)
                        rows = self._ask(maps, vectors[part], floor)
                        for (number, pixels), each in zip(some, rows, strict=True):
                            shapes = pixels.shape[:2], images[number].shape
                            found[number] += self._boxes(each, *shapes, phrases[part])
        return [sorted(detections, key=lambda d: -d.score) for detections in found]

    def _letterboxed(self, image: np.ndarray) -> np.ndarray:
        letterbox = self._package.data.augment.LetterBox(self._side, auto=True, stride=self._stride)
        return letterbox(image=np.ascontiguousarray(image))

    def _vectors(self, phrases: Sequence[str]) -> Any:
        """Return the vectors (n, d) of phrases, reading only those that are new."""
        import torch

        with self._lock:
            known = {phrase: self._read[phrase] for phrase in phrases if phrase in self._read}
        new = [phrase for phrase in phrases if phrase not in known]
        if new:
            known.update(zip(new, self._read_texts(new).float().to(self._device), strict=True))
        with self._lock:
            for phrase in phrases:
                self._read[phrase] = known[phrase]
                self._read.move_to_end(phrase)
            while len(self._read) > KEPT_PHRASES:
                self._read.popitem(last=False)
        return torch.stack([known[phrase] for phrase in phrases])

    def _look(self, pixels: Sequence[np.ndarray]) -> dict[int, Any]:
        """Return the backbone's maps of images of one size, (n, c, h, w) by layer, computing only those of new ones."""
        import torch

        keys = [
            hashlib.blake2b(repr(p.shape).encode() + p.tobytes(), digest_size=16).digest() for p in pixels
        ]
        with self._lock:
            known = {key: self._seen[key] for key in keys if key in self._seen}
        new = {key: p for key, p in zip(keys, pixels, strict=True) if key not in known}
        if new:
            batch = torch.from_numpy(np.stack(list(new.values()))).to(self._device).permute(0, 3, 1, 2)
            made: dict[int, Any] = {}
            with self._precision():
                x = batch.float().div_(255)
                for number, layer in enumerate(self._layers[: self._cut]):
                    x = made[number] = layer(self._given(layer, x, made))
            for row, key in enumerate(new):
                known[key] = Seen({n: made[n][row : row + 1].clone() for n in self._wanted})
        with self._lock:
            for key in keys:
                self._seen[key] = known[key]
                self._seen.move_to_end(key)
            while len(self._seen) > 1 and sum(s.nbytes for s in self._seen.values()) > KEPT_BYTES:
                self._seen.popitem(last=False)
        return {n: torch.cat([known[key].maps[n] for key in keys]) for n in self._wanted}

    def _ask(self, maps: dict[int, Any], vectors: Any, floor: float) -> list[Any]:
        """Return for each image its rows x0, y0, x1, y1, score, number of the phrase."""
        modules = self._package.nn.modules
        made = dict(maps)
        x = made[self._cut - 1]
        texts = vectors[None].expand(len(x), -1, -1)
        *neck, head = self._layers[self._cut :]
        with self._precision():
            for number, layer in enumerate(neck, start=self._cut):
                given = self._given(layer, x, made)
                mixes = isinstance(layer, modules.C2fAttn)
                x = made[number] = layer(given, texts.type_as(given)) if mixes else layer(given)
        with self._lock:  # the head is told how many phrases there are
            head.nc = len(vectors)
            predictions = head([m.float() for m in self._given(head, x, made)], texts)[0]
        return self._package.utils.nms.non_max_suppression(
            predictions,
            float(np.nextafter(np.float32(floor), np.float32(0))),  # it keeps what is above, not what is at
            OVERLAP,
            max_det=MOST,
            nc=len(vectors),
            max_time_img=PATIENCE,
        )

    def _given(self, layer: Any, x: Any, made: dict[int, Any]) -> Any:
        """Return what a layer works on: what the one before it made, or earlier ones."""
        if isinstance(layer.f, list):
            return [x if f == -1 else made[f] for f in layer.f]
        return x if layer.f == -1 else made[layer.f]

    def _boxes(
        self, rows: Any, seen: tuple[int, ...], shape: tuple[int, ...], phrases: Sequence[str]
    ) -> list[Detection]:
        """Return the rows of an image as detections in its own pixels; ``seen`` is the size the network saw."""
        rows[:, :4] = self._package.utils.ops.scale_boxes(seen, rows[:, :4], shape)
        return [
            Detection(phrases[int(number)], score, Box(x0, y0, x1, y1))
            for x0, y0, x1, y1, score, number in rows[:, :6].tolist()
            if x1 > x0 and y1 > y0
        ]

    def _precision(self) -> Any:
        from contextlib import nullcontext

        import torch

        return torch.autocast(self._device.type, dtype=torch.float16) if self._halves else nullcontext()
