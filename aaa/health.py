"""How logins go and how many sessions live, by NAS: what a gate compares with its baseline after a change."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import access_minute, session_open
from core.db import upsert_add

_KEEP = timedelta(days=8)


class Logins(msgspec.Struct, frozen=True):
    """Logins in a span of time. `rate` is None without any: no login is no evidence."""

    accepted: int
    refused: int

    @property
    def rate(self) -> float | None:
        """Accepted of all, 0 to 1."""
        total = self.accepted + self.refused
        return self.accepted / total if total else None


def logins(conn: Connection, since: datetime, until: datetime, nas: str | None = None) -> Logins:
    """Logins in whole minutes from `since` on and before `until`, of one NAS or of all."""
    chosen = sa.select(sa.func.sum(access_minute.c.accepted), sa.func.sum(access_minute.c.refused))
    chosen = chosen.where(access_minute.c.minute >= since, access_minute.c.minute < until)
    if nas is not None:
        chosen = chosen.where(access_minute.c.nas == nas)
    accepted, refused = conn.execute(chosen).one()
    return Logins(int(accepted or 0), int(refused or 0))


def live_sessions(conn: Connection) -> dict[str, int]:
    """Open sessions by NAS (device id)."""
    chosen = sa.select(session_open.c.nas, sa.func.count()).group_by(session_open.c.nas)
    return {nas: int(count) for nas, count in conn.execute(chosen)}


def count_logins(conn: Connection, counted: Mapping[tuple[str, bool], int], moment: datetime) -> None:
    """Add (NAS, accepted?) -> number to the minute of `moment`; workers and nodes add up."""
    accepted = Counter({nas: number for (nas, good), number in counted.items() if good})
    refused = Counter({nas: number for (nas, good), number in counted.items() if not good})
    minute = moment.replace(second=0, microsecond=0)
    rows = [
        {"nas": nas, "minute": minute, "accepted": accepted[nas], "refused": refused[nas]}
        for nas in sorted(accepted.keys() | refused.keys())
    ]
    upsert_add(conn, access_minute, rows, ["nas", "minute"], ["accepted", "refused"])


def forget_logins(conn: Connection, now: datetime) -> int:
    """Delete counts older than eight days: a week's baseline stays. Returns how many."""
    return conn.execute(sa.delete(access_minute).where(access_minute.c.minute < now - _KEEP)).rowcount
