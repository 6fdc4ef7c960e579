"""The plain majority of a chunk: accounts of which every item renews are billed by a handful of statements.

Python says what each combination of terms, anchor, date and tax profile comes to (a *rule*: by the very functions that
bill an odd account); SQL only joins, adds up and stores. What has no rule, or is unusual in any way, is left to Python.
"""

import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import bill
from billing.errors import TaxRateMissing
from billing.models import pinned_terms
from billing.runs import renewal, statements, tables
from billing.runs.copying import copy
from billing.runs.known import Known
from billing.timeline import Terms
from core import ids

OVER = date.max
"""`charged_through` of what has ended and is billed to its end."""
_MOST = 4 * 10**11
_RULE = [column.name for column in tables.RULE.c]
Row = tuple[Any, ...]


class Plain(msgspec.Struct, frozen=True):
    """What was billed of a chunk: how many accounts and lines. `odd`: accounts that are left."""

    bills: int
    lines: int
    odd: list[str]


class Rules:
    """The rules of one run for a date; its threads share them."""

    def __init__(self, known: Known) -> None:
        self._known, self.on = known, known.on
        self._found: dict[Row, list[Row]] = {}
        self._terms: dict[str, tuple[str, Terms]] = {}
        self._lock = threading.Lock()

    def of(self, conn: Connection, wanted: list[Row]) -> Iterator[Row]:
        """Rows of `run_rule` for rows of `statements.WANTED`; none where there is no rule."""
        with self._lock:
            missing = [key for key in wanted if key not in self._found]
            self._learn(conn, {key[0] for key in missing} - self._terms.keys())
            for key in missing:
                self._found[key] = list(self._made(conn, key))
            return iter([row for key in wanted for row in self._found[key]])

    def _learn(self, conn: Connection, unknown: set[str]) -> None:
        if not unknown:
            return
        query = sa.select(pinned_terms.c.id, sa.cast(pinned_terms.c.terms, sa.Text))
        for row in conn.execute(query.where(pinned_terms.c.id.in_(unknown))):
            self._terms[row[0]] = row[1], msgspec.json.decode(row[1], type=Terms)

    def _made(self, conn: Connection, key: Row) -> Iterator[Row]:
        renews, anchor, base, through, profile, currency = key
        text, terms = self._terms[renews]
        if terms.price.currency != currency or not renewal.is_plain(terms):
            return
        try:
            rate = self._known.rate(conn, profile, terms.tax)
        except TaxRateMissing:
            return
        found = renewal.periods(terms, anchor, base, through, self.on)
        for seq, one in enumerate(found):
            told = bill.describe(one, self._known.name(terms.plan))
            yield (
                *key, seq, one.part.start, one.part.end, found[-1].part.end, one.amount.minor, one.kind,
                told, text, rate.category, rate.millionths, rate.inclusive,
            )  # fmt: skip


def bill_plain(
    conn: Connection, rules: Rules, accounts: list[str], run_id: str, bounds: bill.Bounds
) -> Plain:
    """Bill those of these accounts that are plain as drafts. The accounts are locked."""
    on = rules.on
    tables.begin(conn, tables.BILLING)
    copy(conn, tables.ACCOUNT, ["account_id"], ([one] for one in accounts))
    tables.counted(conn, tables.ACCOUNT)
    statements.run(conn, statements.ITEMS, over=OVER)
    tables.counted(conn, tables.ITEM)
    statements.run(conn, statements.ODD, on=on)
    wanted = [tuple(row) for row in _dated(statements.run(conn, statements.WANTED, on=on))]
    copy(conn, tables.RULE, _RULE, rules.of(conn, wanted))
    tables.counted(conn, tables.RULE, tables.ODD)
    statements.run(conn, statements.NO_RULE, on=on)
    lines = statements.run(conn, statements.LINES, on=on).rowcount
    statements.run(conn, statements.UNUSUAL, lines=bounds.lines, factor=bounds.factor, most=_MOST)
    odd = sorted(set(conn.execute(sa.select(tables.ODD.c.account_id)).scalars()))
    if odd:
        lines -= statements.run(conn, statements.DROP_ODD).rowcount
    bills = _store(conn, on, run_id) if lines else 0
    tables.end(conn, tables.BILLING)
    return Plain(bills, lines, odd)


def _store(conn: Connection, on: date, run_id: str) -> int:
    stamp = ids.new_id("")[1:21]
    tables.counted(conn, tables.LINE)
    statements.run(conn, statements.TAXES)
    tables.counted(conn, tables.TAX)
    bills = statements.run(conn, statements.BILLS, stamp=stamp).rowcount
    tables.counted(conn, tables.BILL)
    for statement in statements.STORE:
        statements.run(conn, statement, stamp=stamp, on=on, run=run_id)
    return bills


def _dated(found: Any) -> Iterator[Row]:
    """Rows of `WANTED`; SQLite gives a date as its text."""
    for renews, anchor, base, through, profile, currency in found:
        day = date.fromisoformat(through) if isinstance(through, str) else through
        yield renews, anchor, base, day, profile, currency
