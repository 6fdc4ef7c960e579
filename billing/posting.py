"""Which legs a business event has in the books."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from sqlalchemy.engine import Connection

from billing.accounts import Account
from billing.kinds import DEFERRED, KINDS
from billing.ledger import CREDIT, RECEIVABLE, Books, Entry, book
from core.money import Money

Row = Mapping[str, Any]


def book_invoice(conn: Connection, row: Row, lines: Iterable[Row], taxes: Iterable[Row]) -> None:
    """An invoice raises the receivable; a credit note (negative) raises the customer's credit instead.

    What a line bills for days after the issue is deferred; `revenue` recognises it as the days go by.
    """
    currency = row["currency"]
    claim = RECEIVABLE if row["kind"] == "invoice" else CREDIT
    entries = [Entry(claim, Money(row["total"], currency))]
    entries += [Entry(ledger, Money(-net, currency)) for ledger, net in _nets(lines, row["issued_on"])]
    entries += [Entry(f"tax-payable:{tax['category']}", Money(-tax["tax"], currency)) for tax in taxes]
    books = Books(row["legal_entity"], row["account_id"])
    book(conn, books, row["kind"], row["id"], row["issued_on"], entries)


def ledger_of(kind: str, period_end: date | None, issued: date) -> str:
    """The account of the books that a line of a kind is credited to."""
    found = KINDS[kind]
    later = found.accrues and period_end is not None and period_end > issued
    return f"{DEFERRED}{found.ledger}" if later else found.ledger


def book_receipt(
    conn: Connection, owner: Account, payment: str, amount: Money, method: str, on: date
) -> None:
    """Money came in: unapplied until it is allocated."""
    entries = [Entry(f"cash:{method}", amount), Entry(CREDIT, -amount)]
    book(conn, _books(owner), "receipt", payment, on, entries)


def book_allocation(
    conn: Connection, owner: Account, payment: str, invoice: str, amount: Money, on: date, nth: int = 1
) -> None:
    """Credit pays an invoice, for the `nth` time; below zero it is taken back."""
    entries = [Entry(CREDIT, amount), Entry(RECEIVABLE, -amount)]
    source = f"{payment}:{invoice}" if nth == 1 else f"{payment}:{invoice}:{nth}"
    book(conn, _books(owner), "allocation", source, on, entries)


def _nets(lines: Iterable[Row], issued: date) -> Iterator[tuple[str, int]]:
    sums: dict[str, int] = defaultdict(int)
    for line in lines:
        sums[ledger_of(line["kind"], line["period_end"], issued)] += line["net"]
    yield from sorted(sums.items())


def _books(owner: Account) -> Books:
    return Books(owner.legal_entity, owner.id)
