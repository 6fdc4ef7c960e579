"""Releases: when nothing is overdue any more, every nonpayment hold of the account goes (invariant 30)."""

from datetime import date

from sqlalchemy.engine import Connection

from billing import debts, holds
from billing.accounts import Account


def release_if_clear(conn: Connection, owner: Account, today: date, cause: str) -> tuple[str, ...]:
    """Ask for the release of a paid account in the caller's transaction; returns the change sets. It is locked."""
    services = holds.held(conn, [owner.id])
    if not services:
        return ()
    if debts.dunned_of(conn, owner, today):
        return ()
    set_id = holds.submit(conn, holds.release_changes(conn, services), "release", cause)
    holds.forget(conn, services, set_id)
    return (set_id,)
