"""Numbers: one ordered pass for each series, a stretch of drafts in a transaction, each with its books and its seal.

Accounts are locked before the series, as everybody does who moves an account's money and then needs a number.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, numbers, payments, posting
from billing.accounts import Account
from billing.closing import lock
from billing.errors import LedgerUnbalanced
from billing.kinds import KINDS
from billing.ledger import CREDIT, RECEIVABLE
from billing.models import account, invoice, payment
from billing.periods import days_after
from billing.runs import crew, ranges, sealing, seals, statements, tables
from billing.runs.choosing import ALL, Choice
from billing.runs.copying import copy
from billing.runs.ranges import Range, among
from core import clock, db, faults, ids
from core.db import Database, UtcDateTime

INVOICE, CREDIT_NOTE = "invoice", "credit-note"
_PREFIX = {INVOICE: "INV", CREDIT_NOTE: "CN"}
_PATIENCE = 5.0
"""Seconds that a stretch keeps its accounts locked for its turn. Whoever holds an account of an earlier stretch may
want one of these: PostgreSQL sees no circle that goes through our threads.
"""
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


def finalise(
    database: Database,
    size: int,
    noted: Noted = lambda _: None,
    workers: int | None = None,
    choice: Choice = ALL,
) -> list[Numbers]:
    """Give every draft (of the choice) its number, in one order, and book it; `noted` hears how many, by stretch."""
    given: list[Numbers] = []
    for legal_entity, kind in _series(database):
        one = _Pass(database, legal_entity, kind, noted, choice)
        with ExitStack() as kept:
            conn = kept.enter_context(database.read())
            _alone(conn, f"{kind}:{legal_entity}")
            total, stretches = ranges.cut(conn, one.accounts(), size)
            if database.is_sqlite:
                kept.close()  # or its log would grow until the end
            crew.each(list(enumerate(stretches)) if total else [], crew.hands(database, workers), one.take)
        given += one.given
    return given


def _alone(conn: Connection, series: str) -> None:
    """One pass over a series at a time, until the transaction ends: the stretches of two would wait for each other.

    Between threads that take turns PostgreSQL would not see it.
    """
    if conn.dialect.name != "sqlite":
        key = sa.func.hashtextextended(f"billing:{series}", 0)
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def number_text(kind: str, legal_entity: str, sequence: int) -> str:
    """A number to print: `INV-000001`; of another legal entity `INV-south-000001`."""
    entity = "" if legal_entity == "main" else f"{legal_entity}-"
    return f"{_PREFIX[kind]}-{entity}{sequence:06d}"


def _series(database: Database) -> list[tuple[str, str]]:
    with database.read() as conn:
        query = sa.select(invoice.c.legal_entity, invoice.c.kind).where(invoice.c.state == "draft").distinct()
        return sorted((row[0], row[1]) for row in conn.execute(query))


class _Pass:
    """The pass over one series. Threads book their stretches at once; numbers they take in turn."""

    def __init__(
        self, database: Database, legal_entity: str, kind: str, noted: Noted, choice: Choice
    ) -> None:
        self.given: list[Numbers] = []
        self._database, self._entity, self._kind, self._noted = database, legal_entity, kind, noted
        self._choice = choice
        self._turns = crew.Turns()

    def accounts(self) -> "sa.Select[Any]":
        """Those with a draft of the series."""
        return sa.select(invoice.c.account_id).where(*self._mine).distinct()

    def take(self, stretch: tuple[int, Range]) -> None:
        """Number a stretch of accounts."""
        n, within = stretch
        try:
            try:
                with self._database.write() as conn:
                    made = number_stretch(
                        conn,
                        self._entity,
                        self._kind,
                        within,
                        lambda: self._turns.wait(n, _PATIENCE),
                        guess=True,
                        choice=self._choice,
                    )
            except (_GuessedWrong, crew.TurnLate):
                self._turns.wait(n)
                with self._database.write() as conn:
                    made = number_stretch(
                        conn, self._entity, self._kind, within, lambda: None, guess=False, choice=self._choice
                    )
        except BaseException:
            self._turns.fail()
            raise
        self._turns.done(n)
        if made is not None:
            self.given.append(made)
            self._noted(made.last - made.first + 1)
        faults.point(P_STRETCH)

    @property
    def _mine(self) -> "list[sa.ColumnElement[bool]]":
        return self._choice.drafts(self._entity, self._kind)


class _GuessedWrong(Exception):
    """Another issue date than the books were written for: somebody has numbered meanwhile."""


def number_stretch(
    conn: Connection,
    legal_entity: str,
    kind: str,
    within: Range,
    turn: Callable[[], None],
    *,
    guess: bool,
    choice: Choice = ALL,
) -> Numbers | None:
    """Number the drafts of a range of accounts, after all before it (`turn` waits for that).

    With `guess` the books are written before the turn, for the issue date that is to be expected. Raises _GuessedWrong.
    """
    name = f"{kind}:{legal_entity}"
    drafts = _drafts(conn, legal_entity, kind, within, choice)
    if not drafts:
        turn()
        return None
    tables.begin(conn, tables.NUMBERING)
    open_from = lock.open_day(conn, legal_entity, date.min)
    guessed = _issue_dates(numbers.peek(conn, name), drafts, open_from)
    if guess:
        _book(conn, kind, drafts, guessed)
    turn()
    series = numbers.lock(conn, name)
    issued = _issue_dates(series, drafts, open_from)
    if not guess:
        _book(conn, kind, drafts, issued)
    elif issued != guessed:
        raise _GuessedWrong
    first = series.last + 1
    sequences = [series.next(max(one.issue_on, open_from))[0] for one in drafts]
    rows = [(n, one, number_text(kind, legal_entity, one)) for n, one in enumerate(sequences, 1)]
    copy(conn, tables.NUMBER, ("n", "sequence", "number"), rows)
    tables.counted(conn, tables.NUMBER)
    sealing.seal_all(conn)
    statements.run(conn, _FINAL, version=seals.VERSION)
    faults.point(P_NUMBER)
    _credit(conn, kind, list(dict.fromkeys(one.account_id for one in drafts)))
    tables.end(conn, tables.NUMBERING)
    numbers.store(conn, series)
    return Numbers(kind, legal_entity, first, series.last)


def _drafts(conn: Connection, legal_entity: str, kind: str, within: Range, choice: Choice) -> "list[_Draft]":
    """The drafts of a range in order, their accounts locked first: none is voided or numbered by somebody else now."""
    mine = [*choice.drafts(legal_entity, kind), within.holds(invoice.c.account_id)]
    owners = sa.select(invoice.c.account_id).where(*mine).order_by(invoice.c.account_id)
    found = list(dict.fromkeys(conn.execute(owners).scalars()))
    if not found:
        return []
    locked = sa.select(account.c.id, account.c.payment_days).where(among(conn, account.c.id, found))
    days = {row[0]: row[1] for row in conn.execute(db.lock_row(conn, locked.order_by(account.c.id)))}
    query = sa.select(invoice.c.id, invoice.c.account_id, invoice.c.billed_on, invoice.c.run_id).where(*mine)
    rows = conn.execute(query.order_by(invoice.c.account_id, invoice.c.id))
    return [
        _Draft(row[0], row[1], choice.issue(legal_entity, row[2], row[3]), days[row[1]])
        for row in rows
        if row[1] in days
    ]


class _Draft(msgspec.Struct, frozen=True):
    id: str
    account_id: str
    issue_on: date
    payment_days: int


def _issue_dates(series: numbers.Series, drafts: Sequence[_Draft], open_from: date) -> list[date]:
    """When each is issued: on its day, not before the one before it, and never in a period that is closed."""
    trial = numbers.Series(series.name, series.last, series.issued_on)
    return [trial.next(max(one.issue_on, open_from))[1] for one in drafts]


def _book(conn: Connection, kind: str, drafts: Sequence[_Draft], issued: Sequence[date]) -> None:
    """The legs of `posting.book_invoice`, for all of them at once. Raises LedgerUnbalanced."""
    rows = (
        (one.id, n, on, days_after(on, one.payment_days))
        for n, (one, on) in enumerate(zip(drafts, issued, strict=True), 1)
    )
    copy(conn, tables.FINAL, ("invoice_id", "n", "issued_on", "due_on"), rows)
    tables.counted(conn, tables.FINAL)
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
    wrong: Any = statements.run(conn, _UNBALANCED, stamp=stamp).first()
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
    issued: dict[str, date] = {row[0]: row[1] for row in conn.execute(query).all()}
    for owner in _owners(conn, list(issued)).values():
        payments.apply_credit(conn, owner, issued[owner.id])


def _owners(conn: Connection, account_ids: list[str]) -> dict[str, Account]:
    return {one.id: one for one in accounts.by_ids(conn, sorted(set(account_ids)))} if account_ids else {}


_FINAL = """
UPDATE invoice SET state = 'final', sequence = u.sequence, number = u.number, issued_on = f.issued_on,
  due_on = f.due_on, seal = f.seal, seal_version = :version,
  settled_on = CASE WHEN invoice.kind = 'invoice' AND invoice.total = 0 THEN f.issued_on END
FROM run_final f JOIN run_number u ON u.n = f.n WHERE f.invoice_id = invoice.id
"""

_TRANSACTIONS = """
INSERT INTO ledger_transaction (id, account_id, legal_entity, kind, source, booked_on, recorded_at)
SELECT 'ldg_' || :stamp || HEX6(f.n), i.account_id, i.legal_entity, i.kind, i.id, f.issued_on, :now
FROM run_final f JOIN invoice i ON i.id = f.invoice_id ORDER BY f.n
"""

_ENTRIES = """
INSERT INTO ledger_entry (transaction_id, position, ledger, currency, amount)
SELECT 'ldg_' || :stamp || HEX6(n),
  row_number() OVER (PARTITION BY n ORDER BY rank, BYTES(place), millionths, inclusive) - 1, ledger, currency, amount
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
