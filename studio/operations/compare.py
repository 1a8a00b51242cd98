"""The same clicks, replayed on other segmenters: what each makes of them, how long it takes, how well it agrees."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from studio import images
from studio.adapters import Candidate, Card, Embedding, PromptKind, Segmenter
from studio.annotations import Annotation, Prompt
from studio.errors import BadInput, Conflict
from studio.failures import sentence
from studio.gate import Turn
from studio.geometry import iou, shape_box, shape_mask
from studio.operations.closeup import closeup, frame_around
from studio.operations.segment import embedding_key, segmenter
from studio.project import Applied, Change, ImageRecord
from studio.studio import Studio

TIMINGS = 3  # so many clicks are timed at least, as long as
PATIENCE = 1.0  # they took no more seconds than this together

_CANNOT: dict[PromptKind, str] = {
    "point": "{} takes no clicks, and this object was made with some.",
    "box": "{} takes no box, and this object was made with one.",
    "mask": "{} cannot start from a mask, and this object's clicks correct one.",
}


@dataclass(frozen=True)
class Trial:
    """What one model made of an object's prompts.

    ``encode_s`` was measured by encoding the image anew; ``kept`` says that it had been encoded before, so that
    opening the image with this model takes no time now. ``click_ms`` is the median of the clicks. ``agreement``
    is the IoU with the mask that was saved. Where ``trouble`` is not empty, it says why there is no candidate.
    """

    card: Card
    candidate: Candidate | None = None
    picture: np.ndarray | None = None
    encode_s: float = 0.0
    kept: bool = False
    click_ms: float = 0.0
    model_bytes: int = 0
    embedding_bytes: int = 0
    agreement: float = 0.0
    trouble: str = ""


def segmenters(studio: Studio) -> tuple[list[Card], list[Card]]:
    """Return the segmenters that work now, and those that must be downloaded first."""
    cards = studio.registry.cards("segmenter")
    absent = [card for card in cards if studio.hub.state(card) == "absent"]
    return [card for card in cards if card not in absent], absent


def object_to_compare(studio: Studio, image: ImageRecord, annotation_id: str) -> Annotation:
    """Return the object of that id, else the newest of the image that was clicked or framed.

    Raises BadInput where there are no clicks or box to replay.
    """
    if annotation_id:
        saved = studio.store.annotation(image.id, annotation_id)
        if saved is not None and not replayable(saved):
            raise BadInput(
                f"“{saved.class_name}” was not made by clicks or a box, so there is nothing to replay. "
                "Click it once with any model, then compare."
            )
        if saved is not None:
            return saved
    clicked = [a for a in studio.store.annotations(image.id) if replayable(a)]
    if not clicked:
        raise BadInput("No object of this picture was made by clicks or a box. Click one, then compare.")
    return clicked[-1]


def replayable(annotation: Annotation) -> bool:
    prompt = annotation.prompt
    return prompt is not None and bool(prompt.points or prompt.box is not None)


def steps(prompt: Prompt) -> list[Prompt]:
    """Return the prompt as it grew: the box first, then click by click."""
    framed = [replace(prompt, points=())] if prompt.box is not None else []
    return framed + [replace(prompt, points=prompt.points[: n + 1]) for n in range(len(prompt.points))]


def compare(
    studio: Studio,
    image: ImageRecord,
    saved: Annotation,
    model_ids: Sequence[str],
    *,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Trial]:
    """Yield a trial for each model as it is finished; a model that fails says so in its trial.

    Nothing is saved. Every piece of work waits behind people's clicks. Stops soon after ``cancelled``.
    """
    pixels = images.decode(studio.store.original_path(image), image.name)
    frame = frame_around([shape_box(saved.shape)], saved.prompt, image.height, image.width)
    for done, model_id in enumerate(model_ids):
        if cancelled():
            return
        card = segmenter(studio, model_id)
        progress(done, len(model_ids), card.title)
        try:
            trial = _try(studio, image, pixels, saved, card, cancelled)
        except Exception as error:
            trial = Trial(card, trouble=sentence(error))
        if trial is None:
            return
        if trial.candidate is not None:
            trial = replace(trial, picture=closeup(pixels, trial.candidate.mask, frame))
        yield trial
    progress(len(model_ids), len(model_ids), "")


def saved_picture(studio: Studio, image: ImageRecord, saved: Annotation) -> np.ndarray:
    """Return the object as it is saved, in the same frame as the trials' pictures."""
    pixels = images.decode(studio.store.original_path(image), image.name)
    frame = frame_around([shape_box(saved.shape)], saved.prompt, image.height, image.width)
    return closeup(pixels, shape_mask(saved.shape, image.height, image.width), frame)


