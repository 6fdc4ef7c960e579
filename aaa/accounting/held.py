"""Addresses that a session had one after the other, or several port blocks at once: which, from when until when.

A session's row has the newest of each kind. Once a kind changed within the session, or there is more than one of it,
rows of `session_address` say all of it, from the session's start on; they are few, and written beside the session.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.accounting.merge import Session
from aaa.accounting.record import GONE, LISTED, AccountingRecord, PortBlock
from aaa.models import session_address
from core.db import upsert

SINGLE = ("framed_address", "framed_prefix", "delegated_prefix", "framed_address6")
"""Of these a session has one at a time."""
PORTS = "public_address"
_KEY = ["session_ref", "what", "value", "port_first", "port_last", "since"]


class Held(msgspec.Struct, frozen=True, order=True):
    """An address, prefix, or block of ports of a public address (0: no ports)."""

    value: str
    port_first: int = 0
    port_last: int = 0


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What a record told of one kind: `told` is held from `moment` on and `gone` is not; `instead` of all else, or
    besides. `had` is what the session's row said before, which was heard of at `heard` for the last time.
    """

    session_ref: str
    what: str
    had: Held | None
    told: tuple[Held, ...]
    gone: tuple[Held, ...]
    instead: bool
    started: datetime
    heard: datetime
    moment: datetime


def moves(before: Session | None, after: Session, record: AccountingRecord) -> list[Move]:
    """What a record that was merged says of addresses; nothing for what nearly every record says. Pure."""
    moment = datetime.fromtimestamp(record.at, UTC)
    if after.updated_at != moment:
        return []  # it came late: something newer is known
    found = []
    for what in SINGLE if before is not None else ():
        had, new = getattr(before, what), getattr(record, what)
        if had and new and had != new:
            found.append(_move(before, after, moment, what, Held(had), (Held(new),), (), instead=True))
    ports = record.ports or _one_block(record)
    told = tuple(Held(*one[:3]) for one in ports if one[3] != GONE)
    if ports and (before is not None or len(told) > 1):
        had_block = None
        if before is not None and before.port_first:
            had_block = Held(before.public_address, before.port_first, before.port_last)
        gone = tuple(Held(*one[:3]) for one in ports if one[3] == GONE)
        instead = all(one[3] == LISTED for one in ports)
        found.append(_move(before, after, moment, PORTS, had_block, told, gone, instead=instead))
    return found


def _one_block(record: AccountingRecord) -> tuple[PortBlock, ...]:
    """The block of a record that an older version of ours wrote into the journal."""
    return (
        ((record.public_address, record.port_first, record.port_last, LISTED),) if record.port_first else ()
    )


def _move(
    before: Session | None, after: Session, moment: datetime, what: str, had: Held | None,
    told: tuple[Held, ...], gone: tuple[Held, ...], *, instead: bool,
) -> Move:  # fmt: skip
    return Move(
        session_ref=after.session_ref, what=what, had=had, told=told, gone=gone, instead=instead,
        started=after.started_at, heard=after.started_at if before is None else before.updated_at, moment=moment,
    )  # fmt: skip


def keep(conn: Connection, made: Sequence[Move]) -> None:
    """Write moves down in their order, in the transaction that writes their sessions; again changes nothing."""
    for one in made:
        _keep(conn, one, _rows(conn, one))


def _rows(conn: Connection, one: Move) -> dict[Held, datetime | None]:
    """What is known of the session's kind: each with the moment until which it was held, None while it is."""
    table = session_address.c
    mine = sa.select(session_address).where(table.session_ref == one.session_ref, table.what == one.what)
    return {
        Held(row.value, row.port_first, row.port_last): row.until
        for row in conn.execute(mine.order_by(table.since))
    }


def _keep(conn: Connection, one: Move, known: dict[Held, datetime | None]) -> None:
    is_open = {held for held, until in known.items() if until is None}
    if not known and one.had is not None:
        is_open = {one.had}
    now = set(one.told) if one.instead else (is_open | set(one.told)) - set(one.gone)
    if not known and now == is_open and len(now) < 2:
        return  # the session's row says it
    if not known and one.had is not None:
        _open(conn, one, [one.had], one.started)
    for held in sorted(is_open - now):
        table = session_address.c
        mine = sa.and_(
            table.session_ref == one.session_ref, table.what == one.what, table.value == held.value,
            table.port_first == held.port_first, table.port_last == held.port_last, table.until.is_(None),
        )  # fmt: skip
        conn.execute(sa.update(session_address).where(mine).values(until=one.moment, heard=one.heard))
    _open(conn, one, sorted(now - is_open), one.moment)


def _open(conn: Connection, one: Move, blocks: Iterable[Held], since: datetime) -> None:
    rows = [
        {"session_ref": one.session_ref, "what": one.what, "value": held.value, "port_first": held.port_first,
         "port_last": held.port_last, "since": since, "heard": since, "until": None}
        for held in blocks
    ]  # fmt: skip
    upsert(conn, session_address, rows, _KEY, [])
