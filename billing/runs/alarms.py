"""Silence is impossible: what a run's day is compared with, and what is said when nobody, or far off, was billed."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.models import invoice, pinned_terms, subscription_item
from billing.periods import clamped, month_index
from core import events
from core.money import Money

_FACTOR, _FEW = 2, 10


class Tally(msgspec.Struct, frozen=True):
    """Bills made for some days: how many, and what they come to by currency, in minor units."""

    bills: int = 0
    totals: dict[str, int] = {}


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A day after its run. `today` counts every run for the date; `renewing` items renew by themselves, every
    `shortest` months at least one of them, and `left` of them are still due.
    """

    on: date
    renewing: int
    shortest: int
    left: int
    parked: int
    today: Tally
    week: Tally
    rhythm: Tally
    month_ago: Tally


def silence(day: Day) -> str:
    """Why it cannot be right that nobody was billed; empty when somebody was, or nothing was to be expected."""
    if day.today.bills:
        return ""
    if day.left or day.parked:
        return f"{day.on}: nobody was billed, and {max(day.left, day.parked)} are due; see what they are parked for"
    if day.renewing and not day.rhythm.bills:
        return (
            f"{day.on}: nobody was billed, nor since {months_before(day.on, day.shortest)}, and {day.renewing} items "
            f"renew every {day.shortest} months or more often; look at 'charged_through' of the items"
        )
    if day.renewing and day.month_ago.bills and not day.week.bills:
        return (
            f"{day.on}: nobody was billed; a month ago, on {months_before(day.on, 1)}, it was {day.month_ago.bills}; "
            "compare the subscriptions"
        )
    return ""


def unusual(day: Day) -> tuple[str, ...]:
    """What is far off the same day a month ago, in sentences."""
    now, before = day.today, day.month_ago
    when = f"a month ago, on {months_before(day.on, 1)}"
    found = []
    if before.bills >= _FEW and _is_far(now.bills, before.bills):
        found.append(f"{day.on}: {now.bills} bills; {when}, it was {before.bills}")
    for currency in sorted({*now.totals, *before.totals} if before.bills >= _FEW else ()):
        one, other = now.totals.get(currency, 0), before.totals.get(currency, 0)
        if _is_far(one, other):
            found.append(f"{day.on}: {Money(one, currency)} billed; {when}, it was {Money(other, currency)}")
    return tuple(found)


def look(conn: Connection, on: date, parked: int) -> Day:
    """Read what there is to compare."""
    item, terms = subscription_item.c, pinned_terms.c
    due = sa.func.sum(sa.case((item.charged_through <= on, 1), else_=0))
    query = sa.select(sa.func.count(), sa.func.min(terms.months), due)
    count, shortest, left = conn.execute(
        query.select_from(subscription_item.join(pinned_terms, terms.id == item.renews))
    ).one()
    rhythm = int(shortest or 1)
    ago = months_before(on, 1)
    return Day(
        on=on, renewing=count, shortest=rhythm, left=int(left or 0), parked=parked,
        today=tally(conn, on, on), week=tally(conn, on - timedelta(days=6), on), month_ago=tally(conn, ago, ago),
        rhythm=tally(conn, months_before(on, rhythm) + timedelta(days=1), on),
    )  # fmt: skip


def tally(conn: Connection, first: date, last: date) -> Tally:
    """Bills made for the days from `first` to `last`, voided ones left out."""
    query = sa.select(invoice.c.currency, sa.func.count(), sa.func.sum(invoice.c.total))
    query = query.where(invoice.c.billed_on >= first, invoice.c.billed_on <= last, invoice.c.state != "void")
    rows = conn.execute(query.group_by(invoice.c.currency)).all()
    return Tally(sum(row[1] for row in rows), {row[0]: int(row[2]) for row in rows})


def months_before(day: date, months: int) -> date:
    """The same day some months ago, or the last of a shorter month."""
    return clamped(day.day, month_index(day) - months)


def tell(conn: Connection, day: Day, silent: str, odd: Sequence[str]) -> None:
    """Raise the alarm, once for each date."""
    if silent:
        told = {"on": str(day.on), "why": silent, "renewing": day.renewing, "parked": day.parked}
        events.emit(
            conn, "billing.silent", str(day.on), told, actor="billing", unique=f"billing.silent:{day.on}"
        )
    if odd:
        said = {"on": str(day.on), "why": list(odd)}
        events.emit(
            conn, "billing.unusual", str(day.on), said, actor="billing", unique=f"billing.unusual:{day.on}"
        )


def _is_far(one: int, other: int) -> bool:
    low, high = sorted((one, other))
    return high > 0 and low * _FACTOR < high
