"""Columns: a value for each image under a name of the project's, and what a job's images were answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "columns",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column(
            "project_id", sa.String(32), sa.ForeignKey("projects.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("project_id", "name", name="columns_name"),
    )
    op.create_table(
        "cells",
        sa.Column(
            "column_id", sa.String(32), sa.ForeignKey("columns.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("image", NUMBER, sa.ForeignKey("images.seq", ondelete="CASCADE"), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("question", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edit", NUMBER, nullable=False),
    )
    op.create_index("ix_cells_image", "cells", ["image"])
    op.add_column("job_images", sa.Column("answer", sa.Text))
