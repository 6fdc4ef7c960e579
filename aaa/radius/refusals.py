"""Refusals for support: the last ones in memory, all of them in the database as far as it keeps up."""

from collections import deque

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.limits.limit import VOUCHER_ID
from aaa.models import refusal
from aaa.radius.authenticate import Verdict
from aaa.radius.nases import NasEntry
from core import clock
from core.db import Database, insert_many

_KEPT = 2000


class Refusals:
    """`note` is cheap and called by the answering thread; `flush` writes from another one."""

    def __init__(self) -> None:
        self._waiting: deque[dict[str, object]] = deque(maxlen=_KEPT)

    def note(self, login: str, nas: NasEntry, verdict: Verdict) -> None:
        """Remember why somebody was refused. When the database is away, the oldest are lost: they are no record."""
        named = verdict.service if verdict.service.startswith(VOUCHER_ID) else login  # a code is kept nowhere
        self._waiting.append(
            {
                "at": clock.now(),
                "login": storable(named),
                "nas": nas.device,
                "reason": verdict.reason,
                "detail": storable(verdict.detail),
                "service": verdict.service[:63],
            }
        )

    def flush(self, db: Database) -> int:
        """Write what waits. Raises what the database raises; nothing is lost then."""
        rows = list(self._waiting)
        if not rows:
            return 0
        with db.write() as conn:
            insert_many(conn, refusal, rows)
        for _ in rows:
            if self._waiting:
                self._waiting.popleft()
        return len(rows)


def storable(text: str) -> str:
    """Names out of tunnels and certificates are a stranger's: PostgreSQL refuses NUL, and one row that it refuses would
    keep all others waiting.
    """
    return text.replace("\0", "")[:253]


def last_refusals(
    conn: Connection, login: str, service: str = "", limit: int = 10
) -> list[dict[str, object]]:
    """The newest refusals of a login, and those of a service whoever asked: at, login, nas, reason, detail."""
    found: dict[int, dict[str, object]] = {}
    for column, value in ((refusal.c.login, login), (refusal.c.service, service)):
        if value:
            newest = sa.select(refusal).where(column == value).order_by(refusal.c.seq.desc()).limit(limit)
            found |= {row.seq: dict(row._mapping) for row in conn.execute(newest)}
    return [found[seq] for seq in sorted(found, reverse=True)[:limit]]
