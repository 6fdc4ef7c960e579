"""Overrides: somebody else lifted a nonpayment hold. That debt is not held again until a newer one or `resume`."""

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.models import billing_override
from core import clock, ids


def record(
    conn: Connection, account: str, service: str, debt_through: date, *, actor: str, commit: str
) -> None:
    """Debts of this service due up to `debt_through` are not held again."""
    values = {
        "id": ids.new_id("ovr"), "account_id": account, "service": service, "debt_through": debt_through,
        "actor": actor, "commit_id": commit, "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(billing_override).values(**values))


def in_force(conn: Connection, account_ids: Sequence[str]) -> dict[str, date]:
    """Service -> the latest due date that is overridden."""
    query = sa.select(billing_override.c.service, sa.func.max(billing_override.c.debt_through))
    query = query.where(
        billing_override.c.account_id.in_(account_ids), billing_override.c.ended_at.is_(None)
    ).group_by(billing_override.c.service)
    return {row[0]: row[1] for row in conn.execute(query)}


def end(conn: Connection, service: str, actor: str) -> int:
    """End the overrides of one service (somebody holds it again); returns how many."""
    return _end(conn, billing_override.c.service == service, actor)


def resume(conn: Connection, account: str, actor: str) -> int:
    """A person lets dunning go on for an account; returns how many overrides ended. Raises AccountUnknown."""
    accounts.lock(conn, account)
    return _end(conn, billing_override.c.account_id == account, actor)


def _end(conn: Connection, whose: "sa.ColumnElement[bool]", actor: str) -> int:
    statement = sa.update(billing_override).where(whose, billing_override.c.ended_at.is_(None))
    return int(conn.execute(statement.values(ended_at=clock.now(), ended_by=actor)).rowcount)
