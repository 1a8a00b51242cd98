"""What the store hands out and takes in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict

from studio.annotations import Annotation

Status = Literal["todo", "done"]
Order = Literal["added", "name"]
JobState = Literal["paused", "running", "done", "cancelled", "failed"]


@dataclass(frozen=True)
class Project:
    """A collection of images with its classes. ``owner`` is a person's id."""

    id: str
    name: str
    owner: str
    created: datetime
    settings: dict[str, Any]
    image_count: int


@dataclass(frozen=True)
class ImageRecord:
    """One image of a project. ``version`` grows with each change; ``count`` leaves drafts out."""

    id: str
    project_id: str
    digest: str
    name: str
    width: int
    height: int
    version: int
    status: Status
    count: int
    drafts: int
    added: datetime


@dataclass(frozen=True)
class LabelClass:
    """A kind of thing that is labelled. ``colour`` is ``#rrggbb``, ``hotkey`` one key of 1-9 or a-z."""

    id: str
    project_id: str
    name: str
    colour: str
    hotkey: str | None
    position: int


@dataclass(frozen=True)
class Change:
    """One annotation to put, or the id of one to delete.

    ``revision`` is the revision of the copy that the caller worked on; None means ``annotation.revision``,
    and for a delete that whatever is there may go.
    """

    annotation: Annotation | None = None
    delete: str | None = None
    revision: int | None = None


@dataclass(frozen=True)
class Applied:
    """What an image holds after a change, as far as it differs from what the caller had.

    ``put`` begins with one annotation for each put, in order; then follow those of somebody else that stood
    in the way. ``conflicts`` are sentences for the person.
    """

    version: int
    put: tuple[Annotation, ...] = ()
    deleted: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One line of an image's history. ``state`` is "done", "undone", "ended" (for good) or "note"."""

    id: int
    person: str
    verb: str
    group: str | None
    at: datetime
    version: int
    state: Literal["done", "undone", "ended", "note"]


@dataclass(frozen=True)
class Job:
    """A work over many images. ``kind`` names the operation, ``settings`` is what JSON holds of its options.

    Of ``total`` images ``done`` have their result and ``failed`` could not have one. Images that were deleted
    since count no longer. Its id is the group of history of all that it did.
    """

    id: str
    project_id: str
    person: str
    kind: str
    title: str
    settings: dict[str, Any]
    state: JobState
    problem: str | None
    created: datetime
    changed: datetime
    done: int
    failed: int
    total: int


@dataclass(frozen=True)
class JobImage:
    """One image of a job, at its place in the order; ``counts`` is what the operation tells of it.

    ``answer`` is what a question about it came to, None for a job that asks nothing.
    """

    position: int
    image: ImageRecord
    state: Literal["todo", "done", "failed"]
    problem: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    answer: str | None = None


@dataclass(frozen=True)
class ImageColumn:
    """A name of the project's under which images have values; ``answers`` is how many do.

    ``question`` and ``model`` are those that filled it last, empty and None where people fill it by hand.
    """

    id: str
    project_id: str
    name: str
    question: str
    model: str | None
    created: datetime
    answers: int


@dataclass(frozen=True)
class Cell:
    """An image's value in a column. ``model`` is None where a person wrote it, and so is ``question``."""

    value: str
    model: str | None
    question: str | None
    person: str
    changed: datetime


@dataclass(frozen=True)
class Answered:
    """A value on its way into a column, as a model gave it; what a person wrote there stays."""

    column_id: str
    value: str
    model: str
    question: str


@dataclass(frozen=True)
class ColumnFilter:
    """Which images by a column: those whose value ``is`` or ``holds`` a text, whatever its case, or have ``any`` or
    ``none``.
    """

    column_id: str
    way: Literal["is", "holds", "any", "none"] = "any"
    text: str = ""


@dataclass(frozen=True)
class SavedView:
    """What somebody looked for under a name; ``settings`` is what JSON holds of it."""

    id: str
    project_id: str
    name: str
    person: str
    changed: datetime
    settings: dict[str, Any]


class Filters(TypedDict, total=False):
    """Which images: by part of the name, status, a class they show, no annotation yet, drafts waiting, a column, or
    taken out of view.
    """

    text: str | None
    status: Status | None
    class_id: str | None
    unlabelled: bool | None
    drafts: bool | None
    column: ColumnFilter | None
    hidden: bool | None
