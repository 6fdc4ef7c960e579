"""What the database knows about a line: the hits that `matching.decide` chooses from."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import debts
from billing.bank import matching
from billing.bank.matching import Hit
from billing.bank.models import known_iban, mandate
from billing.models import account, counter, invoice

MANY = 10
"""An IBAN that paid for more accounts than this says nothing about the next payment."""


def hits(conn: Connection, texts: list[str], iban_print: str | None, amount: int, currency: str) -> list[Hit]:
    """Every account that a line of money in may be for."""
    by_reference, otherwise = matching.numbers_in(texts, entities(conn))
    found = [*_named(conn, matching.CREDITOR_REFERENCE, by_reference)]
    found += _named(conn, matching.INVOICE_NUMBER, otherwise)
    found += _accounts(conn, matching.ACCOUNT_NUMBER, matching.accounts_in(texts))
    if not found and iban_print is not None:
        found = _accounts(conn, matching.IBAN, _of_iban(conn, iban_print))
    return found or _by_amount(conn, amount, currency)


def entities(conn: Connection) -> list[str]:
    """Legal entities that have given invoices numbers."""
    names = conn.execute(sa.select(counter.c.name).where(counter.c.name.like("invoice:%"))).scalars()
    return sorted(name.partition(":")[2] for name in names)


def _named(conn: Connection, rule: str, numbers: list[str]) -> list[Hit]:
    query = sa.select(invoice.c.id, invoice.c.number, invoice.c.account_id, invoice.c.currency, debts.BALANCE)
    rows = conn.execute(query.where(invoice.c.number.in_(numbers), invoice.c.state == "final")).all()
    places = {number: n for n, number in enumerate(numbers)}
    by_account = defaultdict(list)
    for row in sorted(rows, key=lambda row: places[row.number]):
        by_account[row.account_id, row.currency].append((row.id, int(row[4])))
    return [
        Hit(rule, owner, currency, tuple(one for one, _ in pairs), tuple(left for _, left in pairs))
        for (owner, currency), pairs in by_account.items()
    ]


def _accounts(conn: Connection, rule: str, names: Iterable[str]) -> list[Hit]:
    rows = conn.execute(sa.select(account.c.id, account.c.currency).where(account.c.id.in_(list(names))))
    found = []
    for row in rows.all():
        open_ = debts.open_balances(conn, row.id)
        balances = tuple(one.balance for one in open_)
        found.append(Hit(rule, row.id, row.currency, tuple(one.invoice for one in open_), balances))
    return found


def _of_iban(conn: Connection, iban_print: str) -> set[str]:
    """Accounts that it paid for; none where it pays for many (an office, a factoring bank): it tells nothing then."""
    paid = sa.select(known_iban.c.account_id).where(known_iban.c.iban_print == iban_print)
    signed = sa.select(mandate.c.account_id).where(mandate.c.iban_print == iban_print)
    both = sa.union(paid, signed).limit(MANY + 1)
    found = {str(one) for one in conn.execute(both).scalars()}
    return found if len(found) <= MANY else set()


def _by_amount(conn: Connection, amount: int, currency: str) -> list[Hit]:
    """Open invoices of just this total: only a hint."""
    query: sa.Select[Any] = sa.select(invoice.c.account_id, invoice.c.id).where(
        debts.OPEN, invoice.c.total == amount, invoice.c.currency == currency
    )
    query = query.where(sa.literal(amount) == debts.BALANCE)
    rows = conn.execute(query.order_by(invoice.c.id).limit(3)).all()
    return [Hit(matching.AMOUNT, row[0], currency, (row[1],), (amount,)) for row in rows]
