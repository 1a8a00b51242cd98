"""What stands out, without a prompt: salient-object and portrait networks in ONNX, run by onnxruntime.

- BiRefNet: Zheng et al., Bilateral Reference for High-Resolution Dichotomous Image Segmentation, 2024;
- IS-Net: Qin et al., Highly Accurate Dichotomous Image Segmentation, 2022;
- MODNet: Ke et al., MODNet: Real-Time Trimap-Free Portrait Matting via Objective Decomposition, 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from models._images import check_image
from studio.adapters import Address, Card, Download, NoOptions
from studio.errors import BadInput

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LARGEST = 2048  # pixels of the longer side of what a network that keeps the aspect is shown


@dataclass(frozen=True)
class Manner:
    """How a network is shown an image, and what its answer means.

    ``side`` is that of a square, or of the shorter side where it keeps the aspect in steps of ``step`` pixels.
    An answer is "alpha", or the "logits" of one, or a "map" whose least and greatest value are 0 and 1.
    """

    side: int
    mean: Sequence[float]
    deviation: Sequence[float]
    gives: Literal["alpha", "logits", "map"]
    step: int = 0

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width at which an image of a size is shown."""
        if not self.step:
            return self.side, self.side
        scale = min(self.side / min(height, width), LARGEST / max(height, width))
        return tuple(max(self.step, round(side * scale / self.step) * self.step) for side in (height, width))


class OnnxCutter:
    """A cutter over a network of one picture, float32 (1, 3, h, w), whose first answer is (1, 1, h, w)."""

    def __init__(self, session: Any, manner: Manner) -> None:
        self._session, self._manner = session, manner
        self._input = session.get_inputs()[0].name
        self._output = session.get_outputs()[0].name

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Return the alpha, float32 0 to 1 of shape (height, width). Raises BadInput where it is no image."""
        import cv2

        check_image(image)
        height, width = image.shape[:2]
        high, wide = self._manner.size(height, width)
        smaller = high * wide < height * width
        shown = cv2.resize(image, (wide, high), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        mean, deviation = (np.float32(v) for v in (self._manner.mean, self._manner.deviation))
        pixels = ((shown.astype(np.float32) / 255 - mean) / deviation).transpose(2, 0, 1)[None]
        answer = self._session.run([self._output], {self._input: np.ascontiguousarray(pixels)})[0]
        found = np.asarray(answer, np.float32).reshape(answer.shape[-2:])
        if self._manner.gives == "logits":
            found = 1 / (1 + np.exp(-np.clip(found, -60, 60)))
        elif self._manner.gives == "map":
            low, high = float(found.min()), float(found.max())
            found = (found - low) / max(high - low, 1e-6)
        return np.clip(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)


def load(manner: Manner, folder: str | None, device: str, options: Any) -> OnnxCutter:
    import onnxruntime

    files = sorted(Path(folder or "").rglob("*.onnx"))
    if len(files) != 1:
        raise BadInput(f"One .onnx file is needed in {Path(folder or '').name}; there are {len(files)}.")
    wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
    there = onnxruntime.get_available_providers()
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    providers = [p for p in wanted if p in there] + ["CPUExecutionProvider"]
    try:
        session = onnxruntime.InferenceSession(str(files[0]), settings, providers=providers)
    except Exception as error:  # onnxruntime raises its own classes, which share no base
        reason = str(error).partition("\n")[0][:160]
        raise BadInput(f"{files[0].name} is no network that can be run: {reason}") from error
    return OnnxCutter(session, manner)


ON_THE_HUB = ("onnx/model.onnx", "*.json")
REMBG = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"  # copies of the authors' networks, in ONNX
BIREFNET = Manner(1024, *IMAGENET, "logits")


def _card(id: str, title: str, family: str, licence: str, download: Download, memory: int, manner: Manner,
          rank: int, note: str) -> Card:  # fmt: skip
    return Card(
        id=id,
        title=title,
        family=family,
        roles=("cutter",),
        prompts=(),
        licence=licence,
        load=partial(load, manner),
        memory_bytes=memory,
        download=download,
        options=NoOptions,
        packages=("onnxruntime",),
        note=note,
        rank=rank,
    )


def _released(name: str, size: int) -> Download:
    return Download("", size, addresses=(Address(f"{REMBG}/{name}", size),))


CARDS = [
    _card(
        "birefnet-lite",
        "BiRefNet lite",
        "BiRefNet",
        "MIT",
        Download("onnx-community/BiRefNet_lite-ONNX", 224_000_000, patterns=ON_THE_HUB),
        3_500_000_000,
        BIREFNET,
        10,
        "Whatever stands out, with fine edges.",
    ),
    _card(
        "birefnet",
        "BiRefNet",
        "BiRefNet",
        "MIT",
        _released("BiRefNet-general-epoch_244.onnx", 972_700_000),
        6_000_000_000,
        BIREFNET,
        20,
        "Finer than lite, and several times slower.",
    ),
    _card(
        "birefnet-portrait",
        "BiRefNet portrait",
        "BiRefNet",
        "MIT",
        _released("BiRefNet-portrait-epoch_150.onnx", 972_700_000),
        6_000_000_000,
        BIREFNET,
        21,
        "People, with their hair.",
    ),
    _card(
        "isnet",
        "IS-Net",
        "IS-Net",
        "Apache-2.0",
        _released("isnet-general-use.onnx", 178_600_000),
        1_500_000_000,
        Manner(1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), "map"),
        30,
        "Whatever stands out, quicker than BiRefNet and coarser.",
    ),
    _card(
        "modnet",
        "MODNet portrait",
        "MODNet",
        "Apache-2.0",
        Download("Xenova/modnet", 25_900_000, patterns=ON_THE_HUB),
        400_000_000,
        Manner(512, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "alpha", step=32),
        40,
        "People only: small and quick.",
    ),
]
