"""The images of a project: adding, finding, paging, and whether they are done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from sqlalchemy import Connection, Row, and_, bindparam, exists, func, insert, or_, select, update

from studio.errors import BadInput, NotFound
from studio.project.database import Database
from studio.project.files import DISPLAY, ORIGINAL, THUMBNAIL, Files, sha256
from studio.project.names import (
    asked_id,
    check_person,
    clean_image_name,
    fold,
    numbered,
    order_key,
    split_ending,
)
from studio.project.projects import find_project
from studio.project.records import ColumnFilter, Filters, ImageRecord, Order, Status
from studio.project.schema import annotations, cells, columns, images
from studio.project.schema import hidden as out_of_view
from studio.project.steps import new_id, note

MOST_AT_ONCE = 2**31 - 1
_AT_ONCE = 500

_BY_ID = select(images).where(images.c.id == bindparam("id"))
_BY_ID_LOCKED = _BY_ID.with_for_update()
_BY_SEQ_LOCKED = select(images).where(images.c.seq == bindparam("seq")).with_for_update()


class ImageStore:
    """The part of the store that knows images."""

    _db: Database
    _files: Files

    def add_image(
        self,
        project_id: str,
        name: str,
        data: bytes,
        *,
        width: int,
        height: int,
        display: bytes | None,
        thumbnail: bytes,
        person: str,
    ) -> tuple[ImageRecord, bool]:
        """Keep an image's files, then its row; False says that the project had the same bytes already.

        ``width`` and ``height`` are those of the upright image. ``display`` is what a browser is shown, None
        where that is the original. A name that is taken gets " (2)" before its ending.
        """
        name, person = clean_image_name(name), check_person(person)
        if width < 1 or height < 1:
            raise BadInput(f"“{name}” is {width} × {height}: an image needs at least one pixel.")
        digest = sha256(data)
        with self._db.read() as c:
            find_project(c, project_id)
            same = _by(c, project_id, images.c.digest == digest)
        if same is not None:
            return as_record(same), False
        contents = {ORIGINAL: data, THUMBNAIL: thumbnail}
        if display is not None:
            contents[DISPLAY] = display
        self._files.write(digest, contents)
        with self._db.write() as c:
            self._db.hold_files(c)
            find_project(c, project_id, lock=True)
            same = _by(c, project_id, images.c.digest == digest)
            if same is not None:
                return as_record(same), False
            # Somebody may have deleted the same picture elsewhere since we wrote it.
            self._files.write(digest, contents)
            values = image_values(c, project_id, name, digest, width, height)
            c.execute(insert(images), values)
            row = find_image(c, values["id"])
            note(c, project_id, person, "add image", image=row, version=row.version)
            return as_record(row), True

    def image(self, image_id: str) -> ImageRecord:
        """Return an image. Raises NotFound."""
        with self._db.read() as c:
            return as_record(find_image(c, image_id))

    def images_by_id(self, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """Return those of some images that are there, by their ids."""
        ids = [asked_id(each) for each in image_ids]
        found: dict[str, ImageRecord] = {}
        with self._db.read() as c:
            for start in range(0, len(ids), _AT_ONCE):
                wanted = select(images).where(images.c.id.in_(ids[start : start + _AT_ONCE]))
                found.update((row.id, as_record(row)) for row in c.execute(wanted))
        return found

    def image_by_name(self, project_id: str, name: str) -> ImageRecord | None:
        """Return the image of that name, tidied as when it was added; None where there is none."""
        try:
            name = clean_image_name(name)
        except BadInput:
            return None
        with self._db.read() as c:
            row = _by(c, asked_id(project_id), images.c.name == name)
        return None if row is None else as_record(row)

    def images(
        self,
        project_id: str,
        *,
        offset: int = 0,
        limit: int = 60,
        order: Order = "added",
        **filters: Unpack[Filters],
    ) -> list[ImageRecord]:
        """Return one page of images; ``order`` is by arrival or by name, numbers in names counting."""
        wanted = (
            select(images)
            .where(*conditions(project_id, **filters))
            .order_by(*_order(order))
            .offset(_bounded(offset))
            .limit(_bounded(limit))
        )
        with self._db.read() as c:
            return [as_record(row) for row in c.execute(wanted)]

    def count_images(self, project_id: str, **filters: Unpack[Filters]) -> int:
        wanted = select(func.count()).select_from(images).where(*conditions(project_id, **filters))
        with self._db.read() as c:
            return c.execute(wanted).scalar_one()

    def image_ids(self, project_id: str, *, order: Order = "added", **filters: Unpack[Filters]) -> list[str]:
        """Return the ids of all images that pass the filters, in order."""
        wanted = select(images.c.id).where(*conditions(project_id, **filters)).order_by(*_order(order))
        with self._db.read() as c:
            return list(c.execute(wanted).scalars())

    def neighbours(
        self, image_id: str, *, order: Order = "added", **filters: Unpack[Filters]
    ) -> tuple[str | None, str | None, int, int]:
        """Return the previous and next image that pass, this one's place from 0, and how many pass.

        An image that does not pass itself stands where it would be if it did.
        """
        with self._db.read() as c:
            here = find_image(c, image_id)
            passing = conditions(here.project_id, **filters)
            before, after = _before(here, order), _after(here, order)
            keys = _order(order)
            previous = select(images.c.id).where(*passing, before).order_by(*(key.desc() for key in keys))
            following = select(images.c.id).where(*passing, after).order_by(*keys)
            counts = select(func.count(), func.count().filter(before)).select_from(images).where(*passing)
            total, position = c.execute(counts).one()
            return (
                c.execute(previous.limit(1)).scalar(),
                c.execute(following.limit(1)).scalar(),
                position,
                total,
            )

    def set_status(self, image_id: str, status: Status, person: str) -> ImageRecord:
        """Mark an image "todo" or "done"."""
        if status not in ("todo", "done"):
            raise BadInput(f"An image is “todo” or “done”, not “{str(status)[:20]}”.")
        check_person(person)
        with self._db.write() as c:
            row = find_image(c, image_id, lock=True)
            if row.status != status:
                values = {"status": status, "version": row.version + 1}
                c.execute(update(images).where(images.c.seq == row.seq).values(values))
                kept = {"before": row.status, "after": status}
                version = row.version + 1
                note(c, row.project_id, person, "mark " + status, image=row, version=version, payload=kept)
                row = find_image(c, image_id)
            return as_record(row)

    def original_path(self, image: ImageRecord) -> Path:
        """Return the file as it was uploaded."""
        return self._files.path(image.digest)

    def display_path(self, image: ImageRecord) -> Path:
        """Return what a browser can show: the original where no other was made."""
        path = self._files.path(image.digest, DISPLAY)
        return path if path.exists() else self.original_path(image)

    def thumbnail_path(self, image: ImageRecord) -> Path:
        return self._files.path(image.digest, THUMBNAIL)


def find_image(connection: Connection, image_id: str, *, lock: bool = False) -> Row:
    row = connection.execute(_BY_ID_LOCKED if lock else _BY_ID, {"id": asked_id(image_id)}).first()
    if row is None:
        raise NotFound("This image is not here any more. Open another one.")
    return row


def lock_image(connection: Connection, seq: int) -> Row:
    return connection.execute(_BY_SEQ_LOCKED, {"seq": seq}).one()


def _by(connection: Connection, project_id: str, condition: Any) -> Row | None:
    return connection.execute(select(images).where(images.c.project_id == project_id, condition)).first()


def image_values(
    connection: Connection, project_id: str, name: str, digest: str, width: int, height: int
) -> dict[str, Any]:
    """Return the row of a new image, under a name that is free."""
    name = _free_name(connection, project_id, name)
    return {
        "id": new_id(),
        "project_id": project_id,
        "digest": digest,
        "name": name,
        "folded": fold(name),
        "name_order": order_key(name),
        "width": int(width),
        "height": int(height),
        "version": 1,
        "status": "todo",
        "count": 0,
        "drafts": 0,
        "added": datetime.now(UTC),
    }


def _free_name(connection: Connection, project_id: str, name: str) -> str:
    def taken(candidate: str) -> bool:
        return _by(connection, project_id, images.c.name == candidate) is not None

    if not taken(name):
        return name
    stem, ending = split_ending(name)
    like = images.c.name.startswith(stem + " (", autoescape=True) & images.c.name.endswith(
        ")" + ending, autoescape=True
    )
    alike = select(func.count()).select_from(images).where(images.c.project_id == project_id, like)
    # Names are numbered in order, so their number is near the first free one; then one step at a time.
    number = max(2, connection.execute(alike).scalar_one() + 2)
    while number > 2 and not taken(numbered(name, number - 1)):
        number -= 1
    while taken(numbered(name, number)):
        number += 1
    return numbered(name, number)


def conditions(
    project_id: str,
    *,
    text: str | None = None,
    status: Status | None = None,
    class_id: str | None = None,
    unlabelled: bool | None = None,
    drafts: bool | None = None,
    column: ColumnFilter | None = None,
    hidden: bool | None = None,
) -> Sequence[Any]:
    found: list[Any] = [images.c.project_id == project_id]
    if text:
        found.append(images.c.folded.contains(fold(text), autoescape=True))
    if status is not None:
        found.append(images.c.status == status)
    if class_id is not None:
        shown = exists().where(annotations.c.class_id == class_id, annotations.c.image == images.c.seq)
        found.append(shown)
    if unlabelled is not None:
        found.append(images.c.count == 0 if unlabelled else images.c.count > 0)
    if drafts is not None:
        found.append(images.c.drafts > 0 if drafts else images.c.drafts == 0)
    if column is not None:
        found.append(_in_column(project_id, column))
    if hidden is not None:
        out = exists().where(out_of_view.c.image == images.c.seq)
        found.append(out if hidden else ~out)
    return found


def _in_column(project_id: str, wanted: ColumnFilter) -> Any:
    if wanted.way not in ("is", "holds", "any", "none"):
        raise BadInput(
            f"A column is filtered by “is”, “holds”, “any” or “none”, not “{str(wanted.way)[:20]}”."
        )
    there = exists().where(
        cells.c.column_id == columns.c.id,
        columns.c.id == asked_id(wanted.column_id),
        columns.c.project_id == project_id,
        cells.c.image == images.c.seq,
    )
    if wanted.way == "is":
        there = there.where(cells.c.folded == fold(wanted.text.strip()))
    if wanted.way == "holds":
        there = there.where(cells.c.folded.contains(fold(wanted.text.strip()), autoescape=True))
    return ~there if wanted.way == "none" else there


def _order(order: Order) -> tuple[Any, ...]:
    if order not in ("added", "name"):
        raise BadInput(f"Images are ordered by “added” or “name”, not “{str(order)[:20]}”.")
    return (images.c.name_order, images.c.seq) if order == "name" else (images.c.seq,)


def _before(here: Row, order: Order) -> Any:
    if order == "added":
        return images.c.seq < here.seq
    key = images.c.name_order
    return and_(key <= here.name_order, or_(key < here.name_order, images.c.seq < here.seq))


def _after(here: Row, order: Order) -> Any:
    if order == "added":
        return images.c.seq > here.seq
    key = images.c.name_order
    return and_(key >= here.name_order, or_(key > here.name_order, images.c.seq > here.seq))


def _bounded(number: int) -> int:
    return max(0, min(int(number), MOST_AT_ONCE))


def as_record(row: Row) -> ImageRecord:
    return ImageRecord(
        row.id,
        row.project_id,
        row.digest,
        row.name,
        row.width,
        row.height,
        row.version,
        row.status,
        row.count,
        row.drafts,
        row.added,
    )
