"""A statement of an account: what was open, what happened, what is open, read from the ledger.

The balance is what the customer owes: the receivable less the customer's credit. Because it comes from the books,
whatever moves either of them is on it, and the closing of one day is the opening of the next.
"""

import csv
import io
from datetime import date, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.ledger import CREDIT, RECEIVABLE
from billing.models import invoice, ledger_entry, ledger_transaction, payment
from billing.papers.errors import StatementNotUsable
from billing.papers.parties import Party, Seller
from core.money import Money


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line. `amount`: what it adds to what is owed; `balance`: what is owed after it."""

    on: date
    kind: str
    reference: str
    amount: Money
    balance: Money


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """Of the days from `first` to `last`, both included."""

    account: str
    first: date
    last: date
    opening: Money
    closing: Money
    entries: tuple[Entry, ...]

    @property
    def sums(self) -> dict[str, Money]:
        """What entries of a kind add up to, by kind."""
        found: dict[str, Money] = {}
        for one in self.entries:
            found[one.kind] = found[one.kind] + one.amount if one.kind in found else one.amount
        return dict(sorted(found.items()))


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """A statement with who sends it and who gets it, as a page shows it."""

    statement: Statement
    seller: Seller
    buyer: Party


def statement(conn: Connection, account: str, since: date, until: date) -> Statement:
    """The days `[since, until)` of an account. Raises AccountUnknown, StatementNotUsable."""
    owner = accounts.get(conn, account)
    if until <= since:
        raise StatementNotUsable(account, since, until)
    running = opening = _before(conn, account, since)
    entries = []
    for row in _moves(conn, account, since, until):
        running += int(row.amount)
        entries.append(
            Entry(
                on=row.booked_on, kind=row.kind, reference=row.number or row.method or row.source,
                amount=owner.money(int(row.amount)), balance=owner.money(running),
            )
        )  # fmt: skip
    return Statement(
        account=account, first=since, last=until - timedelta(days=1), opening=owner.money(opening),
        closing=owner.money(running), entries=tuple(entries),
    )  # fmt: skip


def as_csv(found: Statement) -> str:
    """Date, kind, reference, amount, balance; the first line is the opening, the last one the closing."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["date", "kind", "reference", "amount", "balance", "currency"])
    currency = found.opening.currency
    table.writerow([found.first, "opening", "", "", _figure(found.opening), currency])
    for one in found.entries:
        told = [one.kind, _plain(one.reference), _figure(one.amount), _figure(one.balance)]
        table.writerow([one.on, *told, currency])
    table.writerow([found.last, "closing", "", "", _figure(found.closing), currency])
    return out.getvalue()


def _before(conn: Connection, account: str, day: date) -> int:
    query = sa.select(sa.func.coalesce(sa.func.sum(ledger_entry.c.amount), 0)).select_from(
        ledger_entry.join(ledger_transaction, ledger_transaction.c.id == ledger_entry.c.transaction_id)
    )
    return int(conn.execute(query.where(*_owed(account), ledger_transaction.c.booked_on < day)).scalar_one())


def _moves(conn: Connection, account: str, since: date, until: date) -> "sa.CursorResult[tuple[object, ...]]":
    """What changed the balance, day by day, in the order in which it was recorded; an allocation changes nothing."""
    at = ledger_transaction.c
    amount = sa.func.sum(ledger_entry.c.amount)
    query = sa.select(
        at.booked_on, at.kind, at.source, invoice.c.number, payment.c.method, amount.label("amount")
    )
    query = query.select_from(
        ledger_entry.join(ledger_transaction, at.id == ledger_entry.c.transaction_id)
        .outerjoin(invoice, invoice.c.id == at.source)
        .outerjoin(payment, payment.c.id == at.source)
    ).where(*_owed(account), at.booked_on >= since, at.booked_on < until)
    query = query.group_by(
        at.id, at.booked_on, at.kind, at.source, at.recorded_at, invoice.c.number, payment.c.method
    )
    return conn.execute(query.having(amount != 0).order_by(at.booked_on, at.recorded_at, at.id))


def _owed(account: str) -> "list[sa.ColumnElement[bool]]":
    return [ledger_transaction.c.account_id == account, ledger_entry.c.ledger.in_([RECEIVABLE, CREDIT])]


def _figure(money: Money) -> str:
    return str(money).split()[-1]


def _plain(text: str) -> str:
    """A spreadsheet must not take a reference for a formula."""
    return f"'{text}" if text[:1] in "=+-@" else text
