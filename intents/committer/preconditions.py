"""Preconditions of a change against the tip: `absent`, `blob:<id>`, `after:<change>`, `mine`."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from intents.committer.pending import Wanted
from intents.committer.tip import Tip
from intents.models import change, change_set
from intents.states import State


class Earlier(NamedTuple):
    """A change that a precondition asks about."""

    change_id: str
    path: str
    state: str
    blob: str | None
    actor: str


class Wait(Exception):
    """The set stands behind a change that has not landed yet."""


def why_not(conn: Connection, tip: Tip, actor: str, one: Wanted) -> str | None:
    """Why the change's precondition does not hold; None when it does. Raises Wait."""
    asked, _, value = (one.precondition or "").partition(":")
    if not asked:
        return None
    now = tip.blob(one.path)
    if asked == "absent":
        return None if now is None else f"{one.path} exists already"
    if asked == "blob":
        return None if now == value else f"{one.path} has changed: it is {now or 'gone'}"
    if asked == "mine":
        return (
            None if now is None or _is_mine(conn, tip, actor, one.path, now) else f"{one.path} is not yours"
        )
    return _after(conn, tip, one, value, now)


def _is_mine(conn: Connection, tip: Tip, actor: str, path: str, now: str) -> bool:
    if path in tip.left:
        return tip.left[path].actor == actor
    found = last_landed(conn, path)
    return found is not None and found.actor == actor and found.blob == now


def _after(conn: Connection, tip: Tip, one: Wanted, change_id: str, now: str | None) -> str | None:
    if any(left.change_id == change_id for left in tip.left.values()):
        return None
    found = by_id(conn, change_id)
    if found is None or found.state in (State.REJECTED, State.CONFLICTED, State.PARKED):
        return f"change {change_id} has not landed: {found.state if found else 'unknown'}"
    if found.state in (State.QUEUED, State.BATCHED):
        raise Wait
    if found.state == State.LANDED and found.path == one.path and found.blob != now:
        return f"{one.path} has changed since change {change_id}"
    return None


def last_landed(conn: Connection, path: str) -> Earlier | None:
    """The newest landed change of a path."""
    return _first(
        conn,
        _QUERY.where(change.c.path == path, change.c.state == State.LANDED.value).order_by(
            change_set.c.landed_at.desc(), change_set.c.seq.desc()
        ),
    )


def by_id(conn: Connection, change_id: str) -> Earlier | None:
    """A change by its id."""
    return _first(conn, _QUERY.where(change.c.change_id == change_id))


_QUERY = sa.select(change.c.change_id, change.c.path, change.c.state, change.c.blob, change_set.c.actor).join(
    change_set, change_set.c.set_id == change.c.set_id
)


def _first(conn: Connection, query: Any) -> Earlier | None:
    row = conn.execute(query.limit(1)).first()
    return None if row is None else Earlier(*row)
