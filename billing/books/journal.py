"""The journal as text that other programs read: beancount, and CSV. Both go through the ledger row by row."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.books.chart import beancount_name
from billing.models import ledger_entry, ledger_transaction
from core.money import Money

COLUMNS = (
    "booked_on",
    "transaction",
    "kind",
    "source",
    "legal_entity",
    "account",
    "ledger",
    "currency",
    "amount",
)
_AT_ONCE = 5_000


def beancount(conn: Connection, since: date | None = None, until: date | None = None) -> Iterator[str]:
    """Lines of a beancount file of what was booked from `since` on and before `until`.

    What stood before is one opening transaction, so that the balances are those of the books; what stands at the end
    is asserted on the day after. Raises LedgerAccountUnknown.
    """
    before = _balances(conn, since) if since else {}
    after = _balances(conn, until)
    yield 'option "title" "Trunkline: the ledger of billing"'
    first = _first_day(conn) if since is None else since
    if first is None:
        return
    for ledger, currencies in _together([*before, *after]):
        yield f"{first} open {beancount_name(ledger)} {','.join(currencies)}"
    if before:
        yield f'{first} * "what stood before"'
        yield from (_leg(ledger, amount, currency) for (ledger, currency), amount in before.items())
    for found in _transactions(conn, since, until):
        yield from _transaction(found)
    end = until or _day_after(conn)
    for (ledger, currency), amount in after.items():
        yield f"{end} balance {beancount_name(ledger)} {_number(amount, currency)} {currency}"


def as_csv(conn: Connection, since: date | None = None, until: date | None = None) -> Iterator[str]:
    """The journal as lines of CSV with a heading, one for each leg; amounts in decimals, debit positive."""
    yield ",".join(COLUMNS)
    for row in _legs(conn, since, until):
        line = io.StringIO()
        amount = _number(row.amount, row.currency)
        cells = [
            row.booked_on,
            row.transaction_id,
            row.kind,
            row.source,
            row.legal_entity,
            row.account_id or "",
        ]
        csv.writer(line, lineterminator="").writerow([*cells, row.ledger, row.currency, amount])
        yield line.getvalue()


def _legs(conn: Connection, since: date | None, until: date | None) -> Iterable[Any]:
    transaction = ledger_transaction.c
    query = sa.select(
        transaction.booked_on, ledger_entry.c.transaction_id, transaction.kind, transaction.source,
        transaction.legal_entity, transaction.account_id, ledger_entry.c.ledger, ledger_entry.c.currency,
        ledger_entry.c.amount,
    ).join(ledger_transaction, transaction.id == ledger_entry.c.transaction_id)  # fmt: skip
    if since:
        query = query.where(transaction.booked_on >= since)
    if until:
        query = query.where(transaction.booked_on < until)
    order = (transaction.booked_on, ledger_entry.c.transaction_id, ledger_entry.c.position)
    return conn.execution_options(yield_per=_AT_ONCE).execute(query.order_by(*order))


def _transactions(conn: Connection, since: date | None, until: date | None) -> Iterator[list[Any]]:
    for _, legs in groupby(_legs(conn, since, until), key=lambda row: row.transaction_id):
        yield list(legs)


def _transaction(legs: list[Any]) -> Iterator[str]:
    head = legs[0]
    yield f'{head.booked_on} * "{_quoted(head.kind)}" "{_quoted(head.account_id or head.legal_entity)}"'
    yield f'  source: "{_quoted(head.source)}"'
    yield from (_leg(row.ledger, row.amount, row.currency) for row in legs)


def _leg(ledger: str, amount: int, currency: str) -> str:
    return f"  {beancount_name(ledger)}  {_number(amount, currency)} {currency}"


def _number(amount: int, currency: str) -> str:
    return str(Money(int(amount), currency)).partition(" ")[2]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _balances(conn: Connection, before: date | None) -> dict[tuple[str, str], int]:
    query = sa.select(ledger_entry.c.ledger, ledger_entry.c.currency, sa.func.sum(ledger_entry.c.amount))
    query = query.join(ledger_transaction, ledger_transaction.c.id == ledger_entry.c.transaction_id)
    if before:
        query = query.where(ledger_transaction.c.booked_on < before)
    query = query.group_by(ledger_entry.c.ledger, ledger_entry.c.currency)
    return {
        (row[0], row[1]): int(row[2]) for row in conn.execute(query.order_by(*query.selected_columns[:2]))
    }


def _together(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    for ledger, found in groupby(sorted(set(pairs)), key=lambda pair: pair[0]):
        yield ledger, [currency for _, currency in found]


def _first_day(conn: Connection) -> date | None:
    first: date | None = conn.execute(sa.select(sa.func.min(ledger_transaction.c.booked_on))).scalar()
    return first


def _day_after(conn: Connection) -> date:
    last: date = conn.execute(sa.select(sa.func.max(ledger_transaction.c.booked_on))).scalar_one()
    return date.fromordinal(last.toordinal() + 1)
