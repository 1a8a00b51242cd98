"""How the state of annotations is written: one new image version, one history row, all in one place."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from studio.annotations import Annotation
from studio.project.packing import pack_json, unpack
from studio.project.schema import annotations, classes, history, images, shapes

_MOST_IDS = 500  # in one IN (…); drivers have limits

_ROWS = select(annotations, classes.c.name.label("class_name"), shapes.c.data).select_from(
    annotations.outerjoin(classes, classes.c.id == annotations.c.class_id).outerjoin(
        shapes, shapes.c.seq == annotations.c.shape
    )
)
ROWS_OF_IMAGE = _ROWS.where(annotations.c.image == bindparam("image")).order_by(annotations.c.seq)
_ROWS_OF_IDS = _ROWS.where(
    annotations.c.image == bindparam("image"), annotations.c.id.in_(bindparam("ids", expanding=True))
)
ROWS_OF_MANY = (
    _ROWS.add_columns(images.c.id.label("of"))
    .join(images, images.c.seq == annotations.c.image)
    .where(annotations.c.class_id.is_not(None), images.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(annotations.c.seq)
)
_ADD = insert(annotations)
_REMOVE = (
    update(annotations)
    .where(annotations.c.seq == bindparam("row"))
    .values({name: bindparam(name) for name in ("class_id", "revision", "changed", "edit")})
)
_ADD_HISTORY = insert(history)
_END_REDO = (
    update(history)
    .where(
        history.c.image == bindparam("of"),
        history.c.person == bindparam("by"),
        history.c.state == "undone",
    )
    .values(state="ended")
)
_GROW = update(images).where(images.c.seq == bindparam("image"))


class State(NamedTuple):
    """What an annotation is, apart from its id; its geometry by reference."""

    class_id: str
    shape: int
    source: str
    draft: bool
    model: str | None
    model_version: str | None
    score: float | None
    created_by: str | None


_CHANGE = (
    update(annotations)
    .where(annotations.c.seq == bindparam("row"))
    .values({name: bindparam(name) for name in (*State._fields, "revision", "changed", "edit")})
)


@dataclass(frozen=True)
class Step:
    """One annotation's way from what is stored (None: nothing yet) to what it becomes (None: deleted).

    ``edit`` names the history row whose outcome that is; None means the one about to be written.
    """

    id: str
    stored: Row | None
    after: State | None
    edit: int | None = None

    @property
    def before(self) -> State | None:
        return None if self.stored is None else state_of(self.stored)

    @property
    def revision(self) -> int:
        return (self.stored.revision if self.stored else 0) + 1


def state_of(row: Row) -> State | None:
    """Return what a stored row says; None where it is only the memory of a deleted annotation."""
    if row.class_id is None:
        return None
    return State(*(getattr(row, name) for name in State._fields))


def annotation_of(row: Row) -> Annotation:
    shape, prompt = unpack(row.data)
    return Annotation(
        class_name=row.class_name,
        shape=shape,
        id=row.id,
        source=row.source,
        draft=row.draft,
        model=row.model,
        model_version=row.model_version,
        prompt=prompt,
        score=row.score,
        created_by=row.created_by,
        revision=row.revision,
    )


def rows_by_id(connection: Connection, image: int, ids: Sequence[str]) -> dict[str, Row]:
    """Return stored annotations, deleted ones too, with their class name and packed geometry."""
    found: dict[str, Row] = {}
    for start in range(0, len(ids), _MOST_IDS):
        wanted = {"image": image, "ids": ids[start : start + _MOST_IDS]}
        found.update((row.id, row) for row in connection.execute(_ROWS_OF_IDS, wanted))
    return found


def add_shapes(connection: Connection, image: int, packed: Sequence[bytes]) -> list[int]:
    """Store geometries and return what to call them by, in order."""
    if not packed:
        return []
    adding = insert(shapes).returning(shapes.c.seq, sort_by_parameter_order=True)
    return list(connection.execute(adding, [{"image": image, "data": data} for data in packed]).scalars())


def note(
    connection: Connection,
    project_id: str,
    person: str,
    verb: str,
    *,
    image: Row | None = None,
    version: int = 0,
    subject: str | None = None,
    group: str | None = None,
    state: str = "note",
    payload: Any = None,
) -> int:
    """Write one line of history and return its number."""
    line = {
        "project_id": project_id,
        "image": None if image is None else image.seq,
        "subject": subject,
        "person": person,
        "verb": verb,
        "group_id": group,
        "at": datetime.now(UTC),
        "version": version,
        "state": state,
        "payload": None if payload is None else pack_json(payload),
    }
    return connection.execute(_ADD_HISTORY, line).inserted_primary_key[0]


def record(
    connection: Connection,
    image: Row,
    steps: Sequence[Step],
    *,
    person: str,
    verb: str,
    group: str | None = None,
    undoable: bool = True,
) -> int:
    """Write the steps, their history row, and the image's new version and counts; return the row's number."""
    version = image.version + 1
    if undoable:
        connection.execute(_END_REDO, {"of": image.seq, "by": person})
    done = note(
        connection,
        image.project_id,
        person,
        verb,
        image=image,
        version=version,
        group=group,
        state="done" if undoable else "note",
        payload=[_item(step) for step in steps] if undoable else None,
    )
    added, changed, removed = [], [], []
    for step in steps:
        edit = done if step.edit is None else step.edit
        values: dict[str, Any] = {"revision": step.revision, "changed": version, "edit": edit}
        if step.stored is None:
            added.append(values | {"image": image.seq, "id": step.id} | step.after._asdict())
        elif step.after is None:
            removed.append(values | {"row": step.stored.seq, "class_id": None})
        else:
            changed.append(values | {"row": step.stored.seq} | step.after._asdict())
    for statement, rows in ((_ADD, added), (_CHANGE, changed), (_REMOVE, removed)):
        if rows:
            connection.execute(statement, rows)
    count, drafts = _growth(steps)
    new = {"version": version, "count": image.count + count, "drafts": image.drafts + drafts}
    connection.execute(_GROW, {"image": image.seq, **new})
    return done


def read_items(payload: Any) -> Iterable[tuple[str, int, State | None, State | None]]:
    """Read what ``record`` kept: id, the earlier edit, the state before and after."""
    for annotation_id, edit, before, after in payload:
        yield annotation_id, edit, before and State(*before), after and State(*after)


def new_id() -> str:
    return uuid.uuid4().hex


def _item(step: Step) -> list[Any]:
    return [step.id, step.stored.edit if step.stored else 0, step.before, step.after]


def _growth(steps: Sequence[Step]) -> tuple[int, int]:
    count = drafts = 0
    for step in steps:
        for state, sign in ((step.before, -1), (step.after, 1)):
            if state is not None:
                drafts += sign * state.draft
                count += sign * (not state.draft)
    return count, drafts
