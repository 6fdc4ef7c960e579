"""Record what was decided and what happened: every function here is one step of one transaction."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, ids
from intents import transitions
from intents.committer.decide import Verdict
from intents.models import change_batch, change_set
from intents.states import State


def settle(conn: Connection, verdict: Verdict, commit: str | None = None) -> None:
    """Write a verdict: the changes pushed aside, then the set's state with its reasons and its event."""
    set_id = verdict.pending.set_id
    transitions.supersede(conn, list(verdict.aside.items()))
    transitions.record_blobs(conn, verdict.blobs.items())
    values: dict[str, Any] = {}
    if verdict.problems:
        values["problems"] = [msgspec.to_builtins(problem) for problem in verdict.problems]
    if verdict.tripped:
        values["guard"] = msgspec.to_builtins(verdict.tripped) | {"commit": commit}
    elif commit:
        values["commit_id"] = commit
    transitions.move(conn, set_id, verdict.state, **values)
    if verdict.is_release_lost:
        transitions.page(conn, set_id, f"a release did not land: {verdict.state.value}")


def open_batch(conn: Connection, batch_id: str, parent: str, commit: str, sets: Sequence[str]) -> None:
    """The row that says: these sets are in this commit, which may become trunk."""
    conn.execute(
        sa.insert(change_batch).values(
            batch_id=batch_id,
            parent=parent,
            commit_id=commit,
            state="recorded",
            sets=list(sets),
            created_at=clock.now(),
        )
    )
    conn.execute(sa.update(change_set).where(change_set.c.set_id.in_(list(sets))).values(batch_id=batch_id))


def land_batch(conn: Connection, batch_id: str) -> int:
    """The batch is in trunk: its sets have landed. Returns how many."""
    return _close(conn, batch_id, "landed", State.LANDED)


def abandon_batch(conn: Connection, batch_id: str) -> int:
    """The batch is not in trunk and never will be: its sets queue again."""
    return _close(conn, batch_id, "abandoned", State.QUEUED)


def open_batches(conn: Connection) -> list[Any]:
    """Batches whose end nobody wrote down."""
    query = sa.select(change_batch).where(change_batch.c.state == "recorded")
    return list(conn.execute(query.order_by(change_batch.c.created_at)))


def new_batch() -> str:
    """A batch's id."""
    return ids.new_id("bat")


def _close(conn: Connection, batch_id: str, state: str, target: State) -> int:
    row = conn.execute(sa.select(change_batch).where(change_batch.c.batch_id == batch_id)).one()
    conn.execute(sa.update(change_batch).where(change_batch.c.batch_id == batch_id).values(state=state))
    values: dict[str, Any] = {} if target is State.LANDED else {"commit_id": None, "batch_id": None}
    for set_id in row.sets:
        transitions.move(conn, set_id, target, **values)
    return len(row.sets)
