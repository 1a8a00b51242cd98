"""Reading and writing masks as PNG: single-channel, bounded before a pixel is decoded."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from studio.errors import BadInput
from studio.formats.importing import MOST_PIXELS

_WHOLE = ("1", "L", "P", "I", "I;16", "I;16B")


def read_png(source: Path | bytes, most: int = MOST_PIXELS) -> np.ndarray:
    """Return a PNG's values, uint8 or int32 of shape (height, width); an index PNG gives its indices.

    Grey stored as colour is taken for grey. Raises BadInput for true colours and for what is no PNG.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound below is ours
            stream = BytesIO(source) if isinstance(source, bytes) else source
            with Image.open(stream, formats=["PNG"]) as picture:
                if picture.width * picture.height > most:
                    raise BadInput(f"it has {picture.width} × {picture.height} pixels, too many for a mask.")
                if picture.mode in _WHOLE:
                    picture = picture.convert("L") if picture.mode == "1" else picture
                    values = np.array(picture)
                    return values if values.dtype == np.uint8 else values.astype(np.int32)
                colours = np.array(picture.convert("RGB" if picture.mode != "LA" else "L"))
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError) as error:
        reason = str(error).partition("\n")[0][:80]
        raise BadInput(f"it is not a PNG that can be read ({reason or type(error).__name__}).") from None
    if colours.ndim == 3:
        if (colours != colours[..., :1]).any():
            raise BadInput("it is a colour picture, not a mask: each pixel must hold one number.")
        colours = colours[..., 0]
    return np.ascontiguousarray(colours)


def png_size(path: Path) -> tuple[int, int, str] | None:
    """Return (width, height, mode) from the header of a PNG, or None where it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG"]) as picture:
                return picture.width, picture.height, picture.mode
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None


def png_bytes(values: np.ndarray, colours: list[int] | None = None) -> bytes:
    """Encode uint8 (with a palette: indexed) or uint16 values of shape (height, width)."""
    picture = Image.fromarray(values)
    if colours is not None:
        picture = picture.convert("L")
        picture.putpalette(colours)
    stream = BytesIO()
    picture.save(stream, "PNG", optimize=False)
    return stream.getvalue()


def palette() -> list[int]:
    """Return 256 colours as flat r, g, b: Pascal VOC's, whose neighbours differ in the highest bits."""
    index = np.arange(256)
    colours = np.zeros((256, 3), int)
    for bit in range(3):
        for channel in range(3):
            colours[:, channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    return colours.ravel().tolist()
