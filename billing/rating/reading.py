"""What was used, by service and meter, day by day: from accounting, in a few queries for many services.

Octets are counted by UTC days, as accounting has them; sessions and their time by the local day on which they began.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import session, usage_day
from billing.periods import Period, local_date
from billing.runs.ranges import among

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
        _octets(conn, list(zones), since, until, found)
    if wanted & set(TIMES):
        _times(conn, zones, since, until, found)
    return found


def within(days: Mapping[date, int], part: Period) -> int:
    """The quantity of a part."""
    return sum(quantity for day, quantity in days.items() if part.start <= day < part.end)


def _octets(
    conn: Connection,
    services: Sequence[str],
    since: date,
    until: date,
    found: dict[tuple[str, str], dict[date, int]],
) -> None:
    columns = usage_day.c
    query = sa.select(columns.service, columns.day, columns.up_octets, columns.down_octets)
    query = query.where(among(conn, columns.service, services), columns.day >= since, columns.day < until)
    for service, day, up, down in conn.execute(query):
        found[service, "up"][day] += up
        found[service, "down"][day] += down
        found[service, "bytes"][day] += up + down


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
