"""Writing off what will not be paid, and getting it back when it is paid after all.

A write-off takes a debt out of the receivable; the invoice never changes. Nothing is deleted: what is recovered is a
row below zero that brings the debt back, and the payment pays it like any other.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, invoices, releases
from billing.models import invoice
from billing.rounding import is_owed
from billing.writeoffs.errors import NotWritable
from billing.writeoffs.records import BAD_DEBT, LEDGER, RESIDUE, enter, relieved, store, taxes_of
from billing.writeoffs.relief import tax_of
from core import events, faults
from core.money import Money

P_WRITTEN = faults.declare("billing.before_write_off_commit")


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What was written off. `tax`: what the state gives back, by category; `set_ids`: releases that follow."""

    id: str
    invoice: str
    amount: Money
    tax: dict[str, int]
    left: Money
    set_ids: tuple[str, ...] = ()


def write(
    conn: Connection,
    reference: str,
    *,
    actor: str,
    reason: str,
    amount: Money | None = None,
    relief: bool = False,
    recoverable: bool = True,
    on: date | None = None,
    kind: str = BAD_DEBT,
) -> Written:
    """Write off what is open of an invoice, or a part of it, in the caller's transaction.

    `relief`: the tax in it is claimed back. `recoverable`: a later payment brings the debt back. `on`: local date,
    default today. Raises InvoiceUnknown, NotWritable, PeriodClosed.
    """
    row = invoices.get(conn, reference)
    owner = accounts.lock(conn, row["account_id"])
    balance = sum(one.balance for one in debts.open_balances(conn, owner.id) if one.invoice == row["id"])
    minor = _amount(row, balance, amount)
    day = on or owner.today
    if row["issued_on"] and day < row["issued_on"]:
        raise NotWritable(row["number"], f"it was issued on {row['issued_on']}, after {day}")
    standing = relieved(conn, row["id"])
    tax = tax_of(taxes_of(conn, row["id"]), row["total"], standing, standing + minor) if relief else {}
    written = store(
        conn, owner, row["id"], kind, minor, tax, day, actor, reason, relief=relief, recoverable=recoverable
    )
    enter(conn, owner, written, LEDGER[kind], minor, tax, day, strict=True)
    set_ids = releases.release_if_clear(conn, owner, max(day, owner.today), cause=written)
    told = {
        "invoice": row["number"],
        "amount": minor,
        "reason": reason,
        "kind": kind,
        "tax": tax,
        "sets": list(set_ids),
    }
    events.emit(conn, "invoice.written-off", owner.id, told, actor=actor)
    faults.point(P_WRITTEN)
    return Written(
        id=written, invoice=row["number"], amount=owner.money(minor), tax=tax, left=owner.money(balance - minor),
        set_ids=set_ids,
    )  # fmt: skip


def residues(conn: Connection, before: date) -> list[str]:
    """Invoices due before a day of which less than one unit is open: their ids, oldest first (pin 4)."""
    query = sa.select(invoice.c.id, invoice.c.currency, debts.BALANCE).where(
        debts.OPEN, invoice.c.due_on < before
    )
    query = query.order_by(invoice.c.due_on, invoice.c.id)
    rows = conn.execute(query).all()
    return [row[0] for row in rows if not is_owed(Money(int(row[2]), row[1]))]


def write_residues(conn: Connection, *, actor: str, on: date, older_than: int = 30) -> list[Written]:
    """Write off residues below one unit that are due for longer than so many days, to `rounding`."""
    found = residues(conn, on - timedelta(days=older_than))
    return [
        write(conn, one, actor=actor, reason="residue", recoverable=False, on=on, kind=RESIDUE)
        for one in found
    ]


def _amount(row: Mapping[str, Any], balance: int, amount: Money | None) -> int:
    name = row["number"] or row["id"]
    if row["state"] != "final" or row["kind"] != "invoice":
        raise NotWritable(name, "only a final invoice can be; a draft is voided instead")
    if balance <= 0:
        raise NotWritable(name, "nothing of it is open")
    if amount is None:
        return balance
    if amount.currency != row["currency"]:
        raise NotWritable(name, f"it is in {row['currency']}, not in {amount.currency}")
    if not 0 < amount.minor <= balance:
        raise NotWritable(
            name, f"{amount} is not within the {Money(balance, row['currency'])} that are open of it"
        )
    return amount.minor
