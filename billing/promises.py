"""Promises to pay: debts that are due count as due on the promised day, and a held service is freed at once."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, releases
from billing.errors import PromiseNotUsable
from billing.models import promise
from core import clock, ids


def make(
    conn: Connection, account: str, until: date, *, actor: str, on: date | None = None
) -> tuple[str, ...]:
    """Record a promise to pay everything that is due by `until`; returns the change sets that release services.

    Raises AccountUnknown, PromiseNotUsable.
    """
    owner = accounts.lock(conn, account)
    day = on or owner.today
    if until < day:
        raise PromiseNotUsable(account, until)
    promise_id = ids.new_id("prm")
    values = {"id": promise_id, "account_id": account, "made_on": day, "until": until, "actor": actor}
    conn.execute(sa.insert(promise).values(**values, recorded_at=clock.now()))
    return releases.release_if_clear(conn, owner, day, cause=promise_id)
