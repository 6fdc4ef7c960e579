"""Apply a batch of records in one transaction: sessions, usage by day. Doing it again changes nothing."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.accounting import held, postgres, sqlite
from aaa.accounting.batch import Batch
from aaa.accounting.light import AnyRecord
from aaa.accounting.merge import MISSED, SILENT, Session
from aaa.accounting.record import OFF, ON, AccountingRecord
from aaa.limits.noted import Noted
from aaa.models import is_open, session, session_open
from aaa.opened import each, follow
from aaa.turns import hold, hold_nases
from core.db import Database, DatabaseAway, place_of

_T = TypeVar("_T")
_CHUNK = 300
_SWEEP = 2000
AT_ONCE = 1000
"""Sessions of a NAS that restarted, in one transaction."""


def apply(conn: Connection, records: Sequence[AnyRecord]) -> None:
    """Write the records in the caller's transaction, and settle who has one session more, or one less, now."""
    noted = write(conn, records)
    for record in restarts(records):
        after: str | None = ""
        while after is not None:
            after = close_some(conn, record, after)
    settle_crowds(conn, noted)


def write(conn: Connection, records: Sequence[AnyRecord]) -> Noted:
    """Write the records in the caller's transaction; those of one session are taken in their order. What NASes say of
    themselves (`restarts`) is left to `close_some`.

    Returns what limits have to know of it: `settle_crowds` with it, best after the commit, so that of two nodes that
    each write a session the later sees both. Raises DatabaseAway.
    """
    plain = [record for record in records if record.kind not in (ON, OFF)]
    batch = _written(conn, plain) if plain else Batch([])
    batch.noted.count(conn)
    return batch.noted


def _written(conn: Connection, records: Sequence[AnyRecord]) -> Batch:
    def merged(database: Any) -> Batch:
        rest, begun = database.take(conn, records)
        keys = sorted({(record.nas, record.session_id) for record in rest})
        batch = Batch(database.load(conn, keys) if keys else ())
        for record, ref in begun:
            batch.noted.begun(record, ref)
        for record in rest:
            batch.take(record)
        if keys:
            database.save(conn, batch)
        return batch

    batch = _past(conn, merged)
    held.keep(conn, batch.moves, batch.starts)
    return batch


def restarts(records: Iterable[AnyRecord]) -> list[AccountingRecord]:
    """Those of the records that are Accounting-On or -Off."""
    return [record.whole() for record in records if record.kind in (ON, OFF)]


def close_some(conn: Connection, record: AccountingRecord, after: str = "") -> str | None:
    """Accounting-On or -Off: the NAS has none of the sessions that began before (RFC 2866 section 5.1). Closes at most
    `AT_ONCE` of them, behind the session `after`; returns where to go on, None when that was all.

    A BNG may have 100,000: in one transaction nobody else would write that long. Doing it again closes none that was
    heard of since.
    """
    hold_nases(conn, [record.nas])
    moment = datetime.fromtimestamp(record.at, UTC)
    place, (source, one) = session_open.c.session_ref, each(conn)
    over = one.started_at <= moment, one.updated_at <= moment
    chosen = sa.select(place).select_from(source).where(session_open.c.nas == record.nas, *over)
    refs = conn.scalars(chosen.where(place > after).order_by(place).limit(AT_ONCE)).all()
    ended = {"state": "closed", "inferred": True, "stale": False, "stopped_at": moment, "cause": "nas-reboot"}
    conn.execute(sa.update(session).where(session.c.session_ref.in_(refs)).values(ended))
    follow(conn, refs)
    return refs[-1] if len(refs) == AT_ONCE else None


def close_silent(conn: Connection, moment: datetime, up_since: datetime | None = None) -> int:
    """Close, as inferred, sessions that missed three interims; a later record reopens them. Returns how many.

    Silence before `up_since` is ours, not theirs: a session gets three intervals from then.
    """
    closed = 0
    after: str | None = ""
    while after is not None:
        silent, after = _silent(conn, after, moment, up_since)
        closed += _close(conn, silent, moment)
    return closed


