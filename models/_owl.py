"""What OWLv2's encoder makes of an image, and how an example's vector is picked from it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models._images import check_image
from studio.adapters import Detection
from studio.annotations import Box

NEAR_BEST = 0.8  # share of the best overlap at which a box still is that of the example


@dataclass(frozen=True)
class Seen:
    """What the encoder made of one image, for each of n patches.

    ``corners`` (n, 4) are boxes as shares of the network's square, ``vectors`` (n, d) not of unit length, ``shift``
    and ``scale`` (n,) turn a cosine into a logit, ``objectness`` is (n,), or None for OWL-ViT.
    """

    corners: Any
    vectors: Any
    shift: Any
    scale: Any
    objectness: Any | None = None

    @property
    def nbytes(self) -> int:
        parts = (self.corners, self.vectors, self.shift, self.scale, self.objectness)
        return sum(p.numel() * p.element_size() for p in parts if p is not None)

    def logits(self, queries: Any) -> Any:
        """Return (n, m) for unit vectors (m, d)."""
        return (unit(self.vectors) @ queries.T + self.shift[:, None]) * self.scale[:, None]


def read_map(model: Any, maps: Any) -> list[Seen]:
    """Return what the heads of a model make of its encoder's maps, (images, h, w, d) in float32."""
    import torch

    features = maps.flatten(1, 2)
    centre, size = model.box_predictor(features, maps).split(2, dim=-1)
    corners = torch.cat([centre - size / 2, centre + size / 2], dim=-1)
    head = model.class_head
    vectors = head.dense0(features)
    shift, scale = head.logit_shift(features)[..., 0], head.elu(head.logit_scale(features))[..., 0] + 1
    parts = [corners, vectors, shift, scale]
    if hasattr(model, "objectness_predictor"):
        parts.append(model.objectness_predictor(features))
    return [Seen(*(part[i].clone() for part in parts)) for i in range(len(maps))]


def query(seen: Seen, box: Any | None) -> Any:
    """Return the vector (d,) of the patch that sees the thing in a box (4,), or the thing the image shows.

    Of the patches whose boxes fit about as well as the best, OWLv2 takes the one surest to be a thing, as its
    authors do; OWL-ViT, which has no such sense, the one least like the image as a whole.
    """
    import torch
    from torchvision.ops import box_iou, generalized_box_iou

    if box is None and seen.objectness is not None:
        return seen.vectors[seen.objectness.argmax()]
    if box is None:
        box = seen.corners.new_tensor([0, 0, 1, 1])
    fit = box_iou(box[None], seen.corners)[0]
    if not fit.any():
        fit = generalized_box_iou(box[None], seen.corners)[0]
    best = fit.max()
    near = torch.nonzero(fit >= best * (NEAR_BEST if best > 0 else 1))[:, 0]
    if seen.objectness is not None:
        return seen.vectors[near[seen.objectness[near].argmax()]]
    return seen.vectors[near[(seen.vectors[near] @ seen.vectors.mean(0)).argmin()]]


def unit(vectors: Any) -> Any:
    return vectors / (vectors.norm(dim=-1, keepdim=True) + 1e-6)


def check(images: Sequence[np.ndarray]) -> None:
    for image in images:
        check_image(image)


def digest(image: np.ndarray) -> bytes:
    made = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    made.update(np.ascontiguousarray(image))
    return made.digest()


def shrunk(image: np.ndarray, limit: int) -> np.ndarray:
    """Return an image of at most ``limit`` pixels a side; boxes are shares of it, so nothing else changes."""
    longest = max(image.shape[:2])
    if longest <= limit:
        return image
    import cv2

    height, width = (max(1, round(v * limit / longest)) for v in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def cut(image: np.ndarray, box: Box) -> np.ndarray:
    x0, y0 = int(box.x0), int(box.y0)
    return image[y0 : max(y0 + 1, round(box.y1)), x0 : max(x0 + 1, round(box.x1))]


def found(
    corners: Any, logits: Any, labels: Any, image: np.ndarray, names: Sequence[str], overlap: float
) -> list[Detection]:
    """Return detections, best first, without the weaker of two of a name that overlap by more than ``overlap``.

    ``corners`` are pixels (n, 4), ``logits`` and ``labels`` (n,); what lies beside the image is left out.
    """
    import torch
    from torchvision.ops import batched_nms

    if overlap < 1:
        order = batched_nms(corners, logits, labels, overlap)
    else:
        order = logits.argsort(descending=True, stable=True)
    height, width = image.shape[:2]
    corners = torch.minimum(corners.clamp(min=0), corners.new_tensor([width, height, width, height]))
    order = order[((corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1]))[order]]
    scores = torch.sigmoid(logits[order]).tolist()
    rows = zip(labels[order].tolist(), scores, corners[order].tolist(), strict=True)
    return [Detection(names[label], score, Box(*xyxy)) for label, score, xyxy in rows]
