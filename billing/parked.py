"""Accounts that a bill run left out because their bill looked odd; a person lets them pass by name (pin 7)."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.models import bill_park
from core import db, events


def note(conn: Connection, run_id: str, looked_at: Sequence[str], odd: Mapping[str, str]) -> None:
    """Keep who is parked after a chunk of accounts: those in `odd` (account -> reason), no other of the chunk."""
    fine = [account for account in looked_at if account not in odd]
    conn.execute(sa.delete(bill_park).where(bill_park.c.account_id.in_(fine)))
    rows = [
        {"account_id": account, "run_id": run_id, "reason": reason, "accepted_by": None}
        for account, reason in odd.items()
    ]
    db.upsert(conn, bill_park, rows, ["account_id"])
    for account, reason in odd.items():
        events.emit(conn, "billing.parked", account, {"run": run_id, "reason": reason}, actor="billing")


def reasons(conn: Connection) -> dict[str, str]:
    """Every parked account and why."""
    query = sa.select(bill_park.c.account_id, bill_park.c.reason).order_by(bill_park.c.account_id)
    return {row.account_id: row.reason for row in conn.execute(query)}


def accept(conn: Connection, account: str, actor: str) -> None:
    """Let the next run bill a parked account as it is. Raises AccountUnknown."""
    accounts.get(conn, account)
    conn.execute(sa.update(bill_park).where(bill_park.c.account_id == account).values(accepted_by=actor))


def accepted(conn: Connection, account_ids: Sequence[str]) -> set[str]:
    """Which of these accounts a person has accepted."""
    query = sa.select(bill_park.c.account_id)
    query = query.where(bill_park.c.account_id.in_(account_ids), bill_park.c.accepted_by.is_not(None))
    return set(conn.execute(query).scalars())
