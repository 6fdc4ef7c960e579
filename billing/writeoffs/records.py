"""Write-offs as they are written down and booked, and what is known of them."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import invoices, settling
from billing.accounts import Account
from billing.ledger import RECEIVABLE, Books, Entry, book
from billing.writeoffs.models import write_off
from core import clock, ids

BAD_DEBT, RESIDUE, RECOVERY = "bad-debt", "residue", "recovery"
LEDGER = {BAD_DEBT: "bad-debt", RESIDUE: "rounding"}


def of_invoice(conn: Connection, invoice_id: str) -> list[dict[str, Any]]:
    """Everything written off of an invoice and recovered, oldest first, as rows."""
    query = sa.select(write_off).where(write_off.c.invoice_id == invoice_id)
    return [
        dict(row) for row in conn.execute(query.order_by(write_off.c.recorded_at, write_off.c.id)).mappings()
    ]


def taxes_of(conn: Connection, invoice_id: str) -> dict[str, int]:
    """The taxes of an invoice by category, in minor units."""
    found: dict[str, int] = defaultdict(int)
    for one in invoices.tax_subtotals(conn, invoice_id):
        found[one["category"]] += one["tax"]
    return found


def relieved(conn: Connection, invoice_id: str) -> int:
    """What is written off of an invoice with tax relief and not recovered."""
    return sum(row["amount"] for row in of_invoice(conn, invoice_id) if row["relief"])


def lost(conn: Connection, invoice_id: str) -> int:
    """What is written off of an invoice as a bad debt and not recovered."""
    return sum(row["amount"] for row in of_invoice(conn, invoice_id) if row["kind"] != RESIDUE)


def store(
    conn: Connection, owner: Account, invoice_id: str, kind: str, minor: int, tax: Mapping[str, int], on: date,
    actor: str, reason: str, *, relief: bool, recoverable: bool = False, reverses: str | None = None,
) -> str:  # fmt: skip
    """Write it down; returns its id."""
    written = ids.new_id("wof")
    values = {
        "id": written, "account_id": owner.id, "invoice_id": invoice_id, "kind": kind, "reverses": reverses,
        "amount": minor, "tax": dict(tax), "relief": relief, "recoverable": recoverable, "written_on": on,
        "reason": reason, "actor": actor, "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(write_off).values(**values))
    settling.note(conn, invoice_id)
    return written


def enter(
    conn: Connection, owner: Account, source: str, ledger: str, minor: int, tax: Mapping[str, int], on: date, *,
    strict: bool,
) -> None:  # fmt: skip
    """Less is receivable; what the state gives back is less payable, the rest is lost. Below zero: the other way."""
    lost = minor - sum(tax.values())
    legs = [Entry(ledger, owner.money(lost)), Entry(RECEIVABLE, owner.money(-minor))]
    legs += [Entry(f"tax-payable:{name}", owner.money(part)) for name, part in tax.items()]
    book(conn, Books(owner.legal_entity, owner.id), "write-off", source, on, legs, strict=strict)
