"""Doing something to see what it would do: everything happens, and nothing is kept."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection

from core.db import Database


class _NothingKept(Exception):
    """Ends a trial; nobody outside sees it."""


@contextmanager
def trial(database: Database, dry: bool) -> Iterator[Connection]:
    """A transaction that is taken back at its end when `dry`."""
    try:
        with database.write() as conn:
            yield conn
            if dry:
                raise _NothingKept
    except _NothingKept:
        return
