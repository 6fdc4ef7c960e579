"""Closing a period of a legal entity, and reopening it by a named person.

After a close nothing is booked on or before its last day. What happened on such a day and is heard of later (a payment
found on an old statement) is booked on the first open day, its own day kept beside it; documents are issued on the
first open day at the earliest.
"""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.closing import checks, lock
from billing.closing.errors import EntityUnknown, NotClosable, NotReopenable
from billing.closing.models import period_close
from billing.models import account
from billing.runs.verify import breaches
from core import clock, events, faults
from core.db import Database

P_CLOSED = faults.declare("billing.before_close_commit")
NOBODY = ("", "operator", "billing", "root")
"""Not names of persons: they do not reopen a period."""


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """What was closed: by entity, until when; `already`: it was before. `parked`: accounts that were left out."""

    until: date
    entities: tuple[str, ...]
    already: tuple[str, ...]
    parked: tuple[str, ...]


def close(
    database: Database, until: date, *, entity: str | None = None, actor: str, dry: bool = False
) -> Closed:
    """Close the books until a day, of all legal entities (every one or none) or of one.

    `dry` only checks. Raises EntityUnknown, NotClosable.
    """
    names = _entities(database, entity)
    proved = sum(1 for _ in breaches(database))
    with database.read() if dry else database.write() as conn:
        closed, already, aside = [], [], []
        for name in names:
            if not dry:
                lock.alone(conn, name)
            through = lock.closed_through(conn, name)
            if through is not None and through >= until:
                already.append(name)
                continue
            _require_closable(conn, name, until, proved)
            aside += checks.parked(conn, name)
            closed.append(name)
            if not dry:
                _store(conn, name, "close", until, "", actor, checks.proof(conn, name, until))
        faults.point(P_CLOSED)
    return Closed(until=until, entities=tuple(closed), already=tuple(already), parked=tuple(aside))


def reopen(
    conn: Connection, entity: str, *, actor: str, reason: str, through: date | None = None
) -> tuple[date, date | None]:
    """Reopen an entity's books after day `through` (None: all). Returns how far they were closed, and are now.

    Raises EntityUnknown, NotReopenable.
    """
    _require_entity(conn, entity)
    lock.alone(conn, entity)
    before = lock.closed_through(conn, entity)
    if actor.strip() in NOBODY:
        raise NotReopenable(entity, "a named person does that; say who you are with --as")
    if not reason.strip():
        raise NotReopenable(entity, "say why with --reason")
    if before is None:
        raise NotReopenable(entity, "no period of them is closed")
    if through is not None and through >= before:
        raise NotReopenable(entity, f"they are closed until {before}; name an earlier day than that")
    _store(conn, entity, "reopen", through, reason, actor, {"closed_through": str(before)})
    return before, through


def history(conn: Connection, entity: str | None = None) -> list[dict[str, Any]]:
    """Every close and reopening, oldest first, as rows."""
    query = sa.select(period_close).order_by(period_close.c.seq)
    if entity is not None:
        query = query.where(period_close.c.legal_entity == entity)
    return [dict(row) for row in conn.execute(query).mappings()]


def _require_closable(conn: Connection, name: str, until: date, proved: int) -> None:
    why = list(checks.open_points(conn, name, until))
    if until >= clock.today("UTC"):
        why.insert(0, "that day is not over yet")
    if proved:
        why.append(f"{proved} breaches of invariants; 'trunkline billing verify' tells them")
    if why:
        raise NotClosable(name, until, why)


def _store(
    conn: Connection,
    entity: str,
    what: str,
    through: date | None,
    reason: str,
    actor: str,
    proof: dict[str, Any],
) -> None:
    values = {
        "legal_entity": entity, "what": what, "closed_through": through, "reason": reason, "actor": actor,
        "proof": proof, "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(period_close).values(**values))
    told = {"closed_through": None if through is None else str(through), "reason": reason}
    events.emit(conn, f"period.{'closed' if what == 'close' else 'reopened'}", entity, told, actor=actor)


def _entities(database: Database, entity: str | None) -> list[str]:
    with database.read() as conn:
        if entity is not None:
            _require_entity(conn, entity)
            return [entity]
        query = sa.select(account.c.legal_entity).distinct().order_by(account.c.legal_entity)
        return list(conn.execute(query).scalars())


def _require_entity(conn: Connection, entity: str) -> None:
    if conn.execute(sa.select(account.c.id).where(account.c.legal_entity == entity).limit(1)).first() is None:
        raise EntityUnknown(entity)
