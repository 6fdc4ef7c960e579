"""Who writes sessions when, on PostgreSQL: whoever holds the turn of their NAS.

Accounting takes the turns of its batch before anything else, in one order, and then writes rows in whatever order its
statements do. Whoever else writes several sessions takes the same turns first (`hold`), or passes by rows that somebody
is writing and never waits for one (`unheld`): so nobody waits in a circle. SQLite's writer is alone.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from aaa.models import session
from core.db import lock_row

LOCKS = 5176
"""First key of the advisory locks; the second is the NAS's number."""
_CHUNK = 500
_NASES = sa.bindparam("nases", type_=postgresql.ARRAY(sa.Integer))
_TAKE = sa.select(sa.func.pg_advisory_xact_lock(LOCKS, sa.func.unnest(_NASES)))


def numbers(nases: Iterable[str]) -> list[int]:
    """The NASes' numbers (32 bits, signed) in the order in which everybody takes their turns."""
    return sorted({crc32(nas.encode()) - (1 << 31) for nas in nases})


def hold(conn: Connection, refs: Iterable[str]) -> None:
    """Take the turns of these sessions' NASes until the transaction ends, then lock their rows in one order. Call it
    before the transaction writes any session.
    """
    if conn.dialect.name == "sqlite":
        return
    chunks = _chunks(sorted(set(refs)))
    nases: set[str] = set()
    for chunk in chunks:
        nases |= set(
            conn.scalars(sa.select(session.c.nas).where(session.c.session_ref.in_(chunk)).distinct())
        )
    hold_nases(conn, nases)
    for chunk in chunks:
        ordered = sa.select(session.c.session_ref).where(session.c.session_ref.in_(chunk))
        conn.execute(lock_row(conn, ordered.order_by(session.c.session_ref)))


def hold_nases(conn: Connection, nases: Iterable[str]) -> None:
    """Take the turns of these NASes until the transaction ends."""
    if conn.dialect.name != "sqlite" and (wanted := numbers(nases)):
        conn.execute(_TAKE, {"nases": wanted})


def unheld(conn: Connection, statement: sa.Select[Any]) -> sa.Select[Any]:
    """The statement with locks on those of its rows that nobody is writing; it gives the others up."""
    return statement if conn.dialect.name == "sqlite" else statement.with_for_update(skip_locked=True)


def _chunks(refs: Sequence[str]) -> list[Sequence[str]]:
    return [refs[start : start + _CHUNK] for start in range(0, len(refs), _CHUNK)]
