"""From any Pillow image to 8-bit sRGB: depth, palettes, transparency, CMYK, Lab and colour profiles."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

DEPTHS = (8, 10, 12, 14, 16)
WHITE = (255, 255, 255)
STRIP = 1 << 22  # pixels turned at a time, so that a large image is not held twice as floats


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded image as mode RGB in sRGB.

    Transparency is laid over white. CMYK comes as Pillow gives it, Adobe's inversion undone. An embedded
    colour profile is applied where it fits the image's mode, and left aside where it does not or is broken.
    Grey of more than 8 bits is mapped by ``to_8_bit``; colour of more than 8 bits keeps its high byte.
    """
    profile = image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return to_8_bit(image).convert("RGB")
    if image.mode == "LAB":
        return _through(ImageCms.createProfile("LAB"), image) or image.convert("L").convert("RGB")
    if image.mode in ("CMYK", "L") and profile and not _see_through(image):
        return _by_profile(image, profile) or image.convert("RGB")
    flat = _over_white(image) if _see_through(image) else image.convert("RGB")
    return (_by_profile(flat, profile) if profile else None) or flat


def see_through(image: Image.Image) -> bool:
    """Return whether any pixel of a loaded image is not fully opaque."""
    if not _see_through(image):
        return False
    if "A" in image.getbands():
        return image.getchannel("A").getextrema()[0] < 255
    return True


def to_8_bit(image: Image.Image) -> Image.Image:
    """Map one band of 16-bit, 32-bit or float values to mode L.

    Whole numbers up to 65,535 are divided by the range of the smallest depth of 8, 10, 12, 14 or 16 bits
    that holds the largest value: cameras keep 12 bits in files of 16, and those must not come out black.
    HEIF values always fill 16 bits. Floats from 0 to 1 are a share of white. Whatever fits neither is
    stretched from its least to its greatest finite value; what is not finite becomes black.
    """
    low, high = np.inf, -np.inf
    for top, bottom in _strips(image):
        values = _strip(image, top, bottom)
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    low, high = _range(low, high, image)
    out = Image.new("L", image.size)
    for top, bottom in _strips(image):
        values = np.nan_to_num(_strip(image, top, bottom), nan=low, posinf=high, neginf=low)
        values = np.clip((values - low) * (255.0 / (high - low)), 0, 255)
        out.paste(Image.fromarray(np.rint(values).astype(np.uint8)), (0, top))
    return out


def _strips(image: Image.Image) -> list[tuple[int, int]]:
    rows = max(1, STRIP // max(1, image.width))
    return [(top, min(top + rows, image.height)) for top in range(0, image.height, rows)]


def _strip(image: Image.Image, top: int, bottom: int) -> np.ndarray:
    return np.asarray(image.crop((0, top, image.width, bottom))).astype(np.float64)


def _range(low: float, high: float, image: Image.Image) -> tuple[float, float]:
    if high < low:
        return 0.0, 1.0
    if image.mode == "F" and low >= 0 and high <= 1:
        return 0.0, 1.0
    if image.format == "HEIF":
        return 0.0, 65535.0
    if low >= 0 and high <= 65535:
        return 0.0, next(float(2**bits - 1) for bits in DEPTHS if high <= 2**bits - 1)
    return low, high if high > low else low + 1.0


def _see_through(image: Image.Image) -> bool:
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def _over_white(image: Image.Image) -> Image.Image:
    try:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
    except ValueError:  # a colour key that does not fit the mode
        return image.convert("RGB")
    flat = Image.new("RGB", image.size, WHITE)
    for top, bottom in _strips(image):
        strip = layer.crop((0, top, image.width, bottom))
        flat.paste(strip, (0, top), mask=strip)
    return flat


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space.strip()
        name = opened.profile.profile_description or ""
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space) != image.mode:
        return None
    if image.mode == "RGB" and name.startswith("sRGB"):
        return image
    return _through(opened, image)


def _through(profile: object, image: Image.Image) -> Image.Image | None:
    try:
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ValueError):
        return None
