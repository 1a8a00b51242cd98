"""Image files: decoded upright to 8-bit RGB within limits, and the small copies the browser is shown.

``decode`` is for files the studio has accepted. Files that were just uploaded go through
``studio.intake.guard``, which runs ``derive`` in a process of its own.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import (
    AvifImagePlugin,  # noqa: F401  each import registers a format with Pillow
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageChops,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    QoiImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)

from studio.errors import BadInput, MissingPackage
from studio.pixels import see_through, to_rgb

try:
    import pillow_heif
except ImportError:
    pillow_heif = None
else:
    pillow_heif.register_heif_opener(thumbnails=False)

MAX_PIXELS = 100_000_000
MAX_BYTES = 320 * 2**20
MAX_SIDE = 65_535
DISPLAY_SIDE = 4096
THUMBNAIL_SIDE = 256
REDUCED = 3  # times the size wanted, from which a JPEG may be decoded smaller than it is
LOSSLESS = ("PNG", "GIF", "BMP", "TIFF", "PPM", "QOI")
LOSSLESS_PIXELS = 2_000_000

# Pillow reads more than these, some by starting other programs (EPS) and some by guessing (TGA).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "QOI")
if pillow_heif is not None:
    FORMATS += ("HEIF",)
READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIF, JPEG 2000, PNM or QOI"
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .bmp .dib .tif .tiff .avif .avifs .heic .heif .hif "
    ".jp2 .j2k .jpf .jpx .j2c .pbm .pgm .ppm .pnm .qoi".split()
)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTER_TURNS = frozenset(TURNS[orientation] for orientation in (5, 6, 7, 8))
ORIENTATION = 0x0112

# MAX_PIXELS is checked here before anything is decoded, so Pillow's own, lower warning is only noise.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Derived:
    """What is kept beside an original: its upright size and the copies the browser is shown.

    ``format`` is Pillow's name ("JPEG"); ``display`` is None where the original can be shown as it is.
    """

    width: int
    height: int
    format: str
    display: bytes | None
    thumbnail: bytes


@dataclass(frozen=True)
class _Picture:
    rgb: Image.Image  # not yet turned upright
    turn: Image.Transpose | None
    format: str
    shown_as_is: bool


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes | Path, name: str = "") -> np.ndarray:
    """Return an image as uint8 RGB of shape (height, width, 3), upright, first frame, in sRGB.

    A file that is cut short is refused, unless every pixel of it is there (a JPEG without its end mark).
    Raises BadInput with one sentence, which begins with ``name`` where one is given.
    """
    picture = _read(_bytes(data, name), name)
    rgb = picture.rgb if picture.turn is None else picture.rgb.transpose(picture.turn)
    return np.array(rgb)


def decode_small(data: bytes | Path, side: int, name: str = "") -> np.ndarray:
    """Return an image as ``decode`` does, or a smaller one that serves to be reduced to ``side`` pixels.

    A JPEG is decoded at a half, quarter or eighth of its size where its shorter side is still REDUCED times ``side``
    then; all other files, and smaller ones, are decoded whole. What is then reduced to ``side`` differs by 1 of 255
    levels in the mean at most (Pillow's ``reducing_gap`` rests on the same), and a vector of it has a cosine of 0.9995
    at least with that of the whole: 0.9999 on photographs.
    """
    picture = _read(_bytes(data, name), name, REDUCED * side)
    rgb = picture.rgb if picture.turn is None else picture.rgb.transpose(picture.turn)
    return np.array(rgb)


def derive(data: bytes, name: str = "") -> Derived:
    """Decode every pixel of a file and make its display copy and thumbnail. Raises BadInput."""
    picture = _read(_bytes(data, name), name)
    rgb, (width, height) = picture.rgb, picture.rgb.size
    small = _fit(rgb, DISPLAY_SIDE)  # before it is turned: turning a large image would take its size again
    if picture.turn is not None:
        small = small.transpose(picture.turn)
    if picture.turn in QUARTER_TURNS:
        width, height = height, width
    display = None if picture.shown_as_is else _shown(small, picture.format)
    return Derived(width, height, picture.format, display, encode_thumbnail(small))


def encode_thumbnail(image: np.ndarray | Image.Image) -> bytes:
    """Return a JPEG of an upright RGB image whose longer side is at most 256 pixels."""
    return _jpeg(_fit(_as_pillow(image), THUMBNAIL_SIDE), quality=82)


def encode_display(data: bytes | Path, name: str = "") -> bytes | None:
    """Return an image for a browser, longer side at most 4,096 pixels, or None where it needs no other.

    None means the original is an upright, opaque, still JPEG, PNG or WebP of 8 bits and at most that size.
    """
    return derive(_bytes(data, name), name).display


def tiles(height: int, width: int, size: int, overlap: int = 0) -> Iterator[tuple[int, int, int, int]]:
    """Yield x0, y0, x1, y1 of squares that cover an image, each sharing ``overlap`` pixels with the next.

    The last of a row or column is moved back inside, so every tile is whole where the image is large enough.
    """
    if size < 1 or not 0 <= overlap < size:
        raise BadInput(f"Tiles need a size of at least 1 and an overlap below it; got {size} and {overlap}.")
    for top in _starts(height, size, overlap):
        for left in _starts(width, size, overlap):
            yield left, top, min(left + size, width), min(top + size, height)


def _starts(length: int, size: int, overlap: int) -> list[int]:
    last = max(0, length - size)
    return sorted({min(start, last) for start in range(0, last + size - overlap, size - overlap)})


# ---- reading ------------------------------------------------------------------------------------


def _bytes(data: bytes | Path, name: str) -> bytes:
    length = data.stat().st_size if isinstance(data, Path) else len(data)
    if length == 0:
        raise BadInput(f"{_who(name)} is empty (0 bytes).")
    if length > MAX_BYTES:
        raise BadInput(
            f"{_who(name)} has {length / 2**20:,.0f} MB; an image may have {MAX_BYTES // 2**20} MB. "
            "Save it with more compression."
        )
    return data.read_bytes() if isinstance(data, Path) else data


def _read(data: bytes, name: str, least: int = 0) -> _Picture:
    """Read an image; with ``least`` a JPEG may come smaller, with no side shorter than that."""
    image = _open(data, name)
    if least and image.format == "JPEG":
        share = least / min(image.size)
        image.draft(None, (math.ceil(image.width * share), math.ceil(image.height * share)))
    deep = image.format == "PNG" and any(";16" in str(tile[3]) for tile in image.tile)
    image, mended = _load(image, data, name)
    turn = TURNS.get(_orientation(image))
    shown_as_is = (
        image.format in ("JPEG", "MPO", "PNG", "WEBP")
        and image.mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
        and (image.format in ("JPEG", "MPO") or getattr(image, "n_frames", 1) == 1)
        and max(image.size) <= DISPLAY_SIDE
        and not (deep or mended or turn)
        and not see_through(image)
    )
    format = "JPEG" if image.format == "MPO" else str(image.format)
    try:
        return _Picture(to_rgb(image), turn, format, shown_as_is)
    except (OSError, ValueError, SyntaxError) as error:
        raise _damaged(name, error) from None


def _open(data: bytes, name: str) -> Image.Image:
    """Read the header alone, and refuse what is too large before any pixel is decoded."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise _unknown_kind(data, name) from None
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        raise _too_many_pixels(name, int(found.group()) if found else MAX_PIXELS + 1) from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise nearly anything on a damaged header
        raise _damaged(name, error) from None
    _check_size(image, name)
    if image.format == "TIFF" and (50706 in image.tag_v2 or _number(image.tag_v2.get(254)) & 1):
        raise BadInput(
            f"{_who(name)} is a camera's raw file, of which only a small preview could be read. "
            "Export it from the camera's program as JPEG or TIFF."
        )
    return image


def _load(image: Image.Image, data: bytes, name: str) -> tuple[Image.Image, bool]:
    """Decode the pixels; the second value says that a missing end was mended."""
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # as above: struct.error, RuntimeError, IndexError, SyntaxError …
        if image.format not in ("JPEG", "MPO") or "truncated" not in str(error):
            raise _damaged(name, error) from None
        image = _mended(data, name)
        return image, True
    _check_size(image, name)  # HEIF and TIFF may turn out otherwise than their headers said
    return image, False


def _mended(data: bytes, name: str) -> Image.Image:
    """Decode a JPEG that stops early, if all its pixels are there.

    Two different endings are put behind it; pixels that differ are those whose bits are missing.
    """
    endings = (b"\xff\xd9", b"\x6a" * 65536 + b"\xff\xd9")
    try:
        first, second = (Image.open(io.BytesIO(data + end), formats=("JPEG",)) for end in endings)
        first.load()
        second.load()
        differ = ImageChops.difference(first, second).getbbox()
    except MemoryError:
        raise
    except Exception:  # as in _load
        raise _cut_short(name) from None
    if differ is not None:
        known = f": only the first {differ[1]} of its {first.height} rows are there" if differ[1] else ""
        raise _cut_short(name, known)
    return first


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation still to be applied to a loaded image, 1 to 8."""
    if image.format == "HEIF":
        return 1  # libheif turns by irot and imir; what EXIF repeats is not to be applied again
    try:
        if image.format == "AVIF":  # Pillow writes irot and imir into EXIF; XMP has no say here
            exif = Image.Exif()
            exif.load(image.info.get("exif", b""))
        else:
            exif = image.getexif()  # after loading, a TIFF has been turned and says so
        return _number(exif.get(ORIENTATION)) or 1
    except Exception:  # the same parsers on the same hostile bytes; a broken tag turns nothing
        return 1


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


# ---- sentences ----------------------------------------------------------------------------------


def _who(name: str) -> str:
    return f"“{name[:200]}”" if name else "The file"


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(name, width * height, f"{width:,} × {height:,} = ")
    if max(width, height) > MAX_SIDE:
        raise BadInput(
            f"{_who(name)} is {width:,} × {height:,} pixels; a side may have {MAX_SIDE:,}. Cut it into parts."
        )
    if min(width, height) < 1:
        raise BadInput(f"{_who(name)} says it is {width} × {height} pixels; there is nothing to see.")


def _too_many_pixels(name: str, pixels: int, sides: str = "") -> BadInput:
    return BadInput(
        f"{_who(name)} has {sides}{pixels / 1e6:,.0f} megapixels; an image may have "
        f"{MAX_PIXELS / 1e6:,.0f}. Scale it down or cut it into parts."
    )


def _cut_short(name: str, known: str = "") -> BadInput:
    return BadInput(f"{_who(name)} is cut short{known}. Copy it again from where it came from.")


def _damaged(name: str, error: Exception) -> BadInput:
    if "truncated" in str(error).lower():
        return _cut_short(name)
    detail = re.sub(r"\s+", " ", str(error)).strip(" .")[:100]
    said = f" (its decoder says: {detail})" if detail and "<" not in detail else ""
    return BadInput(f"{_who(name)} is damaged or of a kind that cannot be read{said}. Save it anew as PNG.")


def _unknown_kind(data: bytes, name: str) -> BadInput | MissingPackage:
    head = data[:512].lstrip().lower()
    if pillow_heif is None and data[4:8] == b"ftyp":
        return MissingPackage(f"{_who(name)} seems to be HEIF. To read it: pip install pillow-heif")
    kinds = {
        b"pk\x03\x04": "a zip archive, which is added as a file of its own",
        b"%pdf": "a PDF",
        b"<svg": "an SVG drawing, which has no pixels",
        b"<?xml": "XML",
        b"<!doctype html": "a web page",
        b"<html": "a web page",
        b"8bps": "a Photoshop file",
    }
    kind = next((said for start, said in kinds.items() if head.startswith(start)), "")
    said = f"is {kind}" if kind else "is not an image the studio can read, or its beginning is damaged"
    return BadInput(f"{_who(name)} {said}. Images may be {READABLE}.")


# ---- writing ------------------------------------------------------------------------------------


def _as_pillow(image: np.ndarray | Image.Image) -> Image.Image:
    return image if isinstance(image, Image.Image) else Image.fromarray(image)


def _fit(image: Image.Image, side: int) -> Image.Image:
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def _shown(image: Image.Image, format: str) -> bytes:
    """Encode without loss what came without loss and is small; otherwise as a good JPEG."""
    if format in LOSSLESS and image.width * image.height <= LOSSLESS_PIXELS:
        out = io.BytesIO()
        image.save(out, "PNG", compress_level=3)
        return out.getvalue()
    return _jpeg(image, quality=92, subsampling=0)


def _jpeg(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()
