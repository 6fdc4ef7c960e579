"""Writing and reading `service_limit`. A change and its line in the feed are one transaction of the caller's."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.limits.limit import VOUCHER, Limit
from aaa.models import service_limit, service_limit_change
from core import clock
from core.db import insert_many, upsert

_CHUNK = 300
_FEED_LOCK = 5177
Key = tuple[str, str]
"""(service, cause)."""


def put(conn: Connection, limits: Sequence[Limit], actor: str) -> int:
    """Make these limits be; what is so already is no change. Returns how many changed."""
    if not limits:
        return 0
    take_turn(conn)
    there = {(one.service, one.cause): one for one in read(conn, {one.service for one in limits})}
    changed = [one for one in limits if there.get((one.service, one.cause)) != one]
    rows = [_row(one, actor) for one in changed]
    for start in range(0, len(rows), _CHUNK):
        upsert(conn, service_limit, rows[start : start + _CHUNK], key=["service", "cause"])
    tell(conn, [one.service for one in changed])
    return len(changed)


def lift(conn: Connection, keys: Iterable[Key]) -> list[Key]:
    """End these limits; returns those that there were."""
    wanted, gone = sorted(set(keys)), []
    if wanted:
        take_turn(conn)
    pair = sa.tuple_(service_limit.c.service, service_limit.c.cause)
    for start in range(0, len(wanted), _CHUNK):
        which = pair.in_(wanted[start : start + _CHUNK])
        found = conn.execute(sa.select(service_limit.c.service, service_limit.c.cause).where(which)).all()
        conn.execute(sa.delete(service_limit).where(which))
        gone += [(str(service), str(cause)) for service, cause in found]
    tell(conn, [service for service, _cause in gone])
    return gone


def expire(conn: Connection, now: datetime, at_most: int = 2000) -> list[Key]:
    """Lift what has reached its end; returns it. Call again while there is any. Vouchers end in their own table."""
    due = sa.select(service_limit.c.service, service_limit.c.cause)
    due = due.where(service_limit.c.until <= now, service_limit.c.cause != VOUCHER)
    rows = conn.execute(due.order_by(service_limit.c.until).limit(at_most)).all()
    return lift(conn, [(str(service), str(cause)) for service, cause in rows]) if rows else []


def is_due(conn: Connection, now: datetime) -> bool:
    """Whether there is anything to lift."""
    due = sa.select(service_limit.c.service).where(service_limit.c.until <= now)
    return conn.execute(due.where(service_limit.c.cause != VOUCHER).limit(1)).first() is not None


def read(conn: Connection, services: Iterable[str]) -> list[Limit]:
    """The limits of these services, sorted by service and cause."""
    wanted, found = sorted(set(services)), []
    for start in range(0, len(wanted), _CHUNK):
        which = service_limit.c.service.in_(wanted[start : start + _CHUNK])
        found += [limit_of(row) for row in conn.execute(sa.select(service_limit).where(which))]
    return sorted(found, key=lambda one: (one.service, one.cause))


def of_cause(conn: Connection, cause: str) -> list[Limit]:
    """Every limit of a cause, by service."""
    chosen = sa.select(service_limit).where(service_limit.c.cause == cause)
    return [limit_of(row) for row in conn.execute(chosen.order_by(service_limit.c.service))]


def tell(conn: Connection, services: Iterable[str]) -> None:
    """Add services to the feed. The caller holds the turn (`take_turn`)."""
    insert_many(conn, service_limit_change, [{"service": one} for one in dict.fromkeys(services)])


def take_turn(conn: Connection) -> None:
    """Writers of the feed commit one after another: a follower that has seen a sequence has seen all before it.

    Taken before any row of `service_limit` is touched, so that two writers never wait for each other in a circle.
    """
    if conn.dialect.name != "sqlite":
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_FEED_LOCK)))


def forget_changes(conn: Connection, keep: int = 200_000) -> int:
    """Cut the feed's old end; a follower that is further behind reads everything again. Returns how many."""
    newest = conn.scalar(sa.select(sa.func.max(service_limit_change.c.seq))) or 0
    old = service_limit_change.c.seq <= newest - keep
    return conn.execute(sa.delete(service_limit_change).where(old)).rowcount


def limit_of(row: sa.Row[tuple[object, ...]]) -> Limit:
    """A row as a Limit."""
    until = row.until
    return Limit(
        row.service, row.cause, row.effect, int(row.down), int(row.up),
        int(until.timestamp()) if until is not None else 0, row.data,
    )  # fmt: skip


def moment(seconds: int) -> datetime | None:
    """Epoch seconds as a moment; None for 0."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _row(limit: Limit, actor: str) -> dict[str, object]:
    return {
        "service": limit.service, "cause": limit.cause, "effect": limit.effect, "down": limit.down,
        "up": limit.up, "until": moment(limit.until), "data": limit.data, "actor": actor, "at": clock.now(),
    }  # fmt: skip
