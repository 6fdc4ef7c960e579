"""Counting: usage of metered services against their quotas. A pass costs what changed since the last one.

Accounting leaves the octets of a batch in `usage_change`; here they are taken out, added up by period and judged, in
one transaction: counted once, whatever dies in between.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.limits import quota, store, vouchers
from aaa.limits.limit import FAIR_USE, PREPAID, VOUCHER_ID, Limit
from aaa.limits.period import bounds
from aaa.limits.quota import Use
from aaa.models import quota_grant, usage_change
from core import clock, events, faults
from core.db import Database
from intents.index.reader import IndexReader
from intents.reader import Reader

ReaderFactory = Callable[[], AbstractContextManager[Reader]]
COUNTED = faults.declare("limits.counted")

_AT_ONCE = 1000
_WARN = 80


class Change(msgspec.Struct, frozen=True):
    """What a service used in one accounting batch."""

    seq: int
    service: str
    at: datetime
    up: int
    down: int
    seconds: int
    ended: bool


class Meter(msgspec.Struct, frozen=True):
    """How a service is metered: its plan, and the time zone in which its periods begin."""

    plan: Any
    zone: str


def count_once(db: Database, reader_factory: ReaderFactory) -> int:
    """Count what waits, at most 1,000 changes; returns how many. Raises what the databases raise."""
    now = clock.now()
    with db.read() as conn:
        waiting = sa.select(usage_change).where(usage_change.c.at <= now).order_by(usage_change.c.seq)
        rows = conn.execute(waiting.limit(_AT_ONCE)).all()
    if not rows:
        return 0
    # The index is another database: it is read before the transaction begins.
    with reader_factory() as reader:
        meters = meters_of(reader, {row.service for row in rows})
    with db.write() as conn:
        mine = usage_change.c.seq.in_([row.seq for row in rows])
        taken = set(conn.scalars(sa.delete(usage_change).where(mine).returning(usage_change.c.seq)))
        changes = [Change(*row) for row in rows if row.seq in taken]
        settle(conn, changes, meters, now)
        faults.point(COUNTED)
    return len(rows)


def meters_of(reader: Reader, services: Iterable[str]) -> dict[str, Meter]:
    """The metered ones among these services; a few questions, however many they are."""
    wanted = sorted(one for one in services if not one.startswith(VOUCHER_ID))
    config = reader.get("config", "trunkline")
    home = str(config.operator.timezone) if config is not None else "UTC"
    many = reader.many("service", wanted) if isinstance(reader, IndexReader) else {}
    found = {}
    for name in wanted:
        service = many.get(name) or reader.get("service", name)
        plan = reader.get("plan", service.plan) if service is not None else None
        if plan is not None and (plan.fair_use is not None or plan.prepaid is not None):
            found[name] = Meter(plan, home)
    return found


def settle(conn: Connection, changes: Iterable[Change], meters: Mapping[str, Meter], now: datetime) -> None:
    """Add the changes up and make the limits say what follows, in the caller's transaction."""
    by_service: dict[str, list[Change]] = {}
    for one in changes:
        by_service.setdefault(one.service, []).append(one)
    fair = {name: meter for name, meter in meters.items() if meter.plan.fair_use and name in by_service}
    paid = [name for name, meter in meters.items() if meter.plan.prepaid and name in by_service]
    store.take_turn(conn)
    _fair_use(conn, by_service, fair, now)
    _prepaid(conn, {name: by_service[name] for name in paid}, now)
    _vouchers(conn, {name: found for name, found in by_service.items() if name.startswith(VOUCHER_ID)}, now)


def _fair_use(
    conn: Connection, by_service: Mapping[str, list[Change]], meters: Mapping[str, Meter], now: datetime
) -> None:
    if not meters:
        return
    anchors = _anchors(conn, meters)
    oldest = min(one.at for name in meters for one in by_service[name])
    used, extra = quota.uses(conn, meters, FAIR_USE, oldest), quota.grants(conn, meters, FAIR_USE, now)
    changed: dict[tuple[str, datetime], Use] = {}
    limits, lifted = [], []
    for name, meter in sorted(meters.items()):
        for one in by_service[name]:
            start, end = _period(meter, anchors.get(name, []), one.at)
            use = used.setdefault((name, start), Use(start, end))
            use.up, use.down, use.end = use.up + one.up, use.down + one.down, end
            changed[name, start] = use
        start, end = _period(meter, anchors.get(name, []), now)
        use = used.get((name, start)) or Use(start, end)
        rule = meter.plan.fair_use
        allowed = int(rule.quota) + sum(one.octets for one in extra.get(name, []) if start <= one.start < end)
        reached = level(use.counted(rule.count), allowed)
        if reached != use.told:
            _tell(conn, name, FAIR_USE, reached, use, allowed) if reached > use.told else None
            use.told = reached
            changed[name, start] = use
        if reached == 100:
            rates = int(rule.then.down), int(rule.then.up)
            limits.append(Limit(name, FAIR_USE, "rate", *rates, until=int(end.timestamp())))
        else:
            lifted.append((name, FAIR_USE))
    quota.keep_uses(conn, FAIR_USE, changed)
    store.put(conn, limits, "aaa")
    store.lift(conn, lifted)


