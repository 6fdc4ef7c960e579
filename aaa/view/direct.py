"""A View that asks the derived database for every key: for support and tools, never for a worker."""

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from aaa.errors import ViewNotThere
from aaa.view.lookup import View
from aaa.view.models import effective, newest, view_record
from core.db import Database, DatabaseAway


class DirectView(View):
    """Always the newest record; no snapshot, no overlay, nothing to follow."""

    def __init__(self, db: Database) -> None:
        super().__init__(None)
        self._db = db
        with db.read() as conn:
            self.seq = newest(conn)

    def lookup(self, key: bytes) -> bytes | None:
        """The record behind a key, asked now."""
        with self._db.read() as conn:
            return effective(conn, key)

    def items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every effective (key, record) whose key begins with `prefix`."""
        ends = prefix[:-1] + bytes((prefix[-1] + 1,))
        chosen = sa.select(view_record.c.key, view_record.c.record).order_by(
            view_record.c.key, view_record.c.owner
        )
        last = None
        with self._db.read() as conn:
            for key, record in conn.execute(
                chosen.where(view_record.c.key >= prefix, view_record.c.key < ends)
            ):
                if key != last:
                    yield bytes(key), bytes(record)
                last = key


def newest_view(db: Database, folder: Path) -> View:
    """The database's view; the node's snapshot when the database does not answer. Raises ViewNotThere."""
    try:
        return DirectView(db)
    except (DatabaseAway, sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
        try:
            return View.load(folder)
        except ViewNotThere as missing:
            raise missing from error
