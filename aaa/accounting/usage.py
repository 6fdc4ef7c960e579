"""What services used: octets by UTC day, and by month once the days are old.

A record's octets belong to the UTC day of its moment: a session across midnight is split by its interims.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import usage_day, usage_month

_CHUNK = 500
Day = date | datetime


class Used(msgspec.Struct, frozen=True):
    """Octets of the subscriber's upload and download."""

    up: int = 0
    down: int = 0

    @property
    def total(self) -> int:
        """Both."""
        return self.up + self.down


def between(conn: Connection, service: str, since: Day, until: Day | None = None) -> Used:
    """Octets from the UTC day of `since` on and before the day of `until` (None: up to now).

    A month that was rolled up counts whole, and only when its first day is within.
    """
    return usage_of(conn, [service], since, until).get(service, Used())


def usage_of(
    conn: Connection, services: Iterable[str], since: Day, until: Day | None = None
) -> dict[str, Used]:
    """The same of many services at once; a service without usage is not in the answer."""
    wanted, found = sorted(set(services)), defaultdict[str, list[int]](lambda: [0, 0])
    for table, column in ((usage_day, usage_day.c.day), (usage_month, usage_month.c.month)):
        within = column >= _day(since)
        if until is not None:
            within = sa.and_(within, column < _day(until))
        for start in range(0, len(wanted), _CHUNK):
            chosen = sa.select(
                table.c.service, sa.func.sum(table.c.up_octets), sa.func.sum(table.c.down_octets)
            )
            chosen = chosen.where(table.c.service.in_(wanted[start : start + _CHUNK]), within)
            for service, up, down in conn.execute(chosen.group_by(table.c.service)):
                found[service][0] += int(up)
                found[service][1] += int(down)
    return {service: Used(up, down) for service, (up, down) in found.items()}


def by_day(conn: Connection, service: str, since: Day, until: Day | None = None) -> list[tuple[date, Used]]:
    """Each day's octets, the oldest first; days without any are not there."""
    chosen = sa.select(usage_day).where(usage_day.c.service == service, usage_day.c.day >= _day(since))
    if until is not None:
        chosen = chosen.where(usage_day.c.day < _day(until))
    rows = conn.execute(chosen.order_by(usage_day.c.day))
    return [(row.day, Used(row.up_octets, row.down_octets)) for row in rows]


def by_month(conn: Connection, service: str) -> list[tuple[date, Used]]:
    """Each month's octets by its first day, the oldest first: rolled-up months and those that still have days."""
    found = defaultdict[date, list[int]](lambda: [0, 0])
    for row in conn.execute(sa.select(usage_month).where(usage_month.c.service == service)):
        found[row.month][0] += row.up_octets
        found[row.month][1] += row.down_octets
    for day, used in by_day(conn, service, date.min):
        found[day.replace(day=1)][0] += used.up
        found[day.replace(day=1)][1] += used.down
    return [(month, Used(*found[month])) for month in sorted(found)]


def _day(moment: Day) -> date:
    return moment.astimezone(UTC).date() if isinstance(moment, datetime) else moment
