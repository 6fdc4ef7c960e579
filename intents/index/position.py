"""Where the index stands, and moving it: compare-and-set, so that two indexers can never both apply a commit."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.errors import Retryable
from intents.index.models import index_change, index_state


class Position(NamedTuple):
    """Indexed up to `commit` (None: nothing yet); `status` is following or stopped with its reason."""

    commit: str | None
    status: str
    reason: str | None
    why: str | None
    generation: str


class IndexChange(NamedTuple):
    """One entry of the sequence that followers read."""

    seq: int
    commit: str
    path: str
    kind: str
    id: str
    op: str
    blob: str | None


class IndexMovedOn(Retryable):
    """Another indexer applied this commit first."""

    def __init__(self, commit: str | None) -> None:
        super().__init__(f"the index no longer stands at {commit}; reading its position again")


def position(conn: Connection) -> Position:
    """Where the index stands."""
    row = conn.execute(sa.select(index_state)).one()
    return Position(row.commit_id, row.status, row.reason, row.why, row.generation)


def advance(conn: Connection, old: str | None, new: str) -> None:
    """Move from `old` to `new` in the transaction of its rows. Raises IndexMovedOn."""
    same = index_state.c.commit_id.is_(None) if old is None else index_state.c.commit_id == old
    values = {"commit_id": new, "status": "following", "reason": None, "why": None}
    if conn.execute(sa.update(index_state).where(same).values(**values)).rowcount != 1:
        raise IndexMovedOn(old)


def stop(conn: Connection, reason: str, why: str) -> None:
    """Say that the index does not follow trunk any more, and why."""
    conn.execute(sa.update(index_state).values(status="stopped", reason=reason, why=why))


def resume(conn: Connection) -> None:
    """Follow again."""
    conn.execute(sa.update(index_state).values(status="following", reason=None, why=None))


def last_seq(conn: Connection) -> int:
    """The newest sequence number; 0 before the first."""
    return int(conn.execute(sa.select(sa.func.max(index_change.c.seq))).scalar() or 0)


def changes_after(conn: Connection, seq: int, limit: int = 1000) -> list[IndexChange]:
    """The next entries after `seq`, in order."""
    columns = [index_change.c[name] for name in ("seq", "commit_id", "path", "kind", "id", "op", "blob")]
    query = sa.select(*columns).where(index_change.c.seq > seq).order_by(index_change.c.seq).limit(limit)
    return [IndexChange(*row) for row in conn.execute(query)]
