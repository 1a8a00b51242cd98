"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _people()
    _images()
    _labels()
    op.create_table("doomed", sa.Column("digest", sa.String(64), primary_key=True))


def _people() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False, index=True),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("gone", sa.Boolean, nullable=False),
    )
    op.create_table(
        "members",
        sa.Column("project_id", sa.String(32), _owned_by("projects.id"), primary_key=True),
        sa.Column("person", sa.Text, primary_key=True, index=True),
    )
    op.create_table(
        "classes",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("project_id", sa.String(32), _owned_by("projects.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("colour", sa.String(7), nullable=False),
        sa.Column("hotkey", sa.String(1)),
        sa.Column("position", sa.Integer, nullable=False),
        sa.UniqueConstraint("project_id", "name", name="classes_name"),
        sa.UniqueConstraint("project_id", "hotkey", name="classes_hotkey"),
    )


def _images() -> None:
    op.create_table(
        "images",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("project_id", sa.String(32), _owned_by("projects.id"), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("name_order", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("drafts", sa.Integer, nullable=False),
        sa.Column("added", MOMENT, nullable=False),
        sa.UniqueConstraint("id", name="images_id"),
        sa.UniqueConstraint("project_id", "name", name="images_name"),
        sa.UniqueConstraint("project_id", "digest", name="images_digest"),
    )
    filtered = ["status", "count", "drafts", "folded"]
    op.create_index("images_added", "images", ["project_id", "seq", *filtered])
    op.create_index("images_by_name", "images", ["project_id", "name_order", "seq", *filtered])


def _labels() -> None:
    op.create_table(
        "shapes",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("image", NUMBER, _owned_by("images.seq"), nullable=False, index=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "annotations",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("image", NUMBER, _owned_by("images.seq"), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("class_id", sa.String(32), sa.ForeignKey("classes.id")),
        sa.Column("shape", NUMBER, nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("draft", sa.Boolean, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("model_version", sa.Text),
        sa.Column("score", sa.Float(53)),
        sa.Column("created_by", sa.Text),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("changed", sa.Integer, nullable=False),
        sa.Column("edit", NUMBER, nullable=False),
        sa.UniqueConstraint("image", "id", name="annotations_id"),
    )
    op.create_index("annotations_changed", "annotations", ["image", "changed"])
    op.create_index("annotations_class", "annotations", ["class_id", "image", "draft"])
    op.create_table(
        "history",
        sa.Column("seq", NUMBER, primary_key=True),
        sa.Column("project_id", sa.String(32), _owned_by("projects.id"), nullable=False, index=True),
        sa.Column("image", NUMBER, _owned_by("images.seq")),
        sa.Column("subject", sa.String(64), index=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("group_id", sa.String(64), index=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("undone", NUMBER),
        sa.Column("payload", sa.LargeBinary),
    )
    op.create_index("history_turn", "history", ["image", "person", "state", "seq"])


def _owned_by(column: str) -> sa.ForeignKey:
    return sa.ForeignKey(column, ondelete="CASCADE")
