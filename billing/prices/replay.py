"""A month again, at other prices: every account's real bill of that month, and what it would have been."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, bill
from billing.accounts import Account
from billing.bill import Line
from billing.models import billable
from billing.offers import commitments
from billing.offers.whole import whole
from billing.periods import Period, clamped, month_index
from billing.prices.deciding import Change, swapped
from billing.runs.known import Known
from billing.subscriptions import Item
from billing.timeline import Slice
from core.errors import Terminal
from core.money import Money


class Replayed(msgspec.Struct, frozen=True):
    """An account's month with tax: as it was, and as it would have been."""

    account: str
    before: Money
    after: Money


def month_before(day: date) -> Period:
    """The whole calendar month before the one of a day."""
    month = month_index(day)
    return Period(clamped(1, month - 1), clamped(1, month))


def replay(
    conn: Connection, known: Known, account: str, items: Sequence[Item], change: Change, month: Period
) -> Replayed | str:
    """What an account was billed for in a month, computed anew with its own terms and with the new ones.

    Usage is as it was. A sentence where it cannot be computed (no tax rate).
    """
    owner = accounts.get(conn, account)
    other = [swapped(item, change) for item in items]
    try:
        before, after = (_total(conn, known, owner, told, month) for told in (items, other))
    except Terminal as error:
        return str(error)
    return Replayed(account, before, after)


def _total(conn: Connection, known: Known, owner: Account, items: Sequence[Item], month: Period) -> Money:
    last = month.end - timedelta(days=1)
    slices = whole(items, owner.anchor, lambda _: last)
    services = {item.id: item.service for item in items}
    lines = [
        _line(conn, known, owner, one, services[item])
        for item, found in slices.items()
        for one in found
        if month.start <= _due(one) <= last
    ]
    lines += _missing(conn, known, owner, items, slices, month)
    return bill.make(lines, owner.currency).total


def _due(one: Slice) -> date:
    return one.part.end if one.terms.arrears else one.part.start


def _line(conn: Connection, known: Known, owner: Account, one: Slice, service: str) -> Line:
    rate = known.rate(conn, owner.tax_profile, one.terms.tax)
    return Line(description="", amount=one.amount, rate=rate, kind=one.kind, service=service, period=one.part)


def _missing(
    conn: Connection,
    known: Known,
    owner: Account,
    items: Sequence[Item],
    slices: dict[str, list[Slice]],
    month: Period,
) -> Iterator[Line]:
    """What minimums of periods that ended in the month came to."""
    for item in items:
        if not commitments.has_one(item):
            continue
        query = sa.select(billable.c.period_start, billable.c.amount).where(
            billable.c.service == item.service,
            billable.c.kind == "usage",
            billable.c.period_start.is_not(None),
        )
        usage = [(row[0], row[1]) for row in conn.execute(query)]
        mine = [one for other in items if other.service == item.service for one in slices[other.id]]
        last = month.end - timedelta(days=1)
        for one in commitments.owed(item, owner.anchor, mine, usage, month.start, last):
            if month.start <= one.period.end < month.end and one.missing.minor:
                rate = known.rate(conn, owner.tax_profile, one.tax)
                yield Line(
                    description="", amount=one.missing, rate=rate, kind="commitment", service=item.service
                )
