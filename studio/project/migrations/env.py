"""Alembic's entry: runs the steps within the transaction that the store has opened."""

from __future__ import annotations

from alembic import context

from studio.project.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table only by copying it
)
with context.begin_transaction():
    context.run_migrations()
