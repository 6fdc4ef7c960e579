"""Minimum commitment: what a month comes to at least, with usage; what is missing is billed when the month is over.

A billable for each period, and a further revision where usage is rated late or a late event changes the month.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import billables
from billing.billables import Billable
from billing.models import billable
from billing.periods import Cadence, Period
from billing.proration import prorate_slices
from billing.subscriptions import PLAN, Item
from billing.timeline import ONCE, Segment, Slice, segments
from core.money import Money, half_up

_LATE = 2
"""How many periods back usage may still come in."""


class Owed(msgspec.Struct, frozen=True):
    """A period that is over: the least that its days cost, what they came to, and what is missing."""

    period: Period
    least: Money
    spent: Money
    tax: str

    @property
    def missing(self) -> Money:
        """Nothing where enough was used."""
        return Money(max(0, self.least.minor - self.spent.minor), self.least.currency)


def has_one(item: Item) -> bool:
    """Whether a minimum was ever sold with it."""
    return item.role == PLAN and any(event.terms and event.terms.minimum for event in item.events)


def owed(
    item: Item, anchor: int, slices: Sequence[Slice], usage: Sequence[tuple[date, int]], since: date, on: date
) -> Iterator[Owed]:
    """The periods that are over by `on`, from a little before `since`. `slices`: of all items of the service.

    `usage`: (first day, minor units) of what was used.
    """
    found = [one for one in segments(item.events) if one.terms.minimum is not None]
    if not found:
        return
    cadence = Cadence(anchor, 1, item.cadence_base)
    first = max(cadence.index(since) - _LATE, cadence.index(found[0].start))
    for k in range(first, cadence.index(on) + 1):
        period = cadence.period(k)
        parts = [(part, one) for one in found if (part := period.clip(one.start, one.end))]
        if not parts or not (period.end <= on or _is_over(item, on)):
            continue
        spent = sum((_of(one, part) for one in slices for part, _ in parts), Fraction(0))
        used = sum(minor for day, minor in usage if period.start <= day < period.end)
        last = parts[-1][1].terms
        money = Money(half_up(spent) + used, last.price.currency)
        yield Owed(period, _least(parts, period), money, last.tax)


def settle(conn: Connection, item: Item, anchor: int, slices: Sequence[Slice], since: date, on: date) -> None:
    """Add what is missing of each period, or the difference to what was added before; again it adds nothing."""
    currency = next(event.terms.price.currency for event in item.events if event.terms)
    for one in owed(item, anchor, slices, _usage(conn, item), since, on):
        source = f"commitment:{item.service}:{one.period.start}"
        every = billables.of_source(conn, source, currency)  # of other accounts that had the service too
        earlier = [before for before in every if before.account == item.account]
        more = one.missing.minor - sum(before.amount.minor for before in earlier)
        if not more:
            continue
        why = {"how": f"at least {one.least}, used {one.spent}, missing {one.missing}"}
        if earlier:
            why["billed before"] = str(one.missing - Money(more, currency))
        given = Billable(
            account=item.account, kind="commitment", source=source, revision=len(every), service=item.service,
            description=f"Minimum from {one.period.start} to {one.period.end} (exclusive)",
            amount=Money(more, currency), billed_from=min(one.period.end, on), tax=one.tax, period=one.period, why=why,
        )  # fmt: skip
        billables.add(conn, given, actor="billing")


def _least(parts: Sequence[tuple[Period, Segment]], period: Period) -> Money:
    """The minimum of each stretch by its days."""
    minima = dict.fromkeys(one.terms.minimum for _, one in parts if one.terms.minimum is not None)
    amounts = [
        amount
        for minimum in minima
        for amount in prorate_slices(
            minimum, [part for part, one in parts if one.terms.minimum == minimum], period
        )
    ]
    return sum(amounts[1:], amounts[0])


def _of(one: Slice, part: Period) -> Fraction:
    """What of a slice falls on the days of a part."""
    inside = None if one.kind in ONCE else one.part.clip(part.start, part.end)
    return Fraction(one.amount.minor * inside.days, one.part.days) if inside else Fraction(0)


def _is_over(item: Item, on: date) -> bool:
    end = segments(item.events)[-1].end
    return end is not None and end <= on


def _usage(conn: Connection, item: Item) -> list[tuple[date, int]]:
    query = sa.select(billable.c.period_start, billable.c.amount).where(
        billable.c.service == item.service, billable.c.account_id == item.account, billable.c.kind == "usage",
        billable.c.period_start.is_not(None),
    )  # fmt: skip
    return [(row[0], row[1]) for row in conn.execute(query)]
