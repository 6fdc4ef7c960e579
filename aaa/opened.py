"""Which sessions are open: a row of `session_open` for each, beside the tens of millions that are over.

Whoever begins, ends, reopens or marks sessions, or learns whose they are, calls `follow` in the same transaction; the
usual Starts and Stops keep the table by themselves (aaa/accounting/usual.py). Readers begin with `each`, which asks the
session as well: a row too many finds nothing.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import is_open, session, session_open
from core.db import upsert

_CHUNK = 500
_COLUMNS = ("session_ref", "nas", "service", "stale")


def each(conn: Connection) -> tuple[sa.FromClause, Any]:
    """FROM of whoever looks for open sessions, and the columns of `session` there. Choose by what `session_open` has.

    On PostgreSQL each session is looked up by its id, whatever the statistics say (OFFSET 0): a join may be planned as
    one over the whole of `session`.
    """
    same = session.c.session_ref == session_open.c.session_ref
    if conn.dialect.name == "sqlite":
        return session_open.join(session, sa.and_(same, is_open)), session.c
    one = sa.select(session).where(same, is_open).offset(0).lateral("one")
    return session_open.join(one, sa.true()), one.c


def follow(conn: Connection, refs: Iterable[str]) -> None:
    """Let `session_open` have these sessions as `session` has them now."""
    wanted, chosen = sorted(set(refs)), sa.select(*(session.c[name] for name in _COLUMNS))
    for some in (wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)):
        rows = conn.execute(chosen.where(session.c.session_ref.in_(some), is_open)).mappings().all()
        if over := sorted(set(some) - {row["session_ref"] for row in rows}):
            conn.execute(sa.delete(session_open).where(session_open.c.session_ref.in_(over)))
        # A row that is there is kept: who ends the session at this moment finds it.
        upsert(conn, session_open, [dict(row) for row in rows], key=["session_ref"])
