"""Hardship exemptions: while one is in force an account is not dunned at all, and what is held is free.

No time passes for dunning meanwhile: afterwards a case goes on at the stage where it stood.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.collecting.errors import HardshipEnded, HardshipNotUsable
from billing.collecting.models import hardship
from billing.stages import Promise
from core import clock, events, ids


def grant(
    conn: Connection, account: str, until: date, *, reason: str, actor: str, on: date | None = None
) -> tuple[str, ...]:
    """Exempt an account from `on` (default: today) through `until`; returns the change sets that release services.

    Raises AccountUnknown, HardshipNotUsable.
    """
    from billing import releases  # releases ask for exemptions

    owner = accounts.lock(conn, account)
    day = on or owner.today
    if until < day:
        raise HardshipEnded(account, until)
    if not reason.strip():
        raise HardshipNotUsable(account, "say why with --reason")
    granted = ids.new_id("hsp")
    values = {
        "id": granted,
        "account_id": account,
        "since": day,
        "until": until,
        "reason": reason,
        "actor": actor,
    }
    conn.execute(sa.insert(hardship).values(**values, recorded_at=clock.now()))
    told = {"since": str(day), "until": str(until), "reason": reason}
    events.emit(conn, "hardship.granted", account, told, actor=actor)
    return releases.release_if_clear(conn, owner, day, cause=granted)


def end(conn: Connection, account: str, *, actor: str, on: date | None = None) -> int:
    """End what is in force: the day before `on` (default: today) is its last; returns how many.

    Raises AccountUnknown.
    """
    owner = accounts.lock(conn, account)
    last = (on or owner.today) - timedelta(days=1)
    mine = sa.and_(hardship.c.account_id == account, hardship.c.until > last)
    ended = conn.execute(sa.update(hardship).where(mine).values(until=last, ended_by=actor)).rowcount
    if ended:
        events.emit(conn, "hardship.ended", account, {"last": str(last)}, actor=actor)
    return int(ended)


def pauses(conn: Connection, account_ids: Sequence[str]) -> dict[str, list[Promise]]:
    """Exemptions by account, as what holds dunning up."""
    query = sa.select(hardship).where(hardship.c.account_id.in_(account_ids)).order_by(hardship.c.since)
    found: dict[str, list[Promise]] = defaultdict(list)
    for row in conn.execute(query):
        found[row.account_id].append(Promise(row.since, row.until, every=True))
    return found


def of_account(conn: Connection, account: str) -> list[dict[str, Any]]:
    """All exemptions of an account, oldest first, as rows."""
    query = (
        sa.select(hardship).where(hardship.c.account_id == account).order_by(hardship.c.since, hardship.c.id)
    )
    return [dict(row) for row in conn.execute(query).mappings()]
