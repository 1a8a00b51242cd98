"""Undo and redo, from what history kept: no model runs again, and nobody else's change is touched."""

from __future__ import annotations

from sqlalchemy import Connection, Row, bindparam, select, update

from studio.project.annotations import state_now
from studio.project.classes import restore
from studio.project.columns import take_back
from studio.project.database import Database
from studio.project.images import find_image, lock_image
from studio.project.names import check_person
from studio.project.packing import unpack_json
from studio.project.records import Applied, Entry
from studio.project.schema import history
from studio.project.steps import Step, read_items, record, rows_by_id

_MINE = select(history).where(
    history.c.image == bindparam("image"),
    history.c.person == bindparam("person"),
    history.c.state == bindparam("state"),
    history.c.subject.is_(None),  # a value of a column is no step on the image itself
)
_LAST_DONE = _MINE.order_by(history.c.seq.desc()).limit(1)
_LAST_UNDONE = _MINE.order_by(history.c.undone.desc()).limit(1)


class HistoryStore:
    """The part of the store that goes back and forth."""

    _db: Database

    def undo(self, image_id: str, person: str) -> Applied | None:
        """Take back this person's last change on this image; None where there is none left.

        What somebody else has changed since stays as it is and is reported.
        """
        return self._turn(image_id, person, back=True)

    def redo(self, image_id: str, person: str) -> Applied | None:
        """Do again what this person undid last on this image; None after a new change or without one."""
        return self._turn(image_id, person, back=False)

    def undo_group(self, group: str, person: str) -> int:
        """Take back every change of a dataset job and return how many images it touched.

        Each image is a transaction of its own, so that others go on labelling; called again after a break, it
        goes on where it stopped. What was changed since by hand stays.
        """
        check_person(person)
        wanted = (
            select(history.c.seq)
            .where(history.c.group_id == group, history.c.state == "done")
            .order_by(history.c.seq.desc())
        )
        with self._db.read() as c:
            seqs = list(c.execute(wanted).scalars())
        touched = set()
        for seq in seqs:
            with self._db.write() as c:
                row = c.execute(select(history).where(history.c.seq == seq)).first()
                if row is None or row.state != "done":
                    continue
                if row.image is None:
                    restore(c, row.project_id, row.subject, person)
                    c.execute(update(history).where(history.c.seq == seq).values(state="ended"))
                    continue
                image = lock_image(c, row.image)
                if row.subject is not None:
                    if take_back(c, image, row, person):
                        touched.add(row.image)
                    continue
                if _carry_out(c, image, row, person, back=True).version != image.version:
                    touched.add(row.image)
        return len(touched)

    def history(self, image_id: str) -> list[Entry]:
        """Return what was done to an image, oldest first."""
        with self._db.read() as c:
            image = find_image(c, image_id)
            rows = c.execute(select(history).where(history.c.image == image.seq).order_by(history.c.seq))
            return [
                Entry(row.seq, row.person, row.verb, row.group_id, row.at, row.version, row.state)
                for row in rows
            ]

    def _turn(self, image_id: str, person: str, *, back: bool) -> Applied | None:
        check_person(person)
        last, state = (_LAST_DONE, "done") if back else (_LAST_UNDONE, "undone")
        with self._db.write() as c:
            image = find_image(c, image_id, lock=True)
            row = c.execute(last, {"image": image.seq, "person": person, "state": state}).first()
            return None if row is None else _carry_out(c, image, row, person, back=back)


def _carry_out(connection: Connection, image: Row, row: Row, person: str, *, back: bool) -> Applied:
    """Bring an image's annotations to before a history row, or after it again."""
    items = list(read_items(unpack_json(row.payload)))
    stored = rows_by_id(connection, image.seq, [item[0] for item in items])
    wanted = {state.class_id for item in items if (state := item[2 if back else 3])}
    classes = {class_id: restore(connection, image.project_id, class_id, person) for class_id in wanted}
    steps, standing, conflicts = [], [], []
    for annotation_id, earlier, before, after in items:
        found = stored[annotation_id]
        expected, target, edit = (row.seq, before, earlier) if back else (earlier, after, row.seq)
        if found.edit == expected:
            target = target and target._replace(class_id=classes[target.class_id])
            steps.append(Step(annotation_id, found, target, edit))
        else:
            standing.append(found)
            conflicts.append(_left(found, back))
    if not steps:
        connection.execute(update(history).where(history.c.seq == row.seq).values(state="ended"))
        now = state_now(image.version, standing)
        return Applied(now.version, now.put, now.deleted, tuple(conflicts))
    verb = ("undo " if back else "redo ") + row.verb
    turned = record(connection, image, steps, person=person, verb=verb, undoable=False)
    new = {"state": "undone", "undone": turned} if back else {"state": "done", "undone": None}
    connection.execute(update(history).where(history.c.seq == row.seq).values(new))
    rows = rows_by_id(connection, image.seq, [item[0] for item in items])
    now = state_now(image.version + 1, [rows[item[0]] for item in items])
    return Applied(now.version, now.put, now.deleted, tuple(conflicts))


def _left(found: Row, back: bool) -> str:
    word = "undone" if back else "redone"
    if found.class_id is None:
        return f"The object was deleted in the meantime, so your change was not {word}."
    return f"“{found.class_name}” was changed in the meantime, so your change was not {word}."
