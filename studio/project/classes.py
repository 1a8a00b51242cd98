"""The classes of a project: names, colours, hotkeys, order, and what happens to labels when one goes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, distinct, func, insert, select, update

from studio.errors import BadInput, Conflict, NotFound
from studio.project.database import Database
from studio.project.images import lock_image
from studio.project.names import (
    asked_id,
    check_colour,
    check_hotkey,
    clean_name,
    next_colour,
    next_hotkey,
)
from studio.project.packing import unpack_json
from studio.project.projects import find_project
from studio.project.records import LabelClass
from studio.project.schema import annotations, classes, history, images
from studio.project.steps import Step, new_id, note, record, state_of

_IMAGES_AT_ONCE = 25  # in one transaction, so that clicks get in between

_KEEP = "keep"
_RENAME = "rename class"
_DELETE = "delete class"


class ClassStore:
    """The part of the store that knows a project's classes."""

    _db: Database

    def classes(self, project_id: str) -> list[LabelClass]:
        """Return the classes in the order the person gave them."""
        with self._db.read() as c:
            return [_class(row) for row in _rows(c, project_id)]

    def add_class(
        self,
        project_id: str,
        name: str,
        colour: str | None = None,
        hotkey: str | None = None,
        *,
        person: str = "",
    ) -> LabelClass:
        """Add a class, or return the one of that name. Colour and hotkey default to the next free ones."""
        name = clean_name(name, "class")
        colour = None if colour is None else check_colour(colour)
        hotkey = check_hotkey(hotkey)
        with self._db.write() as c:
            find_project(c, project_id, lock=True)
            return _class(_add(c, project_id, name, person, colour, hotkey))

    def update_class(
        self,
        class_id: str,
        *,
        name: str | None = None,
        colour: str | None = None,
        hotkey: str | Literal["keep"] | None = _KEEP,
        position: int | None = None,
        person: str = "",
    ) -> LabelClass:
        """Change what is given; a hotkey of None or "" frees it, one in use moves here.

        Raises Conflict where another class of the project has the name.
        """
        values: dict[str, Any] = {}
        if name is not None:
            values["name"] = clean_name(name, "class")
        if colour is not None:
            values["colour"] = check_colour(colour)
        if hotkey != _KEEP:
            values["hotkey"] = check_hotkey(hotkey)
        with self._db.write() as c:
            before = _lock(c, class_id)
            values = {key: value for key, value in values.items() if value != getattr(before, key)}
            if "name" in values:
                _rename(c, before, values["name"])
            if values.get("hotkey"):
                _free_hotkey(c, before.project_id, values["hotkey"])
            if values:
                c.execute(update(classes).where(classes.c.id == class_id).values(values))
            moved = position is not None and _move(c, before, position)
            if values or moved:
                verb = _RENAME if "name" in values else "change class"
                kept = {"before": _json(before), "after": values | ({"position": position} if moved else {})}
                note(c, before.project_id, person, verb, subject=class_id, payload=kept)
            return _class(_lock(c, class_id))

    def delete_class(self, class_id: str, replace_with: str | None = None, *, person: str = "") -> str:
        """Delete a class and return the group by which ``undo_group`` brings it and its labels back.

        Its annotations get the class ``replace_with``. Raises BadInput with their number where none is given.
        """
        group = new_id()
        while True:
            if replace_with is not None:
                self._replace_class(class_id, replace_with, person, group)
            with self._db.write() as c:
                row = _lock(c, class_id)
                used, pictures = _use(c, class_id)
                if not used:
                    c.execute(delete(classes).where(classes.c.id == class_id))
                    kept = {"before": _json(row)}
                    note(
                        c, row.project_id, person, _DELETE,
                        subject=class_id, group=group, state="done", payload=kept,
                    )  # fmt: skip
                    return group
            if replace_with is None:
                objects = "1 object" if used == 1 else f"{used} objects"
                on = "1 image" if pictures == 1 else f"{pictures} images"
                raise BadInput(
                    f"“{row.name}” is the class of {objects} on {on}. Choose a class that they get instead."
                )

    def _replace_class(self, class_id: str, other_id: str, person: str, group: str) -> None:
        """Give annotations another class, a few images at a time: done again, it goes on where it stopped."""
        using = (
            select(annotations.c.image)
            .distinct()
            .where(annotations.c.class_id == class_id)
            .order_by(annotations.c.image)
            .limit(_IMAGES_AT_ONCE)
        )
        while True:
            with self._db.write() as c:
                row, other = _find(c, class_id), _find(c, other_id)
                if row.id == other.id or row.project_id != other.project_id:
                    raise BadInput(f"“{row.name}” can be replaced only by another class of its project.")
                found = list(c.execute(using).scalars())
                for seq in found:
                    _replace_on(c, seq, row, other, person, group)
            if len(found) < _IMAGES_AT_ONCE:
                return


def resolve(connection: Connection, project_id: str, names: Collection[str], person: str) -> dict[str, str]:
    """Return the ids of classes by name; a class that is not there is added."""
    wanted = select(classes.c.name, classes.c.id).where(
        classes.c.project_id == project_id, classes.c.name.in_(list(names))
    )
    found = {row.name: row.id for row in connection.execute(wanted)} if names else {}
    missing = [name for name in dict.fromkeys(names) if name not in found]
    if missing:
        find_project(connection, project_id, lock=True)
    for name in missing:
        found[name] = _add(connection, project_id, name, person).id
    return found


