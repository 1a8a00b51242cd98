"""A project with very many images, written past the store: adding 10,000 one by one takes minutes."""

from __future__ import annotations

import hashlib
import os
import uuid
from datetime import UTC, datetime

from sqlalchemy import insert

from studio.project import Store
from studio.project.files import THUMBNAIL
from studio.project.names import fold, order_key
from studio.project.schema import images
from tests.conftest import photograph


def fill(store: Store, project_id: str, number: int, pictures: int = 24) -> None:
    """Give a project ``number`` images that share a few thumbnails."""
    kept = []
    for i in range(pictures):
        digest = hashlib.sha256(f"thumbnail {i}".encode()).hexdigest()
        store._files.write(digest, {THUMBNAIL: photograph(256, 192, seed=i)})
        kept.append(store._files.path(digest, THUMBNAIL))
    rows = [_row(project_id, i) for i in range(number)]
    for i, row in enumerate(rows):
        path = store._files.path(row["digest"], THUMBNAIL)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(kept[i % pictures], path)
    with store._db.write() as c:
        c.execute(insert(images), rows)


def _row(project_id: str, i: int) -> dict:
    name = f"IMG_{i:05d}.jpg" if i % 9 else f"market square, seen from the tower {i}.jpeg"
    return {
        "id": uuid.uuid4().hex,
        "project_id": project_id,
        "digest": hashlib.sha256(f"{project_id} {i}".encode()).hexdigest(),
        "name": name,
        "folded": fold(name),
        "name_order": order_key(name),
        "width": 1600,
        "height": 1200,
        "version": 1,
        "status": "todo" if i % 5 else "done",
        "count": i % 4,
        "drafts": 0 if i % 7 else 1,
        "added": datetime.now(UTC),
    }
