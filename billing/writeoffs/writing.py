"""Writing off what will not be paid, and getting it back when it is paid after all.

A write-off takes a debt out of the receivable; the invoice never changes. Nothing is deleted: what is recovered is a
row below zero that brings the debt back, and the payment pays it like any other.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, invoices, releases
from billing.accounts import Account
from billing.ledger import RECEIVABLE, Books, Entry, book
from billing.models import invoice
from billing.rounding import is_owed
from billing.writeoffs.errors import NotWritable
from billing.writeoffs.models import write_off
from billing.writeoffs.relief import tax_of
from core import clock, events, faults, ids
from core.money import Money

BAD_DEBT, RESIDUE, RECOVERY = "bad-debt", "residue", "recovery"
LEDGER = {BAD_DEBT: "bad-debt", RESIDUE: "rounding"}
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
    standing = _relieved(conn, row["id"])
    tax = tax_of(_taxes(conn, row["id"]), row["total"], standing, standing + minor) if relief else {}
    written = _store(
        conn, owner, row["id"], kind, minor, tax, day, actor, reason, relief=relief, recoverable=recoverable
    )
    _book(conn, owner, written, LEDGER[kind], minor, tax, day, strict=True)
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
        standing = _relieved(conn, row.invoice_id)
        tax: Mapping[str, int] = (
            tax_of(_taxes(conn, row.invoice_id), row.total, standing, standing - minor) if row.relief else {}
        )
        written = _store(
            conn, owner, row.invoice_id, RECOVERY, -minor, tax, on, "billing", "paid after all", relief=row.relief,
            reverses=row.id,
        )  # fmt: skip
        _book(conn, owner, written, LEDGER[BAD_DEBT], -minor, tax, on, strict=False)
        events.emit(
            conn, "write-off.recovered", owner.id, {"invoice": row.number, "amount": minor}, actor="billing"
        )
        brought += minor
    return brought


def of_invoice(conn: Connection, invoice_id: str) -> list[dict[str, Any]]:
    """Everything written off of an invoice and recovered, oldest first, as rows."""
    query = sa.select(write_off).where(write_off.c.invoice_id == invoice_id)
    return [
        dict(row) for row in conn.execute(query.order_by(write_off.c.recorded_at, write_off.c.id)).mappings()
    ]


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


def _taxes(conn: Connection, invoice_id: str) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for one in invoices.tax_subtotals(conn, invoice_id):
        found[one["category"]] += one["tax"]
    return found


def _relieved(conn: Connection, invoice_id: str) -> int:
    """What is written off of an invoice with tax relief and not recovered."""
    return sum(row["amount"] for row in of_invoice(conn, invoice_id) if row["relief"])


def _store(
    conn: Connection, owner: Account, invoice_id: str, kind: str, minor: int, tax: Mapping[str, int], on: date,
    actor: str, reason: str, *, relief: bool, recoverable: bool = False, reverses: str | None = None,
) -> str:  # fmt: skip
    written = ids.new_id("wof")
    values = {
        "id": written, "account_id": owner.id, "invoice_id": invoice_id, "kind": kind, "reverses": reverses,
        "amount": minor, "tax": dict(tax), "relief": relief, "recoverable": recoverable, "written_on": on,
        "reason": reason, "actor": actor, "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(write_off).values(**values))
    return written


def _book(
    conn: Connection, owner: Account, source: str, ledger: str, minor: int, tax: Mapping[str, int], on: date, *,
    strict: bool,
) -> None:  # fmt: skip
    """Less is receivable; what the state gives back is less payable, the rest is lost. Below zero: the other way."""
    lost = minor - sum(tax.values())
    legs = [Entry(ledger, owner.money(lost)), Entry(RECEIVABLE, owner.money(-minor))]
    legs += [Entry(f"tax-payable:{name}", owner.money(part)) for name, part in tax.items()]
    book(conn, Books(owner.legal_entity, owner.id), "write-off", source, on, legs, strict=strict)
