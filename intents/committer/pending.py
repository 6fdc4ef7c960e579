"""What waits in the queue, read in the order in which it may land."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from intents.models import change, change_set
from intents.states import State

MOST_SETS = 200
_CHUNK = 400


class Wanted(msgspec.Struct, frozen=True):
    """One change as it was queued."""

    change_id: str
    set_id: str
    path: str
    op: str
    content: bytes | None
    fence_key: str | None
    fence_version: int | None
    precondition: str | None

    @property
    def is_release(self) -> bool:
        """Whether it lifts a hold."""
        return self.op == "delete" and self.path.startswith("holds/")


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A queued change set."""

    set_id: str
    actor: str
    actor_kind: str
    approver: str | None
    reason: str
    correlation: str | None
    urgent: bool
    expect: int | None
    released_by: str | None
    changes: tuple[Wanted, ...]


def is_anything_queued(conn: Connection) -> bool:
    """Cheap: whether a committer has anything to do."""
    query = sa.select(change_set.c.seq).where(change_set.c.state == State.QUEUED.value).limit(1)
    return conn.execute(query).first() is not None


def queued(conn: Connection, most: int = MOST_SETS) -> list[Pending]:
    """The next sets: urgent ones first, then in order of arrival."""
    query = (
        sa.select(change_set)
        .where(change_set.c.state == State.QUEUED.value)
        .order_by(change_set.c.urgent.desc(), change_set.c.seq)
        .limit(most)
    )
    rows = list(conn.execute(query).mappings())
    changes = _changes(conn, [row["set_id"] for row in rows])
    return [_pending(row, changes.get(row["set_id"], [])) for row in rows]


def _changes(conn: Connection, sets: list[str]) -> dict[str, list[Wanted]]:
    columns = [change.c[name] for name in Wanted.__struct_fields__]
    found: dict[str, list[Wanted]] = {}
    query = sa.select(*columns).where(change.c.set_id.in_(sets), change.c.state == State.QUEUED.value)
    for row in conn.execute(query.order_by(change.c.set_id, change.c.position)):
        found.setdefault(row.set_id, []).append(Wanted(*row))
    return found


def _pending(row: Any, changes: list[Wanted]) -> Pending:
    names = [name for name in Pending.__struct_fields__ if name != "changes"]
    return Pending(**{name: row[name] for name in names}, changes=tuple(changes))
