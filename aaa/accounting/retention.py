"""Retention: how long what accounting recorded is kept, and what it becomes on the way.

Closed sessions become history (who had which address when), days of usage become months, and everything goes in the
end. Each step is one short transaction of a few rows, so that nobody waits for it; doing one again is harmless.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import (
    accepted_login,
    enforcement,
    refusal,
    retention_place,
    session,
    session_address,
    session_history,
    usage_day,
    usage_month,
)
from aaa.turns import unheld
from core import clock
from core.db import Database, insert_many, lock_row, upsert, upsert_add
from core.jobs import Job, enqueue, handles
from core.settings import Settings

KIND = "aaa.retention"
_CHUNK = 200
_LOOK = 2000
_BUDGET = 20.0
_AGAIN = timedelta(seconds=5)
_SESSIONS = "sessions"
_HISTORY = tuple(column.name for column in session_history.columns)


class Kept(msgspec.Struct, frozen=True):
    """Days that each kind is kept; 0: for ever."""

    sessions: int
    addresses: int
    refusals: int
    logins: int
    usage_days: int
    usage_months: int

    @classmethod
    def of(cls, settings: Settings) -> "Kept":
        """As the settings say."""
        return cls(
            sessions=settings.retention_sessions,
            addresses=settings.retention_addresses,
            refusals=settings.retention_refusals,
            logins=settings.retention_logins,
            usage_days=settings.retention_usage_days,
            usage_months=settings.retention_usage_months,
        )


def retain(db: Database, kept: Kept, now: datetime, budget: float = _BUDGET) -> bool:
    """Do what is due, for at most `budget` seconds; whether all of it is done."""
    deadline = clock.monotonic() + budget
    return all(clock.monotonic() < deadline for step in _steps(db, kept, now) for _rows in step)


def _steps(db: Database, kept: Kept, now: datetime) -> Iterator[Iterator[int]]:
    """Every kind that is not kept for ever, as its chunks."""
    if kept.sessions:
        yield move_closed(db, now - timedelta(days=kept.sessions))
    if kept.addresses:
        before = now - timedelta(days=kept.addresses)
        yield _chunks(db, lambda conn: _forget_history(conn, before))
        yield _chunks(db, lambda conn: _forget_sequence(conn, enforcement, before))
    if kept.refusals:
        limit = now - timedelta(days=kept.refusals)
        yield _chunks(db, lambda conn: _forget_sequence(conn, refusal, limit))
    if kept.logins:
        oldest_login = now - timedelta(days=kept.logins)
        yield _chunks(db, lambda conn: _forget_sequence(conn, accepted_login, oldest_login))
    if kept.usage_days:
        month = (now - timedelta(days=kept.usage_days)).date().replace(day=1)
        yield _chunks(db, lambda conn: _roll_usage(conn, month))
    if kept.usage_months:
        oldest = (now - timedelta(days=kept.usage_months)).date().replace(day=1)
        yield _chunks(db, lambda conn: _forget_usage(conn, oldest))


def _chunks(db: Database, step: Callable[[Connection], int]) -> Iterator[int]:
    while True:
        with db.write() as conn:
            rows = step(conn)
        if not rows:
            return
        yield rows


def move_closed(db: Database, before: datetime) -> Iterator[int]:
    """Make sessions that ended before a moment history; yields the rows of each chunk.

    They are found in the order of their refs, which is the order of their coming, and what has to stay is passed by.
    How far that came is kept: whoever has no time left goes on there, and millions that stay hold nothing up.
    """
    with db.read() as conn:
        after = _place(conn)
    while True:
        with db.read() as conn:
            refs, last = _closed(conn, after, before)
        for start in range(0, len(refs), _CHUNK):
            with db.write() as conn:
                moved = _move(conn, refs[start : start + _CHUNK], before)
            yield moved
        if last is not None or after:
            with db.write() as conn:
                _keep_place(conn, last)
        if last is None:
            return
        after = last
        yield 0


def _place(conn: Connection) -> str:
    """Behind which session to go on; "" at the oldest."""
    chosen = sa.select(retention_place.c.after).where(retention_place.c.name == _SESSIONS)
    return conn.scalar(chosen) or ""


def _keep_place(conn: Connection, after: str | None) -> None:
    if after is None:
        conn.execute(sa.delete(retention_place).where(retention_place.c.name == _SESSIONS))
    else:
        upsert(conn, retention_place, [{"name": _SESSIONS, "after": after}], key=["name"])


def _closed(conn: Connection, after: str, before: datetime) -> tuple[list[str], str | None]:
    columns = (session.c.session_ref, session.c.started_at, session.c.state, session.c.stopped_at)
    some = sa.select(*columns).where(session.c.session_ref > after)
    rows = conn.execute(some.order_by(session.c.session_ref).limit(_LOOK)).all()
    found = [row.session_ref for row in rows if row.state == "closed" and row.stopped_at < before]
    # What came as late as this began too late to have ended before.
    more = len(rows) == _LOOK and any(row.started_at < before for row in rows)
    return found, rows[-1].session_ref if more else None


def _move(conn: Connection, refs: list[str], before: datetime) -> int:
    """Under the rows' locks: one may have been opened again since, and one that is being written stays."""
    over = sa.and_(
        session.c.session_ref.in_(refs), session.c.state == "closed", session.c.stopped_at < before
    )
    chosen = sa.select(*(session.c[name] for name in _HISTORY)).where(over).order_by(session.c.session_ref)
    rows = [dict(row._mapping) for row in conn.execute(unheld(conn, chosen))]
    insert_many(conn, session_history, rows)
    moved = [row["session_ref"] for row in rows]
    conn.execute(sa.delete(session).where(session.c.session_ref.in_(moved)))
    return len(moved)


