"""What every adapter asks of a picture before it looks at it."""

from __future__ import annotations

import numpy as np

from studio.errors import BadInput


def check_image(image: np.ndarray) -> None:
    """Raise BadInput where a picture is not uint8 of shape (height, width, 3), or has no pixel."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise BadInput(
            f"An image must be uint8 of shape (height, width, 3); got {image.dtype} {image.shape}."
        )
