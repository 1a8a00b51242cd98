"""Images of one project taken into another: rows alone, for both have their files under the same digest."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select

from studio.project.database import Database
from studio.project.images import as_record, find_image, image_values
from studio.project.names import asked_id, check_person
from studio.project.projects import find_project
from studio.project.records import ImageRecord
from studio.project.schema import images
from studio.project.steps import note

_AT_ONCE = 200  # in one transaction, so that clicks get in between


class CopyStore:
    """The part of the store that copies images between projects."""

    _db: Database

    def copy_images(
        self, image_ids: Sequence[str], project_id: str, person: str
    ) -> list[tuple[ImageRecord, ImageRecord]]:
        """Add images of other projects to a project; return pairs of what was there and what was added, in order.

        Images that the project has, by their bytes, and ids that are not there are left out. Names that are taken
        get " (2)" before their ending. Annotations are not copied.
        """
        check_person(person)
        ids = list(dict.fromkeys(asked_id(each) for each in image_ids))
        pairs: list[tuple[ImageRecord, ImageRecord]] = []
        for start in range(0, len(ids), _AT_ONCE):
            part = ids[start : start + _AT_ONCE]
            with self._db.write() as c:
                # Whoever deletes the original meanwhile finds that its files are still used, or it is gone before.
                self._db.hold_files(c)
                find_project(c, project_id, lock=True)
                found = {row.id: row for row in c.execute(select(images).where(images.c.id.in_(part)))}
                digests = [row.digest for row in found.values()]
                there = select(images.c.digest).where(
                    images.c.project_id == project_id, images.c.digest.in_(digests)
                )
                taken = set(c.execute(there).scalars())
                for row in (found[i] for i in part if i in found):
                    if row.digest in taken:
                        continue
                    taken.add(row.digest)
                    values = image_values(c, project_id, row.name, row.digest, row.width, row.height)
                    c.execute(insert(images), values)
                    new = find_image(c, values["id"])
                    note(c, project_id, person, "add image", image=new, version=new.version)
                    pairs.append((as_record(row), as_record(new)))
        return pairs
