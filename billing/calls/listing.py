"""Calls to look at, one by one."""

from datetime import UTC, date, datetime, time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, subscriptions
from billing.calls.models import call_record
from billing.periods import zone

_MOST = 10_000


def of_service(
    conn: Connection, service: str, since: date | None, until: date | None
) -> list[dict[str, Any]]:
    """A service's calls in order, of local days from `since` on and before `until`. Raises ServiceNotBilled."""
    local = zone(accounts.get(conn, subscriptions.item(conn, service).account).timezone)
    query = sa.select(call_record).where(call_record.c.service == service)
    if since:
        query = query.where(
            call_record.c.started_at >= datetime.combine(since, time(), local).astimezone(UTC)
        )
    if until:
        query = query.where(call_record.c.started_at < datetime.combine(until, time(), local).astimezone(UTC))
    rows = conn.execute(query.order_by(call_record.c.started_at, call_record.c.id).limit(_MOST))
    return [_plain(row, row.started_at.astimezone(local)) for row in rows]


def of_nobody(conn: Connection) -> list[dict[str, Any]]:
    """Calls of numbers that no service has."""
    query = sa.select(call_record).where(call_record.c.service.is_(None))
    rows = conn.execute(query.order_by(call_record.c.caller, call_record.c.started_at).limit(_MOST))
    return [_plain(row, row.started_at) for row in rows]


def _plain(row: Any, started: datetime) -> dict[str, Any]:
    return {
        "started": started.isoformat(timespec="seconds"), "caller": row.caller, "callee": row.callee,
        "seconds": row.seconds, "carrier": row.carrier, "file": row.file, "line": row.line,
    }  # fmt: skip
