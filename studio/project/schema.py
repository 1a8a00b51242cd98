"""The tables. A change here goes with a new file in migrations/versions; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite numbers only a column of type INTEGER by itself.
Number = BigInteger().with_variant(Integer, "sqlite")


class Moment(TypeDecorator):
    """A time in UTC, also where the database forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def _owned_by(column: str) -> ForeignKey:
    return ForeignKey(column, ondelete="CASCADE")


projects = Table(
    "projects",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("gone", Boolean, nullable=False),  # being deleted, image by image
)

members = Table(
    "members",
    metadata,
    Column("project_id", String(32), _owned_by("projects.id"), primary_key=True),
    Column("person", Text, primary_key=True, index=True),
)

people = Table(
    "people",
    metadata,
    Column("person", Text, primary_key=True),
    Column("met", Moment, nullable=False),
)

classes = Table(
    "classes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project_id", String(32), _owned_by("projects.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("colour", String(7), nullable=False),
    Column("hotkey", String(1)),
    Column("position", Integer, nullable=False),
    UniqueConstraint("project_id", "name", name="classes_name"),
    UniqueConstraint("project_id", "hotkey", name="classes_hotkey"),
)

images = Table(
    "images",
    metadata,
    Column("seq", Number, primary_key=True),  # order of arrival, and what other tables refer to
    Column("id", String(32), nullable=False),
    Column("project_id", String(32), _owned_by("projects.id"), nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("folded", Text, nullable=False),  # the name without case, for search
    Column("name_order", Text, nullable=False),  # the name so written that img2 sorts before img10
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("status", String(8), nullable=False),
    Column("count", Integer, nullable=False),
    Column("drafts", Integer, nullable=False),
    Column("added", Moment, nullable=False),
    UniqueConstraint("id", name="images_id"),
    UniqueConstraint("project_id", "name", name="images_name"),
    UniqueConstraint("project_id", "digest", name="images_digest"),
    # Counting and paging read these alone, whatever the filter.
    Index("images_added", "project_id", "seq", "status", "count", "drafts", "folded"),
    Index("images_by_name", "project_id", "name_order", "seq", "status", "count", "drafts", "folded"),
)

# Geometry and prompt as they were once saved; never changed, so history refers to it instead of copying.
shapes = Table(
    "shapes",
    metadata,
    Column("seq", Number, primary_key=True),
    Column("image", Number, _owned_by("images.seq"), nullable=False, index=True),
    Column("data", LargeBinary, nullable=False),
)

annotations = Table(
    "annotations",
    metadata,
    Column("seq", Number, primary_key=True),
    Column("image", Number, _owned_by("images.seq"), nullable=False),
    Column("id", String(64), nullable=False),
    # None: deleted, and kept so that other browsers can follow.
    Column("class_id", String(32), ForeignKey("classes.id")),
    Column("shape", Number, nullable=False),
    Column("source", String(8), nullable=False),
    Column("draft", Boolean, nullable=False),
    Column("model", Text),
    Column("model_version", Text),
    Column("score", Float(53)),
    Column("created_by", Text),
    Column("revision", Integer, nullable=False),
    Column("changed", Integer, nullable=False),  # the image's version that brought this state
    Column("edit", Number, nullable=False),  # the history row whose outcome this state is; 0: never made
    UniqueConstraint("image", "id", name="annotations_id"),
    Index("annotations_changed", "image", "changed"),
    Index("annotations_class", "class_id", "image", "draft"),
)

history = Table(
    "history",
    metadata,
    Column("seq", Number, primary_key=True),
    Column("project_id", String(32), _owned_by("projects.id"), nullable=False, index=True),
    Column("image", Number, _owned_by("images.seq")),
    Column("subject", String(64), index=True),  # the class that a project's line is about
    Column("person", Text, nullable=False),
    Column("verb", Text, nullable=False),
    Column("group_id", String(64), index=True),
    Column("at", Moment, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(8), nullable=False),  # done, undone, ended, note
    Column("undone", Number),  # the history row that undid this one
    Column("payload", LargeBinary),  # zlib of JSON: what was there before and after
    Index("history_turn", "image", "person", "state", "seq"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),  # also the group of history of all that it did
    Column("project_id", String(32), _owned_by("projects.id"), nullable=False, index=True),
    Column("person", Text, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("title", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("problem", Text),
    Column("created", Moment, nullable=False),
    Column("changed", Moment, nullable=False),
)

job_images = Table(
    "job_images",
    metadata,
    Column("job_id", String(32), _owned_by("jobs.id"), primary_key=True),
    Column("image", Number, _owned_by("images.seq"), primary_key=True, index=True),
    Column("position", Integer, nullable=False),
    Column("state", String(6), nullable=False),  # todo, done, failed
    Column("problem", Text),
    Column("counts", JSON, nullable=False),
    Column("answer", Text),  # what a question about the image came to
    Index("job_images_turn", "job_id", "state", "position"),
)

columns = Table(
    "columns",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project_id", String(32), _owned_by("projects.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("question", Text, nullable=False),  # the one asked last; "" for a column filled by hand
    Column("model", Text),
    Column("created", Moment, nullable=False),
    UniqueConstraint("project_id", "name", name="columns_name"),
)

cells = Table(
    "cells",
    metadata,
    Column("column_id", String(32), _owned_by("columns.id"), primary_key=True),
    Column("image", Number, _owned_by("images.seq"), primary_key=True, index=True),
    Column("value", Text, nullable=False),
    Column("folded", Text, nullable=False),  # the value without case, for search
    Column("question", Text),
    Column("model", Text),  # None: a person wrote it
    Column("person", Text, nullable=False),
    Column("changed", Moment, nullable=False),
    Column("edit", Number, nullable=False),  # the history row whose outcome this value is
)

# Alphas and trimaps of an image's annotations, of those too that history alone still knows.
alpha_files = Table(
    "alpha_files",
    metadata,
    Column("image", Number, _owned_by("images.seq"), primary_key=True),
    Column("digest", String(64), primary_key=True, index=True),
)

# What people looked for in a project, to be looked for again.
views = Table(
    "views",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("project_id", String(32), _owned_by("projects.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("changed", Moment, nullable=False),
    Column("settings", JSON, nullable=False),
    UniqueConstraint("project_id", "name", name="views_name"),
)

# Images that people took out of view; nothing of them is deleted.
hidden = Table(
    "hidden",
    metadata,
    Column("image", Number, _owned_by("images.seq"), primary_key=True),
    Column("person", Text, nullable=False),
    Column("at", Moment, nullable=False),
)

# Files whose last image went, or that nothing has come to use yet; they are removed after the
# commit, or at the next start.
doomed = Table(
    "doomed",
    metadata,
    Column("digest", String(64), primary_key=True),
)
