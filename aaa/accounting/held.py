"""Addresses that a session had one after the other, or several prefixes or port blocks at once: from when until when.

A session's row has the newest of each kind. Once a kind changed within the session, or there is more than one of it,
rows of `session_address` say all of it, from the session's start on; they are few, and written beside the session.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.engine import Connection

from aaa.accounting.merge import Session
from aaa.accounting.record import GONE, LISTED, AccountingRecord, PortBlock
from aaa.models import session_address
from core.db import insert_many

SINGLE = ("framed_address", "framed_prefix", "delegated_prefix", "framed_address6")
"""Of these a session has one at a time, but for prefixes that a record tells several of."""
PORTS = "public_address"
_SOON = timedelta(seconds=60)
"""So long after its start a session may get its first address, which counts as its own from the start on."""
_CHUNK = 300


class Held(msgspec.Struct, frozen=True, order=True):
    """An address, prefix, or block of ports of a public address (0: no ports)."""

    value: str
    port_first: int = 0
    port_last: int = 0


class Row(msgspec.Struct):
    """A stretch: from `since` until `until` (None: it goes on), last told at `heard`."""

    held: Held
    since: datetime
    heard: datetime
    until: datetime | None


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What a record told of one kind: `told` is held from `moment` on and `gone` is not; `instead` of all else, or
    besides. `had` is what the session's row said before, which was heard of at `heard` for the last time. `late`:
    newer records are known already.
    """

    session_ref: str
    what: str
    had: Held | None
    told: tuple[Held, ...]
    gone: tuple[Held, ...]
    instead: bool
    late: bool
    started: datetime
    heard: datetime
    moment: datetime


class Start(msgspec.Struct, frozen=True):
    """A session whose start was told later, and is earlier."""

    session_ref: str
    was: datetime
    now: datetime


def moves(before: Session | None, after: Session, record: AccountingRecord) -> list[Move]:
    """What a record that was merged says of addresses; nothing for what nearly every record says. Pure."""
    moment = datetime.fromtimestamp(record.at, UTC)
    late = after.updated_at != moment
    several = dict.fromkeys(what for what, _prefix in record.also) if not late else {}
    found = [_several(before, after, record, moment, what) for what in several]
    for what in SINGLE if before is not None else ():
        had, new = getattr(before, what), getattr(record, what)
        soon = moment - after.started_at <= _SOON
        if what not in several and new and (had != new or late) and (had or not soon):
            was = Held(had) if had else None
            found.append(
                _move(before, after, moment, what, was, (Held(new),), (), True, late and was is not None)
            )
    ports = record.ports or _one_block(record)
    told = tuple(Held(*one[:3]) for one in ports if one[3] != GONE)
    if ports and not late and (before is not None or len(told) > 1):
        had_block = None
        if before is not None and before.port_first:
            had_block = Held(before.public_address, before.port_first, before.port_last)
        gone = tuple(Held(*one[:3]) for one in ports if one[3] == GONE)
        instead = all(one[3] == LISTED for one in ports)
        found.append(_move(before, after, moment, PORTS, had_block, told, gone, instead, late=False))
    return found


def _several(
    before: Session | None, after: Session, record: AccountingRecord, moment: datetime, what: str
) -> Move:
    """Several prefixes of a kind at once: those, and no other."""
    had = getattr(before, what) if before is not None else ""
    now = (getattr(record, what), *(prefix for kind, prefix in record.also if kind == what))
    told = tuple(Held(prefix) for prefix in now if prefix)
    return _move(before, after, moment, what, Held(had) if had else None, told, (), instead=True, late=False)


def start_of(before: Session | None, after: Session) -> Start | None:
    """Whether the record told an earlier start than what was known."""
    if before is None or after.started_at >= before.started_at:
        return None
    return Start(after.session_ref, before.started_at, after.started_at)


def _one_block(record: AccountingRecord) -> tuple[PortBlock, ...]:
    """The block of a record that an older version of ours wrote into the journal."""
    return (
        ((record.public_address, record.port_first, record.port_last, LISTED),) if record.port_first else ()
    )


