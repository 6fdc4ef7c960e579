"""SQL for SQLite and PostgreSQL by the same rules: Core tables, one transaction at the edge, writers first.

`with db.write() as conn` opens BEGIN IMMEDIATE on SQLite (a deferred transaction that reads and then writes fails
at once under load) and commits once at exit. Functions that take `conn` never commit.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect, Engine

from core import clock
from core.errors import Retryable, Terminal
from core.queueing import FairLock

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_CHUNK = 500
_PATIENCE = 30.0
_TURNS: dict[str, FairLock] = {}
_METADATA: dict[str, sa.MetaData] = {}


def place_of(url: sa.URL) -> str:
    """A database's URL for people: without its password, and of its options only where the server is."""
    return url.set(
        query={name: value for name, value in url.query.items() if name == "host"}
    ).render_as_string()


class DatabaseAway(Retryable):
    """The database does not answer or is locked for longer than we wait."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"database {url} is not available: {why}")


_AGAIN = 60.0
_NEWS = 10.0
"""Seconds after which a database that does not answer those who can wait is worth a line in the log."""


class Outage:
    """For one who can wait: whether what went wrong is worth a line in the log already. A database that is busy for a
    while is not: whoever writes a lot on SQLite makes everybody wait.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._told: tuple[float, str] | None = None

    def is_news(self, error: Exception) -> bool:
        """Whether an error is no passing one, or has been there for a while, and was not told a minute ago; call it at
        each.
        """
        now, what = clock.monotonic(), str(error)
        if self._since is None:
            self._since = now
        if is_passing(error) and now - self._since < _NEWS:
            return False
        if self._told is not None and self._told[1] == what and now - self._told[0] < _AGAIN:
            return False
        self._told = (now, what)
        return True

    def end(self) -> None:
        """It went well."""
        self._since = self._told = None


def is_passing(error: Exception) -> bool:
    """Whether an error says that the database is busy or away, which may be over at the next attempt."""
    return isinstance(error, (DatabaseAway, sa.exc.OperationalError)) and not isinstance(
        error, TablesNotThere
    )


class TablesNotThere(DatabaseAway):
    """The database answers and has not our tables (yet); for whoever waits for it that is the same as away."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(url, f"{why}; `trunkline serve` makes its tables; is it the right home?")


class DatabaseDamaged(Terminal):
    """There is something, and it is no database that can be read."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"database {url} cannot be read: {why}; restore it from a backup (an index may be moved away: "
            "it is built anew from the repository)"
        )


class DatabaseNotUsable(Terminal):
    """A database URL is of a kind that we do not know."""

    def __init__(self, url: str) -> None:
        super().__init__(f"database URL '{url}' is neither sqlite:///… nor postgresql+psycopg://…")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware moment; kept in UTC with microseconds, on SQLite as sortable text."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments: they have no place in time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; use core.clock.now()")
        return (
            value.astimezone(UTC) if dialect.name != "sqlite" else value.astimezone(UTC).replace(tzinfo=None)
        )

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give every moment back as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(sa.types.TypeDecorator[Any]):
    """Any JSON value, encoded by msgspec; text on both databases so that bytes in = bytes out."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Encode."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Decode."""
        return None if value is None else msgspec.json.decode(value)


Sequenced = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""An append-only sequence's type: 64 bits, autoincrementing on both databases."""


def metadata(room: str) -> sa.MetaData:
    """The room's own table collection of recorded state (one Alembic branch a room)."""
    return _METADATA.setdefault(room, sa.MetaData(naming_convention=_NAMING))


