"""What a period's tax comes to besides its documents: given back with bad debts, owed again with what was recovered."""

from collections import Counter
from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.books import reports
from billing.models import account, ledger_entry, ledger_transaction
from billing.writeoffs.models import write_off
from core.money import Money

_LEDGER = "tax-payable:"
_Key = tuple[str, str, str]
"""Legal entity, category, currency."""


class Relief(msgspec.Struct, frozen=True):
    """Tax that write-offs of a period gave back, below zero; above it where more was recovered."""

    legal_entity: str
    category: str
    tax: Money
    write_offs: int


def relief(conn: Connection, since: date, until: date) -> list[Relief]:
    """By legal entity and category: what was written off with relief, or recovered, from `since` on before `until`."""
    query = sa.select(account.c.legal_entity, account.c.currency, write_off.c.tax)
    query = query.join(account, account.c.id == write_off.c.account_id).where(
        write_off.c.relief, write_off.c.written_on >= since, write_off.c.written_on < until
    )
    sums, counts = Counter[_Key](), Counter[_Key]()
    for entity, currency, tax in conn.execute(query):
        for category, minor in tax.items():
            sums[entity, category, currency] -= minor
            counts[entity, category, currency] += 1
    return [Relief(key[0], key[1], Money(sums[key], key[2]), counts[key]) for key in sorted(sums)]


def apart(conn: Connection, since: date, until: date) -> list[str]:
    """Where documents and relief of a period are not what `tax-payable` moved by in it: a sentence each."""
    due = Counter[_Key]()
    for one in reports.tax(conn, since, until):
        due[one.legal_entity, one.category, one.tax.currency] += one.tax.minor
    for given in relief(conn, since, until):
        due[given.legal_entity, given.category, given.tax.currency] += given.tax.minor
    entry, transaction = ledger_entry.c, ledger_transaction.c
    query = sa.select(transaction.legal_entity, entry.ledger, entry.currency, sa.func.sum(entry.amount))
    query = query.join(ledger_transaction, transaction.id == entry.transaction_id).where(
        entry.ledger.startswith(_LEDGER), transaction.booked_on >= since, transaction.booked_on < until
    )
    booked = Counter[_Key]()
    for row in conn.execute(query.group_by(transaction.legal_entity, entry.ledger, entry.currency)):
        booked[row[0], row[1].removeprefix(_LEDGER), row[2]] -= int(row[3])
    return [
        f"{key[1]} of '{key[0]}': documents and write-offs say {Money(due[key], key[2])}, "
        f"the ledger {Money(booked[key], key[2])}"
        for key in sorted(due.keys() | booked.keys())
        if due[key] != booked[key]
    ]
