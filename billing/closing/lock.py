"""How far the books are closed, and the lock that keeps bookings and a close apart.

Whoever books holds the entity's lock shared until its transaction ends; whoever closes holds it alone. On SQLite the
one writer is lock enough.
"""

from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.closing.models import period_close


def open_day(conn: Connection, entity: str, on: date) -> date:
    """The day on which something of `on` is booked: itself, or the first day that is open. Holds the lock, shared."""
    _take(conn, entity, "pg_advisory_xact_lock_shared")
    through = closed_through(conn, entity)
    return on if through is None or on > through else through + timedelta(days=1)


def closed_through(conn: Connection, entity: str) -> date | None:
    """The last day that is closed; None where all is open."""
    query = sa.select(period_close.c.closed_through).where(period_close.c.legal_entity == entity)
    found: date | None = conn.execute(query.order_by(period_close.c.seq.desc()).limit(1)).scalar()
    return found


def alone(conn: Connection, entity: str) -> None:
    """Wait for whoever books for the entity, and keep others from it until the transaction ends.

    First for passes of numbering: their threads wait for each other, which PostgreSQL does not see.
    """
    for what in ("invoice", "credit-note", "books"):
        _take(conn, entity, "pg_advisory_xact_lock", what)


def _take(conn: Connection, entity: str, how: str, what: str = "books") -> None:
    if conn.dialect.name != "sqlite":
        key = sa.func.hashtextextended(f"billing:{what}:{entity}", 0)
        conn.execute(sa.select(getattr(sa.func, how)(key)))