def known(connection: Connection, project_id: str) -> set[str]:
    wanted = select(classes.c.name).where(classes.c.project_id == project_id)
    return set(connection.execute(wanted).scalars())


def former_names(connection: Connection, class_id: str) -> set[str]:
    """Return what a class was called before: a browser that has not heard of it may still say so."""
    wanted = select(history.c.payload).where(history.c.subject == class_id, history.c.verb == _RENAME)
    return {unpack_json(payload)["before"]["name"] for payload in connection.execute(wanted).scalars()}


def restore(connection: Connection, project_id: str, class_id: str, person: str) -> str:
    """Return the id of a class that history speaks of, bringing it back as it was if it was deleted."""
    there = select(classes.c.id).where(classes.c.id == class_id)
    if connection.execute(there).first():
        return class_id
    wanted = (
        select(history.c.payload)
        .where(history.c.subject == class_id, history.c.verb == _DELETE)
        .order_by(history.c.seq.desc())
        .limit(1)
    )
    was = unpack_json(connection.execute(wanted).scalar_one())["before"]
    find_project(connection, project_id, lock=True)
    rows = _rows(connection, project_id)
    hotkey = None if was["hotkey"] in {row.hotkey for row in rows} else was["hotkey"]
    return _add(connection, project_id, was["name"], person, was["colour"], hotkey, class_id=class_id).id


def _add(
    connection: Connection,
    project_id: str,
    name: str,
    person: str,
    colour: str | None = None,
    hotkey: str | None = None,
    class_id: str | None = None,
) -> Row:
    rows = _rows(connection, project_id)
    for row in rows:
        if row.name == name:
            return row
    if hotkey:
        _free_hotkey(connection, project_id, hotkey)
    elif class_id is None:
        hotkey = next_hotkey({row.hotkey for row in rows})
    values = {
        "id": class_id or new_id(),
        "project_id": project_id,
        "name": name,
        "colour": colour or next_colour({row.colour for row in rows}),
        "hotkey": hotkey,
        "position": max((row.position for row in rows), default=-1) + 1,
    }
    connection.execute(insert(classes), values)
    note(connection, project_id, person, "add class", subject=values["id"], payload={"after": values})
    return _find(connection, values["id"])


def _rename(connection: Connection, before: Row, name: str) -> None:
    if name in known(connection, before.project_id):
        raise Conflict(
            f"There is a class “{name}” already. To join the two, delete “{before.name}” and let “{name}” "
            "replace it."
        )
    # Browsers that show the class hear of the new name as of any change.
    shown = select(annotations.c.image).where(annotations.c.class_id == before.id)
    version = select(images.c.version).where(images.c.seq == annotations.c.image).scalar_subquery()
    connection.execute(update(images).where(images.c.seq.in_(shown)).values(version=images.c.version + 1))
    connection.execute(update(annotations).where(annotations.c.class_id == before.id).values(changed=version))


def _move(connection: Connection, row: Row, position: int) -> bool:
    ids = [other.id for other in _rows(connection, row.project_id)]
    before = list(ids)
    ids.remove(row.id)
    ids.insert(max(0, min(int(position), len(ids))), row.id)
    for place, class_id in enumerate(ids):
        connection.execute(update(classes).where(classes.c.id == class_id).values(position=place))
    return ids != before


def _replace_on(connection: Connection, seq: int, row: Row, other: Row, person: str, group: str) -> None:
    image = lock_image(connection, seq=seq)
    wanted = select(annotations).where(annotations.c.image == seq, annotations.c.class_id == row.id)
    steps = [
        Step(found.id, found, state_of(found)._replace(class_id=other.id))
        for found in connection.execute(wanted)
    ]
    if steps:
        verb = f"replace class {row.name} by {other.name}"
        record(connection, image, steps, person=person, verb=verb, group=group)


def _use(connection: Connection, class_id: str) -> tuple[int, int]:
    wanted = select(func.count(), func.count(distinct(annotations.c.image)))
    used, pictures = connection.execute(wanted.where(annotations.c.class_id == class_id)).one()
    return used, pictures


def _free_hotkey(connection: Connection, project_id: str, hotkey: str) -> None:
    taken = (classes.c.project_id == project_id, classes.c.hotkey == hotkey)
    connection.execute(update(classes).where(*taken).values(hotkey=None))


def _rows(connection: Connection, project_id: str) -> list[Row]:
    wanted = select(classes).where(classes.c.project_id == project_id)
    return list(connection.execute(wanted.order_by(classes.c.position, classes.c.id)))


def _find(connection: Connection, class_id: str, *, lock: bool = False) -> Row:
    wanted = select(classes).where(classes.c.id == asked_id(class_id))
    row = connection.execute(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        raise NotFound("This class is not in the project any more. Somebody may have deleted it.")
    return row


def _lock(connection: Connection, class_id: str) -> Row:
    return _find(connection, class_id, lock=True)


def _json(row: Row) -> dict[str, Any]:
    return {"name": row.name, "colour": row.colour, "hotkey": row.hotkey, "position": row.position}


def _class(row: Row) -> LabelClass:
    return LabelClass(row.id, row.project_id, row.name, row.colour, row.hotkey, row.position)
