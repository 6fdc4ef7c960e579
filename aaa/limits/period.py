"""Periods of a quota, and slots of a schedule, in a time zone. Pure; local midnight is what people count from."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Bounds = tuple[datetime, datetime]
"""(start, end) in UTC: the start belongs to the period, the end does not."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMED = {"all": _DAYS, "workdays": _DAYS[:5], "weekend": _DAYS[5:]}


def bounds(period: str, zone: str, moment: datetime) -> Bounds:
    """The day, week (from Monday) or month in which a moment lies. `billing` without an anchor is the month."""
    local = moment.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == "day":
        return _utc(local), _utc(local + timedelta(days=1))
    if period == "week":
        monday = local - timedelta(days=local.weekday())
        return _utc(monday), _utc(monday + timedelta(days=7))
    first = local.replace(day=1)
    return _utc(first), _utc((first + timedelta(days=32)).replace(day=1))


def _utc(local: datetime) -> datetime:
    # Arithmetic on a local time keeps the wall clock: the day on which clocks change has 23 or 25 hours.
    return local.astimezone(UTC)


def slot_at(schedule: Any, zone: str, moment: datetime) -> Any:
    """The slot of a plan's schedule that is open at a moment, the first that fits; None outside all.

    A slot that ends before it begins passes midnight and belongs to the day on which it begins.
    """
    local = moment.astimezone(ZoneInfo(zone))
    minute, today = local.hour * 60 + local.minute, _DAYS[local.weekday()]
    yesterday = _DAYS[(local.weekday() - 1) % 7]
    for slot in schedule:
        days = _NAMED.get(slot.days, slot.days) if isinstance(slot.days, str) else slot.days
        start, end = int(slot.from_), int(slot.to)
        if start < end:
            if today in days and start <= minute < end:
                return slot
        elif (today in days and minute >= start) or (yesterday in days and minute < end):
            return slot
    return None
