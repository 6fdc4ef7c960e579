"""Entries of the agenda: agreed now, carried out on their day by a job (kind `agenda.perform`, whoever performs it)."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.accounts import Account
from billing.agenda.errors import AgendaEntryUnknown, NotAgreeable
from billing.agenda.models import agenda_entry
from billing.agenda.moments import begins
from core import clock, db, events, ids, jobs

JOB = "agenda.perform"
CHANGE, CEASE, VACATION, RETURN, MOVE, TRANSFER = "change", "cease", "vacation", "return", "move", "transfer"
SCHEDULED, ASKED, DONE, FAILED, CANCELLED = "scheduled", "asked", "done", "failed", "cancelled"
_AHEAD = timedelta(hours=14)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `due_on`: local date of the account; `undo`: how billing takes it back when its set is refused."""

    id: str
    service: str
    account_id: str
    kind: str
    due_on: date
    details: dict[str, Any]
    state: str
    set_id: str | None
    undo: dict[str, Any] | None
    reason: str | None
    actor: str


def add(
    conn: Connection, owner: Account, service: str, kind: str, due: date, details: dict[str, Any], actor: str
) -> Entry:
    """Agree on something in the caller's transaction, with the job that carries it out when its day begins."""
    entry_id, moment = ids.new_id("agd"), clock.now()
    values = {
        "id": entry_id, "service": service, "account_id": owner.id, "kind": kind, "due_on": due,
        "details": details, "state": SCHEDULED, "actor": actor, "recorded_at": moment, "changed_at": moment,
    }  # fmt: skip
    conn.execute(sa.insert(agenda_entry).values(**values))
    run_at = max(moment, begins(due, owner.timezone))
    jobs.enqueue(conn, JOB, {"entry": entry_id}, unique=f"{JOB}:{entry_id}", run_at=run_at)
    told = {"entry": entry_id, "kind": kind, "due_on": str(due), "account": owner.id}
    events.emit(conn, "agenda.agreed", service, told, actor=actor)
    return lock(conn, entry_id)


def lock(conn: Connection, entry_id: str) -> Entry:
    """An entry, locked until the transaction ends. Raises AgendaEntryUnknown."""
    query = sa.select(agenda_entry).where(agenda_entry.c.id == entry_id)
    row = conn.execute(db.lock_row(conn, query)).mappings().first()
    if row is None:
        raise AgendaEntryUnknown(entry_id)
    return _from(row)


def by_set(conn: Connection, set_id: str) -> Entry | None:
    """The entry that asked for a change set, locked."""
    query = sa.select(agenda_entry).where(agenda_entry.c.set_id == set_id)
    row = conn.execute(db.lock_row(conn, query)).mappings().first()
    return None if row is None else _from(row)


def of_service(conn: Connection, service: str) -> list[Entry]:
    """Everything that was ever agreed for a service, in order."""
    query = sa.select(agenda_entry).where(agenda_entry.c.service == service)
    query = query.order_by(agenda_entry.c.due_on, agenda_entry.c.id)
    return [_from(row) for row in conn.execute(query).mappings()]


def waiting(conn: Connection, limit: int = 1000) -> list[Entry]:
    """What waits for its day, soonest first."""
    query = sa.select(agenda_entry).where(agenda_entry.c.state == SCHEDULED)
    query = query.order_by(agenda_entry.c.due_on, agenda_entry.c.id).limit(limit)
    return [_from(row) for row in conn.execute(query).mappings()]


def due(conn: Connection) -> list[str]:
    """Ids of what may be due somewhere on Earth, in the order of their days."""
    last = (clock.now() + _AHEAD).date()
    query = sa.select(agenda_entry.c.id).where(
        agenda_entry.c.state == SCHEDULED, agenda_entry.c.due_on <= last
    )
    return list(conn.execute(query.order_by(agenda_entry.c.due_on, agenda_entry.c.id)).scalars())


def asked(conn: Connection, entry: Entry, set_id: str, undo: dict[str, Any] | None = None) -> None:
    """It was carried out as far as billing goes; its change set is on the way."""
    _set(conn, entry, state=ASKED, set_id=set_id, undo=undo)


def done(conn: Connection, entry: Entry) -> None:
    """It is so."""
    _set(conn, entry, state=DONE)
    told = {"entry": entry.id, "kind": entry.kind, "due_on": str(entry.due_on), "account": entry.account_id}
    events.emit(conn, "agenda.done", entry.service, told, actor=entry.actor)


def failed(conn: Connection, entry: Entry, why: str) -> None:
    """It could not be carried out: somebody has to look at it."""
    _set(conn, entry, state=FAILED, reason=why)
    told = {"entry": entry.id, "kind": entry.kind, "why": why, "account": entry.account_id}
    events.emit(conn, "agenda.failed", entry.service, told, actor=entry.actor)


def cancel(conn: Connection, entry_id: str, *, actor: str) -> Entry:
    """What waits is not done. Raises AgendaEntryUnknown, NotAgreeable."""
    entry = lock(conn, entry_id)
    if entry.state != SCHEDULED:
        raise NotAgreeable(
            entry.service, f"{entry.kind} of {entry.due_on} is {entry.state}, not waiting any more"
        )
    _set(conn, entry, state=CANCELLED)
    told = {"entry": entry.id, "kind": entry.kind, "due_on": str(entry.due_on), "account": entry.account_id}
    events.emit(conn, "agenda.cancelled", entry.service, told, actor=actor)
    return entry


def pending(found: Sequence[Entry], *kinds: str) -> list[Entry]:
    """Those of some kinds that wait or are on their way. Pure."""
    return [one for one in found if one.kind in kinds and one.state in (SCHEDULED, ASKED)]


def _set(conn: Connection, entry: Entry, **values: Any) -> None:
    chosen = agenda_entry.c.id == entry.id
    conn.execute(sa.update(agenda_entry).where(chosen).values(**values, changed_at=clock.now()))


def _from(row: Any) -> Entry:
    return Entry(**{name: row[name] for name in Entry.__struct_fields__})
