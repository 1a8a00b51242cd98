"""What a person does to the annotations of one image: open it, change, delete, undo, mark it done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from studio.annotations import Alpha, Annotation, Box, Keypoints, Mask, Polygon, Prompt
from studio.errors import BadInput
from studio.project import Applied, Change, ImageRecord, LabelClass
from studio.studio import Studio

MOST_CHANGES = 2000
LONGEST_NAME = 100
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Opened:
    """An image with all that is needed to go on labelling it. ``position`` counts from 0."""

    image: ImageRecord
    annotations: tuple[Annotation, ...]
    classes: tuple[LabelClass, ...]
    previous: str | None
    next: str | None
    position: int
    total: int


def open_image(studio: Studio, image: ImageRecord) -> Opened:
    """Read an image's annotations, its project's classes, and its neighbours."""
    previous, following, position, total = studio.store.neighbours(image.id)
    return Opened(
        studio.store.image(image.id),
        tuple(studio.store.annotations(image.id)),
        tuple(studio.store.classes(image.project_id)),
        previous,
        following,
        position,
        total,
    )


def put(
    studio: Studio, image: ImageRecord, person: str, annotations: Sequence[Annotation], verb: str
) -> Applied:
    """Save objects drawn or changed by hand. Nothing that somebody else changed meanwhile is overwritten.

    Where the shape was redrawn by hand, the clicks that made the old one no longer describe it: they are
    dropped, and the drawn mask becomes what later clicks start from.
    """
    if len(annotations) > MOST_CHANGES:
        raise BadInput(f"At most {MOST_CHANGES} objects can be saved at once; got {len(annotations)}.")
    changes = []
    for annotation in annotations:
        check_id(annotation.id)
        annotation = replace(annotation, class_name=check_class_name(annotation.class_name))
        _check_fits(annotation, image)
        saved = studio.store.annotation(image.id, annotation.id)
        changes.append(Change(_reconciled(_with_own_mask(annotation, saved), saved, person, verb)))
    return studio.store.apply(image.id, person, changes, verb=verb[:40] or "put")


def delete(studio: Studio, image: ImageRecord, person: str, ids: Sequence[tuple[str, int]]) -> Applied:
    """Delete objects given as (id, revision); one that changed in the meantime stays and is reported."""
    if len(ids) > MOST_CHANGES:
        raise BadInput(f"At most {MOST_CHANGES} objects can be deleted at once; got {len(ids)}.")
    changes = [Change(delete=check_id(i), revision=revision) for i, revision in ids]
    return studio.store.apply(image.id, person, changes, verb="delete")


def check_id(annotation_id: str) -> str:
    if not _ID.fullmatch(annotation_id):
        raise BadInput("An object's id must be 32 hexadecimal digits.")
    return annotation_id


def check_class_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise BadInput("The object has no class. Add a class, or choose one, and try again.")
    if len(name) > LONGEST_NAME:
        raise BadInput(f"A class name has at most {LONGEST_NAME} characters; this one has {len(name)}.")
    return name


def _with_own_mask(annotation: Annotation, saved: Annotation | None) -> Annotation:
    """Return an annotation whose alpha, where it is the one that is saved, is so as a whole.

    Where an alpha is at least a half is worked out from its file, never taken from a browser.
    """
    if not isinstance(annotation.shape, Alpha):
        return annotation
    if saved is not None and isinstance(saved.shape, Alpha) and saved.shape.digest == annotation.shape.digest:
        return replace(annotation, shape=saved.shape)
    if annotation.shape.mask is None:
        raise BadInput("The page sent a matte without its outline. Load the page again.")
    return annotation


def _reconciled(annotation: Annotation, saved: Annotation | None, person: str, verb: str) -> Annotation:
    """Return what to store: what the browser may say, and what only the studio knows."""
    if saved is None:
        return replace(annotation, source="person", created_by=person, score=None, model=None, prompt=None)
    same_shape = type(annotation.shape) is type(saved.shape) and annotation.shape == saved.shape
    if verb == "restore" and annotation.prompt is not None:
        # Corrections were put aside: back to the mask and the clicks from before them. What these started from
        # never left the studio.
        prompt = replace(annotation.prompt, mask=saved.prompt.mask if saved.prompt else None)
    elif same_shape or verb == "candidate":
        prompt = saved.prompt
    else:
        prompt = Prompt(mask=annotation.shape) if isinstance(annotation.shape, Mask) else None
    return replace(
        annotation,
        source=saved.source,
        created_by=saved.created_by,
        model=saved.model,
        model_version=saved.model_version,
        score=saved.score if same_shape else annotation.score if verb in ("candidate", "restore") else None,
        prompt=prompt,
    )


def _check_fits(annotation: Annotation, image: ImageRecord) -> None:
    shape = annotation.shape
    if isinstance(shape, Mask | Alpha) and (shape.height, shape.width) != (image.height, image.width):
        raise BadInput(
            f"The mask is {shape.width} × {shape.height}, but {image.name} is {image.width} × {image.height}."
        )
    if isinstance(shape, Mask) and not shape.area:
        raise BadInput("The mask is empty. Delete the object instead, or undo.")
    if isinstance(shape, Box) and shape.clipped(image.width, image.height).area <= 0:
        raise BadInput("The box lies outside the image or has no area.")
    if isinstance(shape, Polygon) and sum(len(r) for r in shape.rings) > 20_000:
        raise BadInput("A polygon may have at most 20,000 points. Use the brush for such an outline.")
    if isinstance(shape, Polygon | Keypoints):
        box = shape.box
        if box is not None and box.clipped(image.width, image.height).area <= 0:
            raise BadInput("The shape lies wholly outside the image.")
