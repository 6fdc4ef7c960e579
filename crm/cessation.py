"""Ending a service: its file says `ceased`, its line too when nothing else uses it; then billing ends."""

from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, subscriptions
from billing.agenda import entries
from billing.offers.leaving import leaving
from core import clock, events
from core.db import upsert
from crm.errors import ServiceUnknown
from crm.models import cessation
from intents import queue
from intents.dump import to_yaml
from intents.kinds import path_of
from intents.reader import Reader
from inventory import allocation

ACTOR = "crm"
_RESTS = {"onu": "onu", "cvlan": "vlan", "pool": "address"}


def cease_service(conn: Connection, reader: Reader, service: str, *, actor: str) -> str:
    """Ask for the end of a service; returns the change set. Asking again answers the same.

    Its values rest for the repository's quarantine before they are given again. Raises ServiceUnknown.
    """
    known = conn.execute(sa.select(cessation).where(cessation.c.service == service)).first()
    if known is not None and known.state != "failed":
        return str(known.set_id)
    intent = reader.get("service", service)
    if intent is None:
        raise ServiceUnknown(service)
    line = _line_to_end(reader, service, intent.line)
    key = f"service:{service}"
    last = {"fence_key": key, "fence_version": queue.bump_fence(conn, key)}  # a change that waited is outrun
    changes = [msgspec.structs.replace(_ceased("service", service, intent), **last)]
    if line is not None:
        changes.append(_ceased("line", line, reader.get("line", line)))
    set_id = queue.submit(conn, actor=ACTOR, reason="cessation", changes=changes, correlation=service)
    row = {
        "service": service, "set_id": set_id, "state": "requested", "line": line, "rests": _rests(reader),
        "reason": None, "actor": actor, "requested_at": clock.now(),
    }  # fmt: skip
    upsert(conn, cessation, [row], ["service"])
    return set_id


def costs_today(conn: Connection, service: str) -> str:
    """What leaving today costs, in words; empty where it costs nothing or nobody bills the service."""
    if not subscriptions.is_billed(conn, service):
        return ""
    owner = accounts.get(conn, subscriptions.item(conn, service).account)
    return leaving(conn, service, owner.today)


def landed(conn: Connection, set_id: str) -> None:
    """The end is on trunk: values come to rest, billing ends."""
    row = _requested(conn, set_id)
    if row is None:
        return
    for owner in (row.service, row.line):
        if owner is not None:
            _release(conn, owner, row.rests)
    conn.execute(sa.update(cessation).where(cessation.c.service == row.service).values(state="done"))
    agreed = entries.by_set(conn, set_id)
    said = {"service": row.service, "on": None if agreed is None else str(agreed.due_on)}
    if agreed is not None and "replaced_by" in agreed.details:
        said["by"] = agreed.details["replaced_by"]
    events.emit(conn, "service.ceased", row.service, said, actor=ACTOR, unique=f"service.ceased:{set_id}")


def refused(conn: Connection, set_id: str, why: str) -> None:
    """The end cannot land: the service goes on."""
    row = _requested(conn, set_id)
    if row is not None:
        failed = {"state": "failed", "reason": why}
        conn.execute(sa.update(cessation).where(cessation.c.service == row.service).values(**failed))


def _requested(conn: Connection, set_id: str) -> Any:
    query = sa.select(cessation).where(cessation.c.set_id == set_id, cessation.c.state == "requested")
    return conn.execute(query).first()


def _line_to_end(reader: Reader, service: str, line: str | None) -> str | None:
    """The line, when no other service that is not ceased uses it."""
    if line is None or reader.get("line", line) is None:
        return None
    others = [
        name
        for kind, name in reader.referrers("line", line, "service")
        if (kind, name) != ("service", service)
    ]
    in_use = any(reader.get("service", name).state != "ceased" for name in others)
    return None if in_use else line


def _ceased(kind: str, identifier: str, value: Any) -> queue.Change:
    content = to_yaml(kind, msgspec.structs.replace(value, state="ceased"))
    return queue.Change(path=path_of(kind, identifier), content=content)


def _rests(reader: Reader) -> dict[str, int]:
    config = reader.get("config", "trunkline")
    return {scope: int(getattr(config.quarantine, name)) if config else 0 for scope, name in _RESTS.items()}


def _release(conn: Connection, owner: str, rests: dict[str, int]) -> None:
    for scope in allocation.owned(conn, owner):
        rest = timedelta(seconds=rests.get(scope.split(":", 1)[0], 0))
        allocation.release(conn, owner, rest, scope)
