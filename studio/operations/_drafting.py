"""Drafts that a run over many images leaves behind: saved as they come, and accepted or rejected afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np

from studio import geometry
from studio.annotations import Alpha, Annotation, Box, Mask, Polygon, Shape
from studio.errors import BadInput, NotFound
from studio.failures import sentence
from studio.gate import Turn
from studio.geometry import shape_box, shape_mask
from studio.operations.closeup import closeup, frame_around
from studio.project import Change, ImageRecord
from studio.studio import Studio

PICTURE = 160  # pixels of the longer side: there may be hundreds on a page
SAME = 0.9  # IoU from which a proposal says nothing new
RENEWED = 0.5  # IoU from which a proposal takes the place of an older one nobody has touched


@dataclass(frozen=True)
class Proposed:
    """A draft as it was saved on an image, and a small picture of it."""

    image: ImageRecord
    annotation: Annotation
    picture: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What a run came to. ``group`` takes all of it back at once; ``notes`` are sentences for the person.

    ``looked`` of ``images`` were looked at, fewer where it was stopped or nothing was left to follow.
    """

    group: str
    proposed: tuple[Proposed, ...]
    notes: tuple[str, ...]
    looked: int
    images: int


@dataclass
class Run:
    """One run: where it saves to, what it has proposed, and whom it tells. ``verb`` is what history calls it."""

    studio: Studio
    person: str
    verb: str
    targets: Sequence[ImageRecord]
    progress: Callable[[int, int, str], None]
    cancelled: Callable[[], bool]
    told: Callable[[Proposed], None]
    group: str = field(default_factory=lambda: uuid.uuid4().hex)
    proposed: list[Proposed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    known: int = 0
    looked: int = 0

    @property
    def turn(self) -> Turn | None:
        """How urgent a piece of the run is.

        On a processor it takes seconds, too long for a turn, and there a click may well go on beside it.
        """
        return None if self.studio.pool.device.name == "cpu" else Turn.BATCH

    def images(self) -> Iterator[ImageRecord]:
        """Yield the images to look at until the person stops it."""
        for target in self.targets:
            if self.cancelled():
                self.notes.append("Stopped. What was proposed until then is kept.")
                return
            self.progress(self.looked, len(self.targets), target.name)
            self.looked += 1
            yield target
        self.progress(self.looked, len(self.targets), "")

    def attempt(self, target: ImageRecord, work: Callable[[], None]) -> bool:
        """Do the work on one image, and say whether to go on to the next.

        What is wrong with this image alone is noted. What would be wrong with the next, too, is raised; where
        something has been proposed already it is noted instead, for the person must see what there is.
        """
        try:
            work()
        except (BadInput, NotFound, OSError) as error:
            self.notes.append(f"{target.name}: {sentence(error)}")
        except Exception as error:
            if not self.proposed:
                raise
            self.notes.append(f"Ended at {target.name}: {sentence(error)}")
            return False
        return True

    def save(self, target: ImageRecord, pixels: np.ndarray, drafts: Sequence[Annotation]) -> None:
        """Save what is new on an image, as one step of its history.

        What is as good as labelled already is left out; an older proposal of the same kind that nobody has
        touched gives way.
        """
        there = self.studio.store.annotations(target.id)
        new: list[Annotation] = []
        renewed: dict[str, Annotation] = {}
        for draft in drafts:
            overlaps = [
                (old, overlap(old.shape, draft.shape, target)) for old in there if old.id not in renewed
            ]
            older = [old for old, o in overlaps if o >= RENEWED and _untouched(old, draft)]
            known = any(o >= SAME for old, o in overlaps if old not in older)
            if known or any(overlap(other.shape, draft.shape, target) >= SAME for other in new):
                self.known += 1
                continue
            new.append(draft)
            renewed |= {old.id: old for old in older}
        if not new:
            return
        changes = [Change(delete=old.id, revision=old.revision) for old in renewed.values()]
        changes += [Change(draft) for draft in new]
        applied = self.studio.store.apply(target.id, self.person, changes, verb=self.verb, group=self.group)
        for annotation in applied.put[: len(new)]:
            frame = frame_around([shape_box(annotation.shape)], None, target.height, target.width)
            mask = shape_mask(annotation.shape, target.height, target.width)
            self.proposed.append(Proposed(target, annotation, closeup(pixels, mask, frame, PICTURE)))
            self.told(self.proposed[-1])

    def outcome(self) -> Outcome:
        """Return what it came to."""
        notes = list(self.notes)
        if self.known:
            what = "One proposal was" if self.known == 1 else f"{self.known} proposals were"
            notes.append(f"{what} labelled already, and left out.")
        return Outcome(self.group, tuple(self.proposed), tuple(notes), self.looked, len(self.targets))


def accept(studio: Studio, person: str, proposed: Sequence[Proposed]) -> tuple[dict[str, str], list[str]]:
    """Accept drafts as they are now; return what became of each that is settled, and sentences about the others.

    Settled is what is no draft any more, whoever settled it: by its id, "accepted" or "rejected".
    """
    return _judge(studio, person, proposed, "accept", lambda now, p: Change(replace(now, draft=False)))


def reject(studio: Studio, person: str, proposed: Sequence[Proposed]) -> tuple[dict[str, str], list[str]]:
    """Delete drafts nobody has changed since, and return as ``accept`` does."""
    return _judge(
        studio,
        person,
        proposed,
        "reject",
        lambda now, p: Change(delete=now.id, revision=p.annotation.revision),
    )


def take_back(studio: Studio, person: str, outcome: Outcome) -> int:
    """Undo a run on all its images, and return how many that were. What was accepted since stays."""
    return studio.store.undo_group(outcome.group, person)


def _judge(
    studio: Studio,
    person: str,
    proposed: Sequence[Proposed],
    verb: str,
    change: Callable[[Annotation, Proposed], Change],
) -> tuple[dict[str, str], list[str]]:
    done: dict[str, str] = {}
    sentences: list[str] = []
    for _, some in groupby(sorted(proposed, key=lambda p: p.image.id), key=lambda p: p.image.id):
        part = list(some)
        try:
            studio.image_for(part[0].image.id, person)
            now = {a.id: a for a in studio.store.annotations(part[0].image.id)}
            open_ = [(now[p.annotation.id], p) for p in part if p.annotation.id in now]
            changes = [change(a, p) for a, p in open_ if a.draft]
            if changes:
                applied = studio.store.apply(part[0].image.id, person, changes, verb=verb)
                sentences += applied.conflicts
            left = {a.id: a for a in studio.store.annotations(part[0].image.id)}
            for p in part:
                after = left.get(p.annotation.id)
                if after is None or not after.draft:
                    done[p.annotation.id] = "rejected" if after is None else "accepted"
        except NotFound as error:
            sentences.append(f"{part[0].image.name}: {error}")
    return done, sentences


def overlap(old: Shape, new: Shape, image: ImageRecord) -> float:
    """Return how much an object there overlaps with one that is proposed; what is neither outline nor box does not."""
    if not isinstance(old, Mask | Polygon | Box | Alpha):
        return 0.0
    return geometry.overlap(old, new, image.height, image.width)


def _untouched(old: Annotation, draft: Annotation) -> bool:
    """Say whether an annotation is an earlier proposal of the same kind that no person has worked on."""
    prompt = old.prompt
    return (
        old.draft
        and old.source == "model"
        and (old.model, old.class_name) == (draft.model, draft.class_name)
        and (prompt is None) == (draft.prompt is None)
        and (prompt is None or (not prompt.points and prompt.mask is None))
    )
