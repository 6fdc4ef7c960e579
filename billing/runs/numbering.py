"""Numbers: one ordered pass for each series, a stretch of drafts in a transaction, each with its books and its seal.

Accounts are locked before the series, as everybody does who moves an account's money and then needs a number.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, numbers, payments, posting
from billing.accounts import Account
from billing.errors import LedgerUnbalanced
from billing.kinds import KINDS
from billing.ledger import CREDIT, RECEIVABLE
from billing.models import account, invoice, payment
from billing.periods import days_after
from billing.runs import sealing, seals, statements, tables
from billing.runs.copying import copy
from billing.runs.ranges import among
from core import clock, db, faults, ids
from core.db import Database, UtcDateTime

INVOICE, CREDIT_NOTE = "invoice", "credit-note"
_PREFIX = {INVOICE: "INV", CREDIT_NOTE: "CN"}
P_NUMBER = faults.declare("billing.after_number")
P_STRETCH = faults.declare("billing.after_numbers")

Noted = Callable[[int], None]


class Numbers(msgspec.Struct, frozen=True):
    """Numbers given in a row in one series."""

    kind: str
    legal_entity: str
    first: int
    last: int

    def texts(self) -> list[str]:
        """As they are printed."""
        return [number_text(self.kind, self.legal_entity, one) for one in range(self.first, self.last + 1)]


def finalise(database: Database, size: int, noted: Noted = lambda _: None) -> list[Numbers]:
    """Give every draft its number, in one order, and book it; `noted` hears how many, stretch by stretch."""
    given: list[Numbers] = []
    for legal_entity, kind in _series(database):
        after = ""
        while True:
            with database.write() as conn:
                after, stretch = number_some(conn, legal_entity, kind, after, size)
            if not after:
                break
            if stretch:
                given.append(stretch)
                noted(stretch.last - stretch.first + 1)
            faults.point(P_STRETCH)
    return given


def number_text(kind: str, legal_entity: str, sequence: int) -> str:
    """A number to print: `INV-000001`; of another legal entity `INV-south-000001`."""
    entity = "" if legal_entity == "main" else f"{legal_entity}-"
    return f"{_PREFIX[kind]}-{entity}{sequence:06d}"


def _series(database: Database) -> list[tuple[str, str]]:
    with database.read() as conn:
        query = sa.select(invoice.c.legal_entity, invoice.c.kind).where(invoice.c.state == "draft").distinct()
        return sorted((row[0], row[1]) for row in conn.execute(query))


def number_some(
    conn: Connection, legal_entity: str, kind: str, after: str, size: int
) -> tuple[str, Numbers | None]:
    """Number the next stretch of drafts; returns the account that it ends with ("": none is left), and the numbers."""
    mine = [invoice.c.state == "draft", invoice.c.legal_entity == legal_entity, invoice.c.kind == kind]
    query = sa.select(invoice.c.account_id).where(*mine, invoice.c.account_id >= after)
    query = query.order_by(invoice.c.account_id, invoice.c.id).limit(size)
    owners = list(dict.fromkeys(conn.execute(query).scalars()))
    if not owners:
        return "", None
    locked = sa.select(account.c.id).where(among(conn, account.c.id, owners)).order_by(account.c.id)
    conn.execute(db.lock_row(conn, locked))
    series = numbers.lock(conn, f"{kind}:{legal_entity}")
    # Only now: a draft may have been voided, or numbered by somebody else, while we waited.
    query = sa.select(invoice.c.id, invoice.c.billed_on, account.c.payment_days).join(account)
    query = query.where(*mine, among(conn, invoice.c.account_id, owners))
    drafts = conn.execute(query.order_by(invoice.c.account_id, invoice.c.id)).all()
    first = series.last + 1
    if drafts:
        _number(conn, series, drafts, kind, legal_entity)
        _book(conn, kind)
        faults.point(P_NUMBER)
        _credit(conn, kind, owners)
        tables.end(conn, tables.NUMBERING)
    numbers.store(conn, series)
    stretch = Numbers(kind, legal_entity, first, series.last) if drafts else None
    return owners[-1], stretch


def _number(
    conn: Connection, series: numbers.Series, drafts: Sequence[Any], kind: str, legal_entity: str
) -> None:
    tables.begin(conn, tables.NUMBERING)
    rows = []
    for n, (invoice_id, billed_on, payment_days) in enumerate(drafts, 1):
        sequence, issued = series.next(billed_on)
        number = number_text(kind, legal_entity, sequence)
        rows.append((invoice_id, n, sequence, number, issued, days_after(issued, payment_days)))
    names = ("invoice_id", "n", "sequence", "number", "issued_on", "due_on")
    copy(conn, tables.FINAL, names, rows)
    tables.counted(conn, tables.FINAL)
    sealing.seal_all(conn)
    statements.run(conn, _FINAL, version=seals.VERSION)


def _book(conn: Connection, kind: str) -> None:
    """The legs of `posting.book_invoice`, for all of them at once. Raises LedgerUnbalanced."""
    legs = [
        (name, later, posting.ledger_of(name, date.max if later else None, date.min))
        for name in KINDS
        for later in (False, True)
    ]
    copy(conn, tables.LEDGER, ("kind", "later", "ledger"), legs)
    stamp = ids.new_id("")[1:21]
    claim = RECEIVABLE if kind == INVOICE else CREDIT
    now = sa.bindparam("now", clock.now(), type_=UtcDateTime)
    statements.run(conn, _TRANSACTIONS, stamp=stamp, now=now)
    statements.run(conn, _ENTRIES, stamp=stamp, claim=claim)
    wrong = statements.run(conn, _UNBALANCED, stamp=stamp).first()
    if wrong is not None:
        raise LedgerUnbalanced(wrong[0], wrong[1], int(wrong[2]))


def _credit(conn: Connection, kind: str, owners: list[str]) -> None:
    """Credit notes become credit, and credit pays what is open: of the accounts that have some."""
    if kind == CREDIT_NOTE:
        query = sa.select(invoice).join(tables.FINAL, tables.FINAL.c.invoice_id == invoice.c.id)
        notes = [dict(row) for row in conn.execute(query.order_by(tables.FINAL.c.n)).mappings()]
        of = _owners(conn, [note["account_id"] for note in notes])
        for note in notes:
            payments.add_credit(conn, of[note["account_id"]], note)
    query = sa.select(invoice.c.account_id, sa.func.max(tables.FINAL.c.issued_on, type_=sa.Date))
    query = query.join(tables.FINAL, tables.FINAL.c.invoice_id == invoice.c.id)
    unspent = sa.select(payment.c.account_id).where(
        among(conn, payment.c.account_id, owners), ~payment.c.spent
    )
    query = query.where(invoice.c.account_id.in_(unspent)).group_by(invoice.c.account_id)
    issued = {row[0]: row[1] for row in conn.execute(query)}
    for owner in _owners(conn, list(issued)).values():
        payments.apply_credit(conn, owner, issued[owner.id])


def _owners(conn: Connection, account_ids: list[str]) -> dict[str, Account]:
    return {one.id: one for one in accounts.by_ids(conn, sorted(set(account_ids)))} if account_ids else {}


_FINAL = """
UPDATE invoice SET state = 'final', sequence = f.sequence, number = f.number, issued_on = f.issued_on,
  due_on = f.due_on, seal = f.seal, seal_version = :version