def level(used: int, allowed: int) -> int:
    """0, 80 or 100: the per cent of a quota that is passed. Pure."""
    return 100 if used >= allowed else _WARN if used * 100 >= allowed * _WARN else 0


def _prepaid(conn: Connection, by_service: Mapping[str, list[Change]], now: datetime) -> None:
    if not by_service:
        return
    held = quota.grants(conn, by_service, PREPAID, now)
    used = quota.apart(quota.uses(conn, by_service, PREPAID, now))
    changed: dict[tuple[str, datetime], Use] = {}
    ended = []
    for name, found in sorted(by_service.items()):
        own = used.get(name, {})
        for one in found:
            quota.spend(held.get(name, []), own, (one.up, one.down), one.seconds, now)
        changed |= {(name, start): use for start, use in own.items()}
        _warn(conn, name, held.get(name, []), own, now)
        # Seconds left are told to the next login: while a session lives they change with every interim.
        if any(one.ended for one in found) or not quota.left(held.get(name, []), own, now):
            ended.append(name)
    quota.keep_uses(conn, PREPAID, changed)
    for name in quota.renew_credit(conn, ended):
        events.emit(conn, "quota.crossed", name, {"kind": PREPAID, "percent": 100}, actor="aaa")


def _vouchers(conn: Connection, by_voucher: Mapping[str, list[Change]], now: datetime) -> None:
    counted = {
        name: Use(
            now, None, *(sum(getattr(one, what) for one in found) for what in ("up", "down", "seconds"))
        )
        for name, found in by_voucher.items()
    }
    stopped = [name for name, found in by_voucher.items() if any(one.ended for one in found)]
    vouchers.spend(conn, counted, stopped)


def _warn(
    conn: Connection, name: str, held: list[quota.Grant], own: dict[datetime, Use], now: datetime
) -> None:
    """80 per cent of everything that is granted now, told once for the grant that began last."""
    begun = [one for one in held if one.start <= now]
    octets = sum(one.octets for one in begun)
    if not octets or any(not one.octets for one in begun):
        return
    spent = sum(own[one.start].counted("total") for one in begun if one.start in own)
    last = max(begun, key=lambda one: one.start)
    use = own.setdefault(last.start, Use(last.start, last.end))
    if level(spent, octets) >= _WARN and use.told < _WARN:
        use.told = _WARN
        data = {"kind": PREPAID, "percent": _WARN, "used": spent, "quota": octets}
        events.emit(conn, "quota.crossed", name, data, actor="aaa")


def _tell(conn: Connection, name: str, kind: str, percent: int, use: Use, allowed: int) -> None:
    data = {
        "kind": kind, "percent": percent, "used": use.counted("total"), "quota": allowed,
        "period_end": use.end.isoformat() if use.end else None,
    }  # fmt: skip
    events.emit(conn, "quota.crossed", name, data, actor="aaa")


def _anchors(conn: Connection, meters: Mapping[str, Meter]) -> dict[str, list[tuple[datetime, datetime]]]:
    """Billing periods that billing wrote, by service: of those whose quota follows them."""
    wanted = sorted(name for name, meter in meters.items() if meter.plan.fair_use.period == "billing")
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for begin in range(0, len(wanted), 300):
        mine = quota_grant.c.service.in_(wanted[begin : begin + 300])
        for row in conn.execute(sa.select(quota_grant).where(mine, quota_grant.c.kind == "billing")):
            found.setdefault(row.service, []).append((row.period_start, row.period_end))
    return found


def _period(
    meter: Meter, anchors: list[tuple[datetime, datetime]], moment: datetime
) -> tuple[datetime, datetime]:
    holding = [one for one in anchors if one[0] <= moment < one[1]]
    return max(holding) if holding else bounds(meter.plan.fair_use.period, meter.zone, moment)
