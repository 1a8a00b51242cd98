"""Many prompts in one run of a decoder: which go together, and which answers are worth a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studio.annotations import Prompt
from studio.errors import BadInput

OFFSET = 1.0  # logits by which the threshold is moved to see how much of a mask stays


def together(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Return the places of prompts of one form: as many points, with or without a box.

    Raises BadInput for a prompt without either, or with a mask.
    """
    forms: dict[tuple[int, bool], list[int]] = {}
    for place, prompt in enumerate(prompts):
        if prompt.mask is not None or not (prompt.points or prompt.box):
            raise BadInput("Many prompts at once must be clicks or boxes, without a mask to correct.")
        forms.setdefault((len(prompt.points), prompt.box is not None), []).append(place)
    return list(forms.values())


def worthy(
    logits: np.ndarray,
    scores: np.ndarray,
    floor: float,
    steady: float,
    part: tuple[int, int] | None = None,
) -> list[tuple[int, float]]:
    """Return the places and stabilities, best score first, of the answers (n, h, w) that reach both marks.

    ``part`` is the height and width of the logits that the image takes up, where that is not all of them.
    """
    high, wide = part or logits.shape[-2:]
    steadiness = stability(logits[:, :high, :wide])
    return [
        (int(i), float(steadiness[i]))
        for i in np.argsort(-scores, kind="stable")
        if scores[i] >= floor and steadiness[i] >= steady
    ]


def stability(logits: np.ndarray) -> np.ndarray:
    """Return for each of (n, h, w) the IoU of its mask cut a little higher and a little lower.

    The stability score of Kirillov et al., Segment Anything, 2023, on logits as the decoder gives them; 0 for a
    mask of nothing.
    """
    inner = (logits > OFFSET).sum((-2, -1))
    outer = (logits > -OFFSET).sum((-2, -1))
    return np.where(outer > 0, inner / np.maximum(outer, 1), 0.0)
