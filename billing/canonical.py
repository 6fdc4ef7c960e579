"""What billing has on accounts, in one fixed form without ids and moments: equal texts, equal books."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import numbers
from billing.models import (
    account,
    allocation,
    bill_park,
    billable,
    charge,
    counter,
    invoice,
    invoice_line,
    invoice_tax,
    ledger_entry,
    ledger_transaction,
    payment,
    subscription,
    subscription_item,
)
from billing.refunding.models import outflow

# Ids and moments, and what only makes a run quicker: `renews`, `spent`, `due_from`, `settled_on`.
_LEAVE_OUT = {"id", "run_id", "seal", "seal_version", "invoice_id", "charge_id", "transaction_id", "payment_id",
              "item_id", "billable_id", "credits_invoice", "renews", "spent", "settled_on",
              "due_from"}  # fmt: skip
_STEP = 2_000

Condition = Callable[["sa.ColumnElement[str]"], "sa.ColumnElement[bool]"]
"""Which accounts: given a column of account ids, the condition."""


def export(conn: Connection, account_id: str) -> str:
    """One account as JSON lines, sorted: items, charges, invoices with lines and taxes, allocations, ledger."""
    found = (row[1] for row in _rows(conn, lambda column: column == account_id))
    return "\n".join(sorted(text.decode() for text in found))


def export_all(conn: Connection) -> Iterator[str]:
    """Everything: each account's lines in the order of accounts, then what is of no account, the series of numbers."""
    bounds = list(conn.execute(sa.select(account.c.id).order_by(account.c.id)).scalars())[_STEP - 1 :: _STEP]
    for after, until in zip(["", *bounds], [*bounds, None], strict=True):
        yield from export_range(conn, after, until)
    yield from of_entities(conn)
    yield from series(conn)


def of_entities(conn: Connection) -> list[str]:
    """What is booked for legal entities and no account, day by day (revenue recognised), in order."""
    transaction, entry = ledger_transaction.c, ledger_entry.c
    key = (transaction.legal_entity, transaction.kind, transaction.booked_on, entry.ledger, entry.currency)
    query = sa.select(*key, sa.func.sum(entry.amount)).join(ledger_transaction)
    query = query.where(transaction.account_id.is_(None)).group_by(*key)
    return sorted(
        msgspec.json.encode(["entity", *row[:-1], int(row[-1])]).decode() for row in conn.execute(query)
    )


def export_range(conn: Connection, after: str, until: str | None) -> Iterator[str]:
    """The lines of accounts with ids in `(after, until]`, each with its account before it."""

    def within(column: "sa.ColumnElement[str]") -> "sa.ColumnElement[bool]":
        return column > after if until is None else sa.and_(column > after, column <= until)

    found = sorted(_rows(conn, within))
    for name, lines in groupby(found, key=lambda row: row[0]):
        yield from (f"{name} {text.decode()}" for _, text in lines)


def series(conn: Connection) -> list[str]:
    """How far each series of numbers got."""
    return series_lines(
        [numbers.peek(conn, name) for name in conn.execute(sa.select(counter.c.name)).scalars()]
    )


def series_lines(found: Iterable[numbers.Series]) -> list[str]:
    """The lines of these series."""
    told = sorted((one.name, one.last, one.issued_on) for one in found)
    return [msgspec.json.encode(["series", *one]).decode() for one in told]


def _rows(conn: Connection, mine: Condition) -> Iterator[tuple[str, bytes]]:
    for name, (owner, query) in _queries(mine).items():
        names = [column.name for column in query.selected_columns]
        for row in conn.execute(query.add_columns(owner.label("owner__"))):
            yield row[-1], msgspec.json.encode([name, dict(zip(names, row, strict=False))])


def _queries(mine: Condition) -> "dict[str, tuple[sa.ColumnElement[str], sa.Select[Any]]]":
    """What is told of an account: name -> the column of its id, and the query."""
    of_item = subscription_item.join(subscription)
    of_line = invoice_line.join(invoice, invoice_line.c.invoice_id == invoice.c.id)
    of_allocation = allocation.join(invoice).join(payment)
    queries: dict[str, tuple[Any, sa.Select[Any], Any]] = {
        "item": (subscription.c.account_id, sa.select(
            subscription.c.service, *_said(subscription_item, {"subscription_id"})), of_item),
        "charge": (charge.c.account_id, sa.select(
            subscription.c.service, *_said(charge, {"reverses", "account_id"})), charge.join(of_item)),
        "billable": (billable.c.account_id, sa.select(
            invoice.c.number, *_said(billable, {"account_id", "actor", "recorded_at"})), billable.outerjoin(invoice)),
        "invoice": (invoice.c.account_id, sa.select(*_said(invoice)), invoice),
        "line": (invoice.c.account_id, sa.select(invoice.c.number, *_said(invoice_line)), of_line),
        "tax": (invoice.c.account_id, sa.select(invoice.c.number, *_said(invoice_tax)), invoice_tax.join(invoice)),
        "payment": (payment.c.account_id, sa.select(
            payment.c.kind, payment.c.amount, payment.c.currency, payment.c.method), payment),
        "allocation": (invoice.c.account_id, sa.select(
            invoice.c.number, payment.c.method, allocation.c.amount, allocation.c.allocated_on), of_allocation),
        "outflow": (payment.c.account_id, sa.select(
            payment.c.method, outflow.c.kind, outflow.c.amount, outflow.c.booked_on), outflow.join(payment)),
        "entry": (ledger_transaction.c.account_id, sa.select(
            ledger_transaction.c.kind, ledger_transaction.c.booked_on, *_said(ledger_entry)),
            ledger_entry.join(ledger_transaction)),
        "parked": (bill_park.c.account_id, sa.select(bill_park.c.reason), bill_park),
    }  # fmt: skip
    return {
        name: (owner, query.select_from(source).where(mine(owner)))
        for name, (owner, query, source) in queries.items()
    }


def _said(table: sa.Table, also: frozenset[str] | set[str] = frozenset()) -> list["sa.Column[Any]"]:
    return [column for column in table.c if column.name not in _LEAVE_OUT | set(also)]
