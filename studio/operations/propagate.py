"""From objects of one image to drafts on the next: followed by a model's memory, or found by their example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from studio import images
from studio.adapters import Candidate, Card, Detection, Example, Follower
from studio.annotations import Alpha, Annotation, Box, Mask, Polygon, Prompt, Shape
from studio.errors import BadInput
from studio.gate import Turn
from studio.geometry import shape_box, shape_mask
from studio.operations import segment
from studio.operations._drafting import Outcome, Proposed, Run, accept, overlap, reject, take_back
from studio.project import ImageRecord
from studio.studio import Studio

__all__ = [
    "Outcome",
    "Proposed",
    "accept",
    "chosen",
    "find_alike",
    "follow",
    "following",
    "objects",
    "reject",
    "take_back",
]

Which = Literal["one", "class", "all"]

VERB = "propagate"
MOST_IMAGES = 1000
MOST_ALIKE = 50  # found on one image by an example; more is no example but a mistake
TWICE = 0.5  # IoU from which two things found by one example are one
GONE = 8  # images in a row without any of the objects: more than the memory looks back on


# ---- what to carry on, and where to -----------------------------------------------------------------


def objects(studio: Studio, image: ImageRecord, annotation_id: str, which: Which) -> list[Annotation]:
    """Return the objects to carry on: one, all of its class, or all that have an outline or a box.

    Without an id the newest object counts as the one. Raises BadInput where there is none.
    """
    drawn = [
        a for a in studio.store.annotations(image.id) if isinstance(a.shape, Mask | Polygon | Box | Alpha)
    ]
    if not drawn:
        raise BadInput("There is no object on this picture yet. Label one, then carry it on.")
    if which == "all":
        return drawn
    one = next((a for a in drawn if a.id == annotation_id), None if annotation_id else drawn[-1])
    if one is None:
        raise BadInput("The selected object has no outline and no box. Select another one.")
    return [a for a in drawn if a.class_name == one.class_name] if which == "class" else [one]


def following(studio: Studio, image: ImageRecord, count: int) -> list[ImageRecord]:
    """Return the images after this one, in the project's order. Raises BadInput where it is the last."""
    if not 1 <= count <= MOST_IMAGES:
        raise BadInput(f"Choose 1 to {MOST_IMAGES:,} pictures.")
    _, _, position, _ = studio.store.neighbours(image.id)
    found = studio.store.images(image.project_id, offset=position + 1, limit=count)
    if not found:
        raise BadInput(f"{image.name} is the last picture of its project: none follows it.")
    return found


def chosen(studio: Studio, image: ImageRecord, person: str, ids: Sequence[str]) -> list[ImageRecord]:
    """Return the images of these ids in the project's order, without this one and those of other projects."""
    wanted = set(ids) - {image.id}
    found = [
        studio.image_for(image_id, person)
        for image_id in studio.store.image_ids(image.project_id)
        if image_id in wanted
    ]
    if not found:
        raise BadInput(
            "No other picture of this project is chosen. Choose some in Data (Space, or Ctrl-click)."
        )
    if len(found) > MOST_IMAGES:
        raise BadInput(f"{len(found):,} pictures are chosen; at most {MOST_IMAGES:,} can be done in one go.")
    return found


# ---- the two ways -----------------------------------------------------------------------------------


def follow(
    studio: Studio,
    image: ImageRecord,
    person: str,
    model_id: str,
    sources: Sequence[Annotation],
    targets: Sequence[ImageRecord],
    *,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    cancelled: Callable[[], bool] = lambda: False,
    told: Callable[[Proposed], None] = lambda proposed: None,
) -> Outcome:
    """Follow objects through a series whose images differ little, and save what is found as drafts.

    Where an object is not seen, nothing is proposed for it; it is taken up again where it comes back. Only the
    model's memory is kept from image to image. Raises BadInput for a model without one or objects without area.
    """
    card = studio.registry.card(model_id)
    if "follower" not in card.roles:
        raise BadInput(f"{card.title} has no memory to follow objects with. Choose another model.")
    masks = [shape_mask(source.shape, image.height, image.width) for source in sources]
    run = Run(studio, person, VERB, targets, progress, cancelled, told)
    progress(0, len(targets), f"Looking at {image.name}")
    embedding = segment.embedding(studio, image, card, Turn.BATCH)

    def remember(model: Any) -> Any:
        if not isinstance(model, Follower):
            raise BadInput(
                f"The files of {card.title} on this machine hold the image model alone, without the memory that "
                "following needs. Choose another model, or “Other pictures”."
            )
        return model.remember(embedding, masks, 1 + len(targets))

    memory = studio.pool.run(card.id, remember, turn=run.turn)
    missed: dict[str, list[str]] = {source.id: [] for source in sources}
    gone = 0

    def look(target: ImageRecord) -> None:
        nonlocal memory, gone
        encoded = segment.embedding(studio, target, card, Turn.BATCH)
        found, memory = studio.pool.run(card.id, lambda model: model.follow(encoded, memory), turn=run.turn)
        seen = [(s, c) for s, c in zip(sources, found, strict=True) if c.score >= 0.5 and c.mask.area]
        for source in sources:
            if all(source is not s for s, _ in seen):
                missed[source.id].append(target.name)
        gone = 0 if seen else gone + 1
        if seen:
            pixels = images.decode(studio.store.original_path(target), target.name)
            run.save(target, pixels, [_followed(card, s, c, person) for s, c in seen])

    for target in run.images():
        if not run.attempt(target, partial(look, target)):
            break
        if gone >= GONE:
            run.notes.append(f"Ended at {target.name}: nothing was seen on {GONE} pictures in a row.")
            break
    run.notes[:0] = [_lost(s, missed[s.id]) for s in sources if missed[s.id]]
    return run.outcome()


