"""Gates: pure decisions whether a planned run may touch its device now, and why not."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from reconciler.states import RunState


class Closed(msgspec.Struct, frozen=True):
    """A gate that is closed: why, and when to look again; `asks` when a person must decide."""

    why: str
    until: datetime
    asks: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the gates look at. `window` is "02:00-05:00" in site time; `earlier_waves` the states before ours."""

    now: datetime
    timezone: str
    first_time: bool
    urgent: bool
    window: str | None
    paused_until: datetime | None
    drift: str
    overrule: bool
    earlier_waves: tuple[RunState, ...]


EARLIER_WAVE = "an earlier wave is not through"
EARLIER_FAILED = "an earlier wave failed; repair it or revert the commit"
DEVICE_PAUSED = "the device is paused"
_SOON = timedelta(seconds=2)


def closed(facts: Facts) -> Closed | None:
    """The first closed gate, or None when the run may go on."""
    if facts.paused_until is not None and facts.paused_until > facts.now:
        return Closed(DEVICE_PAUSED, facts.paused_until)
    if facts.drift and not facts.overrule:
        return Closed("an apply would undo a change that somebody made on the device", facts.now, asks=True)
    if facts.first_time:
        return None
    return _wave(facts) or _window(facts)


def _wave(facts: Facts) -> Closed | None:
    if RunState.QUARANTINED in facts.earlier_waves:  # one that was taken back is tried again first
        return Closed(EARLIER_FAILED, facts.now + timedelta(seconds=30))
    if any(
        state not in (RunState.VERIFIED, RunState.OBSERVED, RunState.SUPERSEDED)
        for state in facts.earlier_waves
    ):
        return Closed(EARLIER_WAVE, facts.now + _SOON)
    return None


def _window(facts: Facts) -> Closed | None:
    if facts.window is None or facts.urgent:
        return None
    local = facts.now.astimezone(ZoneInfo(facts.timezone))
    start, end = (_at(local, text) for text in facts.window.split("-"))
    opens = start if start <= end else start - timedelta(days=1)
    if opens <= local < end or (start > end and local >= start):
        return None
    upcoming = start if local < start else start + timedelta(days=1)
    return Closed(f"outside its change window {facts.window}", upcoming.astimezone(facts.now.tzinfo))


def _at(day: datetime, clock_time: str) -> datetime:
    hour, minute = clock_time.strip().split(":")
    return day.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
