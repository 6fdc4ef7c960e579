"""Holds of prepaid services that have lapsed: reason `prepaid`, which dunning never touches (invariant 32)."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import holds
from billing.models import billing_change_set
from billing.wallet.models import prepaid_service
from core import clock
from intents import queue
from intents.dump import to_yaml
from intents.hold.schema import Hold
from intents.kinds import path_of
from intents.reader import Reader

REASON = "prepaid"
MAY_NOT = (
    "billing may not set holds for 'prepaid': list the reason under identities/billing in trunkline.yaml; until then "
    "only RADIUS restricts lapsed services"
)
"""What is said where `may_hold` says no."""


def may_hold(reader: Reader) -> bool:
    """Whether the network repository lets billing set holds of this reason."""
    config = reader.get("config", "trunkline")
    if config is None:
        return True
    identity = config.identities.get(holds.ACTOR)
    return identity is not None and REASON in identity.reasons


def hold(
    conn: Connection, reader: Reader, lapsed: Sequence[Any], run: str, expect: int | None
) -> tuple[list[str], list[str], str | None]:
    """One change set for the lapsed services; returns those held, those left to a person, and the set."""
    changes, held, manual = [], [], []
    for row in sorted(lapsed, key=lambda one: str(one.service)):
        effect = holds.allowed_effect(reader, row.service, row.exhausted)
        if effect == holds.MANUAL:
            manual.append(row.service)
        elif effect:
            since = clock.now().replace(microsecond=0)
            file = Hold(effect=cast(holds.Effect, effect), since=since, cause="prepaid", batch=run)
            changes.append(_change(conn, row.service, "put", to_yaml("hold", file)))
            held.append(row.service)
    if not changes:
        return held, manual, None
    set_id = _submit(conn, changes, "hold", run, expect)
    _note(conn, held, True, set_id)
    return held, manual, set_id


def release(conn: Connection, services: Iterable[str], cause: str) -> tuple[str, ...]:
    """Lift the holds of these services in the caller's transaction; returns the change sets."""
    named = sorted(set(services))
    if not named:
        return ()
    changes = [_change(conn, service, "delete", None) for service in named]
    set_id = _submit(conn, changes, "release", cause, None)
    _note(conn, named, False, set_id)
    return (set_id,)


def refused(conn: Connection, set_id: str) -> None:
    """A change set of ours did not land: what it asked for is not so, and the next run asks again."""
    query = sa.select(billing_change_set.c.purpose).where(billing_change_set.c.set_id == set_id)
    asked_to_hold = conn.execute(query).scalar() == "hold"
    mine = prepaid_service.c.set_id == set_id
    conn.execute(sa.update(prepaid_service).where(mine).values(held=not asked_to_hold))


def heard(conn: Connection, service: str, *, held: bool, set_id: str | None) -> None:
    """Somebody else set or lifted such a hold; one that was lifted is not set again for this lapse."""
    if holds.is_ours(conn, set_id):
        return
    mine = prepaid_service.c.service == service
    conn.execute(sa.update(prepaid_service).where(mine).values(held=held, lifted=not held))


def _submit(
    conn: Connection, changes: Sequence[queue.Change], purpose: str, cause: str, expect: int | None
) -> str:
    set_id = queue.submit(
        conn, actor=holds.ACTOR, reason=REASON, changes=changes, correlation=cause, expect=expect,
        urgent=purpose == "release",
    )  # fmt: skip
    conn.execute(sa.insert(billing_change_set).values(set_id=set_id, purpose=purpose, cause=cause))
    return set_id


def _note(conn: Connection, services: Sequence[str], held: bool, set_id: str) -> None:
    chosen = prepaid_service.c.service.in_(services)
    conn.execute(sa.update(prepaid_service).where(chosen).values(held=held, set_id=set_id))


def _change(conn: Connection, service: str, op: queue.Op, content: bytes | None) -> queue.Change:
    name = f"{service}.{REASON}"
    key = f"hold:{name}"
    version = queue.bump_fence(conn, key)
    return queue.Change(
        path=path_of("hold", name), op=op, content=content, fence_key=key, fence_version=version
    )
