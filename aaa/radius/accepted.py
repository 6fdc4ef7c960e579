"""Accepted logins written down, where the settings ask for it (`radius_log_logins`): when, who, at which NAS."""

from collections import deque
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from time import time_ns
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.accounting.sqlite import moment_text
from aaa.models import accepted_login
from aaa.radius.refusals import storable
from core.db import Database

_KEPT = 200_000
_ON_SQLITE = "INSERT INTO accepted_login (at, login, nas) VALUES (?, ?, ?)"
_ON_POSTGRESQL = "COPY accepted_login (at, login, nas) FROM STDIN"
_Noted = tuple[int, bytes | str, str]


class Accepted:
    """`note` is cheap and called by the answering threads; `flush` writes from another one, about once a second.

    While the database is away the newest 200,000 wait in memory; a worker that is killed loses what it has not
    written. `lost` counts what found no room.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Noted] = deque()
        self.lost = 0

    def note(self, login: bytes | str, nas: str) -> None:
        """Somebody was let in; `login` as it stood in the packet, or a voucher's id: a code is kept nowhere."""
        self._waiting.append((time_ns() // 1_000_000, login, nas))

    def flush(self, db: Database) -> int:
        """Write what waits. Raises what the database raises; nothing is lost then but what finds no room."""
        waiting = self._waiting
        while len(waiting) > _KEPT:
            waiting.popleft()
            self.lost += 1
        count = len(waiting)
        if not count:
            return 0
        rows = list(islice(waiting.copy(), count))
        with db.write() as conn:
            _write(conn, rows)
        for _ in rows:
            waiting.popleft()
        return count


def _write(conn: Connection, rows: list[_Noted]) -> None:
    raw: Any = conn.connection.driver_connection
    if conn.dialect.name == "sqlite":
        text = cache(lambda milliseconds: moment_text(_moment(milliseconds)))
        raw.executemany(_ON_SQLITE, ((text(at), _login(who), nas) for at, who, nas in rows))
        return
    conn.begin()  # SQLAlchemy commits what it knows of
    moment = cache(_moment)
    with raw.cursor() as cursor, cursor.copy(_ON_POSTGRESQL) as copy:
        for at, who, nas in rows:
            copy.write_row((moment(at), _login(who), nas))


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _login(told: bytes | str) -> str:
    return storable(told if isinstance(told, str) else told.decode("utf-8", "replace"))


def last_accepted(conn: Connection, login: str, limit: int = 10) -> list[dict[str, object]]:
    """The newest accepted logins of a login: at, nas."""
    columns = (accepted_login.c.at, accepted_login.c.login, accepted_login.c.nas)
    query = sa.select(*columns).where(accepted_login.c.login == login)
    newest = query.order_by(accepted_login.c.at.desc(), accepted_login.c.seq.desc()).limit(limit)
    return [dict(row._mapping) for row in conn.execute(newest)]
