"""Debts that were written off and are paid, or credited, after all: they are open again, and the payment or the credit
note pays them like any other.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import debts
from billing.accounts import Account
from billing.closing import lock
from billing.models import invoice
from billing.writeoffs.models import write_off
from billing.writeoffs.records import LEDGER, RECOVERY, enter, relieved, store, taxes_of
from billing.writeoffs.relief import tax_of
from core import events


def reinstate(conn: Connection, owner: Account, available: int, on: date) -> int:
    """Bring back written-off debts that an amount can pay beyond what is open, oldest first; returns how much.

    The account is locked; `on` is an open day. What comes back is open until the caller allocates.
    """
    spare = available - sum(one.balance for one in debts.open_balances(conn, owner.id))
    return _bring_back(
        conn, owner, _recoverable(conn, owner.id) if spare > 0 else [], spare, on, "paid after all"
    )


def annul(conn: Connection, owner: Account, invoice_id: str, credited: int, on: date) -> int:
    """Bring back what was written off of an invoice, waived or not, as far as a credit note of `credited` is more than
    what is open of it: what is not owed at all is no bad debt. Returns how much; the account is locked.
    """
    on = lock.open_day(conn, owner.legal_entity, on)
    open_ = conn.execute(sa.select(debts.BALANCE).where(invoice.c.id == invoice_id)).scalar_one()
    rows = list(reversed(_left(conn, write_off.c.invoice_id == invoice_id)))
    return _bring_back(conn, owner, rows, credited - int(open_), on, "credited")


def _bring_back(
    conn: Connection, owner: Account, rows: Sequence[Any], most: int, on: date, reason: str
) -> int:
    """Of write-offs in their order, until `most` is reached; returns how much."""
    brought = 0
    for row in rows:
        minor = min(most - brought, int(row.left))
        if minor <= 0:
            break
        _take_back(conn, owner, row, minor, on, reason)
        brought += minor
    return brought


def _take_back(conn: Connection, owner: Account, row: Any, minor: int, on: date, reason: str) -> None:
    standing = relieved(conn, row.invoice_id)
    tax: Mapping[str, int] = (
        tax_of(taxes_of(conn, row.invoice_id), row.total, standing, standing - minor) if row.relief else {}
    )
    written = store(
        conn, owner, row.invoice_id, RECOVERY, -minor, tax, on, "billing", reason, relief=row.relief,
        reverses=row.id,
    )  # fmt: skip
    enter(conn, owner, written, LEDGER[row.kind], -minor, tax, on, strict=False)
    told = {"invoice": row.number, "amount": minor, "reason": reason}
    events.emit(conn, "write-off.recovered", owner.id, told, actor="billing")


def _recoverable(conn: Connection, account: str) -> list[Any]:
    """Write-offs of an account of which a payment may bring something back, oldest debt first."""
    return _left(conn, sa.and_(write_off.c.account_id == account, write_off.c.recoverable))


def _left(conn: Connection, which: "sa.ColumnElement[bool]") -> list[Any]:
    """Write-offs of which something is not recovered yet, oldest debt first."""
    back = sa.alias(write_off)
    taken = sa.select(sa.func.coalesce(sa.func.sum(back.c.amount), 0)).where(
        back.c.reverses == write_off.c.id
    )
    left = write_off.c.amount + taken.scalar_subquery()
    query = sa.select(
        write_off.c.id,
        write_off.c.kind,
        write_off.c.invoice_id,
        write_off.c.relief,
        left.label("left"),
        invoice.c.total,
        invoice.c.number,
    ).join(invoice, invoice.c.id == write_off.c.invoice_id)
    query = query.where(which, write_off.c.amount > 0, left > 0)
    return list(conn.execute(query.order_by(invoice.c.due_on, invoice.c.number, write_off.c.recorded_at)))
