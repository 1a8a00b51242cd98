"""Where examples come from: a box drawn, a click, what is labelled already; and small pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studio import images
from studio.annotations import Annotation, Box, Label, Point, Prompt
from studio.errors import BadInput, NotFound
from studio.gate import Turn
from studio.geometry import box_iou, shape_box
from studio.operations import segment
from studio.operations.closeup import closeup
from studio.operations.examples import MOST, Exemplar
from studio.project import ImageRecord
from studio.studio import Studio

SMALLEST = 4  # pixels a side of an example; less shows nothing
SAME = 0.8  # IoU from which two boxes on an image are one example
OF_CLASS = 12  # objects of a class that are taken at once
LOOKED = 200  # images of a class that are looked through for them
SIDE = 96  # pixels of a small picture's longer side
MARGIN = 0.06  # of an example's sides, shown around it


@dataclass(frozen=True)
class LabelledBox:
    """Something labelled on an image already."""

    annotation: str
    class_name: str
    box: Box
    draft: bool


def in_box(image: ImageRecord, box: Box, positive: bool = True) -> Exemplar:
    """Return the example that a box on an image is. Raises BadInput for one that is too small or beside the image."""
    box = box.clipped(image.width, image.height)
    if min(box.width, box.height) < SMALLEST:
        raise BadInput(
            f"The box has {box.width:.0f} × {box.height:.0f} pixels of {image.name}; an example needs {SMALLEST} × "
            f"{SMALLEST}. Zoom in, and draw it around the whole thing."
        )
    return Exemplar(image.id, box, positive)


def at_click(studio: Studio, image: ImageRecord, segmenter_id: str, x: float, y: float) -> Box:
    """Return the box of what a segmenter finds where somebody clicked.

    Raises BadInput where that is beside the image or nothing is found, and what loading a model raises.
    """
    card = segment.segmenter(studio, segmenter_id)
    if "point" not in card.prompts:
        raise BadInput(f"{card.title} takes no clicks. Choose another model under “Masks by”, or draw a box.")
    if not (0 <= x <= image.width and 0 <= y <= image.height):
        raise BadInput(f"The click lies outside of {image.name}.")
    encoded = segment.embedding(studio, image, card, Turn.CLICK)
    prompt = Prompt((Point(x, y),))
    found = studio.pool.run(card.id, lambda model: model.segment(encoded, prompt), turn=Turn.CLICK)
    box = found[0].mask.box if found else None
    if box is None:
        raise BadInput(
            "The model found nothing there. Click nearer to the middle of the thing, or draw a box."
        )
    return box


def joined(known: Sequence[Exemplar], new: Sequence[Exemplar]) -> tuple[Exemplar, ...]:
    """Return examples with others put to them: of two that are the same thing the new one says what it shows.

    Raises BadInput where there would be too many.
    """
    kept = list(known)
    for example in new:
        near = [e for e in kept if e.image == example.image]
        overlaps = box_iou([example.box], [e.box for e in near])[0] if near else ()
        same = [e for e, overlap in zip(near, overlaps, strict=True) if overlap >= SAME]
        kept = [e for e in kept if e not in same] + [example]
    if len(kept) > MOST:
        raise BadInput(
            f"At most {MOST} examples are shown at once; these would be {len(kept)}. Take some away."
        )
    return tuple(kept)


def labelled(studio: Studio, image: ImageRecord) -> list[LabelledBox]:
    """Return what is labelled on an image and large enough to be an example; drafts last."""
    found = [
        LabelledBox(a.id, a.class_name, box, a.draft)
        for a in studio.store.annotations(image.id)
        if (box := _box(a, image)) is not None
    ]
    return sorted(found, key=lambda each: each.draft)


def labelled_as(studio: Studio, image: ImageRecord, annotation_id: str) -> LabelledBox:
    """Return one of those. Raises NotFound where it is there no more."""
    for each in labelled(studio, image):
        if each.annotation == annotation_id:
            return each
    raise NotFound("This object is not there any more. Choose another one.")


def of_class(studio: Studio, project_id: str, class_name: str, most: int = OF_CLASS) -> list[Exemplar]:
    """Return objects of a class, evenly out of the images of a project: one of each image first, the largest ones.

    Drafts count only where nothing else is there. Raises NotFound for a class that the project has not, and BadInput
    where nothing of it is labelled.
    """
    class_id = next((c.id for c in studio.store.classes(project_id) if c.name == class_name), None)
    if class_id is None:
        raise NotFound(f"There is no class “{class_name[:40]}” here any more. Choose another one.")
    ids = studio.store.image_ids(project_id, class_id=class_id)
    sets = [_shown_on(studio, studio.store.image(i), class_name) for i in _evenly(ids, LOOKED)]
    for drafts in (False, True):
        queues = [[b for b in each if drafts or not b[1]] for each in sets]
        queues = [queue for queue in queues if queue]
        if not queues:
            continue
        rounds = range(max(map(len, queues)))
        if len(queues) >= most:
            return [queue[0][0] for queue in _evenly(queues, most)]
        return [queue[n][0] for n in rounds for queue in queues if n < len(queue)][:most]
    raise BadInput(f"Nothing is labelled as “{class_name}” yet. Label one, or draw a box around one.")


def _shown_on(studio: Studio, image: ImageRecord, class_name: str) -> list[tuple[Exemplar, bool]]:
    """Return an image's objects of a class, the largest first, and of each whether it is a draft."""
    found = [each for each in labelled(studio, image) if each.class_name == class_name]
    found.sort(key=lambda each: -each.box.area)
    return [(Exemplar(image.id, each.box), each.draft) for each in found]


def _evenly(items: Sequence, most: int) -> list:
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _box(annotation: Annotation, image: ImageRecord) -> Box | None:
    if isinstance(annotation.shape, Label):
        return None
    box = shape_box(annotation.shape, (image.height, image.width))
    box = box and box.clipped(image.width, image.height)
    return box if box and min(box.width, box.height) >= SMALLEST else None


# ---- small pictures --------------------------------------------------------------------------------


def small_pictures(studio: Studio, image: ImageRecord, boxes: Sequence[Box]) -> list[np.ndarray]:
    """Return what is in boxes of an image, each uint8 (h, w, 3), the longer side SIDE pixels; decodes once."""
    pixels = images.decode(studio.store.original_path(image), image.name)
    return [closeup(pixels, None, _frame(box, *pixels.shape[:2]), SIDE) for box in boxes]


def _frame(box: Box, height: int, width: int) -> Box:
    right, down = MARGIN * box.width, MARGIN * box.height
    x0, y0 = max(0.0, np.floor(box.x0 - right)), max(0.0, np.floor(box.y0 - down))
    x1, y1 = min(float(width), np.ceil(box.x1 + right)), min(float(height), np.ceil(box.y1 + down))
    return Box(min(x0, width - 1), min(y0, height - 1), max(x1, x0 + 1), max(y1, y0 + 1))
