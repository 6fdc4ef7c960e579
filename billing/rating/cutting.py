"""Local days out of UTC days: where local midnight lies within one, what was counted by then is noted, once.

Accounting counts octets by UTC day and is not slowed down for the few services whose octets are billed. A job looks
every quarter of an hour: where a day has just begun, it copies what these services' UTC day has so far. One that comes
later than `TOLERANCE` notes nothing, and that UTC day counts whole, as it always did.
"""

from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from aaa.models import usage_day
from billing.agenda.moments import begins
from billing.models import account, subscription
from billing.periods import local_date
from billing.rating import running
from billing.rating.models import usage_cut, usage_cut_run
from core import clock, db, faults, jobs
from core.db import Database
from intents.reader import Reader

CUT = "billing.usage-cut"
TOLERANCE = timedelta(minutes=20)
"""So late a note may be: about as exact as interims are."""
KEPT = timedelta(days=400)
_QUARTER = timedelta(minutes=15)
_OCTETS = ("bytes", "down", "up")
P_CUT = faults.declare("billing.before_cut_commit")


def plans(reader: Reader) -> list[str]:
    """Plans whose octets are billed at some price."""
    return sorted(
        name for name, plan in reader.all("plan")
        if any(one.meter in _OCTETS for price in plan.prices for one in price.usage)
    )  # fmt: skip


def perform(database: Database, reader: Reader) -> int:
    """The job: cut where a day has just begun, and come again in the next quarter of an hour. Returns notes made."""
    made = cut(database, reader)
    with database.write() as conn:
        want(conn, reader)
    return made


def want(conn: Connection, reader: Reader) -> None:
    """Have days cut from the next quarter of an hour on, where any octets are billed; again adds nothing."""
    if not plans(reader):
        return
    now = clock.now()
    start = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0) + _QUARTER
    jobs.enqueue(conn, CUT, {}, unique=f"{CUT}:{start:%Y-%m-%dT%H:%M}", run_at=start)


def cut(database: Database, reader: Reader) -> int:
    """Note what was counted by local midnight in each zone whose day has just begun; again notes nothing more."""
    named = plans(reader)
    if not named:
        return 0
    now, made = clock.now(), 0
    with database.read() as conn:
        metered = running.candidates(conn, named)
        query = sa.select(account.c.timezone).where(account.c.id.in_(metered)).distinct()
        zones = list(conn.execute(query.order_by(account.c.timezone)).scalars())
    for zone in zones:
        day = local_date(now, zone)
        at = begins(day, zone)
        if at.time() == time() or not at <= now <= at + TOLERANCE:
            continue
        with database.write() as conn:
            made += _note(conn, named, zone, day, at)
            faults.point(P_CUT)
    return made


def _note(conn: Connection, named: list[str], zone: str, day: date, at: datetime) -> int:
    row = {"timezone": zone, "day": day, "cut_at": clock.now()}
    known = sa.and_(usage_cut_run.c.timezone == zone, usage_cut_run.c.day == day)
    if conn.execute(sa.select(usage_cut_run.c.day).where(known)).first() is not None:
        return 0
    db.upsert(conn, usage_cut_run, [row], ["timezone", "day"], [])
    mine = sa.select(subscription.c.service).join(account, account.c.id == subscription.c.account_id)
    mine = mine.where(subscription.c.left_on.is_(None), account.c.timezone == zone)
    mine = mine.where(account.c.id.in_(running.candidates(conn, named)))
    so_far = sa.select(
        usage_day.c.service, sa.literal(day, sa.Date), usage_day.c.up_octets, usage_day.c.down_octets
    )
    so_far = so_far.where(usage_day.c.day == at.date(), usage_day.c.service.in_(mine))
    columns = ["service", "day", "up_octets", "down_octets"]
    old = clock.now().date() - KEPT
    conn.execute(sa.delete(usage_cut).where(usage_cut.c.day < old))
    conn.execute(sa.delete(usage_cut_run).where(usage_cut_run.c.day < old))
    insert: Any = (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(usage_cut)
    conn.execute(insert.from_select(columns, so_far).on_conflict_do_nothing())
    noted = sa.select(sa.func.count()).select_from(usage_cut)
    return int(conn.execute(noted.where(usage_cut.c.day == day, usage_cut.c.service.in_(mine))).scalar_one())
