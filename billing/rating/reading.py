"""What was used, by service and meter, day by day: from accounting, in a few queries for many services.

Octets are counted by UTC days, as accounting has them, and by the local days of the account where local midnight was
noted in time (`billing.rating.cutting`); sessions and their time by the local day on which they began.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import session, usage_day
from billing.agenda.moments import begins
from billing.periods import Period, local_date
from billing.rating.models import usage_cut, usage_cut_run
from billing.runs.ranges import among

_DAY = timedelta(days=1)
OCTETS = ("bytes", "down", "up")
TIMES = ("seconds", "sessions")
Days = Mapping[tuple[str, str], Mapping[date, int]]
"""(service, meter) -> day -> quantity."""


def read(
    conn: Connection, zones: Mapping[str, str], meters: Iterable[str], since: date, until: date
) -> dict[tuple[str, str], dict[date, int]]:
    """What services used from `since` on and before `until`. `zones`: service -> its account's time zone."""
    wanted = set(meters)
    found: dict[tuple[str, str], dict[date, int]] = defaultdict(lambda: defaultdict(int))
    if wanted & set(OCTETS):
        _octets(conn, zones, since, until, found)
    if wanted & set(TIMES):
        _times(conn, zones, since, until, found)
    return found


def within(days: Mapping[date, int], part: Period) -> int:
    """The quantity of a part."""
    return sum(quantity for day, quantity in days.items() if part.start <= day < part.end)


def _octets(
    conn: Connection,
    zones: Mapping[str, str],
    since: date,
    until: date,
    found: dict[tuple[str, str], dict[date, int]],
) -> None:
    first, last, services = since - _DAY, until + _DAY, list(zones)
    noted = _noted(conn, set(zones.values()), first, last)
    cuts = _cuts(conn, services, first, last) if noted else {}
    columns = usage_day.c
    query = sa.select(columns.service, columns.day, columns.up_octets, columns.down_octets)
    query = query.where(among(conn, columns.service, services), columns.day >= first, columns.day < last)
    for service, counted_on, up, down in conn.execute(query):
        following = noted.get((zones[service], counted_on))
        for day, more_up, more_down in divided(
            counted_on, up, down, following, cuts.get((service, following))
        ):
            if since <= day < until:
                found[service, "up"][day] += more_up
                found[service, "down"][day] += more_down
                found[service, "bytes"][day] += more_up + more_down


def divided(
    counted_on: date, up: int, down: int, following: date | None, before: tuple[int, int] | None
) -> list[tuple[date, int, int]]:
    """A UTC day's octets by local date. Pure. `following`: the local date that began in it, where that was noted;
    `before`: what was counted by then.
    """
    if following is None:
        return [(counted_on, up, down)]
    early_up, early_down = before or (0, 0)
    early_up, early_down = min(early_up, up), min(early_down, down)
    return [(following - _DAY, early_up, early_down), (following, up - early_up, down - early_down)]


def _noted(conn: Connection, zones: set[str], first: date, last: date) -> dict[tuple[str, date], date]:
    """(zone, UTC day) -> the local date that began in it, where it was noted in time."""
    day = usage_cut_run.c.day
    query = sa.select(usage_cut_run.c.timezone, day).where(day >= first - _DAY, day <= last + _DAY)
    return {(zone, begins(began, zone).date()): began for zone, began in conn.execute(query) if zone in zones}


def _cuts(
    conn: Connection, services: Sequence[str], first: date, last: date
) -> dict[tuple[str, date | None], tuple[int, int]]:
    columns = usage_cut.c
    query = sa.select(usage_cut).where(
        among(conn, columns.service, services), columns.day >= first - _DAY, columns.day <= last + _DAY
    )
    return {(row.service, row.day): (row.up_octets, row.down_octets) for row in conn.execute(query)}


def _times(
    conn: Connection,
    zones: Mapping[str, str],
    since: date,
    until: date,
    found: dict[tuple[str, str], dict[date, int]],
) -> None:
    """A session counts on the day on which it began where the account lives; one that is open counts so far."""
    first = datetime.combine(since, time(), UTC) - timedelta(days=1)
    last = datetime.combine(until, time(), UTC) + timedelta(days=1)
    columns = session.c
    query = sa.select(columns.service, columns.started_at, columns.session_time)
    query = query.where(
        among(conn, columns.service, list(zones)), columns.started_at >= first, columns.started_at < last
    )
    for service, started, seconds in conn.execute(query):
        day = local_date(started, zones[service])
        if since <= day < until:
            found[service, "seconds"][day] += seconds
            found[service, "sessions"][day] += 1
