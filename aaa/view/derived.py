"""Opening the derived database (its own SQLite file, or the schema `derived` of the same PostgreSQL), and waiting for
neither it nor the recorded one as long as others do.
"""

import sqlite3

import sqlalchemy as sa

from core.db import Database
from core.settings import Settings

# libpq: a database host that vanished without a word is away after seconds, not after TCP's quarter of an hour.
_BUSY = 200
_IMPATIENT = {
    "connect_timeout": "2",
    "tcp_user_timeout": "4000",
    "keepalives_idle": "4",
    "keepalives_interval": "2",
    "keepalives_count": "2",
}
# Every statement of accounting is a few look-ups by key: a plan that reads a table through is never right, and one plan
# is right for batches of any size. Whoever holds a lock for longer than our patience is as good as away.
_BY_KEY = {
    "options": "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off "
    "-c plan_cache_mode=force_generic_plan -c lock_timeout=1900"
}


def open_derived(settings: Settings) -> Database:
    """The database of index and view. The caller closes it."""
    if sa.make_url(settings.index_url).get_backend_name() == "sqlite":
        return Database(settings.index_url, durable=False)
    db = Database(settings.index_url, schema="derived")
    with db.write() as conn:
        conn.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS derived")
    return db


def follow_derived(settings: Settings) -> Database:
    """The same as a RADIUS worker sees it: it makes nothing there (its role may not), and a host that says nothing
    is away after seconds. The caller closes it.
    """
    if sa.make_url(settings.index_url).get_backend_name() == "sqlite":
        return impatient(Database(settings.index_url, durable=False), _BUSY)
    return Database(impatient_url(settings.index_url), schema="derived")


def impatient_url(text: str, **more: str) -> str:
    """A database URL with our patience for PostgreSQL (and more of libpq's words); SQLite's has its own."""
    url = sa.make_url(text)
    if url.get_backend_name() == "postgresql":
        url = url.update_query_dict({**_IMPATIENT, **more})
    return url.render_as_string(hide_password=False)


def impatient(db: Database, milliseconds: int) -> Database:
    """The same database, waiting no longer than that for another writer of SQLite: others' patience is not ours."""
    if db.is_sqlite:

        @sa.event.listens_for(db.engine, "connect")
        def _shorten(raw: sqlite3.Connection, _record: object) -> None:
            raw.execute(f"PRAGMA busy_timeout={milliseconds:d}")

    return db


def accounting_database(settings: Settings) -> Database:
    """Recorded state, without the patience of others: after two seconds the journal takes over."""
    return impatient(Database(impatient_url(settings.database_url, **_BY_KEY), ping=False), 2000)