class Database:
    """An engine and its two ways in: `read()` and `write()`."""

    def __init__(
        self, url: str, schema: str | None = None, durable: bool = True, *, ping: bool = True
    ) -> None:
        """`ping=False`: PostgreSQL is not asked first whether a connection still lives (that may wait for ever)."""
        self.url = _url(url)
        self.schema = schema
        self.engine = _engine(self.url, schema, durable, ping)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that only reads, in one snapshot."""
        with self._connect() as conn:
            if self.is_sqlite:
                conn.exec_driver_sql("BEGIN")
            try:
                yield conn
            finally:
                conn.rollback()
                _end(conn, "ROLLBACK", self.is_sqlite)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed at exit, rolled back when the block raises."""
        with self._turn(), self._connect() as conn:
            if self.is_sqlite:
                self._begin_immediate(conn)
            try:
                yield conn
            except BaseException:
                conn.rollback()
                _end(conn, "ROLLBACK", self.is_sqlite)
                raise
            _end(conn, "COMMIT", self.is_sqlite)
            conn.commit()

    @contextmanager
    def rebuild(self) -> Iterator[Connection]:
        """A write in which SQLite's tables may be made anew: foreign keys are checked once, before the commit.

        SQLite cannot alter most of a table; it is copied, dropped and renamed, and dropping it would otherwise delete
        what refers to it (sqlite.org, "Making Other Kinds Of Table Schema Changes"). Raises DatabaseDamaged.
        """
        if not self.is_sqlite:
            with self.write() as conn:
                yield conn
            return
        with self._turn(), self._connect() as conn:
            conn.exec_driver_sql("PRAGMA foreign_keys=OFF")
            try:
                self._begin_immediate(conn)
                try:
                    yield conn
                    if broken := conn.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
                        raise DatabaseDamaged(
                            place_of(self.url), f"a row of {broken[0][0]} refers to nothing"
                        )
                except BaseException:
                    _end(conn, "ROLLBACK", True)
                    raise
                _end(conn, "COMMIT", True)
            finally:
                conn.exec_driver_sql("PRAGMA foreign_keys=ON")

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Writers of this process on one SQLite file go in the order of asking."""
        if not self.is_sqlite:
            yield
            return
        lock = _TURNS.setdefault(str(self.url.database), FairLock())
        if not lock.acquire(_PATIENCE):
            raise DatabaseAway(place_of(self.url), f"writers have queued for {_PATIENCE:g} s")
        try:
            yield
        finally:
            lock.release()

    def _begin_immediate(self, conn: Connection) -> None:
        try:
            conn.exec_driver_sql("BEGIN IMMEDIATE")
        except sa.exc.OperationalError as error:
            raise DatabaseAway(place_of(self.url), str(error.orig)) from error

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        try:
            conn = self.engine.connect()
        except sa.exc.OperationalError as error:
            raise DatabaseAway(place_of(self.url), str(error.orig).splitlines()[0]) from error
        except sa.exc.DatabaseError as error:
            raise DatabaseDamaged(place_of(self.url), str(error.orig).splitlines()[0]) from error
        try:
            with conn:
                yield conn
        except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
            if _lacks_table(error):
                raise TablesNotThere(place_of(self.url), str(error.orig).splitlines()[0]) from error
            raise


def _lacks_table(error: sa.exc.DBAPIError) -> bool:
    """SQLite says so in words only, PostgreSQL by its code for undefined_table."""
    return "no such table" in str(error.orig) or getattr(error.orig, "sqlstate", "") == "42P01"


def _make_private(file: Path) -> None:
    """A new database is its owner's alone; SQLite gives its -wal and -shm files the same mode."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        with suppress(OSError):  # opening it says better what is wrong
            file.touch(mode=0o600)


def _end(conn: Connection, how: str, is_sqlite: bool) -> None:
    if not is_sqlite:
        return
    raw: Any = conn.connection.dbapi_connection
    if raw.in_transaction:
        raw.execute(how)


def _url(text: str) -> sa.URL:
    try:
        return sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:  # the text itself may hold a password
        raise DatabaseNotUsable("…") from error


def _engine(url: sa.URL, schema: str | None, durable: bool, ping: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, durable)
    if url.get_backend_name() != "postgresql":
        raise DatabaseNotUsable(place_of(url))
    options = {"options": f"-csearch_path={schema}"} if schema else {}
    # The connection that was used last: its server process has plans and caches warm. Taking turns would cool them all.
    return sa.create_engine(url, pool_pre_ping=ping, connect_args=options, pool_use_lifo=True)


def _sqlite_engine(url: sa.URL, durable: bool) -> Engine:
    if url.database and url.database != ":memory:":
        _make_private(Path(url.database))
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"timeout": 30})

    @sa.event.listens_for(engine, "connect")
    def _prepare(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute("PRAGMA busy_timeout=30000")

    return engine


def upsert(
    conn: Connection,
    table: sa.Table,
    rows: Sequence[dict[str, Any]],
    key: Sequence[str],
    update: Iterable[str] | None = None,
) -> None:
    """Insert rows, or update the columns `update` (default: all besides the key) where `key` is already there."""
    if not rows:
        return
    insert: Any = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(table)
    columns = [c for c in rows[0] if c not in key] if update is None else list(update)
    if columns:
        statement = insert.on_conflict_do_update(
            index_elements=list(key), set_={column: insert.excluded[column] for column in columns}
        )
    else:
        statement = insert.on_conflict_do_nothing(index_elements=list(key))
    conn.execute(statement, list(rows))


def insert_new(conn: Connection, table: sa.Table, row: dict[str, Any], key: Sequence[str]) -> bool:
    """Insert a row, unless one of its `key` is there already; whether it was inserted."""
    insert: Any = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(table)
    done = insert.values(**row).on_conflict_do_nothing(index_elements=list(key)).returning(table.c[key[0]])
    return conn.execute(done).first() is not None


def upsert_add(
    conn: Connection, table: sa.Table, rows: Sequence[dict[str, Any]], key: Sequence[str], add: Iterable[str]
) -> None:
    """Insert rows, or add the columns `add` to those that are there."""
    if not rows:
        return
    insert: Any = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(table)
    sums = {name: table.c[name] + insert.excluded[name] for name in add}
    conn.execute(insert.on_conflict_do_update(index_elements=list(key), set_=sums), list(rows))


def insert_many(conn: Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert any number of rows in chunks; nothing for none."""
    for start in range(0, len(rows), _CHUNK):
        conn.execute(sa.insert(table), list(rows[start : start + _CHUNK]))


def lock_row(conn: Connection, statement: sa.Select[Any]) -> sa.Select[Any]:
    """The statement with a row lock; SQLite's writer already excludes everybody else."""
    return statement if conn.dialect.name == "sqlite" else statement.with_for_update()
