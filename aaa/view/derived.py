"""Opening the derived database: its own SQLite file, or the schema `derived` of the same PostgreSQL."""

import sqlalchemy as sa

from core.db import Database
from core.settings import Settings


def open_derived(settings: Settings) -> Database:
    """The database of index and view. The caller closes it."""
    if sa.make_url(settings.index_url).get_backend_name() == "sqlite":
        return Database(settings.index_url, durable=False)
    db = Database(settings.index_url, schema="derived")
    with db.write() as conn:
        conn.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS derived")
    return db
