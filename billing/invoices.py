"""Invoices: draft -> final; a draft may be voided. A number exists from finalisation on (`runs.numbering`).

A bill below zero becomes a credit note in a series of its own, and the customer's credit. A final document never
changes: its content is sealed with a hash (invariant 27).
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, billables
from billing.accounts import Account
from billing.bill import Bill
from billing.errors import DraftBuiltOn, InvoiceFinal, InvoiceUnknown
from billing.models import charge, invoice, invoice_line, invoice_tax, subscription_item
from billing.runs import numbering, seals
from billing.runs.choosing import ALL, Choice
from billing.runs.numbering import CREDIT_NOTE, INVOICE
from core import db, ids
from core.db import Database

_STRETCH = 500

Rows = list[dict[str, Any]]


def draft(conn: Connection, owner: Account, drawn: Bill, on: date, run_id: str) -> str:
    """Store a bill as a draft and return its id."""
    values, told, taxes = rows_of(owner, drawn, on, run_id)
    conn.execute(sa.insert(invoice).values(**values))
    db.insert_many(conn, invoice_line, told)
    db.insert_many(conn, invoice_tax, taxes)
    return str(values["id"])


def rows_of(owner: Account, drawn: Bill, on: date, run_id: str) -> tuple[dict[str, Any], Rows, Rows]:
    """A draft as rows: of `invoice`, `invoice_line`, `invoice_tax`."""
    invoice_id = ids.new_id("inv")
    values = {
        "id": invoice_id, "account_id": owner.id, "kind": CREDIT_NOTE if drawn.total.minor < 0 else INVOICE,
        "state": "draft", "legal_entity": owner.legal_entity, "billed_on": on, "currency": owner.currency,
        "net": drawn.net.minor, "tax": drawn.tax.minor, "total": drawn.total.minor, "run_id": run_id,
    }  # fmt: skip
    return values, _line_rows(invoice_id, drawn), _tax_rows(invoice_id, drawn)


def finalise(database: Database, choice: Choice = ALL) -> list[str]:
    """Give every draft (of the choice) its number, in one order, and book it; returns the numbers given."""
    return [text for given in numbering.finalise(database, _STRETCH, choice=choice) for text in given.texts()]


def void(conn: Connection, invoice_id: str) -> None:
    """Drop a draft: its intervals become unbilled, the next run bills them. Raises InvoiceFinal, InvoiceUnknown."""
    row = get(conn, invoice_id)
    accounts.lock(conn, row["account_id"])
    row = get(conn, invoice_id)
    if row["state"] == "void":
        return
    if row["state"] != "draft":
        raise InvoiceFinal(row["number"])
    _unbill(conn, row["id"])
    billables.unbill(conn, row["id"])
    conn.execute(sa.update(invoice).where(invoice.c.id == row["id"]).values(state="void"))


def get(conn: Connection, reference: str) -> dict[str, Any]:
    """An invoice by id or number, as a row. Raises InvoiceUnknown."""
    query = sa.select(invoice).where(sa.or_(invoice.c.id == reference, invoice.c.number == reference))
    row = conn.execute(query).mappings().first()
    if row is None:
        raise InvoiceUnknown(reference)
    return dict(row)


def lines(conn: Connection, invoice_id: str) -> list[dict[str, Any]]:
    """Its lines in order, as rows."""
    query = sa.select(invoice_line).where(invoice_line.c.invoice_id == invoice_id)
    return [dict(row) for row in conn.execute(query.order_by(invoice_line.c.position)).mappings()]


def tax_subtotals(conn: Connection, invoice_id: str) -> list[dict[str, Any]]:
    """Its tax subtotals in order, as rows."""
    query = sa.select(invoice_tax).where(invoice_tax.c.invoice_id == invoice_id)
    query = query.order_by(invoice_tax.c.category, invoice_tax.c.millionths, invoice_tax.c.inclusive)
    return [dict(row) for row in conn.execute(query).mappings()]


def last_totals(conn: Connection, account_ids: Sequence[str]) -> dict[str, int]:
    """The highest total that each account was ever invoiced, in minor units."""
    query = sa.select(invoice.c.account_id, sa.func.max(invoice.c.total))
    query = query.where(invoice.c.account_id.in_(account_ids), invoice.c.state == "final")
    return {row[0]: int(row[1]) for row in conn.execute(query.group_by(invoice.c.account_id))}


def seal_of(conn: Connection, row: dict[str, Any]) -> str:
    """The seal that a final document must have, by the version that it was sealed with (`runs.seals`)."""
    version = row["seal_version"] or seals.VERSION
    return seals.seal(version, row, lines(conn, row["id"]), tax_subtotals(conn, row["id"]))


def _unbill(conn: Connection, invoice_id: str) -> None:
    """Take a draft's charges away: they never reached the books. Raises DraftBuiltOn."""
    mine = sa.select(invoice_line.c.charge_id).where(invoice_line.c.invoice_id == invoice_id)
    rows = conn.execute(sa.select(charge).where(charge.c.id.in_(mine))).all()
    if conn.execute(sa.select(charge.c.id).where(charge.c.reverses.in_([row.id for row in rows]))).first():
        raise DraftBuiltOn(invoice_id)
    if any(row.reverses and _billed_anew(conn, row, rows) for row in rows):
        raise DraftBuiltOn(invoice_id)
    conn.execute(
        sa.update(invoice_line).where(invoice_line.c.invoice_id == invoice_id).values(charge_id=None)
    )
    conn.execute(sa.delete(charge).where(charge.c.id.in_([row.id for row in rows])))
    for item in sorted({row.item_id for row in rows}):
        since = min(row.part_start for row in rows if row.item_id == item)
        chosen = subscription_item.c.id == item
        conn.execute(sa.update(subscription_item).where(chosen).values(recalculate_from=since))


def _billed_anew(conn: Connection, back: Any, mine: Sequence[Any]) -> bool:
    """Whether another document bills again what a reversal takes back: without the reversal it would stand twice."""
    same = [
        charge.c[name] == getattr(back, name)
        for name in ("item_id", "period_start", "period_end", "part_start")
    ]
    query = sa.select(charge.c.id).where(
        *same, charge.c.kind == back.kind.removesuffix("-reversal"), charge.c.revision > back.revision,
        charge.c.id.not_in([row.id for row in mine]),
    )  # fmt: skip
    return conn.execute(query).first() is not None


def _line_rows(invoice_id: str, drawn: Bill) -> list[dict[str, Any]]:
    return [
        {
            "invoice_id": invoice_id, "position": position, "charge_id": line.charge,
            "billable_id": line.billable, "kind": line.kind, "service": line.service,
            "period_start": line.period.start if line.period else None,
            "period_end": line.period.end if line.period else None,
            "description": line.description, "amount": line.amount.minor, "net": net.minor,
            "tax_category": line.rate.category, "tax_millionths": line.rate.millionths,
            "tax_inclusive": line.rate.inclusive,
            "credits_invoice": line.credits[0] if line.credits else None,
            "credits_position": line.credits[1] if line.credits else None,
        }
        for position, (line, net) in enumerate(zip(drawn.lines, drawn.nets, strict=True), 1)
    ]  # fmt: skip


def _tax_rows(invoice_id: str, drawn: Bill) -> list[dict[str, Any]]:
    return [
        {
            "invoice_id": invoice_id, "category": tax.rate.category, "millionths": tax.rate.millionths,
            "inclusive": tax.rate.inclusive, "base": tax.base.minor, "tax": tax.tax.minor,
        }
        for tax in drawn.taxes
    ]  # fmt: skip
