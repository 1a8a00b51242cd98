"""Projects, their settings, and who may see them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from studio.errors import BadInput, NotFound
from studio.project.database import Database
from studio.project.names import asked_id, check_person, clean_name
from studio.project.records import Project
from studio.project.schema import images, members, people, projects
from studio.project.steps import new_id, note

LARGEST_SETTING = 1_000_000  # characters of JSON

_PROJECTS = select(
    projects,
    select(func.count()).where(images.c.project_id == projects.c.id).scalar_subquery().label("image_count"),
).where(projects.c.gone.is_(False))


class ProjectStore:
    """The part of the store that knows projects and people."""

    _db: Database

    def create_project(self, name: str, owner: str) -> Project:
        """Make an empty project that only its owner sees."""
        name, owner = clean_name(name, "project"), check_person(owner)
        row = {
            "id": new_id(),
            "name": name,
            "owner": owner,
            "created": datetime.now(UTC),
            "settings": {},
            "gone": False,
        }
        with self._db.write() as c:
            c.execute(insert(projects), row)
            note(c, row["id"], owner, "create project", payload={"after": name})
        return self.project(row["id"])

    def projects(self, person: str) -> list[Project]:
        """Return the projects a person owns or is a member of, oldest first."""
        wanted = _PROJECTS.where(_seen_by(person)).order_by(projects.c.created, projects.c.id)
        with self._db.read() as c:
            return [_project(row) for row in c.execute(wanted)]

    def project(self, project_id: str) -> Project:
        """Return a project. Raises NotFound."""
        with self._db.read() as c:
            row = c.execute(_PROJECTS.where(projects.c.id == asked_id(project_id))).first()
        return _project(existing(row))

    def rename_project(self, project_id: str, name: str, *, person: str = "") -> None:
        name = clean_name(name, "project")
        with self._db.write() as c:
            before = find_project(c, project_id, lock=True).name
            c.execute(update(projects).where(projects.c.id == project_id).values(name=name))
            note(c, project_id, person, "rename project", payload={"before": before, "after": name})

    def set_setting(self, project_id: str, key: str, value: Any, *, person: str = "") -> None:
        """Keep a value that JSON can hold under a key of the project's settings; None removes it."""
        if not isinstance(key, str) or not 1 <= len(key) <= 100:
            raise BadInput("A setting's name has 1 to 100 characters.")
        try:
            size = len(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise BadInput(f"The setting “{key}” cannot be stored: {error}.") from None
        if size > LARGEST_SETTING:
            raise BadInput(f"The setting “{key}” is {size} characters long; at most {LARGEST_SETTING} fit.")
        with self._db.write() as c:
            settings = dict(find_project(c, project_id, lock=True).settings)
            before = settings.pop(key, None)
            if value is not None:
                settings[key] = value
            c.execute(update(projects).where(projects.c.id == project_id).values(settings=settings))
            note(c, project_id, person, "set " + key, payload={"before": before, "after": value})

    def add_member(self, project_id: str, person: str, *, by: str = "") -> None:
        """Let a person see and label the project; nothing happens when they already may."""
        check_person(person)
        with self._db.write() as c:
            owner = find_project(c, project_id, lock=True).owner
            if person == owner or person in _members(c, project_id):
                return
            c.execute(insert(members), {"project_id": project_id, "person": person})
            note(c, project_id, by, "add member", payload={"after": person})

    def remove_member(self, project_id: str, person: str, *, by: str = "") -> None:
        with self._db.write() as c:
            find_project(c, project_id, lock=True)
            which = (members.c.project_id == project_id, members.c.person == person)
            if c.execute(delete(members).where(*which)).rowcount:
                note(c, project_id, by, "remove member", payload={"before": person})

    def members(self, project_id: str) -> list[str]:
        """Return the people besides the owner who may see the project."""
        with self._db.read() as c:
            find_project(c, project_id)
            return _members(c, project_id)

    def meet(self, person: str) -> bool:
        """Say whether a person is here for the first time; of several asking at once, one is told so."""
        check_person(person)
        with self._db.read() as c:
            if c.execute(select(people).where(people.c.person == person)).first():
                return False
        try:
            with self._db.write() as c:
                c.execute(insert(people), {"person": person, "met": datetime.now(UTC)})
        except IntegrityError:
            return False
        return True

    def project_for(self, project_id: Any, person: str) -> Project:
        """Return the project where this person may see it. Raises NotFound, alike where there is none."""
        if not isinstance(project_id, str) or not project_id or not self.may_see(project_id, person):
            raise NotFound("This project is not here any more. Choose another one, or create a new one.")
        return self.project(project_id)

    def may_see(self, project_id: str, person: str) -> bool:
        """Say whether a person owns the project or is a member; False where there is no such project."""
        there = select(projects.c.id).where(
            projects.c.id == asked_id(project_id), projects.c.gone.is_(False), _seen_by(person)
        )
        with self._db.read() as c:
            return c.execute(there).first() is not None


def find_project(connection: Connection, project_id: str, *, lock: bool = False) -> Row:
    wanted = select(projects).where(projects.c.id == asked_id(project_id), projects.c.gone.is_(False))
    return existing(connection.execute(wanted.with_for_update() if lock else wanted).first())


def existing(row: Row | None) -> Row:
    if row is None:
        raise NotFound("This project is not here any more. Choose another one.")
    return row


def _seen_by(person: str) -> Any:
    member = exists().where(members.c.project_id == projects.c.id, members.c.person == person)
    return or_(projects.c.owner == person, member)


def _members(connection: Connection, project_id: str) -> list[str]:
    wanted = select(members.c.person).where(members.c.project_id == project_id)
    return sorted(connection.execute(wanted).scalars())


def _project(row: Row) -> Project:
    return Project(row.id, row.name, row.owner, row.created, dict(row.settings), row.image_count)
