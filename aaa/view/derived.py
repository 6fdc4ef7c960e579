"""Opening the derived database: its own SQLite file, or the schema `derived` of the same PostgreSQL."""

import sqlite3

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


def impatient(db: Database, milliseconds: int) -> Database:
    """The same database, waiting no longer than that for another writer of SQLite: others' patience is not ours."""
    if db.is_sqlite:

        @sa.event.listens_for(db.engine, "connect")
        def _shorten(raw: sqlite3.Connection, _record: object) -> None:
            raw.execute(f"PRAGMA busy_timeout={milliseconds:d}")

    return db
