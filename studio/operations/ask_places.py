"""What an answer points at: boxes, outlines and points, masks made of them, and what is kept as drafts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from studio.adapters import BatchSegmenter, Detection
from studio.annotations import Annotation, Box, Keypoints, Mask, Point, Polygon, Prompt, Shape
from studio.errors import BadInput
from studio.gate import Turn
from studio.geometry import shape_mask
from studio.operations import segment
from studio.operations.ask import VERB, Answer, drafts
from studio.operations.ask_text import name_of
from studio.operations.merging import SAME_FOUND, merge
from studio.project import Applied
from studio.studio import Studio

DOT = 0.015  # a point is shown as a box of so many of the image's longer side around it
AT_ONCE = 64  # boxes or clicks that a segmenter answers in one turn


def shapes(answer: Answer) -> list[tuple[str, Shape]]:
    """Return what an answer points at, each with a name from its words: boxes, outlines, points, or their masks."""
    return [(name, answer.masks.get(n, shape)) for n, (name, shape, _) in enumerate(_told(answer))]


def numbers(answer: Answer) -> list[tuple[int, ...]]:
    """Return for each place that an answer speaks of which of its ``shapes`` are there."""
    found: list[list[int]] = [[] for _ in answer.said.reading.places]
    for n, (_, _, place) in enumerate(_told(answer)):
        found[place].append(n)
    return [tuple(each) for each in found]


def drawn(answer: Answer) -> list[Detection]:
    """Return what an answer points at as it is drawn on the picture, in the order of ``shapes``."""
    image, found = answer.image, []
    reach = max(4.0, DOT * max(image.width, image.height))
    for n, (name, shape, _) in enumerate(_told(answer)):
        mask = answer.masks.get(n)
        if isinstance(shape, Keypoints):
            x, y, _ = shape.points[0]
            around = Box(x - reach, y - reach, x + reach, y + reach).clipped(image.width, image.height)
            box = mask.box if mask is not None and mask.box is not None else around
            found.append(Detection(name, 1.0, box, mask, shape, (1.0,)))
        elif isinstance(shape, Polygon):
            mask = mask or shape_mask(shape, image.height, image.width)
            found.append(Detection(name, 1.0, shape.box, mask if mask.area else None))
        else:
            found.append(Detection(name, 1.0, shape, mask))
    return found


def cut(
    studio: Studio,
    answer: Answer,
    segmenter_id: str,
    *,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Answer:
    """Return an answer whose boxes and points have masks: a segmenter is given each box, or each point as a click.

    Where it finds nothing the box or point stays as it is. ``told`` hears how many of how many are cut out; what it
    raises ends the work. Raises BadInput where the segmenter takes no such prompts.
    """
    card = segment.segmenter(studio, segmenter_id)
    asked = {n: p for n, (_, shape, _) in enumerate(_told(answer)) if (p := _prompt(shape)) is not None}
    for kind, what in (("point", "clicks"), ("box", "boxes")):
        wanted = any(bool(p.points) == (kind == "point") for p in asked.values())
        if wanted and kind not in card.prompts:
            raise BadInput(
                f"{card.title} takes no {what}, which this answer gives. Choose another segmenter."
            )
    if not asked:
        return answer
    encoded = segment.embedding(studio, answer.image, card, Turn.CLICK)
    made: dict[int, Mask] = {}
    places = list(asked)
    for start in range(0, len(places), AT_ONCE):
        part = places[start : start + AT_ONCE]
        prompts = [asked[n] for n in part]
        answers = studio.pool.run(
            card.id, lambda model, prompts=prompts: _answers(model, encoded, prompts), turn=Turn.CLICK
        )
        for n, candidates in zip(part, answers, strict=True):
            if candidates and candidates[0].mask.box is not None:
                made[n] = candidates[0].mask
        told(min(start + AT_ONCE, len(places)), len(places))
    return replace(answer, masks=made, segmenter=card.id)


def keep(
    studio: Studio, person: str, answer: Answer, chosen: Iterable[int], class_name: str = ""
) -> Applied | None:
    """Save what an answer points at, of these numbers, as drafts; each is of the class given, or else of its words.

    What is there already is not saved twice; None where nothing is left. One undo takes all of it back.
    """
    wanted, named = set(chosen), name_of(class_name) if class_name.strip() else ""
    card = studio.registry.card(answer.query.model)
    cutter = studio.registry.card(answer.segmenter) if answer.segmenter else None
    incoming = [
        Annotation(named or name, shape, **drafts(card, answer.query, cutter if n in answer.masks else None))
        for n, (name, shape) in enumerate(shapes(answer))
        if n in wanted
    ]
    image = studio.store.image(answer.image.id)
    changes = merge(image, studio.store.annotations(image.id), incoming, "merge", SAME_FOUND).changes()
    return studio.store.apply(image.id, person, changes, verb=VERB) if changes else None


def _told(answer: Answer) -> Iterator[tuple[str, Shape, int]]:
    """Yield each shape that an answer speaks of, with its name and the number of its place."""
    for number, place in enumerate(answer.said.reading.places):
        name = name_of(place.phrase)
        if place.box is not None:
            yield name, place.box, number
        if len(place.outline) >= 3:
            with suppress(BadInput):  # a network may write anything
                yield name, Polygon((place.outline,)), number
        for x, y in place.points:
            with suppress(BadInput):
                yield name, Keypoints(((x, y, 2),)), number


def _prompt(shape: Shape) -> Prompt | None:
    if isinstance(shape, Box):
        return Prompt(box=shape)
    return Prompt((Point(*shape.points[0][:2]),)) if isinstance(shape, Keypoints) else None


def _answers(model: Any, encoded: Any, prompts: list[Prompt]) -> list[list[Any]]:
    if isinstance(model, BatchSegmenter):
        return model.segment_many(encoded, prompts)
    return [model.segment(encoded, prompt) for prompt in prompts]
