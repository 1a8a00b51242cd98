"""YOLO11: the things of a fixed list of classes, found in one look, through the ultralytics package.

Pixels, overlaps and masks are treated as ultralytics' own predictor treats a single picture (Jocher and Qiu,
Ultralytics YOLO11, 2024), so that the same weights give the same boxes. The package is AGPL-3.0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models._demo import demo_cards
from models._images import check_image
from studio.adapters import Card, Detection, Download
from studio.annotations import Box, Mask
from studio.errors import BadInput

OVERLAP = 0.7  # boxes of one class that overlap more than this are one thing
MOST = 300  # detections of one image
BATCH = 16  # images that go through the network at once
MASK_PIXELS = 32_000_000  # of masks drawn at once; at full size those of a large photograph take gigabytes
PATIENCE = 60.0  # seconds an image; past it ultralytics drops what it has not yet looked through


@dataclass(frozen=True)
class YoloOptions:
    side: int = field(
        default=0,
        metadata={
            "help": "Longer side of the picture as the network sees it, in pixels. More finds smaller things and "
            "takes longer; 0 is what the model was trained at.",
            "min": 0,
            "max": 2560,
            "step": 32,
        },
    )
    full_precision: bool = field(
        default=False,
        metadata={"help": "Compute in 32 bits on a graphics card too. Slower; boxes hardly differ."},
    )


class YoloDetector:
    """A detector over a network of ultralytics; one that segments gives every detection its mask.

    On a graphics card the network computes in float16 and its head, which places the boxes, in float32.
    What is found in an image does not depend on the others of its batch.
    """

    def __init__(
        self,
        network: Any,
        names: Sequence[str],
        side: int,
        device: str = "cpu",
        *,
        full_precision: bool = False,
    ) -> None:
        import torch

        from models._yolo.package import ultralytics

        self.names = tuple(names)
        self._device = torch.device(device)
        self._halves = self._device.type == "cuda" and not full_precision
        self._network = network.to(device).eval().requires_grad_(False)
        if self._device.type != "mps":  # a sixth faster on a processor
            self._network.to(memory_format=torch.channels_last)
        head = self._network.model[-1]
        head.forward = partial(_in_float32, self._device.type, head.forward)
        self._package = ultralytics()
        self._stride = int(network.stride.max())
        self._side = math.ceil(side / self._stride) * self._stride

    def detect(self, images: Sequence[np.ndarray], *, floor: float = 0.05) -> list[list[Detection]]:
        """Return the detections of each image, best first. Raises BadInput where one is not uint8 (h, w, 3)."""
        import torch

        if not 0 <= floor <= 1:
            raise BadInput(f"A detector's floor must be between 0 and 1; got {floor:g}.")
        alike: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = defaultdict(list)
        for number, image in enumerate(images):
            pixels = self._letterboxed(image)
            alike[pixels.shape].append((number, pixels))
        found: list[list[Detection]] = [[] for _ in images]
        with torch.inference_mode():
            for batch in (same[i : i + BATCH] for same in alike.values() for i in range(0, len(same), BATCH)):
                rows, prototypes = self._look(np.stack([pixels for _, pixels in batch]), floor)
                for place, (number, pixels) in enumerate(batch):
                    maps = None if prototypes is None else prototypes[place]
                    found[number] = self._read(rows[place], maps, pixels.shape, images[number].shape)
        return found

    def _letterboxed(self, image: np.ndarray) -> np.ndarray:
        """Return the image in the network's size, padded with grey to whole strides."""
        check_image(image)
        letterbox = self._package.data.augment.LetterBox(self._side, auto=True, stride=self._stride)
        return letterbox(image=np.ascontiguousarray(image))

    def _look(self, pixels: np.ndarray, floor: float) -> tuple[list[Any], Any]:
        """Return for each image its rows x0, y0, x1, y1, score, class, … and the prototypes of masks, or None."""
        import torch

        batch = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2)
        with self._precision():
            answer = self._network(batch.float().div_(255))[0]
        predictions, prototypes = answer if isinstance(answer, tuple) else (answer, None)
        rows = self._package.utils.nms.non_max_suppression(
            predictions,
            float(np.nextafter(np.float32(floor), np.float32(0))),  # it keeps what is above, not what is at
            OVERLAP,
            max_det=MOST,
            nc=len(self.names),
            max_time_img=PATIENCE,
        )
        return rows, prototypes

    def _read(
        self, rows: Any, prototypes: Any, seen: tuple[int, ...], shape: tuple[int, ...]
    ) -> list[Detection]:
        """Turn the rows of an image into detections in its own pixels; ``seen`` is the size the network saw."""
        ops = self._package.utils.ops
        rows[:, :4] = ops.scale_boxes(seen[:2], rows[:, :4], shape)
        masks: list[Mask | None] = [None] * len(rows)
        if prototypes is not None:
            step = max(1, MASK_PIXELS // (shape[0] * shape[1]))
            for i in range(0, len(rows), step):
                some = rows[i : i + step]
                drawn = ops.process_mask_native(prototypes, some[:, 6:], some[:, :4], shape[:2])
                masks[i : i + step] = [Mask.from_array(mask) for mask in drawn.cpu().numpy()]
        found = []
        for (*corners, score, number), mask in zip(rows[:, :6].tolist(), masks, strict=True):
            box = Box(*corners)
            if box.area and (mask is None or mask.area):
                found.append(Detection(self.names[int(number)], score, box, mask))
        return found

    def _precision(self) -> AbstractContextManager[Any]:
        import torch

        return torch.autocast(self._device.type, dtype=torch.float16) if self._halves else nullcontext()


def _in_float32(device: str, forward: Any, maps: list[Any]) -> Any:
    """Run a head on float32: in 16 bits a box's corner is good to a quarter of a pixel at best."""
    import torch

    with torch.autocast(device, enabled=False):
        return forward([each.float() for each in maps])


def load_yolo(folder: str | None, device: str, options: YoloOptions, file: str | None = None) -> YoloDetector:
    """Load ``file``, a pickle of ultralytics in the folder; without it, config.json and model.safetensors."""
    from models._yolo import checkpoint

    read = checkpoint.read(Path(folder or ""), file)
    network = checkpoint.build(read)
    side = options.side or read.side
    return YoloDetector(network, read.names, side, device, full_precision=options.full_precision)


# Size: parameters in millions of the detecting and the segmenting network, bytes of their files, rank, note.
SIZES = (
    ("n", 2.6, 2.9, 5_614_000, 6_183_000, 40, "The quickest; good on a processor."),
    ("s", 9.4, 10.1, 19_314_000, 20_669_000, 41, "Finds more than n, at about twice its time."),
    ("m", 20.1, 22.4, 40_684_000, 45_400_000, 42, "Best with a graphics card."),
    ("l", 25.3, 27.6, 51_387_000, 56_097_000, 43, "A little finer than m."),
    ("x", 56.9, 62.1, 114_636_000, 125_091_000, 44, "The finest and slowest of YOLO11."),
)
SHARED = (
    "Knows the 80 classes of COCO. AGPL-3.0: who offers it to others over a network owes them the source too."
)


def _card(size: str, millions: float, download: int, rank: int, note: str, segments: bool) -> Card:
    name = f"yolo11{size}{'-seg' if segments else ''}"
    return Card(
        id=name,
        title=f"YOLO11{size}{' with masks' if segments else ''}",
        family="YOLO11",
        roles=("detector",),
        prompts=(),
        licence="AGPL-3.0",
        load=partial(load_yolo, file=f"{name}.pt"),
        memory_bytes=300_000_000 + int(millions * 20_000_000),
        version="11",
        download=Download("Ultralytics/YOLO11", download, patterns=(f"{name}.pt",)),
        options=YoloOptions,
        packages=("ultralytics-opencv-headless",),
        note=f"{note} {SHARED}",
        rank=rank + 10 * segments,
    )


DETECTORS = [_card(size, boxes, n, rank, note, False) for size, boxes, _, n, _, rank, note in SIZES]
SEGMENTERS = [_card(size, masks, n, rank, note, True) for size, _, masks, _, n, rank, note in SIZES]
CARDS = [
    *DETECTORS,
    *SEGMENTERS,
    *demo_cards("yolo-detect", DETECTORS[0], title="Demo YOLO11n", licence="AGPL-3.0", load=load_yolo),
    *demo_cards(
        "yolo-segment", SEGMENTERS[0], title="Demo YOLO11n with masks", licence="AGPL-3.0", load=load_yolo
    ),
]
