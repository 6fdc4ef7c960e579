"""Proves what must hold of all documents and books (invariants 15, 20, 21, 27, 28, 29), and tells each breach."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import debts, settling
from billing.closing import checks
from billing.models import counter, invoice, invoice_line, invoice_tax, payment
from billing.runs import ranges, seals
from billing.runs.numbering import number_text
from billing.runs.ranges import Range
from core.db import Database

_STEP = 5_000
Noted = Callable[[int, int], None]


class Breach(msgspec.Struct, frozen=True):
    """What does not hold: the invariant's number, of what, and a sentence."""

    invariant: int
    where: str
    told: str

    def __str__(self) -> str:
        return f"{self.where}: {self.told} (invariant {self.invariant})"


def breaches(database: Database, noted: Noted = lambda _done, _of: None) -> Iterator[Breach]:
    """Every breach there is; `noted` hears how many final documents were looked at, of how many."""
    with database.read() as conn:
        final = sa.select(sa.func.count()).select_from(invoice).where(invoice.c.state == "final")
        total = conn.execute(final).scalar_one()
        _, every = ranges.cut(conn, ranges.everybody(), _STEP)
        done = 0
        for within in every:
            documents = _documents(conn, within)
            yield from _sealed(conn, within, documents)
            done += len(documents)
            noted(done, total)
        for check in (_numbers, _dates, _balance, _receivable, _spent, _settled, _closed):
            yield from check(conn)


def _documents(conn: Connection, within: Range) -> list[dict[str, Any]]:
    query = sa.select(invoice).where(invoice.c.state == "final", within.holds(invoice.c.account_id))
    return [dict(row) for row in conn.execute(query.order_by(invoice.c.account_id, invoice.c.id)).mappings()]


def _sealed(conn: Connection, within: Range, documents: list[dict[str, Any]]) -> Iterator[Breach]:
    lines = _parts(conn, within, invoice_line, invoice_line.c.position)
    order = (invoice_tax.c.category, invoice_tax.c.millionths, invoice_tax.c.inclusive)
    taxes = _parts(conn, within, invoice_tax, *order)
    for row in documents:
        name, own, subtotals = row["number"], lines[row["id"]], taxes[row["id"]]
        net, tax = sum(one["net"] for one in own), sum(one["tax"] for one in subtotals)
        if (net, tax, net + tax) != (row["net"], row["tax"], row["total"]):
            yield Breach(15, name, f"its lines and taxes come to {net} + {tax}, its total is {row['total']}")
        if row["seal"] is None or row["seal_version"] is None:
            yield Breach(27, name, "it is final and has no seal")
        elif seals.seal(row["seal_version"], row, own, subtotals) != row["seal"]:
            yield Breach(27, name, "its content is not what was sealed")
        if name != number_text(row["kind"], row["legal_entity"], row["sequence"] or 0):
            yield Breach(28, str(name), f"its number is not that of sequence {row['sequence']}")


