"""Which files hold the alphas and trimaps of an image's annotations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "alpha_files",
        sa.Column("image", NUMBER, sa.ForeignKey("images.seq", ondelete="CASCADE"), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
    )
    op.create_index("ix_alpha_files_digest", "alpha_files", ["digest"])
