"""Sessions on SQLite: prepared statements on the raw connection; its writer is alone, so nothing needs a lock.

Moments are text as SQLAlchemy writes them: `YYYY-MM-DD HH:MM:SS.ffffff`, UTC.
"""

# ruff: noqa: S608 (the only names put into SQL here are our own columns')

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from aaa.accounting.batch import Batch, Key
from aaa.accounting.light import AnyRecord
from aaa.accounting.merge import Session
from aaa.accounting.record import AccountingRecord

_COLUMNS = tuple(field.name for field in msgspec.structs.fields(Session))
_COUNTERS = ("updated_at", "session_time", "up_octets", "down_octets", "gigawords")
_WHOLE = tuple(name for name in _COLUMNS if name not in ("session_ref", "nas", "acct_session_id"))
_MOMENTS = frozenset(("started_at", "updated_at", "stopped_at"))
_FLAGS = frozenset(("stale", "inferred", "gigawords"))
_CONVERTED = [(index, name) for index, name in enumerate(_COLUMNS) if name in _MOMENTS | _FLAGS]

_LOAD = f"SELECT {', '.join(_COLUMNS)} FROM radius_session WHERE nas = ? AND acct_session_id = ?"
_INSERT = f"INSERT INTO radius_session ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
_COUNT = f"UPDATE radius_session SET {', '.join(f'{name} = ?' for name in _COUNTERS)} WHERE session_ref = ?"
_UPDATE = f"UPDATE radius_session SET {', '.join(f'{name} = ?' for name in _WHOLE)} WHERE session_ref = ?"
_USAGE = (
    "INSERT INTO usage_day (service, day, up_octets, down_octets) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (service, day) DO UPDATE SET up_octets = up_octets + excluded.up_octets, "
    "down_octets = down_octets + excluded.down_octets"
)

# What aaa/opened.py says of sessions.
_GONE = "DELETE FROM session_open WHERE session_ref = ?"
_OPEN = (
    "INSERT INTO session_open (session_ref, nas, service, stale) "
    "SELECT session_ref, nas, service, stale FROM radius_session WHERE session_ref = ? AND state = 'open'"
)
_CROWDED = (
    "SELECT count(DISTINCT coalesce(nullif(s.multi_session_id, ''), s.session_ref)) > 1 FROM session_open AS o "
    "JOIN radius_session AS s ON s.session_ref = o.session_ref WHERE o.service = ? AND s.state = 'open'"
)


def take(
    conn: Connection,  # noqa: ARG001
    records: Sequence[AnyRecord],
) -> tuple[list[AccountingRecord], list[tuple[AnyRecord, str]]]:
    """SQLite is in this process: it gains nothing by merging itself, and takes none."""
    return [record.whole() for record in records], []


def load(conn: Connection, keys: Sequence[Key]) -> list[Session]:
    """Read the sessions of these keys."""
    cursor = _raw(conn).cursor()
    return [_session(row) for key in keys for row in cursor.execute(_LOAD, key).fetchall()]


def save(conn: Connection, batch: Batch) -> None:
    """Write what the batch made new, what it changed, and the octets."""
    raw = _raw(conn)
    counted, moved = batch.split()
    raw.executemany(_INSERT, [_values(one, _COLUMNS) for one in batch.new])
    raw.executemany(_COUNT, [_values(one, (*_COUNTERS, "session_ref")) for one in counted])
    raw.executemany(_UPDATE, [_values(one, (*_WHOLE, "session_ref")) for _before, one in moved])
    raw.executemany(_GONE, [(one.session_ref,) for _before, one in moved])
    changed = (*batch.new, *(after for _before, after in moved))
    raw.executemany(_OPEN, [(one.session_ref,) for one in changed])
    octets = [(service, str(day), up, down) for (service, day), (up, down) in sorted(batch.usage.items())]
    raw.executemany(_USAGE, octets)


def commit(conn: Connection) -> None:
    """Nothing to hurry: the transaction's owner ends it."""


def crowded(conn: Connection, services: Sequence[str]) -> list[str]:
    """Those of the services that have more than one open session; a bundle is one."""
    cursor = _raw(conn).cursor()
    return [service for service in services if cursor.execute(_CROWDED, (service,)).fetchone()[0]]


def moment_text(moment: datetime) -> str:
    """A moment as the database keeps it."""
    return moment.isoformat(" ", "microseconds")[:26]


def _raw(conn: Connection) -> sqlite3.Connection:
    raw: Any = conn.connection.driver_connection
    return raw  # type: ignore[no-any-return]


def _values(one: Session, columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(
        moment_text(value) if name in _MOMENTS and value is not None else value
        for name, value in ((name, getattr(one, name)) for name in columns)
    )


def _session(row: Sequence[Any]) -> Session:
    values = list(row)
    for index, name in _CONVERTED:
        value = values[index]
        if name in _FLAGS:
            values[index] = bool(value)
        elif value is not None:
            values[index] = datetime.fromisoformat(value).replace(tzinfo=UTC)
    return Session(*values)
