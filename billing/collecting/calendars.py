"""On which days a service may be restricted. Pure: dates in, dates out."""

from datetime import date, timedelta

import msgspec

from core import days
from core.days import LAST

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_DAYS = 366
"""For so many days in a row a calendar may forbid restrictions."""


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`days_off`: days of the week, and `holidays`, on which nothing is restricted; `eve`: nor so many days before
    one. `notice`: business days between the step before and a restriction.
    """

    days_off: tuple[str, ...] = ()
    holidays: tuple[date, ...] = ()
    eve: int = 0
    notice: int = 0

    def is_business(self, day: date) -> bool:
        """Whether it is neither a day off nor a holiday."""
        return DAYS[day.weekday()] not in self.days_off and day not in self.holidays

    def permits(self, day: date) -> bool:
        """Whether a service may be restricted on a day."""
        return all(self.is_business(day + timedelta(days=n)) for n in range(self.eve + 1))

    def next_permitted(self, day: date) -> date:
        """The day itself or the first one after it on which a service may be restricted."""
        while day < LAST and not self.permits(day):
            day += timedelta(days=1)
        return day

    def later(self, day: date, count: int) -> date:
        """The day `count` business days after a day."""
        while count > 0 and day < LAST:
            day += timedelta(days=1)
            count -= self.is_business(day)
        return day

    def why_not(self) -> str:
        """Why it makes no sense; empty when it does."""
        odd = self.odd_holiday()
        return odd[1] if odd else self._why_not_week()

    def odd_holiday(self) -> tuple[int, str] | None:
        """Which of `holidays` is far off, or begins too long a time without restrictions, and why it cannot be."""
        for at, day in enumerate(self.holidays if not self._why_not_week() else ()):
            if why := days.why_not(day):
                return at, why
            if (self.next_permitted(day) - day).days >= MOST_DAYS:
                told = f"from {day} on no service may be restricted for {MOST_DAYS} days and more"
                return at, f"{told}; take holidays out"
        return None

    def _why_not_week(self) -> str:
        if wrong := [one for one in self.days_off if one not in DAYS]:
            return f"'{wrong[0]}' is no day of the week; write mon, tue, wed, thu, fri, sat or sun"
        if not 0 <= self.eve <= 5 or not 0 <= self.notice <= 60:
            return "eve is 0 to 5 days, and notice 0 to 60 business days"
        if not any(self.permits(date(2001, 1, 1) + timedelta(days=n)) for n in range(7)):
            return "it leaves no day of the week on which a service may be restricted"
        return ""
