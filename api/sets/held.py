"""What guards hold back, whoever sent it: change sets of the queue, and people's commits. One list, one yes."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import Connection

from core import events
from intents.committer import drop, parked, release
from intents.index import held
from intents.models import change, change_set


class Held(BaseModel):
    """Something that waits. `count` is what a person repeats to let it pass."""

    id: str
    what: str
    actor: str
    reason: str
    guard: str
    count: int
    limit: int
    correlation: str | None
    created_at: datetime


def waiting(conn: Connection) -> list[Held]:
    """Everything that waits, oldest first."""
    sets = [_set(row) for row in parked(conn)]
    return sorted(sets + [_commit(row) for row in held.held(conn)], key=lambda one: one.created_at)


def let_pass(conn: Connection, name: str, actor: str, expect: int) -> None:
    """Release a change set or commit. Raises ChangeSetMissing, NotParked, CountMismatch, NotHeld."""
    if _is_set(name):
        release(conn, name, actor, expect)
    else:
        held.release_commit(conn, name, actor, expect)
    events.emit(conn, "guard.released", name, {"expect": expect}, actor=actor)


def refuse(conn: Connection, name: str, actor: str) -> None:
    """Drop a change set or commit for good. Raises ChangeSetMissing, NotParked, NotHeld."""
    if _is_set(name):
        drop(conn, name, actor)
    else:
        held.drop_commit(conn, name, actor)
    events.emit(conn, "guard.dropped", name, {}, actor=actor)


def changes(conn: Connection, set_id: str, limit: int = 200) -> list[dict[str, Any]]:
    """The first changes of a set: path, op, state, why."""
    columns = (change.c.path, change.c.op, change.c.state, change.c.why)
    query = sa.select(*columns).where(change.c.set_id == set_id).order_by(change.c.position).limit(limit)
    return [dict(row) for row in conn.execute(query).mappings()]


def count_of(conn: Connection, set_id: str) -> int:
    """How many changes a set has."""
    query = sa.select(sa.func.count()).select_from(change).where(change.c.set_id == set_id)
    return int(conn.execute(query).scalar() or 0)


def set_row(conn: Connection, set_id: str) -> dict[str, Any] | None:
    """A change set as a row."""
    row = conn.execute(sa.select(change_set).where(change_set.c.set_id == set_id)).mappings().first()
    return None if row is None else dict(row)


def _is_set(name: str) -> bool:
    return name.startswith("set_")


def _set(row: dict[str, Any]) -> Held:
    return Held(
        id=row["set_id"], what="change set", actor=row["actor"], reason=row["reason"],
        correlation=row["correlation"], created_at=row["created_at"], **_guard(row["guard"]),
    )  # fmt: skip


def _commit(row: dict[str, Any]) -> Held:
    return Held(
        id=row["commit_id"], what="commit", actor="", reason=f"{len(row['paths'])} paths", correlation=None,
        created_at=row["created_at"], **_guard(row["guard"]),
    )  # fmt: skip


def _guard(guard: dict[str, Any]) -> dict[str, Any]:
    return {name: guard[name] for name in ("guard", "count", "limit")}
