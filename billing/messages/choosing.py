"""Which reminder or announcement an open invoice gets on a day. Pure: dates in, decision out.

A reminder comes before the due date, on the last business day that leaves at least its days. A run that comes late
sends the nearest one only, and none from the due date on: then it is the steps' turn. Who is collected from is told
the day of the debit instead. While a promise or an exemption is in force nobody is reminded, and nothing is collected.
"""

from collections.abc import Iterable
from datetime import date, timedelta

import msgspec

from billing.bank import calendar
from billing.collecting.calendars import Calendar
from billing.messages.facts import ANNOUNCE, REMINDER
from billing.rounding import is_owed
from billing.stages import Debt, Policy, Promise
from core.money import Money


class Debit(msgspec.Struct, frozen=True):
    """How an account is collected from: the first day for an invoice by its due date, and by what in words."""

    days_before: int
    by: str
    bank_days: bool = False
    """A direct debit: money moves on days of TARGET only, and not before it was announced for long enough."""

    def day(self, due: date) -> date:
        """The day of the debit."""
        return self.from_(due - timedelta(days=self.days_before))

    def from_(self, day: date) -> date:
        """The day itself, or the next on which money moves."""
        return calendar.open_from(day) if self.bank_days else day


class Chosen(msgspec.Struct, frozen=True):
    """What is to be told about an invoice: `purpose`, by which channels; `key` makes it once."""

    purpose: str
    key: str
    channels: tuple[str, ...]
    day: date | None = None


def choose(
    policy: Policy, debt: Debt, promises: Iterable[Promise], debit: Debit | None, today: date
) -> Chosen | None:
    """What an open invoice gets today, however often it is asked; None: nothing."""
    if not is_owed(debt.balance) or any(one.made_on <= today <= one.until for one in promises):
        return None
    if debit is not None:
        day = debit.day(debt.due)
        told = policy.announce
        if told is None or today < earliest(policy.calendar, day, told.days):
            return None
        if debit.bank_days:  # whoever was told late is collected from later
            day = max(day, debit.from_(today + timedelta(days=told.days)))
        elif today > day:
            return None
        return Chosen(ANNOUNCE, f"announce:{debt.invoice}", told.channels, day)
    reached = [
        one for one in policy.reminders
        if earliest(policy.calendar, debt.due, one.days) <= today < debt.due
    ]  # fmt: skip
    if not reached:
        return None
    nearest = min(reached, key=lambda one: one.days)
    return Chosen(REMINDER, f"reminder:{debt.invoice}:{nearest.days}", nearest.channels)


def earliest(calendar: Calendar, day: date, days: int) -> date:
    """The last business day that is at least `days` before a day."""
    found = day - timedelta(days=days)
    for n in range(366):
        if calendar.is_business(found - timedelta(days=n)):
            return found - timedelta(days=n)
    return found


def is_worth(policy: Policy, debts: Iterable[Debt], currency: str) -> bool:
    """Whether what is open together is an amount that the policy asks for at all."""
    return policy.is_worth(Money(sum(one.balance.minor for one in debts), currency))
