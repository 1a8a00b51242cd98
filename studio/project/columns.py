"""Columns of a project: under a name of its own, each image may have a value, which a model or a person wrote."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Unpack

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from studio.errors import BadInput, Conflict, NotFound
from studio.project.database import Database
from studio.project.images import as_record, conditions, find_image
from studio.project.names import asked_id, check_person, clean_name, fold, order_key, storable
from studio.project.packing import unpack_json
from studio.project.projects import find_project
from studio.project.records import Answered, Cell, Filters, ImageColumn, ImageRecord
from studio.project.schema import cells, columns, history, images
from studio.project.steps import new_id, note

LONGEST_VALUE = 10_000
LONGEST_QUESTION = 4000
MOST_COLUMNS = 200
_AT_ONCE = 500
_KEPT = ("value", "question", "model", "person", "edit")  # of a cell, in history


class ColumnStore:
    """The part of the store that knows columns."""

    _db: Database

    def columns(self, project_id: str) -> list[ImageColumn]:
        """Return a project's columns, the oldest first."""
        wanted = _counted().where(columns.c.project_id == asked_id(project_id))
        with self._db.read() as c:
            return [_column(row) for row in c.execute(wanted.order_by(columns.c.created, columns.c.id))]

    def column(self, column_id: str) -> ImageColumn:
        """Return a column. Raises NotFound."""
        with self._db.read() as c:
            return _column(
                _existing(c.execute(_counted().where(columns.c.id == asked_id(column_id))).first())
            )

    def add_column(
        self, project_id: str, name: str, *, question: str = "", model: str | None = None, person: str = ""
    ) -> ImageColumn:
        """Add a column, or return the one of that name, which from now on says that it is filled by this question."""
        name, question = clean_name(name, "column"), _checked_question(question)
        with self._db.write() as c:
            find_project(c, project_id, lock=True)
            there = list(c.execute(select(columns).where(columns.c.project_id == project_id)))
            found = next((row.id for row in there if row.name == name), None)
            if found is None:
                if len(there) >= MOST_COLUMNS:
                    raise BadInput(f"A project has at most {MOST_COLUMNS} columns. Delete one first.")
                found = new_id()
                row = {"id": found, "project_id": project_id, "name": name, "question": question}
                c.execute(insert(columns), row | {"model": model, "created": datetime.now(UTC)})
                note(c, project_id, person, "add column", subject=found, payload={"after": name})
            elif question:
                asked = {"question": question, "model": model}
                c.execute(update(columns).where(columns.c.id == found).values(asked))
        return self.column(found)

    def rename_column(self, column_id: str, name: str, *, person: str = "") -> ImageColumn:
        """Give a column another name. Raises Conflict where another one has it."""
        name = clean_name(name, "column")
        with self._db.write() as c:
            row = _find(c, column_id)
            if name != row.name:
                same = (columns.c.project_id == row.project_id, columns.c.name == name)
                if c.execute(select(columns.c.id).where(*same)).first():
                    raise Conflict(f"There is a column “{name}” already. Choose another name.")
                c.execute(update(columns).where(columns.c.id == row.id).values(name=name))
                kept = {"before": row.name, "after": name}
                note(c, row.project_id, person, "rename column", subject=row.id, payload=kept)
        return self.column(column_id)

    def delete_column(self, column_id: str, *, person: str = "") -> int:
        """Delete a column with all its values, for good; return how many there were."""
        with self._db.write() as c:
            row = _find(c, column_id)
            gone = c.execute(delete(cells).where(cells.c.column_id == row.id)).rowcount
            c.execute(delete(columns).where(columns.c.id == row.id))
            note(c, row.project_id, person, "delete column", subject=row.id, payload={"before": row.name})
            return gone

    def set_cell(self, column_id: str, image_id: str, value: str, person: str) -> Cell | None:
        """Write an image's value by hand; an empty one takes it away. Raises NotFound, and BadInput if too long."""
        check_person(person)
        value = _checked_value(value)
        with self._db.write() as c:
            column, image = _find(c, column_id), find_image(c, image_id, lock=True)
            if image.project_id != column.project_id:
                raise NotFound("This image is not in the column's project. Open another one.")
            before = _cell_row(c, column.id, image.seq)
            if (before.value if before else "") == value:
                return before and _cell(before)
            kept = [_kept(before), {"value": value} if value else None]
            edit = note(c, column.project_id, person, "edit answer", image=image, version=image.version,
                        subject=column.id, payload=kept)  # fmt: skip
            new = {"value": value, "question": None, "model": None, "person": person, "edit": edit}
            _write(c, column.id, image.seq, new if value else None)
            after = _cell_row(c, column.id, image.seq)
            return after and _cell(after)

    def cells(self, project_id: str, image_ids: Sequence[str]) -> dict[str, dict[str, Cell]]:
        """Return by image's id, then by column's id, the values of some images; those without any are left out."""
        found: dict[str, dict[str, Cell]] = {}
        ids = [asked_id(each) for each in image_ids]
        with self._db.read() as c:
            for start in range(0, len(ids), _AT_ONCE):
                wanted = (
                    select(cells, images.c.id.label("of"))
                    .join(images, images.c.seq == cells.c.image)
                    .join(columns, columns.c.id == cells.c.column_id)
                    .where(images.c.id.in_(ids[start : start + _AT_ONCE]), columns.c.project_id == project_id)
                )
                for row in c.execute(wanted):
                    found.setdefault(row.of, {})[row.column_id] = _cell(row)
        return found

    def column_page(
        self,
        column_id: str,
        *,
        order: Literal["added", "name", "value"] = "added",
        down: bool = False,
        offset: int = 0,
        limit: int = 50,
        **filters: Unpack[Filters],
    ) -> tuple[list[tuple[ImageRecord, Cell | None]], int]:
        """Return some of the images that pass the filters, each with its value, and how many pass.

        By "value" numbers in values count, and images without one come last, whichever way round.
        """
        if order not in ("added", "name", "value"):
            raise BadInput(f"Answers are ordered by “added”, “name” or “value”, not “{str(order)[:20]}”.")
        with self._db.read() as c:
            column = _find(c, column_id)
            beside = images.outerjoin(
                cells, (cells.c.image == images.c.seq) & (cells.c.column_id == column.id)
            )
            keys = (images.c.seq,) if order == "added" else (images.c.name_order, images.c.seq)
            passing = select(images.c.seq, cells.c.folded).select_from(beside)
            passing = passing.where(*conditions(column.project_id, **filters))
            rows = list(c.execute(passing.order_by(*(key.desc() if down else key for key in keys))))
            if order == "value":  # by both together no database sorts as people count
                filled = sorted(
                    (r for r in rows if r.folded is not None), key=lambda r: order_key(r.folded), reverse=down
                )
                rows = filled + [r for r in rows if r.folded is None]
            seqs = [row.seq for row in rows[max(0, offset) : max(0, offset) + max(0, min(limit, _AT_ONCE))]]
            records = {
                row.seq: as_record(row) for row in c.execute(select(images).where(images.c.seq.in_(seqs)))
            }
            wanted = select(cells).where(cells.c.column_id == column.id, cells.c.image.in_(seqs))
            values = {row.image: _cell(row) for row in c.execute(wanted)}
        return [(records[seq], values.get(seq)) for seq in seqs if seq in records], len(rows)

    def column_values(self, column_id: str, *, limit: int = 30) -> tuple[list[tuple[str, int]], int]:
        """Return a column's commonest values with how many images have each, and how many different ones there are.

        Values that differ in case alone are one.
        """
        wanted = (
            select(func.min(cells.c.value), func.count().label("n"))
            .where(cells.c.column_id == asked_id(column_id))
            .group_by(cells.c.folded)
            .order_by(func.count().desc(), cells.c.folded)
            .limit(limit)
        )
        different = select(func.count(cells.c.folded.distinct())).where(
            cells.c.column_id == asked_id(column_id)
        )
        with self._db.read() as c:
            return [(value, count) for value, count in c.execute(wanted)], c.execute(different).scalar_one()


