"""Which sessions are open: a row of `session_open` for each, beside the tens of millions that are over.

Whoever begins, ends, reopens or marks sessions, or learns whose they are, calls `follow` in the same transaction; the
usual Starts and Stops keep the table by themselves (aaa/accounting/usual.py). Readers join both tables and ask the
session: a row too many finds nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa import turns
from aaa.models import is_open, session, session_open
from core.db import Database, upsert
from core.ids import first_id

_CHUNK = 500
_LATELY = timedelta(days=2)
_COLUMNS = ("session_ref", "nas", "service", "stale")
_IS_OVER = ~sa.exists().where(session.c.session_ref == session_open.c.session_ref, is_open)


def follow(conn: Connection, refs: Iterable[str]) -> None:
    """Let `session_open` have these sessions as `session` has them now."""
    for some in _chunks(sorted(set(refs))):
        conn.execute(sa.delete(session_open).where(session_open.c.session_ref.in_(some), _IS_OVER))
        chosen = sa.select(*(session.c[name] for name in _COLUMNS))
        rows = conn.execute(chosen.where(session.c.session_ref.in_(some), is_open)).mappings()
        # A row that is there is kept: who ends the session at this moment finds it.
        upsert(conn, session_open, [dict(row) for row in rows], key=["session_ref"])


def mend(db: Database, now: datetime) -> int:
    """Put right what a node of a version before this table wrote, while it ran beside the new ones: rows of sessions
    that are over, and sessions that began in the last two days without a row. Returns how many.
    """
    lately = session.c.session_ref >= first_id("ses", now - _LATELY)
    there = sa.exists().where(session_open.c.session_ref == session.c.session_ref)
    with db.read() as conn:
        wrong = [*conn.scalars(sa.select(session_open.c.session_ref).where(_IS_OVER))]
        wrong += conn.scalars(sa.select(session.c.session_ref).where(lately, is_open, ~there))
    for some in _chunks(wrong):
        with db.write() as conn:
            turns.hold(conn, some)
            follow(conn, some)
    return len(wrong)


def _chunks(refs: Sequence[str]) -> Iterator[Sequence[str]]:
    return (refs[start : start + _CHUNK] for start in range(0, len(refs), _CHUNK))
