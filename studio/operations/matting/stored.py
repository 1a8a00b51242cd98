"""Alphas in the store: their pixels, their trimaps, the cut-outs made of them, and new ones put in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from studio import images
from studio.adapters import Card
from studio.annotations import Alpha, Annotation, Mask
from studio.cutouts import cutout_of, encoded, to_bytes
from studio.errors import BadInput, NotFound
from studio.formats.pngs import png_bytes, read_png
from studio.operations.matting.trimaps import levelled
from studio.project import ImageRecord
from studio.studio import Studio

Bits = Literal[8, 16]
SHOWN_SIDE = 4096  # pixels of the longer side of what a page is given
CUTOUT = ".cutout-"  # and the beginning of the image's digest: how a cut-out is kept beside its alpha


@dataclass(frozen=True)
class Kept:
    """An alpha on its way into the store, with the files that it names, by digest."""

    shape: Alpha
    files: dict[str, bytes]


def kept(alpha: np.ndarray, trimap: np.ndarray | None = None, bits: Bits = 8) -> Kept:
    """Return an alpha, float32 0 to 1 (h, w), and its trimap as the store takes them.

    Raises BadInput where it is empty, or of bits other than 8 or 16.
    """
    if bits not in (8, 16):
        raise BadInput(f"An alpha is kept with 8 or 16 bits, not {bits}.")
    if not (alpha > 0.5 / 255).any():
        raise BadInput(
            "Nothing of the image is left in this matte. Paint some foreground into the trimap, or choose another "
            "model."
        )
    values = to_bytes(alpha) if bits == 8 else (np.clip(alpha, 0, 1) * 65535 + 0.5).astype(np.uint16)
    files = {}
    data = png_bytes(values)
    files[digest := images.digest(data)] = data
    trimap_digest = None
    if trimap is not None:
        data = png_bytes(trimap)
        files[trimap_digest := images.digest(data)] = data
    height, width = alpha.shape
    half = Mask.from_array(values >= (1 << (bits - 1)))
    return Kept(Alpha(height, width, digest, trimap_digest, half), files)


def alpha_of(studio: Studio, image: ImageRecord, shape: Alpha) -> np.ndarray:
    """Return a stored alpha, float32 0 to 1 of shape (height, width). Raises NotFound where its file is gone."""
    return read_alpha(studio.store.alpha_path(image.id, shape.digest))


def trimap_stored(studio: Studio, image: ImageRecord, shape: Alpha) -> np.ndarray | None:
    """Return the trimap that an alpha was made from, uint8 0, 128 and 255; None where there was none."""
    if shape.trimap_digest is None:
        return None
    return levelled(read_png(studio.store.alpha_path(image.id, shape.trimap_digest), images.MAX_PIXELS))


def read_alpha(source: Path | bytes) -> np.ndarray:
    """Read an alpha's PNG of 8 or 16 bits, float32 0 to 1. Raises BadInput for anything else."""
    values = read_png(source, images.MAX_PIXELS)
    return values.astype(np.float32) / (255 if values.dtype == np.uint8 else 65535)


def alpha_named(studio: Studio, image: ImageRecord, annotation_id: str) -> tuple[Annotation, Alpha]:
    """Return an annotation that is an alpha, and its shape. Raises BadInput where it is none or is not there."""
    found = studio.store.annotation(image.id, annotation_id)
    if found is None:
        raise BadInput("The object is not on this image any more. Choose another one, or undo.")
    if not isinstance(found.shape, Alpha):
        raise BadInput("This object has no matte yet. Make one first.")
    return found, found.shape


def cutout(studio: Studio, image: ImageRecord, shape: Alpha) -> np.ndarray:
    """Return the object that an alpha cuts out, uint8 RGBA (h, w, 4), in its own colours, without a fringe."""
    pixels = images.decode(studio.store.original_path(image), image.name)
    return cutout_of(pixels, alpha_of(studio, image, shape))


def cutout_shown(studio: Studio, image: ImageRecord, digest: str) -> Path:
    """Return the file of a cut-out for a page, RGBA WebP of at most SHOWN_SIDE pixels; made once, and then kept.

    ``digest`` is the alpha's. Raises NotFound where the image has no such alpha.
    """
    path = studio.store.alpha_path(image.id, digest)
    kind = f"{CUTOUT}{image.digest[:16]}"
    there = studio.store.beside_alpha(image.id, digest, kind)
    if there is None:
        pixels = images.decode(studio.store.original_path(image), image.name)
        alpha = read_alpha(path)
        scale = min(1.0, SHOWN_SIDE / max(alpha.shape))
        if scale < 1:
            size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
            pixels, alpha = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (pixels, alpha))
        there = studio.store.beside_alpha(image.id, digest, kind, encoded(cutout_of(pixels, alpha), "webp"))
    return there


def models_of(studio: Studio, before: Annotation | None, *added: Card) -> tuple[str, str]:
    """Return model and version of a matte: those that made the mask it comes from, then the ``added`` ones.

    Whatever made an earlier matte of it is left out.
    """
    chain: dict[str, str] = {}
    if before is not None and before.model:
        names, versions = before.model.split("+"), (before.model_version or "").split("+")
        chain = {n: v for n, v in zip(names, versions, strict=False) if not _makes_mattes(studio, n)}
    chain |= {card.id: card.version for card in added}
    return "+".join(chain), "+".join(chain.values())


def _makes_mattes(studio: Studio, model_id: str) -> bool:
    try:
        return bool({"matter", "cutter"} & set(studio.registry.card(model_id).roles))
    except NotFound:
        return False
