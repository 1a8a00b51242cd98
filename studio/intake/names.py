"""Names that came from outside, made fit to be shown, stored and written as files again."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from studio.images import SUFFIXES

MAX_PART = 120
MAX_PARTS = 8
FORBIDDEN = re.compile(r'[<>:"|?*]')  # Windows keeps these for itself
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)
ENDINGS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "AVIF": ".avif",
    "HEIF": ".heic",
    "JPEG2000": ".jp2",
    "PPM": ".ppm",
    "QOI": ".qoi",
}


def clean_name(name: str, fallback: str = "image") -> str:
    """Return a relative name with forward slashes that is safe to show and to write, never empty.

    Control, formatting and surrogate characters go, so do ``.`` and ``..``, drives and leading slashes.
    Long names keep their last eight parts, and each part its ending within 120 characters.
    """
    name = unicodedata.normalize("NFC", name[:100_000]).replace("\\", "/")
    name = "".join(c if unicodedata.category(c)[0] != "Z" else " " for c in name)
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn"))
    name = re.sub(r"^[A-Za-z]:(?=/|$)", "", name)
    parts = [_clean_part(part) for part in name.split("/")]
    kept = [part for part in parts if part][-MAX_PARTS:]
    return "/".join(kept) or fallback


def with_ending(name: str, format: str) -> str:
    """Return a name that ends as an image of Pillow's ``format`` does, leaving a known ending alone."""
    if suffix(name) in SUFFIXES or format not in ENDINGS:
        return name
    return name + ENDINGS[format]


def suffix(name: str) -> str:
    """Return the lower-case ending of a name with its dot, or an empty string."""
    return PurePosixPath(name).suffix.lower()


def _clean_part(part: str) -> str:
    part = FORBIDDEN.sub("_", re.sub(r" +", " ", part)).strip(" ")
    if not part.strip("."):
        return ""
    part = part.rstrip(". ")
    if DEVICES.match(part):
        part = "_" + part
    if len(part) > MAX_PART:
        ending = suffix(part)[:16]
        part = part[: MAX_PART - len(ending)].rstrip(". ") + ending
    return _within_bytes(part)


def _within_bytes(part: str) -> str:
    """Shorten until a file system that counts 255 bytes takes it with room for a number."""
    ending = suffix(part)[:16]
    stem = part[: len(part) - len(ending)] if ending else part
    while len((stem + ending).encode()) > 240:
        stem = stem[:-1]
    return stem + ending
