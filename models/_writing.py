"""Texts as networks write them: piece by piece for somebody who listens, and how sure each place in them was."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

_TOKEN = object()  # stands in the queue of pieces behind each token


def stream(
    tokenizer: Any,
    write: Callable[..., Any],
    *,
    tags: Sequence[str] | None = None,
    prompt: bool = False,
    begun: Sequence[int] = (),
) -> Iterator[str]:
    """Yield pieces of a text while ``write(streamer=…, stopping_criteria=…)`` has a network write it.

    It writes in a thread of its own, and one token each time that a piece is asked for, so that nothing is computed
    in between; where a token makes no text yet, the piece is empty. When nobody listens any more, it stops. An error
    in it is raised here. Special tokens are left out, or only ``tags`` where these are given. ``prompt`` says that a
    network writes its prompt over again first, which is left out; ``begun`` are tokens of it that belong to the text.
    """
    import torch
    import transformers

    streamer = transformers.TextIteratorStreamer(
        tokenizer, skip_prompt=prompt, skip_special_tokens=tags is None
    )
    streamer.token_cache.extend(begun)
    left, wanted = threading.Event(), threading.Semaphore(0)
    failed: list[Exception] = []

    def done(ids: Any, scores: Any, **_: Any) -> Any:
        streamer.text_queue.put(_TOKEN)
        wanted.acquire()
        return torch.full((len(ids),), left.is_set(), device=ids.device)

    def run() -> None:
        try:
            with torch.inference_mode():
                write(streamer=streamer, stopping_criteria=[done])
        except Exception as error:  # raised again below, where the caller is
            failed.append(error)
        finally:
            streamer.end()

    writer = threading.Thread(target=run, daemon=True)
    writer.start()
    said, text = False, ""
    try:
        for piece in streamer:
            if piece is _TOKEN:
                yield text
                text = ""
                wanted.release()
                continue
            for tag in tags or ():
                piece = piece.replace(tag, "")
            piece = piece if said else piece.lstrip()
            said = said or bool(piece)
            text += piece
        if text:
            yield text
    finally:
        left.set()
        wanted.release()
        writer.join()
    if failed:
        raise failed[0]


def plain(text: str, tags: Sequence[str]) -> str:
    """Return what a person wrote without the tokens that steer a network."""
    if tags:
        text = re.sub("|".join(map(re.escape, sorted(tags, key=len, reverse=True))), " ", text)
    return text.strip()


class Latest:
    """What a network made of the image that it looked at last, kept for the next question about it."""

    def __init__(self, look: Callable[[np.ndarray], Any]) -> None:
        self._look = look
        self._kept: tuple[bytes, Any] = (b"", None)

    def of(self, image: np.ndarray) -> Any:
        made = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
        made.update(np.ascontiguousarray(image))
        kept, seen = self._kept
        if kept != made.digest():
            seen = self._look(image)
            self._kept = (made.digest(), seen)
        return seen


class Chances:
    """A logits processor that changes nothing and notes, at each step, how likely each of some tokens is.

    ``near`` makes, of chances (prompts, steps, places), the sums over each place and those that are as good as it.
    """

    def __init__(self, places: Any, near: Callable[[Any], Any]) -> None:
        self._places, self._near = places, near
        self._steps: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        self._steps.append(torch.softmax(scores.float(), dim=-1)[:, self._places])
        return scores

    def of(self, written: Any) -> np.ndarray:
        """Return for each token written, (prompts, tokens), the chance of its place and those near.

        It is 0 for what was given rather than written, and means nothing where a token is no place.
        """
        import torch

        begin = written.shape[1] - len(self._steps)
        sums = self._near(torch.stack(self._steps, dim=1))
        place = (written[:, begin:, None] == self._places).float().argmax(dim=-1, keepdim=True)
        chances = torch.zeros(written.shape)
        chances[:, begin:] = sums.gather(-1, place)[..., 0].clamp(0, 1).float().cpu()
        return chances.numpy()
