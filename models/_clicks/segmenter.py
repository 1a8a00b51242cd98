"""The segmenter over RITM, FocalClick and CDNet."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from models._clicks import cdnet, focal, ritm
from models._clicks.checkpoint import ClickCheckpoint
from models._clicks.ritm import State
from models._clicks.zoom import Click
from models._images import check_image
from studio.adapters import Candidate, Embedding
from studio.annotations import Mask, Point, Prompt
from studio.errors import BadInput

MASK_SHOWS = 0.5  # probability above which a pixel belongs to the object
REMEMBERED_BYTES = 256 << 20  # of answers to go on from; a large photograph's takes 50 MB


@dataclass(frozen=True)
class Picture:
    """A picture as it came, and a digest of it: there is nothing to encode ahead."""

    pixels: np.ndarray
    digest: bytes


@dataclass(frozen=True)
class Answered:
    """Names an answer that the segmenter remembers for a while, by the clicks that led to it."""

    number: int
    clicks: tuple[Click, ...]


@dataclass(frozen=True)
class _Remembered:
    digest: bytes
    begun: Mask | None
    clicks: tuple[Click, ...]
    state: State


class ClickSegmenter:
    """Answers clicks one after the other, each from the answer before; a mask to begin with is corrected.

    The network sees picture, clicks and mask together at every click. Where the answer before is not remembered
    (an undo, another model before), the clicks are played again from the first, which gives the same.
    """

    def __init__(
        self, checkpoint: ClickCheckpoint, device: str = "cpu", *, remembered_bytes: int = REMEMBERED_BYTES
    ) -> None:
        self._pipeline = checkpoint.pipeline
        self._network = checkpoint.network.to(device)
        self._device = torch.device(device)
        self._remembered: OrderedDict[int, _Remembered] = OrderedDict()
        self._most = remembered_bytes
        self._numbers = count()

    def embed(self, image: np.ndarray) -> Embedding:
        """Keep an image of shape (height, width, 3). Raises BadInput where it is not such an image."""
        check_image(image)
        kept = np.array(image, order="C")
        return Embedding(*image.shape[:2], Picture(kept, hashlib.blake2b(kept).digest()), kept.nbytes)

    def segment(self, embedding: Embedding, prompt: Prompt, previous: Any = None) -> list[Candidate]:
        """Return one candidate. Raises BadInput without a click, for a box, and for a mask of another size."""
        if prompt.box is not None:
            raise BadInput("This model takes clicks, no boxes. Click the object, or choose a SAM for boxes.")
        if not prompt.points:
            raise BadInput("Click the object. This model starts from a click, also to correct a mask.")
        size = (embedding.height, embedding.width)
        clicks = tuple(_click(p, size) for p in prompt.points)
        state, done = _beginning(prompt.mask, size), 0
        if (before := self._recall(previous, embedding.data, prompt.mask, clicks)) is not None:
            state, done = before.state, len(before.clicks)
        picture = torch.from_numpy(embedding.data.pixels).to(self._device)
        picture = picture.permute(2, 0, 1)[None]
        with torch.inference_mode(), self._exact():
            for number in range(done + 1, len(clicks) + 1):
                state = self._answer(picture, clicks[:number], state, begun=prompt.mask is not None)
        shown = state.shown > MASK_SHOWS
        score = cv2.mean(state.probability, shown.view(np.uint8))[0]  # 0 where nothing is shown
        answered = self._remember(_Remembered(embedding.data.digest, prompt.mask, clicks, state))
        return [Candidate(Mask.from_array(shown), score, answered)]

    def _answer(
        self, picture: Tensor, clicks: Sequence[Click], before: State | None, *, begun: bool
    ) -> State:
        if self._pipeline == "ritm":  # its network takes the mask in
            return ritm.answer(self._network, picture, clicks, before)
        if self._pipeline == "cdnet":
            after = cdnet.answer(self._network, picture, clicks, before)
        else:
            after, _ = focal.answer(self._network, picture, clicks, before)
        if not begun or before is None:
            return after
        # A mask that came from elsewhere keeps what the click was not about.
        now, then = after.probability > MASK_SHOWS, before.shown > MASK_SHOWS
        return replace(after, merged=focal.merged(now, then, clicks[-1]))

    def _recall(
        self, previous: Any, picture: Picture, begun: Mask | None, clicks: tuple[Click, ...]
    ) -> _Remembered | None:
        """Return the answer to the first of the clicks, where it is remembered and belongs to this picture."""
        found = self._remembered.get(previous.number) if isinstance(previous, Answered) else None
        if found is None or found.digest != picture.digest or found.begun != begun:
            return None
        goes_on = len(found.clicks) < len(clicks) and found.clicks == clicks[: len(found.clicks)]
        return found if goes_on else None

    def _remember(self, answer: _Remembered) -> Answered:
        number = next(self._numbers)
        self._remembered[number] = answer
        total = sum(kept.state.nbytes for kept in self._remembered.values())
        while total > self._most and self._remembered:
            total -= self._remembered.popitem(last=False)[1].state.nbytes
        return Answered(number, answer.clicks)

    def _exact(self) -> AbstractContextManager[Any]:
        """Return the context in which a graphics card convolves in full 32 bits: hard thresholds lie ahead."""
        if self._device.type != "cuda":
            return nullcontext()
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def _beginning(mask: Mask | None, size: tuple[int, int]) -> State | None:
    if mask is None:
        return None
    if (mask.height, mask.width) != size:
        raise BadInput(f"The mask is {mask.width} × {mask.height}, but the image is {size[1]} × {size[0]}.")
    return State(mask.to_array().astype(np.float32))


def _click(point: Point, size: tuple[int, int]) -> Click:
    """Return a click as these networks count: the pixel's row and column."""
    row, column = (min(max(int(v), 0), limit - 1) for v, limit in ((point.y, size[0]), (point.x, size[1])))
    return float(row), float(column), point.positive
