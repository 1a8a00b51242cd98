"""Annotations of an image: reading, following others, and applying changes without losing anybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from sqlalchemy import Connection, Row, bindparam, func, select

from studio.annotations import Alpha, Annotation, Mask
from studio.errors import BadInput, NotFound
from studio.project.alphas import prepared, settle
from studio.project.classes import former_names, known, resolve
from studio.project.database import Database
from studio.project.files import Files
from studio.project.images import find_image
from studio.project.names import asked_id, check_annotation_id, check_person, clean_name, storable
from studio.project.packing import pack
from studio.project.projects import find_project
from studio.project.records import Applied, Change
from studio.project.schema import annotations, classes, history
from studio.project.steps import (
    ROWS_OF_IMAGE,
    ROWS_OF_MANY,
    State,
    Step,
    add_shapes,
    annotation_of,
    new_id,
    record,
    rows_by_id,
)

LONGEST_VERB = 60
LONGEST_MODEL = 300
_AT_ONCE = 500
_NEW = -1  # a geometry that is not stored yet

_LIVE = ROWS_OF_IMAGE.where(annotations.c.class_id.is_not(None))
_SINCE = ROWS_OF_IMAGE.where(annotations.c.changed > bindparam("version"))


class AnnotationStore:
    """The part of the store that knows annotations."""

    _db: Database
    _files: Files

    def annotations(self, image_id: str) -> list[Annotation]:
        """Return an image's annotations, drafts too, in the order they were made."""
        with self._db.read() as c:
            rows = list(c.execute(_LIVE, {"image": find_image(c, image_id).seq}))
        return [annotation_of(row) for row in rows]

    def annotations_of(self, image_ids: Sequence[str]) -> dict[str, list[Annotation]]:
        """Return by image's id the annotations of some images; those without any are left out."""
        found: dict[str, list[Annotation]] = {}
        ids = [asked_id(each) for each in image_ids]
        with self._db.read() as c:
            for start in range(0, len(ids), _AT_ONCE):
                for row in c.execute(ROWS_OF_MANY, {"ids": ids[start : start + _AT_ONCE]}):
                    found.setdefault(row.of, []).append(annotation_of(row))
        return found

    def annotation(self, image_id: str, annotation_id: str) -> Annotation | None:
        """Return one annotation, None where there is none of that id or it was deleted."""
        with self._db.read() as c:
            row = rows_by_id(c, find_image(c, image_id).seq, [asked_id(annotation_id)]).get(annotation_id)
        return None if row is None or row.class_id is None else annotation_of(row)

    def counts(self, project_id: str) -> dict[str, int]:
        """Return how many annotations each class has, drafts left out; every class is named."""
        used = (
            select(classes.c.name, func.count(annotations.c.seq))
            .outerjoin(annotations, (annotations.c.class_id == classes.c.id) & annotations.c.draft.is_(False))
            .where(classes.c.project_id == project_id)
            .group_by(classes.c.id, classes.c.name, classes.c.position)
            .order_by(classes.c.position, classes.c.id)
        )
        with self._db.read() as c:
            find_project(c, project_id)
            return {name: count for name, count in c.execute(used)}

    def apply(
        self,
        image_id: str,
        person: str,
        changes: Sequence[Change],
        *,
        verb: str,
        group: str | None = None,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> Applied:
        """Put and delete annotations: all of it, as one step of history, or nothing.

        What somebody else changed since the caller read it is not overwritten: a put is kept beside it as a
        draft under a new id, a delete leaves it; both are reported. A put that changes nothing writes
        nothing, so sending the same twice is safe. ``group`` joins the steps of a job for ``undo_group``.
        ``files`` are those that alphas among the changes name, by digest, as far as the image has not got them.
        """
        edit = Edit(person, changes, verb=verb, group=group, files=files)
        prepared(self._db, self._files, files)
        with self._db.write() as c:
            return edit.carry_out(c, image_id, self._db, self._files)

    def apply_to_many(
        self,
        changes: Mapping[str, Sequence[Change]],
        person: str,
        *,
        verb: str,
        group: str,
    ) -> dict[str, Applied]:
        """Change several images in one transaction, as ``apply`` does each of them; by their ids.

        An image that is gone is left out. Keep them few: whoever clicks waits until all of it is written.
        """
        edits = {image_id: Edit(person, each, verb=verb, group=group) for image_id, each in changes.items()}
        done: dict[str, Applied] = {}
        with self._db.write() as c:
            for image_id, edit in edits.items():
                with suppress(NotFound):
                    done[image_id] = edit.carry_out(c, image_id, self._db, self._files)
        return done

    def changes_since(self, image_id: str, version: int) -> Applied:
        """Return what has changed after a version of the image: annotations as they are now, ids deleted."""
        with self._db.read() as c:
            image = find_image(c, image_id)
            since = max(-1, min(int(version), 2**31 - 1))
            rows = list(c.execute(_SINCE, {"image": image.seq, "version": since}))
        return state_now(image.version, rows)


class Edit:
    """Changes to one image, checked and packed before anybody has to wait for them to be written."""

    def __init__(
        self,
        person: str,
        changes: Sequence[Change],
        *,
        verb: str,
        group: str | None = None,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        check_person(person)
        self._given = files
        self._person, self._verb, self._group = person, storable(verb)[:LONGEST_VERB], group
        self._puts, self._deletes = _sorted_out(changes)
        self._packed = {change.annotation.id: _packed(change.annotation) for change in self._puts}

    def carry_out(self, connection: Connection, image_id: str, database: Database, files: Files) -> Applied:
        """Write the changes within a transaction of the database."""
        image = find_image(connection, image_id, lock=True)
        settle(connection, database, files, image, [c.annotation for c in self._puts], self._given)
        ids = [*self._packed, *(change.delete for change in self._deletes)]
        stored = rows_by_id(connection, image.seq, ids)
        plan = _Plan(connection, image, self._person)
        named = plan.class_names([change.annotation for change in self._puts], stored)
        for change in self._puts:
            _check_fits(change.annotation, image)
            key = change.annotation.id
            plan.put(change, stored.get(key), named[key], self._packed[key])
        for change in self._deletes:
            plan.delete(change, stored.get(change.delete))
        return plan.carry_out(self._verb, self._group)


@dataclass
class _Plan:
    """What one call of apply comes to, before anything but new classes is written."""

    connection: Connection
    image: Row
    person: str
    steps: list[Step] = field(default_factory=list)
    new_shapes: list[bytes] = field(default_factory=list)
    results: list[Annotation] = field(default_factory=list)
    theirs: list[Row] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def class_names(self, wanted: Sequence[Annotation], stored: dict[str, Row]) -> dict[str, tuple[str, str]]:
        """Return the class name and id for each annotation, adding classes that are new."""
        names = {a.id: clean_name(a.class_name, "class") for a in wanted}
        ids = {row.class_name: row.class_id for row in stored.values() if row.class_id}
        if not set(names.values()) <= set(ids):
            self._follow_renames(names, stored)
            missing = [name for name in dict.fromkeys(names.values()) if name not in ids]
            ids |= resolve(self.connection, self.image.project_id, missing, self.person)
        return {key: (name, ids[name]) for key, name in names.items()}

    def put(self, change: Change, row: Row | None, named: tuple[str, str], packed: bytes) -> None:
        incoming, (class_name, class_id) = change.annotation, named
        base = incoming.revision if change.revision is None else change.revision
        if row is not None and row.revision != base and not _says(row, incoming, class_id, packed):
            self.conflicts.append(_beside(class_name, row, self._author(row)))
            self.theirs.append(row)
            incoming, row = incoming.with_(id=new_id(), draft=True), None
        author = row.created_by if row is not None else self.person
        incoming = incoming.with_(class_name=class_name, created_by=author)
        if row is not None and _says(row, incoming, class_id, packed):
            self.results.append(incoming.with_(revision=row.revision))
            return
        shape = row.shape if row is not None and row.data == packed else _NEW
        if shape == _NEW:
            self.new_shapes.append(packed)
        after = State(
            class_id,
            shape,
            incoming.source,
            incoming.draft,
            incoming.model,
            incoming.model_version,
            incoming.score,
            author,
        )
        step = Step(incoming.id, row, after)
        self.steps.append(step)
        self.results.append(incoming.with_(revision=step.revision))

    def delete(self, change: Change, row: Row | None) -> None:
        if row is None or row.class_id is None:
            self.deleted.append(change.delete)
        elif change.revision is not None and change.revision != row.revision:
            author = self._author(row)
            self.conflicts.append(
                f"“{row.class_name}” was changed{author} in the meantime, so it was not deleted. Look at it, "
                "then delete it again."
            )
            self.theirs.append(row)
        else:
            self.steps.append(Step(row.id, row, None))
            self.deleted.append(row.id)

    def carry_out(self, verb: str, group: str | None) -> Applied:
        version = self.image.version
        if self.steps:
            seqs = iter(add_shapes(self.connection, self.image.seq, self.new_shapes))
            steps = [
                replace(step, after=step.after._replace(shape=next(seqs)))
                if step.after and step.after.shape == _NEW
                else step
                for step in self.steps
            ]
            record(self.connection, self.image, steps, person=self.person, verb=verb, group=group)
            version += 1
        others = state_now(version, self.theirs)
        return Applied(
            version,
            (*self.results, *others.put),
            (*self.deleted, *others.deleted),
            tuple(self.conflicts),
        )

    def _follow_renames(self, names: dict[str, str], stored: dict[str, Row]) -> None:
        """Where a browser still calls a class by its former name, the object keeps its class."""
        there = known(self.connection, self.image.project_id)
        for key, name in names.items():
            row = stored.get(key)
            if name not in there and row is not None and row.class_id:
                if name in former_names(self.connection, row.class_id):
                    names[key] = row.class_name

    def _author(self, row: Row) -> str:
        by = self.connection.execute(select(history.c.person).where(history.c.seq == row.edit)).scalar()
        if by is None:
            return ""
        return " by you in another window" if by == self.person else " by somebody else"


def state_now(version: int, rows: Sequence[Row]) -> Applied:
    """Return rows as a browser is told of them: annotations to show, ids to take away."""
    return Applied(
        version,
        tuple(annotation_of(row) for row in rows if row.class_id is not None),
        tuple(row.id for row in rows if row.class_id is None),
    )


def _sorted_out(changes: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    puts, deletes, seen = [], [], set()
    for change in changes:
        if (change.annotation is None) == (change.delete is None):
            raise BadInput("A change must either put an annotation or delete one.")
        key = check_annotation_id(change.delete if change.annotation is None else change.annotation.id)
        if key in seen:
            raise BadInput(f"The annotation {key} is changed twice at once. Send its last state only.")
        seen.add(key)
        (deletes if change.annotation is None else puts).append(change)
    return puts, deletes


def _packed(annotation: Annotation) -> bytes:
    for text in (annotation.model, annotation.model_version):
        if text is not None and (len(text) > LONGEST_MODEL or text != storable(text)):
            raise BadInput(f"A model's name has at most {LONGEST_MODEL} characters, all of them valid.")
    return pack(annotation.shape, annotation.prompt)


def _check_fits(annotation: Annotation, image: Row) -> None:
    shape = annotation.shape
    if isinstance(shape, Mask | Alpha) and (shape.height, shape.width) != (image.height, image.width):
        raise BadInput(
            f"The mask is {shape.width} × {shape.height}, but {image.name} is {image.width} × {image.height}."
        )


def _says(row: Row, annotation: Annotation, class_id: str, packed: bytes) -> bool:
    """Say whether a stored annotation is already just what is being put."""
    return (
        row.class_id == class_id
        and row.data == packed
        and (row.source, row.draft, row.model, row.model_version, row.score)
        == (
            annotation.source,
            annotation.draft,
            annotation.model,
            annotation.model_version,
            annotation.score,
        )
    )


def _beside(class_name: str, row: Row, author: str) -> str:
    what = "deleted" if row.class_id is None else "changed"
    return (
        f"“{class_name}” was {what}{author} in the meantime. Nothing was overwritten: yours was kept beside "
        "it as a draft."
    )
