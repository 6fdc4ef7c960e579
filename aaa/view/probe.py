"""Has anything been written since we last looked? Every worker asks twenty times a second: it has to be cheap."""

from typing import Any

from core.db import Database

_NEWEST = """
SELECT (SELECT max(seq) FROM view_change), (SELECT value FROM view_state WHERE name = 'generation'),
       (SELECT count(*) FROM view_state WHERE name = 'index_seq')
"""


class Probe:
    """Holds one connection, and compares sequence and generation, in one statement. SQLite is asked only when the
    counter in its file's header moved (PRAGMA data_version): other workers and the index write there too.
    """

    def __init__(self, db: Database) -> None:
        """Raises what the database raises, as does `moved`; then close this one and make another."""
        self._conn = db.engine.connect()
        self._is_sqlite = db.is_sqlite
        if not self._is_sqlite:
            self._conn = self._conn.execution_options(isolation_level="AUTOCOMMIT")
        self._raw: Any = self._conn.connection.dbapi_connection
        self._version: Any = None
        self._seen: Any = (None, None, 0)
        self.saw = False
        """Whether somebody had committed at the last look, of whatever; asked of SQLite only."""

    @property
    def generation(self) -> str | None:
        """The generation at the last look, once it is built whole; None before."""
        _seq, generation, built = self._seen
        return generation if built else None

    def moved(self) -> bool:
        """Whether the view went on since the last call; True at the first."""
        if self._is_sqlite:
            version = self._raw.execute("PRAGMA data_version").fetchone()
            self.saw = version != self._version
            if not self.saw:
                return False
            self._version, now = version, self._raw.execute(_NEWEST).fetchone()
        else:
            now = tuple(self._conn.exec_driver_sql(_NEWEST).one())
        before, self._seen = self._seen, tuple(now)
        return bool(before != self._seen)

    def close(self) -> None:
        """Give the connection back."""
        self._conn.close()
