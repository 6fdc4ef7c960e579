"""How much of a line is earned by a day: in Python, and the same in SQL.

Cumulative and half-up, so that the days of a line add up to its net to the minor unit: by the end of day d,
`half_up(net x days gone / days)`. On the day of issue everything before it is earned at once.
"""

from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from billing.periods import Period
from core.money import half_up


def earned(net: int, period: Period, until: date) -> int:
    """Minor units of `net` that are earned before `until` (exclusive). Pure."""
    gone = min(max((until - period.start).days, 0), period.days)
    return half_up(Fraction(net * gone, period.days))


class DaysBetween(sa.sql.functions.FunctionElement[int]):
    """`a - b` in days."""

    name = "days_between"
    type = sa.Integer()
    inherit_cache = True


@compiles(DaysBetween)
def _days(element: DaysBetween, compiler: Any, **given: Any) -> str:
    one, other = element.clauses
    return f"({compiler.process(one, **given)} - {compiler.process(other, **given)})"


@compiles(DaysBetween, "sqlite")
def _days_sqlite(element: DaysBetween, compiler: Any, **given: Any) -> str:
    one, other = element.clauses
    first, second = (compiler.process(day, **given) for day in (one, other))
    return f"CAST(julianday({first}) - julianday({second}) AS INTEGER)"


def earned_sql(row: Any, until: "sa.ColumnElement[Any]") -> "sa.ColumnElement[Any]":
    """`earned` of a row with `net`, `period_start`, `period_end`, as a column."""
    whole = DaysBetween(row.period_end, row.period_start)
    gone = sa.case(
        (until <= row.period_start, 0),
        (until >= row.period_end, whole),
        else_=DaysBetween(until, row.period_start),
    )
    size = sa.func.abs(row.net, type_=sa.BigInteger)
    return sa.case((row.net < 0, -1), else_=1) * ((2 * size * gone + whole) // (2 * whole))


def ranges(found: Iterable[tuple[date, date]]) -> sa.Subquery:
    """Ranges of days as a table with `since` and `until` (exclusive)."""
    rows = [
        sa.select(sa.literal(since, sa.Date).label("since"), sa.literal(until, sa.Date).label("until"))
        for since, until in found
    ]
    return sa.union_all(*rows).subquery("told")
