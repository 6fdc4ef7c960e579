"""Moving change sets from state to state, with the event in the same transaction."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, events
from core.errors import Terminal
from intents.models import change, change_set
from intents.states import State, sources_of

_CHUNK = 400
_TOLD = {State.LANDED, State.PARKED, State.REJECTED, State.CONFLICTED, State.SUPERSEDED}
_MOST_PATHS = 50


class TransitionRefused(Terminal):
    """A change set is no longer in a state from which it may move: another writer was here."""

    def __init__(self, set_id: str, target: State) -> None:
        super().__init__(f"change set {set_id} cannot become {target.value} from the state that it is in now")


def move(conn: Connection, set_id: str, target: State, **values: Any) -> None:
    """Move one set and its live changes to `target`; emits `changeset.<state>`. Raises TransitionRefused."""
    if target is State.LANDED:
        values.setdefault("landed_at", clock.now())
    done = conn.execute(
        sa.update(change_set)
        .where(change_set.c.set_id == set_id, change_set.c.state.in_(sources_of(target)))
        .values(state=target.value, **values)
    )
    if done.rowcount != 1:
        raise TransitionRefused(set_id, target)
    conn.execute(
        sa.update(change)
        .where(change.c.set_id == set_id, change.c.state.in_(sources_of(target)))
        .values(state=target.value)
    )
    if target in _TOLD:
        _tell(conn, set_id, target)


def supersede(conn: Connection, changes: Sequence[tuple[str, str]]) -> None:
    """Mark single changes (id, why) as superseded by a higher version."""
    for change_id, why in changes:
        conn.execute(
            sa.update(change)
            .where(change.c.change_id == change_id)
            .values(state=State.SUPERSEDED.value, why=why)
        )


def record_blobs(conn: Connection, blobs: Iterable[tuple[str, str | None]]) -> None:
    """Remember what each change (id, blob) leaves at its path: `mine` and `after:` ask for it."""
    rows = [{"key": change_id, "left": blob} for change_id, blob in blobs]
    statement = (
        sa.update(change).where(change.c.change_id == sa.bindparam("key")).values(blob=sa.bindparam("left"))
    )
    for start in range(0, len(rows), _CHUNK):
        conn.execute(statement, rows[start : start + _CHUNK])


def page(conn: Connection, set_id: str, why: str) -> None:
    """Ask for a person: a release could not land."""
    one = _set(conn, set_id)
    events.emit(
        conn,
        "changeset.page",
        set_id,
        {"set_id": set_id, "why": why, "reason": one["reason"]},
        actor=one["actor"],
        correlation=one["correlation"],
    )


def _tell(conn: Connection, set_id: str, target: State) -> None:
    one = _set(conn, set_id)
    paths = sa.select(change.c.path).where(change.c.set_id == set_id).order_by(change.c.position)
    count = conn.execute(sa.select(sa.func.count()).where(change.c.set_id == set_id)).scalar_one()
    told = {
        "set_id": set_id,
        "reason": one["reason"],
        "commit": one["commit_id"],
        "changes": count,
        "paths": list(conn.execute(paths.limit(_MOST_PATHS)).scalars()),
        "guard": one["guard"],
        "problems": one["problems"] or [],
    }
    events.emit(
        conn,
        f"changeset.{target.value}",
        set_id,
        told,
        actor=one["actor"],
        correlation=one["correlation"],
        revision=one["commit_id"],
    )


def _set(conn: Connection, set_id: str) -> Any:
    return conn.execute(sa.select(change_set).where(change_set.c.set_id == set_id)).mappings().one()
