"""What accounting tells of addresses that were given: in use, over, or nothing yet. The decision is pure.

The Stop of a session that named the address is certain. Silence is not: a session that fell silent, or whose Start
never came, counts as over only when every node has said that the accounting it acknowledged up to then is in the
database.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import is_open, session, session_address, session_open
from aaa.pools.shelf import Held

Word = Literal["in-use", "over", "silent", "wait"]
_CHUNK = 500
_CERTAIN = {"nas-reboot", "superseded"}
"""Closings without a Stop that are as good: the NAS itself has forgotten the session."""
IPV6 = "ipv6"
"""Family of a pool that is gone, so that nobody says which kind of prefix it gave: either counts."""
_COLUMNS = {
    "ipv4": ("framed_address",),
    "wan6": ("framed_prefix",),
    "pd": ("delegated_prefix",),
    IPV6: ("framed_prefix", "delegated_prefix"),
}


class Seen(NamedTuple):
    """A session of a service: the values that it names ("" where it names none), and whether and how it ended."""

    values: frozenset[str]
    is_open: bool
    certain: bool
    started: float


def sessions_of(
    conn: Connection, family: str, services: Iterable[str], since: float
) -> dict[str, list[Seen]]:
    """Open sessions of these services, and those that began after `since` (epoch seconds), by service."""
    table, names = session.c, sorted(set(services))
    columns = [table[name] for name in _COLUMNS[family]]
    found: dict[str, list[Seen]] = defaultdict(list)
    for start in range(0, len(names), _CHUNK):
        some = names[start : start + _CHUNK]
        which = sa.select(session_open.c.session_ref).where(session_open.c.service.in_(some))
        refs = conn.scalars(which).all()
        began = table.started_at >= datetime.fromtimestamp(since, UTC)
        longer = [
            sa.and_(table.session_ref.in_(refs[first : first + _CHUNK]), is_open, ~began)
            for first in range(0, len(refs), _CHUNK)
        ]
        for theirs in (sa.and_(table.service.in_(some), began), *longer):
            further = _further(conn, family, theirs)
            chosen = sa.select(
                table.session_ref,
                table.service,
                table.state,
                table.inferred,
                table.cause,
                table.started_at,
                *columns,
            )
            for row in conn.execute(chosen.where(theirs)):
                values = further[row.session_ref].union(row[-len(columns) :])
                found[row.service].append(_seen(row, values))
    return found


def _further(conn: Connection, family: str, theirs: sa.ColumnElement[bool]) -> dict[str, frozenset[str]]:
    """By session: what it has besides what its own row says, of several prefixes at once."""
    found: dict[str, frozenset[str]] = defaultdict(frozenset)
    for ref, value in conn.execute(_going_on(family, session.c.session_ref).where(theirs)):
        found[ref] |= {value}
    return found


def _going_on(family: str, column: sa.ColumnElement[str]) -> sa.Select[Any]:
    """Of sessions that have, or had, several values: `column`, and each that was not over before the session."""
    table = session_address.c
    joined = sa.join(session_address, session, table.session_ref == session.c.session_ref)
    return (
        sa.select(column, table.value)
        .select_from(joined)
        .where(table.what.in_(_COLUMNS[family]), table.until.is_(None))
    )


def _seen(row: Any, values: frozenset[str]) -> Seen:
    is_open = row.state == "open"
    certain = not is_open and (not row.inferred or row.cause in _CERTAIN)
    return Seen(values, is_open, certain, row.started_at.timestamp())


def in_use(value: str, sessions: Iterable[Seen]) -> bool:
    """Whether a session is open that names this value, or none."""
    return any(one.is_open and one.values & {"", value} for one in sessions)


def judge(held: Held, sessions: Sequence[Seen], patience: float, now: float, drained: float) -> Word:
    """What is known of a held address. `drained`: up to then every node's accounting is in the database."""
    if in_use(held.value, sessions):
        return "in-use"
    if any(one.certain and held.value in one.values and one.started >= held.at for one in sessions):
        return "over"
    quiet_until = max(held.at, held.seen) + patience
    return "silent" if now >= quiet_until and drained >= quiet_until else "wait"


def open_by_value(conn: Connection, family: str, values: Iterable[str]) -> Mapping[str, str]:
    """Value -> service of open sessions that name one of these values."""
    wanted, found = sorted(set(values)), dict[str, str]()
    for start in range(0, len(wanted), _CHUNK):
        some = wanted[start : start + _CHUNK]
        for column in (session.c[name] for name in _COLUMNS[family]):
            # `<> ''` in so many words: PostgreSQL does not see it in a long list, and would read every session.
            told = column != sa.literal_column("''")
            chosen = sa.select(column, session.c.service).where(is_open, told, column.in_(some))
            found |= {str(value): str(service) for value, service in conn.execute(chosen)}
        further = _going_on(family, session.c.service).where(is_open, session_address.c.value.in_(some))
        found |= {value: service for service, value in conn.execute(further)}
    return found
