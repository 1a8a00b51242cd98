"""How what a file or a model brings goes together with what an image has already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from studio.annotations import Annotation, Keypoints, Label
from studio.errors import unknown
from studio.geometry import box_iou, overlap, shape_box
from studio.project import Change, ImageRecord

Policy = Literal["append", "merge", "skip", "replace-drafts", "replace-all"]
POLICY: Policy = "merge"  # offered first to people: nothing is lost, and nothing is there twice
SAME_IMPORTED = 0.8  # overlap from which two objects of a class are one, where a file is read twice
SAME_FOUND = 0.9  # and where a model finds what a person has labelled


@dataclass(frozen=True)
class Merged:
    """What comes of it: annotations to put, those to delete, and those that are there already.

    ``skipped`` says that the image was left as it is.
    """

    kept: tuple[Annotation, ...] = ()
    gone: tuple[Annotation, ...] = ()
    dropped: tuple[Annotation, ...] = ()
    skipped: bool = False

    def changes(self) -> list[Change]:
        return [*(Change(delete=a.id, revision=a.revision) for a in self.gone), *map(Change, self.kept)]


def policy_of(name: str) -> Policy:
    """Return the policy of a name, in any of its spellings. Raises BadInput where there is none."""
    name = name.replace("_", "-")
    if name not in get_args(Policy):
        raise unknown("policy", name, get_args(Policy))
    return name


def merge(
    image: ImageRecord,
    there: Sequence[Annotation],
    incoming: Sequence[Annotation],
    policy: Policy,
    same: float,
) -> Merged:
    """Say what becomes of an image's annotations when others come to them.

    ``append`` puts them beside; ``merge`` leaves out what is there already (same class, overlap of at least
    ``same``); ``skip`` leaves an image alone that a person has labelled or marked done; ``replace-drafts``
    and ``replace-all`` delete first. What is to stay is never touched.
    """
    if policy == "skip" and (image.status == "done" or any(not a.draft for a in there)):
        return Merged(dropped=tuple(incoming), skipped=True)
    gone = tuple(a for a in there if policy == "replace-all" or (policy == "replace-drafts" and a.draft))
    if policy != "merge":
        return Merged(tuple(incoming), gone)
    kept, dropped = _apart(incoming, there, image.height, image.width, same)
    return Merged(tuple(kept), gone, tuple(dropped))


def _apart(
    incoming: Sequence[Annotation], there: Sequence[Annotation], height: int, width: int, same: float
) -> tuple[list[Annotation], list[Annotation]]:
    """Return those that are new and those that one of the same class covers already, one for one."""
    free = list(there)
    kept, dropped = [], []
    for annotation in incoming:
        match = next((a for a in free if _same(annotation, a, height, width, same)), None)
        if match is None:
            kept.append(annotation)
        else:
            free.remove(match)
            dropped.append(annotation)
    return kept, dropped


def _same(first: Annotation, second: Annotation, height: int, width: int, same: float) -> bool:
    if first.class_name != second.class_name:
        return False
    if isinstance(first.shape, Label) or isinstance(second.shape, Label):
        return first.shape == second.shape
    boxes = shape_box(first.shape), shape_box(second.shape)
    if boxes[0] is None or boxes[1] is None:
        return first.shape == second.shape
    if isinstance(first.shape, Keypoints) and first.shape == second.shape:
        return True  # also a single point, whose box has no area
    near = float(box_iou([boxes[0]], [boxes[1]])[0, 0])
    if near < same / 2:
        return False
    if isinstance(first.shape, Keypoints) and isinstance(second.shape, Keypoints):
        return near >= same and _near(first.shape, second.shape, boxes[1])
    return overlap(first.shape, second.shape, height, width) >= same


def _near(first: Keypoints, second: Keypoints, box: object) -> bool:
    """Say whether two poses are of one thing: their points lie within a twentieth of its box's diagonal."""
    if len(first.points) != len(second.points):
        return False
    pairs = [(a, b) for a, b in zip(first.points, second.points, strict=True) if a[2] and b[2]]
    if not pairs:
        return False
    reach = 0.05 * float(np.hypot(box.width, box.height))
    return float(np.mean([np.hypot(a[0] - b[0], a[1] - b[1]) for a, b in pairs])) <= reach