def _move(
    before: Session | None, after: Session, moment: datetime, what: str, had: Held | None,
    told: tuple[Held, ...], gone: tuple[Held, ...], instead: bool, late: bool,
) -> Move:  # fmt: skip
    return Move(
        session_ref=after.session_ref, what=what, had=had, told=told, gone=gone, instead=instead, late=late,
        started=after.started_at, heard=after.started_at if before is None else before.updated_at, moment=moment,
    )  # fmt: skip


def followed(rows: list[Row], one: Move) -> list[Row]:
    """All rows of a session's kind after a move; none while the session's own row says it. Pure."""
    if not rows and one.had is not None:
        rows = [Row(one.had, one.started, one.heard, None)]
    rows = _with_late(rows, one) if one.late else _with_newer(rows, one)
    # Several may be told at one moment: of those the last counts.
    rows = [row for row in rows if row.until is None or row.until > row.since]
    is_simple = len(rows) == 1 and rows[0].until is None and rows[0].since == one.started
    return [] if is_simple else rows


def _with_newer(rows: list[Row], one: Move) -> list[Row]:
    going = {row.held for row in rows if row.until is None}
    now = set(one.told) if one.instead else (going | set(one.told)) - set(one.gone)
    # Of several prefixes a later record may leave one out: each has to know when it was told last.
    several = len(one.told) > 1 and one.what in SINGLE
    for row in [row for row in rows if row.until is None]:
        if row.held not in now:
            row.until, row.heard = one.moment, one.heard
        elif several:
            row.heard = one.moment
    # What it gave back it had, and we did not hear since when.
    unheard = sorted(set(one.gone) - {row.held for row in rows})
    rows += [Row(held, one.started, one.started, one.moment) for held in unheard]
    return rows + [Row(held, one.moment, one.moment, None) for held in sorted(now - going)]


def _with_late(rows: list[Row], one: Move) -> list[Row]:
    """An address that was told in the middle of what is known: it was held then, and until the next that was told."""
    (held,) = one.told
    there = [row for row in rows if row.since <= one.moment < (row.until or datetime.max.replace(tzinfo=UTC))]
    for row in there:
        if row.held == held:
            row.heard = max(row.heard, one.moment)
            return rows
    for row in there:
        after = row.heard > one.moment  # it was told again behind this
        until = row.heard if after else row.until
        rest = [Row(row.held, row.heard, row.heard, row.until)] if after else []
        row.until, row.heard = one.moment, row.since if after else row.heard
        return [*rows, Row(held, one.moment, one.moment, until), *rest]
    return rows


def keep(conn: Connection, made: Sequence[Move], starts: Sequence[Start]) -> None:
    """Write moves down in their order, in the transaction that writes their sessions; again changes nothing."""
    if made:
        _rewrite(conn, made)
    table = session_address.c
    for one in starts:
        mine = sa.and_(table.session_ref == one.session_ref, table.since == one.was)
        conn.execute(sa.update(session_address).where(mine).values(since=one.now))


def _rewrite(conn: Connection, made: Sequence[Move]) -> None:
    table, known = session_address.c, _known(conn, sorted({one.session_ref for one in made}))
    before = {key: [replace(row) for row in rows] for key, rows in known.items()}
    for one in made:
        key = one.session_ref, one.what
        known[key] = followed(known.get(key, []), one)
    changed = [key for key, rows in known.items() if rows != before.get(key, [])]
    for start in range(0, len(changed), _CHUNK):
        some = changed[start : start + _CHUNK]
        mine = sa.tuple_(table.session_ref, table.what).in_(some)
        conn.execute(sa.delete(session_address).where(mine))
        insert_many(conn, session_address, [_values(key, row) for key in some for row in known[key]])


def _known(conn: Connection, refs: Sequence[str]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for start in range(0, len(refs), _CHUNK):
        mine = session_address.c.session_ref.in_(refs[start : start + _CHUNK])
        for row in conn.execute(sa.select(session_address).where(mine).order_by(session_address.c.since)):
            one = Row(Held(row.value, row.port_first, row.port_last), row.since, row.heard, row.until)
            found.setdefault((row.session_ref, row.what), []).append(one)
    return found


def _values(key: tuple[str, str], row: Row) -> dict[str, object]:
    return {
        "session_ref": key[0], "what": key[1], "value": row.held.value, "port_first": row.held.port_first,
        "port_last": row.held.port_last, "since": row.since, "heard": row.heard, "until": row.until,
    }  # fmt: skip