def _forget_history(conn: Connection, before: datetime) -> int:
    column = session_history.c.session_ref
    old = sa.select(column).where(session_history.c.stopped_at < before)
    refs = conn.scalars(old.order_by(session_history.c.stopped_at).limit(_CHUNK)).all()
    if refs:
        conn.execute(sa.delete(session_address).where(session_address.c.session_ref.in_(refs)))
    return conn.execute(sa.delete(session_history).where(column.in_(refs))).rowcount if refs else 0


def _forget_sequence(conn: Connection, table: sa.Table, before: datetime) -> int:
    """Delete the oldest rows of an append-only table: its sequence is its order in time, no index is needed."""
    rows = conn.execute(sa.select(table.c.seq, table.c.at).order_by(table.c.seq).limit(_CHUNK)).all()
    old = [row.seq for row in rows if row.at < before]
    return conn.execute(sa.delete(table).where(table.c.seq.in_(old))).rowcount if old else 0


def _roll_usage(conn: Connection, month: date) -> int:
    """Add the oldest days before a month to their months. A late record begins its day anew, and is rolled later."""
    old = sa.select(usage_day).where(usage_day.c.day < month).order_by(usage_day.c.day).limit(_CHUNK)
    rows = conn.execute(lock_row(conn, old)).all()
    sums: dict[tuple[str, date], list[int]] = {}
    for row in rows:
        octets = sums.setdefault((row.service, row.day.replace(day=1)), [0, 0])
        octets[0] += row.up_octets
        octets[1] += row.down_octets
        conn.execute(
            sa.delete(usage_day).where(usage_day.c.service == row.service, usage_day.c.day == row.day)
        )
    added = [
        {"service": service, "month": first, "up_octets": up, "down_octets": down}
        for (service, first), (up, down) in sorted(sums.items())
    ]
    upsert_add(conn, usage_month, added, ["service", "month"], ["up_octets", "down_octets"])
    return len(rows)


def _forget_usage(conn: Connection, before: date) -> int:
    key = (usage_month.c.service, usage_month.c.month)
    old = sa.select(*key).where(usage_month.c.month < before).order_by(usage_month.c.month).limit(_CHUNK)
    rows = [tuple(row) for row in conn.execute(old)]
    return conn.execute(sa.delete(usage_month).where(sa.tuple_(*key).in_(rows))).rowcount if rows else 0


def schedule(db: Database) -> None:
    """Queue the next round, once an hour; a job that already waits stands for it."""
    with db.write() as conn:
        enqueue(conn, KIND, {}, unique=f"{KIND}:{clock.now():%Y%m%d%H}")


def register(settings: Settings) -> None:
    """Let this process perform the job with the retention of its settings."""
    kept = Kept.of(settings)

    @handles(KIND)
    def perform(db: Database, _job: Job) -> None:
        now = clock.now()
        if not retain(db, kept, now):
            with db.write() as conn:  # the rest after a breath: the lease of a job is a minute
                enqueue(conn, KIND, {}, run_at=now + _AGAIN, unique=f"{KIND}:rest:{now.timestamp():.0f}")