FROM run_final f WHERE f.invoice_id = invoice.id
"""

_TRANSACTIONS = """
INSERT INTO ledger_transaction (id, account_id, legal_entity, kind, source, booked_on, recorded_at)
SELECT 'ldg_' || :stamp || HEX6(f.n), i.account_id, i.legal_entity, i.kind, i.id, f.issued_on, :now
FROM run_final f JOIN invoice i ON i.id = f.invoice_id ORDER BY f.n
"""

_ENTRIES = """
INSERT INTO ledger_entry (transaction_id, position, ledger, currency, amount)
SELECT 'ldg_' || :stamp || HEX6(n), row_number() OVER (PARTITION BY n ORDER BY rank, BYTES(place), millionths, inclusive) - 1,
  ledger, currency, amount
FROM (
  SELECT f.n, 0 AS rank, '' AS place, 0 AS millionths, false AS inclusive, :claim AS ledger, i.currency,
    i.total AS amount
  FROM run_final f JOIN invoice i ON i.id = f.invoice_id
  UNION ALL
  SELECT f.n, 1, k.ledger, 0, false, k.ledger, i.currency, CAST(-sum(l.net) AS BIGINT)
  FROM run_final f JOIN invoice i ON i.id = f.invoice_id JOIN invoice_line l ON l.invoice_id = f.invoice_id
  JOIN run_ledger k ON k.kind = l.kind AND k.later = (l.period_end IS NOT NULL AND l.period_end > f.issued_on)
  GROUP BY f.n, k.ledger, i.currency
  UNION ALL
  SELECT f.n, 2, t.category, t.millionths, t.inclusive, 'tax-payable:' || t.category, i.currency, -t.tax
  FROM run_final f JOIN invoice i ON i.id = f.invoice_id JOIN invoice_tax t ON t.invoice_id = f.invoice_id
) AS legs WHERE amount <> 0 ORDER BY n
"""

_UNBALANCED = """
SELECT t.source, e.currency, sum(e.amount)
FROM run_final f JOIN ledger_transaction t ON t.id = 'ldg_' || :stamp || HEX6(f.n)
JOIN ledger_entry e ON e.transaction_id = t.id
GROUP BY t.source, e.currency HAVING sum(e.amount) <> 0
"""
