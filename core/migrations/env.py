"""Alembic's environment: runs on the connection that core.migrate passes in, inside its transaction."""

from alembic import context

from core.db import metadata

connection = context.config.attributes["connection"]
# Only its naming convention is used: constraints get the names that the models give them, on both databases.
context.configure(connection=connection, target_metadata=metadata("core"), render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
