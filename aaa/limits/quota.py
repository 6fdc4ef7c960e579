"""Quota: what was granted, what was used of it, and what is left. Billing and CRM call `grant`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.limits import store
from aaa.limits.limit import PREPAID, Limit
from aaa.models import quota_grant, quota_use, usage_change
from core import clock
from core.db import insert_many, upsert
from core.errors import Terminal
from core.ids import new_id

GrantKind = Literal["prepaid", "fair-use", "billing"]
_CHUNK = 300
_NEVER = datetime.max.replace(tzinfo=UTC)


class GrantNotUsable(Terminal):
    """A grant that grants nothing, or ends before it begins."""

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"the grant for service {service} is not usable: {why}")


class Grant(msgspec.Struct, frozen=True):
    """A grant: octets and seconds (0: not limited by them) within its period; `end` None: until used up."""

    start: datetime
    end: datetime | None
    octets: int
    seconds: int


class Use(msgspec.Struct):
    """What was used in a period. `told` is the per cent for which an event was emitted."""

    start: datetime
    end: datetime | None
    up: int = 0
    down: int = 0
    seconds: int = 0
    told: int = 0

    def counted(self, what: str) -> int:
        """Octets that count: `total`, `down` or `up`."""
        return self.down if what == "down" else self.up if what == "up" else self.up + self.down


def grant(
    conn: Connection,
    service: str,
    *,
    kind: GrantKind = "prepaid",
    octets: int = 0,
    seconds: int = 0,
    start: datetime | None = None,
    end: datetime | None = None,
    reference: str = "",
    actor: str,
) -> bool:
    """Give quota in the caller's transaction; effective within a second. The same `reference` again is no grant.

    `prepaid`: credit of octets, seconds, or only time until `end`. `fair-use`: `octets` more in the period that `start`
    lies in. `billing`: from `start` to `end` is the service's billing period. Returns whether it was new.
    Raises GrantNotUsable.
    """
    begins = start or clock.now()
    if end is not None and end <= begins:
        raise GrantNotUsable(
            service, f"it ends at {end:%Y-%m-%d %H:%M} and begins at {begins:%Y-%m-%d %H:%M}"
        )
    if min(octets, seconds) < 0 or (kind == "fair-use" and not octets) or (kind == "billing" and end is None):
        raise GrantNotUsable(
            service, "fair-use needs octets, billing needs an end, and nothing may be negative"
        )
    if kind == "prepaid" and not (octets or seconds or end):
        raise GrantNotUsable(service, "a prepaid credit needs octets, seconds or an end")
    identifier = new_id("grt")
    if reference and _granted(conn, service, kind, reference):
        return False
    while kind == "prepaid" and _begins(conn, service, begins):
        begins -= timedelta(microseconds=1)  # what is used is kept by the moment at which its grant begins
    conn.execute(
        sa.insert(quota_grant).values(
            grant_id=identifier, service=service, kind=kind, period_start=begins, period_end=end, octets=octets,
            seconds=seconds, reference=reference or identifier, actor=actor, at=clock.now(),
        )
    )  # fmt: skip
    note(conn, [(service, max(begins, clock.now()), 0, 0, 0, True)])  # counted anew when it begins
    if kind == "prepaid":
        renew_credit(conn, [service], actor)
    return True


def _granted(conn: Connection, service: str, kind: str, reference: str) -> bool:
    mine = quota_grant.c.service == service, quota_grant.c.kind == kind
    chosen = sa.select(quota_grant.c.grant_id).where(*mine, quota_grant.c.reference == reference)
    return conn.execute(chosen).first() is not None


def _begins(conn: Connection, service: str, moment: datetime) -> bool:
    mine = quota_grant.c.service == service, quota_grant.c.kind == PREPAID
    chosen = sa.select(quota_grant.c.grant_id).where(*mine, quota_grant.c.period_start == moment)
    return conn.execute(chosen).first() is not None


def note(conn: Connection, changes: Iterable[tuple[str, datetime, int, int, int, bool]]) -> None:
    """Queue (service, moment, up, down, seconds, session is over) to be counted; a few octets of nobody do no harm."""
    names = ("service", "at", "up_octets", "down_octets", "seconds", "ended")
    insert_many(conn, usage_change, [dict(zip(names, one, strict=True)) for one in changes])


def grants(conn: Connection, services: Iterable[str], kind: str, now: datetime) -> dict[str, list[Grant]]:
    """Grants of a kind that are not over, by service; what ends first comes first."""
    wanted = sorted(set(services))
    found: dict[str, list[Grant]] = {}
    alive = sa.or_(quota_grant.c.period_end.is_(None), quota_grant.c.period_end > now)
    for begin in range(0, len(wanted), _CHUNK):
        mine = quota_grant.c.service.in_(wanted[begin : begin + _CHUNK])
        for row in conn.execute(sa.select(quota_grant).where(mine, quota_grant.c.kind == kind, alive)):
            one = Grant(row.period_start, row.period_end, int(row.octets), int(row.seconds))
            found.setdefault(row.service, []).append(one)
    return {
        name: sorted(held, key=lambda one: (one.end or _NEVER, one.start)) for name, held in found.items()
    }


def uses(
    conn: Connection, services: Iterable[str], kind: str, since: datetime
) -> dict[tuple[str, datetime], Use]:
    """What was used, by service and period, of the periods that were not over at `since`: not of all years."""
    wanted, found = sorted(set(services)), {}
    going = sa.or_(quota_use.c.period_end.is_(None), quota_use.c.period_end > since)
    for begin in range(0, len(wanted), _CHUNK):
        mine = sa.and_(quota_use.c.service.in_(wanted[begin : begin + _CHUNK]), going)
        for row in conn.execute(sa.select(quota_use).where(mine, quota_use.c.kind == kind)):
            counted = int(row.up_octets), int(row.down_octets), int(row.seconds)
            found[row.service, row.period_start] = Use(row.period_start, row.period_end, *counted, row.told)
    return found


def apart(used: Mapping[tuple[str, datetime], Use]) -> dict[str, dict[datetime, Use]]:
    """What was used, service by service. Pure."""
    found: dict[str, dict[datetime, Use]] = {}
    for (service, start), use in used.items():
        found.setdefault(service, {})[start] = use
    return found


def keep_uses(conn: Connection, kind: str, changed: Mapping[tuple[str, datetime], Use]) -> None:
    """Write what was used."""
    rows = [
        {"service": service, "kind": kind, "period_start": start, "period_end": use.end, "up_octets": use.up,
         "down_octets": use.down, "seconds": use.seconds, "told": use.told}
        for (service, start), use in sorted(changed.items())
    ]  # fmt: skip
    upsert(conn, quota_use, rows, key=["service", "kind", "period_start"])


def left(held: Sequence[Grant], used: Mapping[datetime, Use], now: datetime) -> list[tuple[Grant, int, int]]:
    """Grants that have begun and have something left, with (octets, seconds) left; 0 of what is not limited. Pure."""
    found = []
    for one in held:
        use = used.get(one.start) or Use(one.start, one.end)
        octets, seconds = one.octets - use.counted("total"), one.seconds - use.seconds
        if one.start <= now and (not one.octets or octets > 0) and (not one.seconds or seconds > 0):
            found.append((one, octets if one.octets else 0, seconds if one.seconds else 0))
    return found


def renew_credit(conn: Connection, services: Sequence[str], actor: str = "aaa") -> list[str]:
    """Make the `prepaid` limit of these services say whether they have credit; returns those that lost it."""
    now = clock.now()
    held, by_service = grants(conn, services, PREPAID, now), apart(uses(conn, services, PREPAID, now))
    credits, without = [], []
    for service in sorted(set(services)):
        remaining = left(held.get(service, []), by_service.get(service, {}), now)
        if remaining:
            credits.append(_credit(service, remaining))
        else:
            without.append((service, PREPAID))
    store.put(conn, credits, actor)
    return [service for service, _cause in store.lift(conn, without)]


def _credit(service: str, remaining: Sequence[tuple[Grant, int, int]]) -> Limit:
    open_ended = any(one.end is None for one, _octets, _seconds in remaining)
    ends = 0 if open_ended else max(int(one.end.timestamp()) for one, _o, _s in remaining if one.end)
    # Time is not limited as soon as one grant does not limit it.
    timed = all(one.seconds for one, _octets, _seconds in remaining)
    data: dict[str, Any] = {"seconds": sum(seconds for *_rest, seconds in remaining)} if timed else {}
    return Limit(service, PREPAID, "credit", until=ends, data=data)


def spend(
    held: Sequence[Grant], used: dict[datetime, Use], octets: tuple[int, int], seconds: int, now: datetime
) -> None:
    """Take octets (up, down) and seconds from the grants in turn, what ends first first. Pure but for `used`.

    Each gives what it has left; what is over after the last one stays on the last one.
    """
    remaining = left(held, used, now)
    begun = [one for one in held if one.start <= now]
    if not begun:
        return  # nobody granted anything: there is nothing to count against
    (up, down), targets = octets, [one for one, _octets, _seconds in remaining] or begun[-1:]
    for target, has_octets, has_seconds in remaining[:-1]:
        share = _share(up + down, has_octets, seconds, has_seconds)
        some = ceil((up + down) * share)
        one_up = min(up, some * up // max(1, up + down))
        one_seconds = ceil(seconds * share)
        _add(used, target, one_up, some - one_up, one_seconds)
        up, down, seconds = up - one_up, down - (some - one_up), seconds - one_seconds
    _add(used, targets[-1], up, down, seconds)


def _share(octets: int, has_octets: int, seconds: int, has_seconds: int) -> Fraction:
    """How much of a use a grant can bear; it limits octets or seconds of which it has any (`left`)."""
    shares = [
        Fraction(has, wanted)
        for has, wanted in ((has_octets, octets), (has_seconds, seconds))
        if has and wanted
    ]
    return min([Fraction(1), *shares])


def _add(used: dict[datetime, Use], target: Grant, up: int, down: int, seconds: int) -> None:
    if up or down or seconds:
        use = used.setdefault(target.start, Use(target.start, target.end))
        use.up, use.down, use.seconds = use.up + up, use.down + down, use.seconds + seconds
