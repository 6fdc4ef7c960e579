"""Which legs a business event has in the books."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from sqlalchemy.engine import Connection

from billing.ledger import CREDIT, RECEIVABLE, REVENUE, Entry, book
from core.money import Money


def book_invoice(conn: Connection, row: Mapping[str, Any], taxes: Iterable[Mapping[str, Any]]) -> None:
    """An invoice raises the receivable; a credit note (negative) raises the customer's credit instead."""
    currency = row["currency"]
    claim = RECEIVABLE if row["kind"] == "invoice" else CREDIT
    entries = [Entry(claim, Money(row["total"], currency)), Entry(REVENUE, Money(-row["net"], currency))]
    entries += [Entry(f"tax-payable:{tax['category']}", Money(-tax["tax"], currency)) for tax in taxes]
    book(conn, row["account_id"], row["kind"], row["id"], row["issued_on"], entries)


def book_receipt(conn: Connection, account: str, payment: str, amount: Money, method: str, on: date) -> None:
    """Money came in: unapplied until it is allocated."""
    entries = [Entry(f"cash:{method}", amount), Entry(CREDIT, -amount)]
    book(conn, account, "receipt", payment, on, entries)


def book_allocation(
    conn: Connection, account: str, payment: str, invoice: str, amount: Money, on: date
) -> None:
    """Credit pays an invoice."""
    entries = [Entry(CREDIT, amount), Entry(RECEIVABLE, -amount)]
    book(conn, account, "allocation", f"{payment}:{invoice}", on, entries)
