"""Cut out objects by clicks and boxes: encode an image once, then answer each click and save it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from studio import images
from studio.adapters import Candidate, Card, Embedding
from studio.annotations import Alpha, Annotation, Box, Mask, Point, Polygon, Prompt
from studio.errors import BadInput
from studio.gate import Turn
from studio.geometry import shape_mask
from studio.project import Change, ImageRecord
from studio.studio import Studio

MOST_POINTS = 500  # a person clicks tens of times; more is a runaway script


@dataclass(frozen=True)
class Prepared:
    encode_ms: float
    cached: bool


@dataclass(frozen=True)
class Segmented:
    """The object as it was saved, and up to three candidates, the first of which was saved."""

    annotation: Annotation
    candidates: tuple[Candidate, ...]
    version: int
    conflicts: tuple[str, ...]
    encode_ms: float
    decode_ms: float


def embedding(studio: Studio, image: ImageRecord, card: Card, turn: Turn) -> Embedding:
    """Return what the model's encoder makes of an image, from the cache where it is there."""

    def make() -> Embedding:
        pixels = images.decode(studio.store.original_path(image), image.name)
        # An encoder takes seconds on a processor, too long for one turn, and there a click may well go on beside
        # it; an accelerator takes milliseconds, and two at once would only need twice the memory.
        beside = turn is not Turn.CLICK and studio.pool.device.name == "cpu"
        return studio.pool.run(card.id, lambda model: model.embed(pixels), turn=None if beside else turn)

    return studio.embeddings.get(embedding_key(image, card), make)


def embedding_key(image: ImageRecord, card: Card) -> tuple[str, str, str]:
    """Return what an encoding is kept under: the model, its version, and what the picture shows."""
    return card.id, card.version, image.digest


def prepare(studio: Studio, image: ImageRecord, model_id: str, turn: Turn = Turn.CLICK) -> Prepared:
    """Encode an image before the first click. Raises Unreachable where the model must be fetched first."""
    card = segmenter(studio, model_id)
    made = studio.embeddings.stats.makes
    start = time.perf_counter()
    embedding(studio, image, card, turn)
    return Prepared(_ms(start), cached=studio.embeddings.stats.makes == made)


def segmenter(studio: Studio, model_id: str) -> Card:
    card = studio.registry.card(model_id)
    if "segmenter" not in card.roles:
        raise BadInput(f"{card.title} does not answer clicks. Choose a segmenter.")
    return card


def segment(
    studio: Studio,
    image: ImageRecord,
    person: str,
    model_id: str,
    *,
    annotation_id: str,
    class_name: str,
    points: Sequence[Point],
    box: Box | None,
    revision: int,
) -> Segmented:
    """Answer a prompt and save the best mask as the object's state; the rest are offered as candidates.

    An object that already has a mask without prompts (imported, brushed, detected) is corrected: its mask is
    where the clicks start from. Raises BadInput for prompts outside the image or none at all.
    """
    card = segmenter(studio, model_id)
    _check(image, points, box)
    saved = studio.store.annotation(image.id, annotation_id)
    prompt = Prompt(
        tuple(points), box.clipped(image.width, image.height) if box else None, base(saved, image)
    )
    if not prompt.points and prompt.box is None:
        raise BadInput("Click the object, or drag a box around it.")
    started = time.perf_counter()
    encoded = embedding(studio, image, card, Turn.CLICK)
    encode_ms = _ms(started)
    previous = None
    if saved and isinstance(saved.shape, Mask):
        previous = studio.continuations.state(annotation_id, card.id, saved.shape)
    started = time.perf_counter()
    candidates = studio.pool.run(
        card.id, lambda model: model.segment(encoded, prompt, previous), turn=Turn.CLICK
    )
    decode_ms = _ms(started)
    if not candidates:
        raise BadInput("The model found nothing there. Click nearer to the middle of the object.")
    best = candidates[0]
    start = saved or Annotation(class_name, best.mask, id=annotation_id, draft=True, created_by=person)
    changed = replace(
        start,
        class_name=class_name or start.class_name,
        shape=best.mask,
        prompt=prompt,
        model=card.id,
        model_version=card.version,
        score=float(best.score),
        revision=revision,
    )
    applied = studio.store.apply(image.id, person, [Change(changed)], verb="segment")
    annotation = applied.put[0]
    studio.continuations.put(annotation.id, card.id, candidates)
    return Segmented(
        annotation, tuple(candidates[:3]), applied.version, applied.conflicts, encode_ms, decode_ms
    )


def base(saved: Annotation | None, image: ImageRecord) -> Mask | None:
    """Return the mask that an object's clicks start from: what it was before the first of them."""
    if saved is None:
        return None
    if saved.prompt is not None:
        return saved.prompt.mask
    if isinstance(saved.shape, Mask | Polygon | Alpha):
        return shape_mask(saved.shape, image.height, image.width)
    return None


def _check(image: ImageRecord, points: Sequence[Point], box: Box | None) -> None:
    if len(points) > MOST_POINTS:
        raise BadInput(f"One object takes at most {MOST_POINTS} clicks; this one has {len(points)}.")
    for p in points:
        if not (0 <= p.x <= image.width and 0 <= p.y <= image.height):
            raise BadInput(
                f"A click at {p.x:.0f}, {p.y:.0f} lies outside the image of {image.width} × {image.height}."
            )
    if box is not None and box.clipped(image.width, image.height).area < 1:
        raise BadInput("The box covers less than a pixel of the image. Draw a larger one.")


def _ms(start: float) -> float:
    return (time.perf_counter() - start) * 1000
