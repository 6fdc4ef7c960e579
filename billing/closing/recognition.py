"""Recognition: what was billed for days to come becomes revenue as the days go by.

One ledger transaction for each legal entity, currency, account and day; a document that is issued late adds another
one to the days that it reaches back to. How far each group of alike lines is recognised is kept in the transaction
that books it: killed anywhere and run again, it ends the same; run twice, it adds nothing.
"""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.closing import deferrals
from billing.closing.errors import RecognitionNotUsable
from billing.closing.models import deferral
from billing.closing.spread import earned_sql, ranges
from billing.kinds import DEFERRED
from billing.ledger import Books, Entry, book
from billing.models import ledger_transaction
from core import clock, faults
from core.db import Database
from core.money import Money

KIND = "recognition"
_STRETCH = 31
_AHEAD = timedelta(hours=14)
P_TAKEN = faults.declare("billing.after_deferrals_taken")
P_STRETCH = faults.declare("billing.after_recognition")

Watch = Callable[[str, date], None]


class Recognised(msgspec.Struct, frozen=True, kw_only=True):
    """What was recognised: documents taken in, transactions booked, revenue by (entity, currency, account)."""

    until: date
    documents: int
    transactions: int
    amounts: dict[tuple[str, str, str], int]


def recognise(
    database: Database, until: date, *, entity: str | None = None, watch: Watch = lambda _entity, _day: None
) -> Recognised:
    """Recognise revenue through day `until`, for all legal entities or one. Raises RecognitionNotUsable.

    A month's stretch in a transaction; `watch` hears how far an entity is.
    """
    if until > (clock.now() + _AHEAD).date():
        raise RecognitionNotUsable(until, "that day is not over anywhere")
    with database.read() as conn:
        names = [name for name in deferrals.entities(conn) if entity in (None, name)]
    documents, amounts, transactions = 0, Counter[tuple[str, str, str]](), 0
    for name in names:
        with database.write() as conn:
            documents += deferrals.take_in(conn, name)
        faults.point(P_TAKEN)
        while True:
            with database.write() as conn:
                deferrals.take_in(conn, name)
                stretch = _next(conn, name, until)
                made = [] if stretch is None else _stretch(conn, name, *stretch)
            faults.point(P_STRETCH)
            if stretch is None:
                break
            transactions += len(made)
            amounts.update({(name, row.currency, row.ledger): 0 for row in made})
            for row in made:
                amounts[name, row.currency, row.ledger] += int(row.amount)
            watch(name, stretch[1])
    return Recognised(until=until, documents=documents, transactions=transactions, amounts=dict(amounts))


def _next(conn: Connection, entity: str, until: date) -> tuple[date, date] | None:
    """The first days that wait: from, to (inclusive); at most a stretch of them."""
    query = sa.select(sa.func.min(deferral.c.recognised_until)).where(
        deferral.c.legal_entity == entity, deferral.c.recognised_until < deferral.c.period_end,
        deferral.c.recognised_until <= until,
    )  # fmt: skip
    first: date | None = conn.execute(query).scalar()
    return None if first is None else (first, min(until, first + timedelta(days=_STRETCH - 1)))


def _stretch(conn: Connection, entity: str, first: date, last: date) -> list[Any]:
    """Book the days from `first` to `last`, and note it; the entity's lock is held."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    told = ranges([(day, day + timedelta(days=1)) for day in days])
    row = deferral.c
    before = sa.case((told.c.since == row.issued_on, 0), else_=earned_sql(row, told.c.since))
    amount = sa.func.sum(row.lines * (earned_sql(row, told.c.until) - before))
    query = (
        sa.select(told.c.since.label("day"), row.currency, row.ledger, amount.label("amount"))
        .select_from(
            sa.join(
                deferral, told, sa.and_(told.c.since >= row.recognised_until, told.c.since < row.period_end)
            )
        )
        .where(
            row.legal_entity == entity, row.recognised_until < row.period_end, row.recognised_until <= last
        )
        .group_by(told.c.since, row.currency, row.ledger)
        .order_by(told.c.since, row.currency, row.ledger)
    )
    found = [one for one in conn.execute(query).all() if one.amount]
    known = _booked(conn, entity, first, last)
    for one in found:
        source = f"{entity}:{one.currency}:{one.ledger}:{one.day}"
        known[source] += 1
        money = Money(int(one.amount), one.currency)
        legs = [Entry(f"{DEFERRED}{one.ledger}", money), Entry(one.ledger, -money)]
        book(conn, Books(entity), KIND, f"{source}:{known[source]}", one.day, legs, strict=True)
    after = sa.literal(last + timedelta(days=1), sa.Date)
    reached = sa.case((row.period_end < after, row.period_end), else_=after)
    waiting = sa.and_(
        row.legal_entity == entity, row.recognised_until < row.period_end, row.recognised_until <= last
    )
    conn.execute(sa.update(deferral).where(waiting).values(recognised_until=reached))
    return found


def _booked(conn: Connection, entity: str, first: date, last: date) -> Counter[str]:
    """How often each day was booked before, by source."""
    entry = ledger_transaction.c
    query = sa.select(entry.source).where(
        entry.kind == KIND, entry.legal_entity == entity, entry.booked_on >= first, entry.booked_on <= last
    )
    return Counter(source.rpartition(":")[0] for source in conn.execute(query).scalars())
