"""Reports as of the end of a date: trial balance, aged receivables, tax. Each is one statement, whatever the size."""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import debts
from billing.models import allocation, invoice, invoice_tax, ledger_entry, ledger_transaction
from billing.writeoffs.models import write_off
from core.money import Money

AGES = (("current", None, 0), ("1-30", 1, 30), ("31-60", 31, 60), ("61-90", 61, 90), ("over 90", 91, None))
"""Name, and from how many days to how many past the due date."""


class Balance(msgspec.Struct, frozen=True):
    """What stands on an account of the books: debit positive."""

    ledger: str
    amount: Money


class Aged(msgspec.Struct, frozen=True):
    """What an account owes, by how late it is (the names of AGES); `together` is what the ledger has as receivable."""

    account: str
    ages: dict[str, int]
    together: Money


class Tax(msgspec.Struct, frozen=True):
    """Tax of documents issued in a period, credit notes taken off."""

    legal_entity: str
    category: str
    millionths: int
    base: Money
    tax: Money
    documents: int


def trial_balance(conn: Connection, as_of: date, entity: str | None = None) -> list[Balance]:
    """Every account of the books; the sum per currency is zero."""
    entry, transaction = ledger_entry.c, ledger_transaction.c
    query = sa.select(entry.ledger, entry.currency, sa.func.sum(entry.amount))
    query = query.join(ledger_transaction, transaction.id == entry.transaction_id).where(
        transaction.booked_on <= as_of
    )
    if entity is not None:
        query = query.where(transaction.legal_entity == entity)
    query = query.group_by(entry.ledger, entry.currency).order_by(entry.currency, entry.ledger)
    return [Balance(row[0], Money(int(row[2]), row[1])) for row in conn.execute(query)]


def aged_receivables(conn: Connection, as_of: date, entity: str | None = None) -> list[Aged]:
    """Who owes how much for how long: invoices issued by then, less what was allocated or written off by then.

    Ordered by account.
    """
    return [_aged(row) for row in conn.execute(_aged_query(as_of, "account_id", entity))]


def aged_totals(conn: Connection, as_of: date) -> list[Aged]:
    """What all of them owe together: one for each currency, which stands where an account's id would."""
    return [_aged(row) for row in conn.execute(_aged_query(as_of, "currency"))]


def tax(conn: Connection, since: date, until: date) -> list[Tax]:
    """Tax by legal entity, category and rate of what was issued from `since` on and before `until`."""
    query = (
        sa.select(
            invoice.c.legal_entity, invoice_tax.c.category, invoice_tax.c.millionths, invoice.c.currency,
            sa.func.sum(invoice_tax.c.base), sa.func.sum(invoice_tax.c.tax), sa.func.count(),
        )
        .join(invoice, invoice.c.id == invoice_tax.c.invoice_id)
        .where(invoice.c.state == "final", invoice.c.issued_on >= since, invoice.c.issued_on < until)
        .group_by(*(one for one in _TAX_KEY))
        .order_by(*(one for one in _TAX_KEY))
    )  # fmt: skip
    return [
        Tax(row[0], row[1], row[2], Money(int(row[4]), row[3]), Money(int(row[5]), row[3]), row[6])
        for row in conn.execute(query)
    ]


_TAX_KEY = (invoice.c.legal_entity, invoice_tax.c.category, invoice_tax.c.millionths, invoice.c.currency)


def _aged_query(as_of: date, whose: str, entity: str | None = None) -> "sa.Select[Any]":
    """What was settled by then is not looked at: none of its allocations and write-offs is of a later day."""
    paid = sa.select(sa.func.coalesce(sa.func.sum(allocation.c.amount), 0)).where(
        allocation.c.invoice_id == invoice.c.id, allocation.c.allocated_on <= as_of
    )
    written = sa.select(sa.func.coalesce(sa.func.sum(write_off.c.amount), 0)).where(
        write_off.c.invoice_id == invoice.c.id, write_off.c.written_on <= as_of
    )
    balance = invoice.c.total - paid.scalar_subquery() - written.scalar_subquery()
    columns = (invoice.c.account_id, invoice.c.currency, invoice.c.due_on, balance.label("balance"))
    then = sa.select(*columns).where(invoice.c.issued_on <= as_of)
    if entity is not None:
        then = then.where(invoice.c.legal_entity == entity)
    unsettled = then.where(debts.UNSETTLED)
    later = then.where(invoice.c.settled_on > as_of)  # only invoices have that day
    standing = (
        sa.union_all(unsettled, later).cte("standing").prefix_with("MATERIALIZED")
    )  # each sum is made once
    one = standing.c
    sums = [
        sa.func.sum(sa.case((_late(one.due_on, as_of, low, high), one.balance), else_=0))
        for _, low, high in AGES
    ]
    query = sa.select(one[whose], one.currency, sa.func.sum(one.balance), *sums)
    return query.group_by(one[whose], one.currency).having(sa.func.sum(one.balance) != 0).order_by(one[whose])


def _late(due_on: Any, as_of: date, low: int | None, high: int | None) -> "sa.ColumnElement[bool]":
    """Due so many days before `as_of`."""
    last = due_on >= date.fromordinal(as_of.toordinal() - high) if high is not None else sa.true()
    first = due_on <= date.fromordinal(as_of.toordinal() - low) if low is not None else sa.true()
    return sa.and_(last, first)


def _aged(row: Any) -> Aged:
    ages = {name: int(amount) for (name, _, _), amount in zip(AGES, row[3:], strict=True)}
    return Aged(row[0], ages, Money(int(row[2]), row[1]))
