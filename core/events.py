"""Events: what happened, committed with it, and delivered at least once to whoever subscribed.

`@on("hold.removed")` registers a subscriber `(db, Event)`; delivery goes through a job per subscriber, so a
failing subscriber is retried alone. Subscribers must be idempotent.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock
from core.db import Database, insert_many, upsert
from core.ids import new_id
from core.models import event

DELIVERY = "event.deliver"
_SUBSCRIBERS: dict[str, dict[str, "Subscriber"]] = {}


class Event(msgspec.Struct, frozen=True):
    """`{id, type, version, occurred_at, subject, revision, correlation, actor, data}`."""

    id: str
    type: str
    occurred_at: datetime
    subject: str
    actor: str
    data: dict[str, Any]
    version: int = 1
    revision: str | None = None
    correlation: str | None = None
    seq: int = 0


Subscriber = Callable[[Database, Event], None]


def on(type_: str) -> Callable[[Subscriber], Subscriber]:
    """Register the decorated function for a type of event; its dotted name identifies the subscription."""

    def register(subscriber: Subscriber) -> Subscriber:
        name = f"{subscriber.__module__}.{subscriber.__qualname__}"
        _SUBSCRIBERS.setdefault(type_, {})[name] = subscriber
        return subscriber

    return register


def emit(
    conn: Connection,
    type_: str,
    subject: str,
    data: dict[str, Any],
    *,
    actor: str,
    correlation: str | None = None,
    revision: str | None = None,
    unique: str | None = None,
) -> str | None:
    """Record an event in the caller's transaction and queue its deliveries.

    With `unique`, an event of that key that is already recorded is not recorded again. Returns its id, or None.
    """
    if unique is not None and _recorded(conn, unique):
        return None
    identifier = new_id("evt")
    row = {
        "event_id": identifier, "type": type_, "version": 1, "occurred_at": clock.now(), "subject": subject,
        "revision": revision, "correlation": correlation, "actor": actor, "data": data, "unique_key": unique,
    }  # fmt: skip
    if unique is None:
        conn.execute(sa.insert(event).values(**row))
    else:  # another process may record it at this very moment
        upsert(conn, event, [row], ["unique_key"], [])
        query = sa.select(event.c.event_id).where(event.c.unique_key == unique)
        if conn.execute(query).scalar() != identifier:
            return None
    _queue_deliveries(conn, type_, identifier, correlation)
    return identifier


def emit_many(
    conn: Connection, type_: str, happened: Iterable[tuple[str, dict[str, Any], str | None]], *, actor: str
) -> None:
    """The same for many (subject, data, revision) of one type: one statement for all of them."""
    moment = clock.now()
    rows = [
        {
            "event_id": new_id("evt"), "type": type_, "version": 1, "occurred_at": moment, "subject": subject,
            "revision": revision, "correlation": None, "actor": actor, "data": data, "unique_key": None,
        }
        for subject, data, revision in happened
    ]  # fmt: skip
    insert_many(conn, event, rows)
    for row in rows:
        _queue_deliveries(conn, type_, str(row["event_id"]), None)


def _recorded(conn: Connection, unique: str) -> bool:
    return conn.execute(sa.select(event.c.seq).where(event.c.unique_key == unique)).first() is not None


def _queue_deliveries(conn: Connection, type_: str, identifier: str, correlation: str | None) -> None:
    from core import jobs  # jobs emits events: the import at the top would be a circle

    for name in _SUBSCRIBERS.get(type_, {}):
        payload = {"event": identifier, "subscriber": name}
        jobs.enqueue(conn, DELIVERY, payload, unique=f"{identifier}>{name}", correlation=correlation)


def deliver(db: Database, payload: dict[str, Any]) -> None:
    """Hand one recorded event to one subscriber (the handler of the delivery job)."""
    with db.read() as conn:
        row = conn.execute(sa.select(event).where(event.c.event_id == payload["event"])).first()
    if row is None:
        return
    found = from_row(row)
    subscriber = _SUBSCRIBERS.get(found.type, {}).get(payload["subscriber"])
    if subscriber is not None:
        subscriber(db, found)


def from_row(row: Any) -> Event:
    """An Event from a row of the table."""
    return Event(
        id=row.event_id, type=row.type, occurred_at=row.occurred_at, subject=row.subject, actor=row.actor,
        data=row.data, version=row.version, revision=row.revision, correlation=row.correlation, seq=row.seq,
    )  # fmt: skip


def recent(conn: Connection, types: list[str] | None = None, limit: int = 100, after: int = 0) -> list[Event]:
    """The newest events, newest first; `types` narrows, `after` is a sequence."""
    query = sa.select(event).where(event.c.seq > after).order_by(event.c.seq.desc()).limit(limit)
    if types is not None:
        query = query.where(event.c.type.in_(types))
    return [from_row(row) for row in conn.execute(query)]
