"""What people looked for under a name, and which images they took out of view."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from studio.errors import BadInput, Conflict, NotFound
from studio.project.database import Database
from studio.project.names import asked_id, check_person, clean_name
from studio.project.projects import find_project
from studio.project.records import SavedView
from studio.project.schema import hidden, images, views
from studio.project.steps import new_id, note

LARGEST_VIEW = 1_000_000  # characters of JSON
MOST_VIEWS = 500
_AT_ONCE = 500


@dataclass(frozen=True)
class ImageKeys:
    """The images of a project in the order they came, without all else that is known of them.

    ``stamp`` is another one whenever any of this is; ``hidden`` says which are out of view.
    """

    stamp: str
    ids: tuple[str, ...]
    digests: tuple[str, ...]
    hidden: tuple[bool, ...]


class ViewStore:
    """The part of the store that knows views."""

    _db: Database

    def views(self, project_id: str) -> list[SavedView]:
        """Return a project's views, by name."""
        wanted = select(views).where(views.c.project_id == asked_id(project_id)).order_by(views.c.name)
        with self._db.read() as c:
            return [_view(row) for row in c.execute(wanted)]

    def view(self, view_id: str) -> SavedView:
        """Return a view. Raises NotFound."""
        with self._db.read() as c:
            return _view(_find(c, view_id))

    def save_view(
        self, project_id: str, name: str, settings: Mapping[str, Any], person: str, *, view_id: str = ""
    ) -> SavedView:
        """Save a view, or with ``view_id`` save it anew. Raises Conflict where another one has the name."""
        name, person = clean_name(name, "view"), check_person(person)
        try:
            size = len(json.dumps(dict(settings), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise BadInput(f"The view “{name}” cannot be stored: {error}.") from None
        if size > LARGEST_VIEW:
            raise BadInput(f"The view “{name}” is {size:,} characters long; at most {LARGEST_VIEW:,} fit.")
        values = {"name": name, "person": person, "changed": datetime.now(UTC), "settings": dict(settings)}
        with self._db.write() as c:
            find_project(c, project_id, lock=True)
            there = list(c.execute(select(views).where(views.c.project_id == project_id)))
            if any(row.name == name and row.id != view_id for row in there):
                raise Conflict(f"There is a view “{name}” already. Choose another name, or save over it.")
            before = next((row for row in there if row.id == view_id), None)
            if view_id and before is None:
                raise NotFound("This view is not here any more. Save it under a name again.")
            if before is None:
                if len(there) >= MOST_VIEWS:
                    raise BadInput(f"A project has at most {MOST_VIEWS} views. Delete one first.")
                view_id = new_id()
                c.execute(insert(views), {"id": view_id, "project_id": project_id, **values})
            else:
                c.execute(update(views).where(views.c.id == view_id).values(values))
            kept = {"before": before and dict(before.settings), "after": dict(settings)}
            note(c, project_id, person, "save view", subject=view_id, payload=kept)
        return self.view(view_id)

    def delete_view(self, view_id: str, *, person: str = "") -> None:
        """Delete a view; what was kept from it stays."""
        with self._db.write() as c:
            row = _find(c, view_id)
            c.execute(delete(views).where(views.c.id == row.id))
            kept = {"before": {"name": row.name, **row.settings}}
            note(c, row.project_id, person, "delete view", subject=row.id, payload=kept)

    # ---- out of view ----

    def hide_images(self, project_id: str, image_ids: Sequence[str], person: str) -> int:
        """Take images out of view and return how many were in view before. Nothing of them is deleted."""
        return self._in_view(project_id, image_ids, person, shown=False)

    def show_images(self, project_id: str, image_ids: Sequence[str], person: str) -> int:
        """Bring images back into view and return how many were out of it."""
        return self._in_view(project_id, image_ids, person, shown=True)

    def _in_view(self, project_id: str, image_ids: Sequence[str], person: str, *, shown: bool) -> int:
        check_person(person)
        ids = list(dict.fromkeys(asked_id(each) for each in image_ids))
        changed = 0
        out = select(hidden.c.image)
        for start in range(0, len(ids), _AT_ONCE):
            with self._db.write() as c:
                find_project(c, project_id)
                mine = (images.c.project_id == project_id, images.c.id.in_(ids[start : start + _AT_ONCE]))
                seq = images.c.seq
                wanted = select(seq).where(*mine, seq.in_(out) if shown else seq.not_in(out))
                seqs = list(c.execute(wanted).scalars())
                if not seqs:
                    continue
                if shown:
                    c.execute(delete(hidden).where(hidden.c.image.in_(seqs)))
                else:
                    now = datetime.now(UTC)
                    c.execute(insert(hidden), [{"image": s, "person": person, "at": now} for s in seqs])
                note(
                    c, project_id, person, "show images" if shown else "hide images", payload={"images": seqs}
                )
                changed += len(seqs)
        return changed

    def image_stamp(self, project_id: str) -> str:
        """Return what is another text whenever images come to a project, go, or leave or enter view.

        It is a count and two sums, which is quick for a million images.
        """
        with self._db.read() as c:
            return _stamp(c, project_id)

    def image_keys(self, project_id: str) -> ImageKeys:
        """Return the ids and digests of all images of a project, in the order they came."""
        wanted = (
            select(images.c.id, images.c.digest, hidden.c.image.is_not(None))
            .outerjoin(hidden, hidden.c.image == images.c.seq)
            .where(images.c.project_id == asked_id(project_id))
            .order_by(images.c.seq)
        )
        with self._db.read() as c:
            stamp = _stamp(c, project_id)
            rows = c.execute(wanted).all()
        ids, digests, out = zip(*rows, strict=True) if rows else ((), (), ())
        return ImageKeys(stamp, ids, digests, tuple(map(bool, out)))


def _stamp(connection: Connection, project_id: str) -> str:
    seq = images.c.seq
    mine = images.c.project_id == asked_id(project_id)
    there = select(func.count(), func.max(seq), func.sum(seq)).where(mine)
    out = select(func.count(), func.sum(seq)).join(hidden, hidden.c.image == seq).where(mine)
    numbers = (*connection.execute(there).one(), *connection.execute(out).one())
    return "-".join(str(int(number or 0)) for number in numbers)


def _find(connection: Connection, view_id: str) -> Row:
    row = connection.execute(select(views).where(views.c.id == asked_id(view_id))).first()
    if row is None:
        raise NotFound("This view is not here any more. Somebody may have deleted it.")
    return row


def _view(row: Row) -> SavedView:
    return SavedView(row.id, row.project_id, row.name, row.person, row.changed, dict(row.settings))
