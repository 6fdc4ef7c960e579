"""Parked change sets: what a guard held back, until a person releases or drops it."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.errors import Terminal
from intents import transitions
from intents.models import change_set
from intents.queue import ChangeSetMissing
from intents.states import State


class NotParked(Terminal):
    """The set does not wait for a person."""

    def __init__(self, set_id: str, state: str) -> None:
        super().__init__(f"change set {set_id} is not parked: it is {state}")


class CountMismatch(Terminal):
    """A person said yes to another number than what waits."""

    def __init__(self, set_id: str, expected: int, count: int) -> None:
        super().__init__(
            f"change set {set_id} would do {count}, not {expected}; look at it and repeat the count"
        )


def parked(conn: Connection) -> list[dict[str, Any]]:
    """Every parked set: set_id, actor, reason, correlation, guard {guard, count, limit, commit}, created_at."""
    columns = [change_set.c[name] for name in _SHOWN]
    query = sa.select(*columns).where(change_set.c.state == State.PARKED.value).order_by(change_set.c.seq)
    return [dict(row) for row in conn.execute(query).mappings()]


def release(conn: Connection, set_id: str, actor: str, expect: int) -> None:
    """Let a parked set pass its guards: it queues again. `expect` repeats its count.

    Raises ChangeSetMissing, NotParked, CountMismatch.
    """
    guard = _parked(conn, set_id)
    if guard["count"] != expect:
        raise CountMismatch(set_id, expect, guard["count"])
    transitions.move(conn, set_id, State.QUEUED, released_by=actor)


def drop(conn: Connection, set_id: str, actor: str) -> None:
    """Refuse a parked set for good. Raises ChangeSetMissing, NotParked."""
    _parked(conn, set_id)
    problem = {"code": "guard.dropped", "severity": "error", "message": f"dropped by {actor}"}
    transitions.move(conn, set_id, State.REJECTED, problems=[problem])


def _parked(conn: Connection, set_id: str) -> dict[str, Any]:
    row = conn.execute(sa.select(change_set).where(change_set.c.set_id == set_id)).mappings().first()
    if row is None:
        raise ChangeSetMissing(set_id)
    if row["state"] != State.PARKED.value:
        raise NotParked(set_id, row["state"])
    return dict(row["guard"])


_SHOWN = ("set_id", "actor", "reason", "correlation", "guard", "created_at", "urgent")