def against(image: ImageRecord, saved: Annotation, trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials with their agreement with what is saved by now."""
    return [
        t
        if t.candidate is None
        else replace(t, agreement=iou(saved.shape, t.candidate.mask, image.height, image.width))
        for t in trials
    ]


def use(studio: Studio, image: ImageRecord, person: str, saved: Annotation, trial: Trial) -> Applied:
    """Give the object a trial's mask: one step that can be undone; its clicks and its class stay.

    ``saved`` is the object as it was compared. Raises Conflict where it was changed or deleted since.
    """
    if trial.candidate is None:
        raise BadInput(f"{trial.card.title} gave no mask that could be used.")
    now = studio.store.annotation(image.id, saved.id)
    if now is None:
        raise Conflict(f"“{saved.class_name}” was deleted in the meantime. Undo, or compare another object.")
    if now.shape != saved.shape or now.prompt != saved.prompt:
        raise Conflict(f"“{now.class_name}” was changed since it was compared. Compare again.")
    chosen = replace(
        now,
        shape=trial.candidate.mask,
        model=trial.card.id,
        model_version=trial.card.version,
        score=float(trial.candidate.score),
    )
    applied = studio.store.apply(image.id, person, [Change(chosen)], verb="use model")
    # So that the next click with this model goes on from here.
    studio.continuations.put(now.id, trial.card.id, [trial.candidate])
    return applied


def _try(
    studio: Studio,
    image: ImageRecord,
    pixels: np.ndarray,
    saved: Annotation,
    card: Card,
    cancelled: Callable[[], bool],
) -> Trial | None:
    """Return the trial of one model, None where the person stopped it."""
    refused = _refused(card, saved.prompt)
    if refused:
        return Trial(card, trouble=refused)
    embedding, encode_s, kept = _encode(studio, image, pixels, card)
    growing, timings, answer = steps(saved.prompt), [], None
    while answer is None or (len(timings) < TIMINGS and sum(timings) < PATIENCE):
        previous = None
        for prompt in growing:
            if cancelled():
                return None
            found, seconds = studio.pool.run(
                card.id,
                partial(_answer, embedding=embedding, prompt=prompt, previous=previous),
                turn=Turn.BATCH,
            )
            timings.append(seconds)
            if not found:
                return Trial(card, trouble=f"{card.title} found nothing at these clicks.")
            previous = found[0].state
        answer = answer or found[0]
    held = next((m.bytes for m in studio.pool.loaded() if m.id == card.id), 0)
    return Trial(
        card,
        answer,
        encode_s=encode_s,
        kept=kept,
        click_ms=statistics.median(timings) * 1000,
        model_bytes=held,
        embedding_bytes=embedding.nbytes,
        agreement=iou(saved.shape, answer.mask, image.height, image.width),
    )


def _refused(card: Card, prompt: Prompt) -> str:
    given: dict[PromptKind, Any] = {"point": prompt.points, "box": prompt.box, "mask": prompt.mask}
    for kind, what in given.items():
        if what and kind not in card.prompts:
            return _CANNOT[kind].format(card.title)
    return ""


def _encode(
    studio: Studio, image: ImageRecord, pixels: np.ndarray, card: Card
) -> tuple[Embedding, float, bool]:
    """Return a fresh encoding, the seconds it took, and whether one was kept from before.

    The clicks that follow use the one that is kept, as a person's would.
    """

    def make(model: Segmenter) -> tuple[Embedding, float]:
        begun = time.perf_counter()
        made = model.embed(pixels)
        return made, time.perf_counter() - begun

    # On a processor an encoder takes seconds, and a click may well go on beside it.
    turn = None if studio.pool.device.name == "cpu" else Turn.BATCH
    made, seconds = studio.pool.run(card.id, make, turn=turn)
    kept = studio.embeddings.get(embedding_key(image, card), lambda: made)
    return kept, seconds, kept is not made


def _answer(
    model: Segmenter, embedding: Embedding, prompt: Prompt, previous: Any
) -> tuple[list[Candidate], float]:
    begun = time.perf_counter()
    found = model.segment(embedding, prompt, previous)
    return found, time.perf_counter() - begun
