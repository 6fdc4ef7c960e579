"""Has anything been written since we last looked? Every worker asks twenty times a second: it has to be cheap."""

from typing import Any

import sqlalchemy as sa

from aaa.view.models import view_change, view_state
from core.db import Database

_NEWEST = sa.select(
    sa.select(sa.func.max(view_change.c.seq)).scalar_subquery(),
    sa.select(view_state.c.value).where(view_state.c.name == "generation").scalar_subquery(),
)


class Probe:
    """Holds one connection. SQLite tells by a counter in the file's header (PRAGMA data_version, no query at all);
    PostgreSQL by the newest sequence and the generation, in one statement.
    """

    def __init__(self, db: Database) -> None:
        """Raises what the database raises, as does `moved`; then close this one and make another."""
        self._conn = db.engine.connect()
        self._is_sqlite = db.is_sqlite
        if not self._is_sqlite:
            self._conn = self._conn.execution_options(isolation_level="AUTOCOMMIT")
        self._raw: Any = self._conn.connection.dbapi_connection
        self._seen: Any = None

    def moved(self) -> bool:
        """Whether somebody committed since the last call; True at the first."""
        if self._is_sqlite:
            now = self._raw.execute("PRAGMA data_version").fetchone()
        else:
            now = tuple(self._conn.execute(_NEWEST).one())
        before, self._seen = self._seen, now
        return bool(before != now)

    def close(self) -> None:
        """Give the connection back."""
        self._conn.close()
