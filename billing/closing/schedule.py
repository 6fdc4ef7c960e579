"""The schedule of deferred revenue as of any day: what becomes revenue in which month, tied to the ledger."""

from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.closing import deferrals
from billing.closing.spread import earned_sql, ranges
from billing.kinds import DEFERRED
from billing.models import ledger_entry, ledger_transaction
from billing.periods import clamped, month_index
from core.money import Money


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One account of one legal entity. `months`: first day -> minor units; `behind`: earned by then, not recognised.

    `together` is `behind` and all months; `booked` is what the ledger has as deferred by the end of that day.
    """

    legal_entity: str
    currency: str
    ledger: str
    behind: int
    months: dict[date, int]
    booked: int

    @property
    def together(self) -> int:
        """Everything that is still to become revenue."""
        return self.behind + sum(self.months.values())

    def money(self, minor: int) -> Money:
        """An amount in its currency."""
        return Money(minor, self.currency)


def schedule(conn: Connection, as_of: date, entity: str | None = None) -> list[Schedule]:
    """What was deferred by the end of a day, by month to come; ordered by entity, currency and account."""
    now = as_of + timedelta(days=1)
    row = deferrals.everything(conn).c
    mine = [row.issued_on <= as_of] + ([row.legal_entity == entity] if entity else [])
    last: date = conn.execute(sa.select(sa.func.max(row.period_end)).where(*mine)).scalar() or now
    key = (row.legal_entity, row.currency, row.ledger)
    behind: dict[tuple[str, str, str], int] = defaultdict(int)
    months: dict[tuple[str, str, str], dict[date, int]] = defaultdict(dict)
    at = sa.literal(now, sa.Date)
    until = sa.case((row.recognised_until < at, row.recognised_until), else_=at)
    done = sa.case((row.recognised_until <= row.issued_on, 0), else_=earned_sql(row, until))
    query = sa.select(*key, sa.func.sum(row.lines * (earned_sql(row, at) - done))).where(*mine).group_by(*key)
    for one in conn.execute(query):
        behind[one[0], one[1], one[2]] = int(one[3])
    for since, amounts in _by_month(conn, row, mine, _months(now, last)):
        for name, minor in amounts.items():
            months[name][since] = minor
    booked = _booked(conn, as_of, entity)
    found = {
        name
        for name in {*behind, *months, *booked}
        if behind[name] or any(months[name].values()) or booked.get(name)
    }
    return [
        Schedule(
            legal_entity=name[0], currency=name[1], ledger=name[2], behind=behind[name],
            months={day: minor for day, minor in sorted(months[name].items()) if minor}, booked=booked.get(name, 0),
        )
        for name in sorted(found)
    ]  # fmt: skip


def _months(now: date, last: date) -> list[tuple[date, date]]:
    """From `now` to the day before `last`, cut where months begin."""
    cuts = [now]
    while cuts[-1] < last:
        cuts.append(clamped(1, month_index(cuts[-1]) + 1))
    return list(pairwise(cuts))


def _by_month(
    conn: Connection, row: Any, mine: list["sa.ColumnElement[bool]"],
    cuts: list[tuple[date, date]],
) -> "list[tuple[date, dict[tuple[str, str, str], int]]]":  # fmt: skip
    if not cuts:
        return []
    told = ranges(cuts)
    key = (row.legal_entity, row.currency, row.ledger)
    amount = sa.func.sum(row.lines * (earned_sql(row, told.c.until) - earned_sql(row, told.c.since)))
    query = sa.select(told.c.since, *key, amount).where(
        *mine, row.period_end > told.c.since, row.period_start < told.c.until
    )
    found: dict[date, dict[tuple[str, str, str], int]] = defaultdict(dict)
    for one in conn.execute(query.group_by(told.c.since, *key)):
        found[one[0]][one[1], one[2], one[3]] = int(one[4])
    first = cuts[0][0]
    return [
        (since if since != first else since.replace(day=1), amounts)
        for since, amounts in sorted(found.items())
    ]


def _booked(conn: Connection, as_of: date, entity: str | None) -> dict[tuple[str, str, str], int]:
    """What the ledger has as deferred: a credit balance as a positive amount."""
    entry, transaction = ledger_entry.c, ledger_transaction.c
    query = sa.select(transaction.legal_entity, entry.currency, entry.ledger, -sa.func.sum(entry.amount))
    query = query.join(ledger_transaction, transaction.id == entry.transaction_id).where(
        entry.ledger.startswith(DEFERRED), transaction.booked_on <= as_of
    )
    if entity:
        query = query.where(transaction.legal_entity == entity)
    rows = conn.execute(query.group_by(transaction.legal_entity, entry.currency, entry.ledger))
    return {(row[0], row[1], row[2].removeprefix(DEFERRED)): int(row[3]) for row in rows}