def find_alike(
    studio: Studio,
    image: ImageRecord,
    person: str,
    detector_id: str,
    segmenter_id: str,
    sources: Sequence[Annotation],
    targets: Sequence[ImageRecord],
    *,
    floor: float = 0.3,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    cancelled: Callable[[], bool] = lambda: False,
    told: Callable[[Proposed], None] = lambda proposed: None,
) -> Outcome:
    """Find what looks like the objects on any other images, and save it as drafts with a score above ``floor``.

    Objects of one class are examples of the same thing. ``segmenter_id`` makes a mask of each box found; where it
    is empty, the detector's own masks are taken, or its boxes.
    """
    detector = studio.registry.card(detector_id)
    if "example-detector" not in detector.roles:
        raise BadInput(f"{detector.title} finds nothing by example. Choose another model.")
    if not detector.examples_travel:
        raise BadInput(
            f"{detector.title} finds what is like an example on the example's own picture only. Choose another model."
        )
    cutter = segment.segmenter(studio, segmenter_id) if segmenter_id else None
    if cutter is not None and "box" not in cutter.prompts:
        raise BadInput(f"{cutter.title} takes no boxes. Choose another segmenter.")
    run = Run(studio, person, VERB, targets, progress, cancelled, told)
    here = images.decode(studio.store.original_path(image), image.name)
    examples: dict[str, list[Example]] = {}
    for source in sources:
        box = shape_box(source.shape, (image.height, image.width))
        if box is not None and box.area:
            examples.setdefault(source.class_name, []).append(Example(here, box))
    if not examples:
        raise BadInput("The objects chosen have no area on this picture, so they are no example.")

    def look(target: ImageRecord) -> None:
        pixels = images.decode(studio.store.original_path(target), target.name)
        drafts = []
        for name, given in examples.items():
            (found,) = studio.pool.run(
                detector.id,
                partial(_detect_like, pixels=pixels, examples=given, floor=floor),
                turn=run.turn,
            )
            if len(found) > MOST_ALIKE:
                run.notes.append(
                    f"{target.name}: {len(found)} are like “{name}”; the {MOST_ALIKE} surest were taken."
                )
            some = (_alike(studio, target, detector, cutter, name, d, person) for d in found[:MOST_ALIKE])
            drafts += [draft for draft in some if draft is not None]
        run.save(target, pixels, _distinct(drafts, target))

    for target in run.images():
        if not run.attempt(target, partial(look, target)):
            break
    return run.outcome()


# ---- parts --------------------------------------------------------------------------------------------


def _detect_like(
    model: Any, pixels: np.ndarray, examples: Sequence[Example], floor: float
) -> list[list[Detection]]:
    return model.detect_like([pixels], examples, floor=floor)


def _followed(card: Card, source: Annotation, candidate: Candidate, person: str) -> Annotation:
    return Annotation(
        source.class_name,
        candidate.mask,
        source="model",
        draft=True,
        model=card.id,
        model_version=card.version,
        score=float(candidate.score),
        created_by=person,
    )


def _alike(
    studio: Studio,
    target: ImageRecord,
    detector: Card,
    cutter: Card | None,
    name: str,
    found: Detection,
    person: str,
) -> Annotation | None:
    """Return the draft for one thing found; None where nothing of it lies in the image."""
    box = found.box.clipped(target.width, target.height)
    if box.area < 1:
        return None
    shape: Shape = box if found.mask is None else found.mask
    model, version = detector.id, detector.version
    if cutter is not None:
        encoded = segment.embedding(studio, target, cutter, Turn.BATCH)
        cut = studio.pool.run(
            cutter.id, lambda model: model.segment(encoded, Prompt(box=box)), turn=Turn.BATCH
        )
        if not cut or not cut[0].mask.area:
            return None
        shape = cut[0].mask
        model, version = f"{detector.id} + {cutter.id}", f"{detector.version} + {cutter.version}"
    return Annotation(
        name,
        shape,
        source="model",
        draft=True,
        model=model,
        model_version=version,
        prompt=Prompt(box=box) if cutter is not None else None,
        score=float(found.score),
        created_by=person,
    )


def _distinct(drafts: Sequence[Annotation], image: ImageRecord) -> list[Annotation]:
    """Return the surest of drafts that mean the same thing: boxes that differ often give nearly the same mask."""
    kept: list[Annotation] = []
    for draft in sorted(drafts, key=lambda d: -(d.score or 0)):
        alike = (other for other in kept if other.class_name == draft.class_name)
        if all(overlap(other.shape, draft.shape, image) < TWICE for other in alike):
            kept.append(draft)
    return kept


def _lost(source: Annotation, names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"“{source.class_name}” was not seen on {shown}."
