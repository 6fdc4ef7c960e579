"""Promises to pay: debts that are due are left alone until the promised day, and a held service is freed at once."""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, releases
from billing.accounts import Account
from billing.collecting.errors import InstalmentsNotUsable
from billing.collecting.models import instalment
from billing.errors import PromiseNotUsable
from billing.models import promise
from core import clock, db, ids
from core.money import Money

Parts = Sequence[tuple[date, Money]]


def make(
    conn: Connection, account: str, until: date, *, actor: str, on: date | None = None, parts: Parts = ()
) -> tuple[str, ...]:
    """Record a promise to pay everything that is due by `until`; returns the change sets that release services.

    `parts`: instalments before the last day, which takes the rest. Raises AccountUnknown, PromiseNotUsable,
    InstalmentsNotUsable.
    """
    owner = accounts.lock(conn, account)
    day = on or owner.today
    if until < day:
        raise PromiseNotUsable(account, until)
    due = sum(one.balance for one in debts.open_balances(conn, account) if one.due <= day)
    rows = _instalments(owner, until, day, due, parts)
    promise_id = ids.new_id("prm")
    values = {
        "id": promise_id,
        "account_id": account,
        "made_on": day,
        "until": until,
        "actor": actor,
        "amount": due,
    }
    conn.execute(sa.insert(promise).values(**values, recorded_at=clock.now()))
    db.insert_many(
        conn, instalment, [{"promise_id": promise_id, "due_on": on_, "amount": n} for on_, n in rows]
    )
    return releases.release_if_clear(conn, owner, day, cause=promise_id)


def _instalments(owner: Account, until: date, day: date, due: int, parts: Parts) -> list[tuple[date, int]]:
    """Days and minor units; none where everything is promised for one day. Raises InstalmentsNotUsable."""
    if not parts:
        return []
    days = [on for on, _ in parts]
    if sorted(set(days)) != days or days[0] < day or days[-1] >= until:
        raise InstalmentsNotUsable(
            owner.id, f"its days come one after the other, from {day} on and before {until}"
        )
    if wrong := [one for _, one in parts if one.currency != owner.currency or one.minor <= 0]:
        raise InstalmentsNotUsable(owner.id, f"{wrong[0]} is no instalment in {owner.currency}")
    rest = due - sum(one.minor for _, one in parts)
    if rest <= 0:
        raise InstalmentsNotUsable(
            owner.id, f"{owner.money(due)} is due, and the last day takes the rest of it"
        )
    return [*((on, one.minor) for on, one in parts), (until, rest)]
