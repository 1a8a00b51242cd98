"""What every adapter asks of a picture before it looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from studio.errors import BadInput


def check_image(image: np.ndarray) -> None:
    """Raise BadInput where a picture is not uint8 of shape (height, width, 3), or has no pixel."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise BadInput(
            f"An image must be uint8 of shape (height, width, 3); got {image.dtype} {image.shape}."
        )


def batches(processor: Any, images: Sequence[np.ndarray]) -> Iterator[tuple[list[int], Any]]:
    """Yield images as their processor makes them, float32 (n, 3, h, w), each group with their places in the list.

    Some processors keep the aspect: only those that come out at one size go through a network together.
    """
    import torch

    made = [
        processor(image, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
        for image in images
    ]
    by_size: dict[tuple[int, ...], list[int]] = {}
    for i, one in enumerate(made):
        by_size.setdefault(tuple(one.shape), []).append(i)
    for members in by_size.values():
        yield members, torch.cat([made[i] for i in members])
