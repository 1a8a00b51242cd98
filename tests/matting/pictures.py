"""Drawn pictures whose alpha is known, and a studio that can matte them without a download."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from models import matting
from studio.annotations import Annotation, Mask
from studio.project import Change, ImageRecord
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import disc_card


def soft_disc(
    height: int = 120, width: int = 160, *, softness: float = 6.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture, uint8 (h, w, 3), of an orange disc before green leaves, and its alpha, float32 (h, w)."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[:height, :width]
    away = np.hypot(ys - height / 2, xs - width / 2) - 0.3 * min(height, width)
    alpha = np.clip(0.5 - away / softness, 0, 1).astype(np.float32)
    noise = cv2.GaussianBlur(rng.normal(0, 40, (height, width, 1)).astype(np.float32), (0, 0), 2)[..., None]
    fore, back = np.float32((230, 120, 30)) + noise, np.float32((40, 110, 50)) - noise
    picture = fore * alpha[..., None] + back * (1 - alpha[..., None])
    return np.clip(picture, 0, 255).astype(np.uint8), alpha


def png(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def studio_in(folder, *more) -> Studio:
    """Return a studio with the disc segmenter, the matters that need no download, and ``more`` cards."""
    return Studio(Settings(folder, sample=False), registry=Registry([disc_card(), *matting.CARDS, *more]))


def add(studio: Studio, project_id: str, picture: np.ndarray, name: str = "a.png") -> ImageRecord:
    data = png(picture)
    record, _ = studio.store.add_image(
        project_id,
        name,
        data,
        width=picture.shape[1],
        height=picture.shape[0],
        display=None,
        thumbnail=data,
        person="local",
    )
    return record


def put_mask(
    studio: Studio, image: ImageRecord, mask: np.ndarray, name: str = "fruit", **facts
) -> Annotation:
    made = Annotation(name, Mask.from_array(mask), **facts)
    return studio.store.apply(image.id, "local", [Change(made)], verb="put").put[0]
