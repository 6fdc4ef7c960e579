"""Schedules: which slot of a plan is open in which time zone, as one recorded row for each pair.

A row for each service would be 100,000 rows at midnight; the view applies a plan's row to its services instead.
"""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from aaa.limits import store
from aaa.limits.limit import OPERATOR, PLAN, Limit
from aaa.limits.period import slot_at
from aaa.models import service_limit
from core.db import Database
from intents.reader import Reader


def open_slots(reader: Reader, now: datetime) -> list[Limit]:
    """The open slot of every plan with a schedule, in every time zone that has a site. Pure."""
    config = reader.get("config", "trunkline")
    home = str(config.operator.timezone) if config is not None else "UTC"
    zones = {str(site.timezone): str(site.timezone) for _id, site in reader.all("site") if site.timezone}
    zones[OPERATOR] = home
    return [
        Limit(PLAN + plan_id, name, "rate", int(slot.rate.down), int(slot.rate.up))
        for plan_id, plan in reader.all("plan")
        if plan.schedule
        for name, zone in sorted(zones.items())
        if (slot := slot_at(plan.schedule, zone, now)) is not None
    ]


def turn(db: Database, slots: Iterable[Limit]) -> int:
    """Make the recorded slots be these; returns how many opened, closed or changed."""
    wanted = {(one.service, one.cause): one for one in slots}
    with db.read() as conn:
        # ';' follows ':' in ASCII.
        of_plans = sa.and_(service_limit.c.service >= PLAN, service_limit.c.service < "plan;")
        rows = [store.limit_of(row) for row in conn.execute(sa.select(service_limit).where(of_plans))]
    there = {(one.service, one.cause): one for one in rows}
    if there == wanted:
        return 0
    with db.write() as conn:
        changed = store.put(conn, list(wanted.values()), "schedule")
        return changed + len(store.lift(conn, there.keys() - wanted.keys()))
