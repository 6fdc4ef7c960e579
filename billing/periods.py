"""Billing periods: half-open ranges of local dates, each counted from the anchor and never from its neighbour.

Pure: dates in, dates out. No clock, no time zone, no hour of the day (pin 1, invariants 10 to 12).
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from billing.errors import TimeZoneUnknown

MONTHS = {"month": 1, "quarter": 3, "half-year": 6, "year": 12}
"""How many months each cadence of a price covers."""


class Period(msgspec.Struct, frozen=True, order=True):
    """`[start, end)` in local dates of the account."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.start).days

    def clip(self, start: date, end: date | None) -> "Period | None":
        """The part within `[start, end)` (`None`: open end), or None where nothing is left."""
        first, last = max(self.start, start), self.end if end is None else min(self.end, end)
        return Period(first, last) if first < last else None


class Cadence(msgspec.Struct, frozen=True):
    """The rhythm of an item: every `months` months on day `anchor` (1 to 31), in step with `base`.

    `base` is a month index (see `month_index`); it only matters where a period is longer than a month.
    """

    anchor: int
    months: int = 1
    base: int = 0

    def start(self, k: int) -> date:
        """Where period `k` starts: the anchor clamped into its month; Jan 31, Feb 28 or 29, Mar 31."""
        return clamped(self.anchor, self.base + k * self.months)

    def period(self, k: int) -> Period:
        """Period `k`."""
        return Period(self.start(k), self.start(k + 1))

    def index(self, day: date) -> int:
        """Which period contains `day`."""
        k = (month_index(day) - self.base) // self.months
        return k if self.start(k) <= day else k - 1

    def containing(self, day: date) -> Period:
        """The period that contains `day`."""
        return self.period(self.index(day))

    def between(self, first: date, last: date) -> Iterator[Period]:
        """Every whole period from the one containing `first` to the one containing `last`."""
        for k in range(self.index(first), self.index(last) + 1):
            yield self.period(k)


def month_index(day: date) -> int:
    """Months since year 0: a plain number to count in."""
    return day.year * 12 + day.month - 1


def clamped(anchor: int, month: int) -> date:
    """Day `anchor` of a month, or its last day when it is shorter."""
    year, zero_based = divmod(month, 12)
    return date(year, zero_based + 1, min(anchor, monthrange(year, zero_based + 1)[1]))


def local_date(moment: datetime, timezone: str) -> date:
    """On which date an aware moment falls where the account lives. Raises TimeZoneUnknown."""
    if moment.tzinfo is None:
        raise ValueError("the moment must be aware; add a time zone")
    return moment.astimezone(zone(timezone)).date()


def zone(timezone: str) -> ZoneInfo:
    """The IANA time zone. Raises TimeZoneUnknown with the name."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimeZoneUnknown(timezone) from error


def days_after(day: date, days: int) -> date:
    """`day` plus a number of days."""
    return day + timedelta(days=days)
