"""Deleting images and projects: rows first, then the files that no image uses any more.

A kill in between loses nothing and leaves nothing: what was begun is finished at the next start.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, delete, select, update

from studio.project.alphas import digests_of, doom
from studio.project.database import Database
from studio.project.files import Files
from studio.project.names import check_person
from studio.project.projects import find_project
from studio.project.schema import alpha_files, classes, doomed, images, projects
from studio.project.steps import note

_AT_ONCE = 50  # in one transaction, so that clicks get in between


class RemovalStore:
    """The part of the store that deletes."""

    _db: Database
    _files: Files

    def delete_images(self, image_ids: Sequence[str], person: str) -> int:
        """Delete images with their annotations and history; return how many there were."""
        check_person(person)
        ids = list(dict.fromkeys(image_ids))
        removed = 0
        for start in range(0, len(ids), _AT_ONCE):
            wanted = select(images).where(images.c.id.in_(ids[start : start + _AT_ONCE]))
            removed += self._delete_rows(wanted, person)
        self._remove_doomed()
        return removed

    def delete_project(self, project_id: str, *, person: str = "") -> None:
        """Delete a project with all that is in it; files of another project's images stay."""
        with self._db.write() as c:
            find_project(c, project_id, lock=True)
            c.execute(update(projects).where(projects.c.id == project_id).values(gone=True))
        self._finish_project(project_id)
        self._remove_doomed()

    def _finish_removals(self) -> None:
        with self._db.read() as c:
            gone = list(c.execute(select(projects.c.id).where(projects.c.gone.is_(True))).scalars())
        for project_id in gone:
            self._finish_project(project_id)
        self._remove_doomed()

    def _finish_project(self, project_id: str) -> None:
        inside = select(images).where(images.c.project_id == project_id)
        while self._delete_rows(inside.order_by(images.c.seq).limit(_AT_ONCE)):
            pass
        with self._db.write() as c:
            c.execute(delete(classes).where(classes.c.project_id == project_id))
            c.execute(delete(projects).where(projects.c.id == project_id))

    def _delete_rows(self, wanted: Select, person: str | None = None) -> int:
        with self._db.write() as c:
            self._db.hold_files(c)
            rows = list(c.execute(wanted))
            if not rows:
                return 0
            seqs = [row.seq for row in rows]
            doom(c, [*(row.digest for row in rows), *digests_of(c, seqs)])
            c.execute(delete(images).where(images.c.seq.in_(seqs)))
            names: dict[str, list[str]] = {}
            for row in rows:
                names.setdefault(row.project_id, []).append(row.name)
            for project_id, gone in names.items():
                if person is not None:
                    note(c, project_id, person, "delete images", payload={"before": gone})
            return len(rows)

    def _remove_doomed(self) -> None:
        """Remove files within the transaction that makes sure nothing has come to use them meanwhile."""
        while True:
            with self._db.read() as c:
                digests = list(c.execute(select(doomed.c.digest).limit(_AT_ONCE)).scalars())
            if not digests:
                return
            with self._db.write() as c:
                self._db.hold_files(c)
                used = {
                    digest
                    for column in (images.c.digest, alpha_files.c.digest)
                    for digest in c.execute(select(column).where(column.in_(digests))).scalars()
                }
                for digest in digests:
                    if digest not in used:
                        self._files.remove(digest)
                c.execute(delete(doomed).where(doomed.c.digest.in_(digests)))
