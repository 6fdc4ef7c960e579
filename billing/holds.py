"""Nonpayment holds: which services may be held, the files that say so, and billing's own memory of them."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Literal, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.models import billing_change_set, nonpayment_hold
from core import clock, db
from intents import queue
from intents.dump import to_yaml
from intents.hold.schema import Hold
from intents.kinds import path_of
from intents.plan.schema import RatePair
from intents.reader import Reader
from intents.scalars import Rate

REASON = "nonpayment"
ACTOR = "billing"
MANUAL = "manual"
Effect = Literal["walled-garden", "block", "throttle"]


class Wanted(msgspec.Struct, frozen=True, order=True):
    """A hold that dunning wants: for debts due up to `debt_through`, because of invoice `cause`."""

    service: str
    account: str
    effect: str
    cause: str
    debt_through: date
    rate: tuple[str, str] | None = None


def type_of(reader: Reader, service: str) -> str:
    """The type of a service; nothing where it does not exist."""
    intent = reader.get("service", service)
    return "" if intent is None else str(intent.type)


def allowed_effect(reader: Reader, service: str, effect: str) -> str:
    """What the service's own protection makes of an effect: an effect, `manual`, or nothing at all.

    A missing, planned or ceased service is never held; `on-hold: manual` waits for a person. A walled garden is for
    Internet services; all others are blocked (`emergency-only` keeps emergency calls: AAA and devices see to it), and
    not throttled at all.
    """
    intent = reader.get("service", service)
    if intent is None or intent.state != "active":
        return ""
    if intent.on_hold == "manual":
        return MANUAL
    if intent.type == "internet":
        return effect
    return "" if effect == "throttle" else "block"


def hold_changes(conn: Connection, wanted: Iterable[Wanted], run_id: str) -> list[queue.Change]:
    """Files for holds. Each carries the fence's next version: a later release outruns it (invariant 31)."""
    changes = []
    for one in sorted(wanted):
        since = clock.now().replace(microsecond=0)
        rate = RatePair(down=Rate.parse(one.rate[0]), up=Rate.parse(one.rate[1])) if one.rate else None
        hold = Hold(effect=cast(Effect, one.effect), rate=rate, since=since, cause=one.cause, batch=run_id)
        changes.append(_change(conn, one.service, "put", to_yaml("hold", hold)))
    return changes


def release_changes(conn: Connection, services: Iterable[str]) -> list[queue.Change]:
    """Deletions of nonpayment holds, and of no other reason (invariant 32)."""
    return [_change(conn, service, "delete", None) for service in sorted(services)]


def submit(
    conn: Connection, changes: Sequence[queue.Change], purpose: str, cause: str, expect: int | None = None
) -> str:
    """Queue one change set of ours, remembering that it is ours."""
    set_id = queue.submit(
        conn, actor=ACTOR, reason=REASON, changes=changes, correlation=cause, expect=expect,
        urgent=purpose == "release",
    )  # fmt: skip
    own(conn, set_id, purpose, cause)
    return set_id


def own(conn: Connection, set_id: str, purpose: str, cause: str) -> None:
    """Remember that a change set is ours: what comes of it is known here before it is heard."""
    conn.execute(sa.insert(billing_change_set).values(set_id=set_id, purpose=purpose, cause=cause))


def is_ours(conn: Connection, set_id: str | None) -> bool:
    """Whether billing itself asked for a change set."""
    query = sa.select(billing_change_set.c.set_id).where(billing_change_set.c.set_id == set_id)
    return set_id is not None and conn.execute(query).first() is not None


def held(conn: Connection, accounts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What billing knows to be held, by service."""
    query = sa.select(nonpayment_hold)
    query = query.where(nonpayment_hold.c.account_id.in_(accounts), nonpayment_hold.c.held)
    return {row["service"]: dict(row) for row in conn.execute(query).mappings()}


def accounts_with_holds(conn: Connection) -> list[str]:
    """Accounts that have a held service."""
    query = sa.select(nonpayment_hold.c.account_id).where(nonpayment_hold.c.held).distinct()
    return list(conn.execute(query.order_by(nonpayment_hold.c.account_id)).scalars())


def remember(conn: Connection, wanted: Sequence[Wanted], set_id: str | None, run_id: str | None) -> None:
    """Write down holds that were asked for."""
    rows = [
        {
            "service": one.service, "account_id": one.account, "held": True,
            "effect": one.effect, "debt_through": one.debt_through,
            "actor": ACTOR, "set_id": set_id, "run_id": run_id, "changed_at": clock.now(), "event_seq": 0,
        }
        for one in wanted
    ]  # fmt: skip
    said = ["account_id", "held", "effect", "debt_through", "actor", "set_id", "run_id", "changed_at"]
    db.upsert(conn, nonpayment_hold, rows, ["service"], said)


def know(conn: Connection, service: str, account: str, debt_through: date, actor: str) -> None:
    """Write down a hold that was there before billing knew the service; it counts as somebody else's."""
    wanted = [Wanted(service, account, "", "", debt_through)]
    remember(conn, wanted, None, None)
    mine = nonpayment_hold.c.service == service
    conn.execute(sa.update(nonpayment_hold).where(mine).values(actor=actor))


def forget(conn: Connection, services: Iterable[str], set_id: str) -> None:
    """Write down that a change set lifts holds."""
    chosen = nonpayment_hold.c.service.in_(list(services))
    values = {"held": False, "set_id": set_id, "changed_at": clock.now()}
    conn.execute(sa.update(nonpayment_hold).where(chosen).values(**values))


def refused(conn: Connection, set_id: str) -> None:
    """A change set of ours did not land: what it asked for is not so, and the next run asks again."""
    query = sa.select(billing_change_set.c.purpose).where(billing_change_set.c.set_id == set_id)
    asked_to_hold = conn.execute(query).scalar() == "hold"
    stands = sa.and_(nonpayment_hold.c.set_id == set_id, nonpayment_hold.c.held.is_(asked_to_hold))
    conn.execute(sa.update(nonpayment_hold).where(stands).values(held=not asked_to_hold))


def _change(conn: Connection, service: str, op: queue.Op, content: bytes | None) -> queue.Change:
    name = f"{service}.{REASON}"
    key = f"hold:{name}"
    version = queue.bump_fence(conn, key)
    return queue.Change(
        path=path_of("hold", name), op=op, content=content, fence_key=key, fence_version=version
    )
