"""Debts that were written off and are paid after all: they are open again, and the payment pays them like any other."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import debts
from billing.accounts import Account
from billing.models import invoice
from billing.writeoffs.models import write_off
from billing.writeoffs.records import BAD_DEBT, LEDGER, RECOVERY, enter, relieved, store, taxes_of
from billing.writeoffs.relief import tax_of
from core import events


def reinstate(conn: Connection, owner: Account, available: int, on: date) -> int:
    """Bring back written-off debts that an amount can pay beyond what is open, oldest first; returns how much.

    The account is locked; `on` is an open day. What comes back is open until the caller allocates.
    """
    spare = available - sum(one.balance for one in debts.open_balances(conn, owner.id))
    brought = 0
    for row in _recoverable(conn, owner.id) if spare > 0 else []:
        minor = min(spare - brought, int(row.left))
        if minor <= 0:
            break
        standing = relieved(conn, row.invoice_id)
        tax: Mapping[str, int] = (
            tax_of(taxes_of(conn, row.invoice_id), row.total, standing, standing - minor)
            if row.relief
            else {}
        )
        written = store(
            conn, owner, row.invoice_id, RECOVERY, -minor, tax, on, "billing", "paid after all", relief=row.relief,
            reverses=row.id,
        )  # fmt: skip
        enter(conn, owner, written, LEDGER[BAD_DEBT], -minor, tax, on, strict=False)
        events.emit(
            conn, "write-off.recovered", owner.id, {"invoice": row.number, "amount": minor}, actor="billing"
        )
        brought += minor
    return brought


def _recoverable(conn: Connection, account: str) -> list[Any]:
    """Write-offs of an account of which something may come back, oldest debt first."""
    back = sa.alias(write_off)
    taken = sa.select(sa.func.coalesce(sa.func.sum(back.c.amount), 0)).where(
        back.c.reverses == write_off.c.id
    )
    left = write_off.c.amount + taken.scalar_subquery()
    query = sa.select(
        write_off.c.id,
        write_off.c.invoice_id,
        write_off.c.relief,
        left.label("left"),
        invoice.c.total,
        invoice.c.number,
    ).join(invoice, invoice.c.id == write_off.c.invoice_id)
    query = query.where(
        write_off.c.account_id == account, write_off.c.recoverable, write_off.c.amount > 0, left > 0
    )
    return list(conn.execute(query.order_by(invoice.c.due_on, invoice.c.number, write_off.c.recorded_at)))
