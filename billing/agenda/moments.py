"""When a local day begins. Pure."""

from datetime import UTC, date, datetime, time, timedelta

from billing.periods import zone

_STEP = timedelta(minutes=15)


def begins(day: date, timezone: str) -> datetime:
    """The first moment (UTC) of a local date, or of the next one that there is: zones skip hours and whole days.

    Where clocks go back over midnight it is the first of the two. Raises TimeZoneUnknown.
    """
    where = zone(timezone)
    moment = datetime.combine(day, time.min, where).astimezone(UTC)
    while moment.astimezone(where).date() < day:
        moment += _STEP
    return moment