def _parts(
    conn: Connection, within: Range, table: sa.Table, *order: "sa.Column[Any]"
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    query = sa.select(table).join(invoice, invoice.c.id == table.c.invoice_id)
    query = query.where(invoice.c.state == "final", within.holds(invoice.c.account_id))
    for row in conn.execute(query.order_by(table.c.invoice_id, *order)).mappings():
        found[row["invoice_id"]].append(row)
    return found


def _numbers(conn: Connection) -> Iterator[Breach]:
    series = (invoice.c.kind, invoice.c.legal_entity)
    at = invoice.c.sequence
    previous = sa.func.lag(at, 1, 0).over(partition_by=series, order_by=at).label("previous")
    steps = sa.select(*series, at, previous).where(invoice.c.state == "final").subquery()
    wrong = sa.select(steps).where(
        sa.or_(steps.c.sequence.is_(None), steps.c.sequence != steps.c.previous + 1)
    )
    for row in conn.execute(wrong):
        yield Breach(
            28, f"{row.kind}:{row.legal_entity}", f"number {row.sequence} follows number {row.previous}"
        )
    query = sa.select(*series, sa.func.max(at)).where(invoice.c.state == "final").group_by(*series)
    highest = {f"{row[0]}:{row[1]}": row[2] for row in conn.execute(query)}
    for row in conn.execute(sa.select(counter).where(counter.c.name.like("%:%"))):
        if row.last != highest.get(row.name, 0):
            told = f"its counter is at {row.last}, its highest number is {highest.get(row.name, 0)}"
            yield Breach(28, row.name, told)


def _dates(conn: Connection) -> Iterator[Breach]:
    series = (invoice.c.kind, invoice.c.legal_entity)
    at = invoice.c.issued_on
    previous = sa.func.lag(at).over(partition_by=series, order_by=invoice.c.sequence).label("previous")
    steps = sa.select(invoice.c.number, at, previous).where(invoice.c.state == "final").subquery()
    wrong = sa.select(steps).where(sa.or_(steps.c.issued_on.is_(None), steps.c.issued_on < steps.c.previous))
    for row in conn.execute(wrong):
        yield Breach(29, row.number, f"issued on {row.issued_on}, the number before it on {row.previous}")


def _balance(conn: Connection) -> Iterator[Breach]:
    query = """
    SELECT t.kind, t.source, e.currency, sum(e.amount) FROM ledger_entry e
    JOIN ledger_transaction t ON t.id = e.transaction_id
    GROUP BY e.transaction_id, t.kind, t.source, e.currency HAVING sum(e.amount) <> 0
    """
    for kind, source, currency, rest in conn.execute(sa.text(query)):
        told = f"its legs are off by {rest} minor units of {currency}"
        yield Breach(20, f"ledger {kind} of {source}", told)


def _receivable(conn: Connection) -> Iterator[Breach]:
    """Day by day what invoices, allocations and write-offs did to the receivable: so it holds at every as-of date."""
    said = """
    SELECT i.account_id, i.issued_on AS day, i.total AS amount FROM invoice i
    WHERE i.state = 'final' AND i.kind = 'invoice'
    UNION ALL
    SELECT i.account_id, a.allocated_on, -a.amount FROM payment_allocation a JOIN invoice i ON i.id = a.invoice_id
    UNION ALL
    SELECT w.account_id, w.written_on, -w.amount FROM write_off w
    """
    booked = """
    SELECT t.account_id, t.booked_on AS day, -e.amount AS amount FROM ledger_entry e
    JOIN ledger_transaction t ON t.id = e.transaction_id
    WHERE e.ledger = 'receivable' AND t.kind IN ('invoice', 'allocation', 'write-off')
    """
    query = f"""
    SELECT account_id, day, sum(amount) FROM ({said} UNION ALL {booked}) AS moves
    GROUP BY account_id, day HAVING sum(amount) <> 0
    """  # noqa: S608 (our own text)
    for account, day, rest in conn.execute(sa.text(query)):
        told = f"invoices less allocations and write-offs of {day} are {rest} minor units more than the books have"
        yield Breach(21, account, told)


def _closed(conn: Connection) -> Iterator[Breach]:
    """A closed period says for ever what it said when it was closed."""
    for entity, told in checks.changed(conn):
        yield Breach(20, f"books of {entity}", told)


def _spent(conn: Connection) -> Iterator[Breach]:
    """A payment that is marked as spent and is not would never pay anything again."""
    query = sa.select(payment.c.id).where(payment.c.spent, debts.UNAPPLIED > 0)
    for row in conn.execute(query):
        yield Breach(23, row.id, "it is marked as spent, and some of it is not allocated")
    for row in conn.execute(sa.select(payment.c.id).where(debts.UNAPPLIED < 0)):
        yield Breach(22, row.id, "more of it is allocated, refunded or charged back than there is")
    for row in conn.execute(sa.select(payment.c.id).where(debts.LEFT < 0)):
        yield Breach(24, row.id, "more of it is refunded or charged back than was captured")


def _settled(conn: Connection) -> Iterator[Breach]:
    """An invoice that is marked as settled and is not would never be asked for; marked too early, an aged list lies."""
    for number, marked, real in settling.wrong(conn):
        told = f"it is marked as settled on {marked or 'no day'}, it is settled on {real or 'no day'}"
        yield Breach(21, number, told)