def fill(connection: Connection, image: Row, answered: Answered, person: str, group: str) -> bool:
    """Write a model's value within a transaction, as a step of a job; False where a person's value stays.

    Raises NotFound where the column was deleted, and BadInput where the value is too long.
    """
    column = _find(connection, answered.column_id)
    before = _cell_row(connection, column.id, image.seq)
    if before is not None and before.model is None:
        return False
    value = _checked_value(answered.value)
    made = {"value": value, "question": answered.question, "model": answered.model, "person": person}
    edit = note(
        connection,
        column.project_id,
        person,
        "answer",
        image=image,
        version=image.version,
        subject=column.id,
        group=group,
        state="done",
        payload=[_kept(before), made],
    )
    _write(connection, column.id, image.seq, made | {"edit": edit})
    return True


def take_back(connection: Connection, image: Row, row: Row, person: str) -> bool:
    """Bring a value back to before a history row; False where it was changed since, or the column is gone."""
    now = _cell_row(connection, row.subject, image.seq)
    connection.execute(update(history).where(history.c.seq == row.seq).values(state="ended"))
    if now is None or now.edit != row.seq:
        return False
    before, after = unpack_json(row.payload)
    _write(connection, row.subject, image.seq, before)
    note(
        connection,
        image.project_id,
        person,
        "undo " + row.verb,
        image=image,
        version=image.version,
        subject=row.subject,
        payload=[after, before],
    )
    return True


def _write(connection: Connection, column_id: str, image: int, made: dict[str, Any] | None) -> None:
    here = (cells.c.column_id == column_id, cells.c.image == image)
    connection.execute(delete(cells).where(*here))
    if made is not None:
        row = made | {"column_id": column_id, "image": image, "folded": fold(made["value"])}
        connection.execute(insert(cells), row | {"changed": datetime.now(UTC)})


def _counted() -> Any:
    count = select(func.count()).where(cells.c.column_id == columns.c.id).scalar_subquery()
    return select(columns, count.label("answers"))


def _cell_row(connection: Connection, column_id: str, image: int) -> Row | None:
    here = (cells.c.column_id == column_id, cells.c.image == image)
    return connection.execute(select(cells).where(*here)).first()


def _find(connection: Connection, column_id: str) -> Row:
    return _existing(connection.execute(select(columns).where(columns.c.id == asked_id(column_id))).first())


def _existing(row: Row | None) -> Row:
    if row is None:
        raise NotFound("This column is not in the project any more. Somebody may have deleted it.")
    return row


def _kept(row: Row | None) -> dict[str, Any] | None:
    return None if row is None else {name: getattr(row, name) for name in _KEPT}


def _checked_value(value: str) -> str:
    value = storable(str(value)).strip()
    if len(value) > LONGEST_VALUE:
        raise BadInput(f"A value has at most {LONGEST_VALUE:,} characters; this one has {len(value):,}.")
    return value


def _checked_question(question: str) -> str:
    question = storable(question).strip()
    if len(question) > LONGEST_QUESTION:
        raise BadInput(f"A question has at most {LONGEST_QUESTION:,} characters, not {len(question):,}.")
    return question


def _column(row: Row) -> ImageColumn:
    return ImageColumn(row.id, row.project_id, row.name, row.question, row.model, row.created, row.answers)


def _cell(row: Row) -> Cell:
    return Cell(row.value, row.model, row.question, row.person, row.changed)
