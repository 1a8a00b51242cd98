"""A detector over networks of ultralytics: boxes, masks and keypoints as its own predictor gives them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from models._images import check_image
from studio.adapters import Detection
from studio.annotations import Box, Keypoints, Mask
from studio.errors import BadInput

OVERLAP = 0.7  # boxes of one class that overlap more than this are one thing
MOST = 300  # detections of one image
BATCH = 16  # images that go through the network at once
MASK_PIXELS = 32_000_000  # of masks drawn at once; at full size those of a large photograph take gigabytes
PATIENCE = 60.0  # seconds an image; past it ultralytics drops what it has not yet looked through
HALF = 0.5
JOINTS = (  # of people, as COCO names them
    "nose",
    "left eye",
    "right eye",
    "left ear",
    "right ear",
    "left shoulder",
    "right shoulder",
    "left elbow",
    "right elbow",
    "left wrist",
    "right wrist",
    "left hip",
    "right hip",
    "left knee",
    "right knee",
    "left ankle",
    "right ankle",
)


class YoloDetector:
    """A detector over a network of ultralytics: one that segments gives every detection its mask, one for poses its
    keypoints, which ``keypoint_names`` names.

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
        keypoints: tuple[int, int] | None = None,
        full_precision: bool = False,
    ) -> None:
        import torch

        from models._yolo.package import ultralytics

        self.names = tuple(names)
        self._keypoints = keypoints
        self.keypoint_names = keypoint_names(keypoints[0]) if keypoints else ()
        self._device = torch.device(device)
        self._halves = self._device.type == "cuda" and not full_precision
        self._network = network.to(device).eval().requires_grad_(False)
        if self._device.type != "mps":  # a sixth faster on a processor
            self._network.to(memory_format=torch.channels_last)
        head = self._network.model[-1]
        self._end_to_end = bool(
            getattr(head, "end2end", False)
        )  # each thing has one box: none is to be sorted out
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
        """Return for each image its rows x0, y0, x1, y1, score, class, … and the prototypes of masks, or None.

        What follows the class are the weights of a mask's prototypes, or the numbers of the keypoints.
        """
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
            end2end=self._end_to_end,
        )
        return rows, prototypes

    def _read(
        self, rows: Any, prototypes: Any, seen: tuple[int, ...], shape: tuple[int, ...]
    ) -> list[Detection]:
        """Turn the rows of an image into detections in its own pixels; ``seen`` is the size the network saw."""
        ops = self._package.utils.ops
        rows[:, :4] = ops.scale_boxes(seen[:2], rows[:, :4], shape)
        poses = self._poses(rows, seen, shape)
        masks: list[Mask | None] = [None] * len(rows)
        if prototypes is not None:
            step = max(1, MASK_PIXELS // (shape[0] * shape[1]))
            for i in range(0, len(rows), step):
                some = rows[i : i + step]
                drawn = ops.process_mask_native(prototypes, some[:, 6:], some[:, :4], shape[:2])
                masks[i : i + step] = [Mask.from_array(mask) for mask in drawn.cpu().numpy()]
        found = []
        for (*corners, score, number), mask, pose in zip(rows[:, :6].tolist(), masks, poses, strict=True):
            if corners[2] > corners[0] and corners[3] > corners[1] and (mask is None or mask.area):
                found.append(Detection(self.names[int(number)], score, Box(*corners), mask, *pose))
        return found

    def _poses(self, rows: Any, seen: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
        """Return the keypoints of each row, and the score of each of them; nothing where the network has none.

        A keypoint is there, seen or hidden, where its score is at least HALF, as in ultralytics' own drawings.
        """
        if not self._keypoints:
            return [()] * len(rows)
        placed = rows[:, 6:].reshape(len(rows), *self._keypoints)
        placed = self._package.utils.ops.scale_coords(seen[:2], placed, shape).tolist()
        found = []
        for (*_, score, _), points in zip(rows[:, :6].tolist(), placed, strict=True):
            scores = tuple(point[2] if len(point) > 2 else score for point in points)
            there = [2 if len(point) < 3 or point[2] >= HALF else 0 for point in points]
            marks = tuple((x, y, v) for (x, y, *_), v in zip(points, there, strict=True))
            found.append((Keypoints(marks), scores))
        return found

    def _precision(self) -> AbstractContextManager[Any]:
        import torch

        return torch.autocast(self._device.type, dtype=torch.float16) if self._halves else nullcontext()


def _in_float32(device: str, forward: Any, maps: list[Any]) -> Any:
    """Run a head on float32: in 16 bits a box's corner is good to a quarter of a pixel at best."""
    import torch

    with torch.autocast(device, enabled=False):
        return forward([each.float() for each in maps])


def keypoint_names(count: int) -> tuple[str, ...]:
    """Return what the keypoints are called: checkpoints do not say, but those of 17 are the joints of people."""
    return JOINTS if count == len(JOINTS) else tuple(f"point {number + 1}" for number in range(count))