def sweep_silent(db: Database, moment: datetime, up_since: datetime | None = None) -> int:
    """The same in short transactions, and without one that writes while nobody is silent."""
    closed = 0
    after: str | None = ""
    while after is not None:
        with db.read() as conn:
            silent, after = _silent(conn, after, moment, up_since)
        for start in range(0, len(silent), _CHUNK):
            with db.write() as conn:
                closed += _close(conn, silent[start : start + _CHUNK], moment)
    return closed


def _silent(
    conn: Connection, after: str, moment: datetime, up_since: datetime | None
) -> tuple[list[tuple[str, datetime]], str | None]:
    """(session_ref, last heard) of the next silent sessions, and behind which to go on.

    No index says when a session was last heard (every interim would move it): the database reads the open ones
    through, and gives us only those that seem silent, to the second.
    """
    place, (source, one) = session_open.c.session_ref, each(conn)
    seem = sa.extract("epoch", one.updated_at) + one.interim * MISSED < moment.timestamp()
    some = sa.select(place, one.updated_at, one.interim).select_from(source)
    some = some.where(seem, place > after).order_by(place).limit(_SWEEP)
    rows = conn.execute(some).all()
    silent = [
        (row.session_ref, row.updated_at)
        for row in rows
        if max(row.updated_at, up_since or row.updated_at) < moment - timedelta(seconds=row.interim * MISSED)
    ]
    return silent, rows[-1].session_ref if len(rows) == _SWEEP else None


def _close(conn: Connection, silent: Sequence[tuple[str, datetime]], moment: datetime) -> int:
    """Close those of them that were not heard since."""
    hold(conn, [ref for ref, _heard in silent])
    closed = 0
    for ref, heard in silent:
        target = sa.update(session).where(
            session.c.session_ref == ref, is_open, session.c.updated_at == heard
        )
        ended = {"state": "closed", "inferred": True, "stale": False, "stopped_at": moment}
        closed += conn.execute(target.values(cause=SILENT, **ended)).rowcount
    follow(conn, [ref for ref, _heard in silent])
    return closed


def session_of(row: sa.Row[tuple[object, ...]]) -> Session:
    """A row of table `session` as a Session."""
    fields = dict(row._mapping)
    fields["acct_session_id"] = bytes(fields["acct_session_id"])
    fields["circuit"] = bytes(fields["circuit"])
    return Session(**fields)


def settle_crowds(conn: Connection, noted: Noted) -> None:
    """A session more of a service that has one: its ghost is closed, or the enforcement lane looks at it.

    Sessions of one bundle (Acct-Multi-Session-Id) are one. Services that refuse are settled whatever they have.
    """
    usual = noted.replacing
    crowded = _past(conn, lambda database: database.crowded(conn, usual)) if usual else []
    noted.settle(conn, crowded)


def commit(conn: Connection) -> None:
    """End the transaction on PostgreSQL with a deadline; SQLite's, and what SQLAlchemy knows of it, ends as always.

    Raises DatabaseAway: then nobody knows whether it was committed, and doing it again is right either way.
    """
    _past(conn, lambda database: database.commit(conn))


def _past(conn: Connection, work: Callable[[Any], _T]) -> _T:
    """Do something past SQLAlchemy, in its transaction. Raises DatabaseAway."""
    if not conn.in_transaction():
        conn.begin()  # it commits only what it began
    try:
        return work(sqlite if conn.dialect.name == "sqlite" else postgres)
    except (sqlite3.OperationalError, psycopg.OperationalError, psycopg.InterfaceError) as error:
        if getattr(conn.connection.driver_connection, "closed", False):
            conn.invalidate(error)
        raise DatabaseAway(place_of(conn.engine.url), str(error)) from error
