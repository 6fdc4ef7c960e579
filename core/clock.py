"""The one clock: aware UTC moments, local dates, and a hand to turn in tests."""

import time as _time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_frozen: list[datetime] = []


def now() -> datetime:
    """The present moment as an aware datetime in UTC."""
    return _frozen[-1] if _frozen else datetime.now(UTC)


def today(timezone: str) -> date:
    """The local calendar date in an IANA time zone."""
    return now().astimezone(ZoneInfo(timezone)).date()


def monotonic() -> float:
    """Seconds of a clock that never goes back; for durations only."""
    return _time.monotonic()


@contextmanager
def frozen(moment: datetime) -> Iterator[None]:
    """Within the block `now()` is `moment` (tests only)."""
    if moment.tzinfo is None:
        raise ValueError("the moment must be aware; add a time zone")
    _frozen.append(moment.astimezone(UTC))
    try:
        yield
    finally:
        _frozen.pop()


def advance(step: timedelta) -> datetime:
    """Turn the frozen clock forward and return the new moment."""
    _frozen[-1] += step
    return _frozen[-1]
