"""Gapless numbers: a counter's row is locked by whoever takes the next one, until the transaction ends."""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.models import counter
from core import db


class Series(msgspec.Struct):
    """A locked series: numbers taken so far and the last issue date."""

    name: str
    last: int
    issued_on: date | None

    def next(self, on: date) -> tuple[int, date]:
        """The next number and its issue date, which never goes back (invariants 28 and 29)."""
        self.last += 1
        self.issued_on = max(on, self.issued_on or on)
        return self.last, self.issued_on


def lock(conn: Connection, name: str) -> Series:
    """Lock a series; it begins at 0."""
    db.upsert(conn, counter, [{"name": name, "last": 0, "issued_on": None}], ["name"], [])
    query: sa.Select[Any] = sa.select(counter).where(counter.c.name == name)
    row = conn.execute(db.lock_row(conn, query)).one()
    return Series(name, row.last, row.issued_on)


def peek(conn: Connection, name: str) -> Series:
    """A series as it stands, not locked."""
    row = conn.execute(sa.select(counter).where(counter.c.name == name)).first()
    return Series(name, 0, None) if row is None else Series(name, row.last, row.issued_on)


def store(conn: Connection, series: Series) -> None:
    """Write back how far a locked series got."""
    values = {"last": series.last, "issued_on": series.issued_on}
    conn.execute(sa.update(counter).where(counter.c.name == series.name).values(**values))


def take(conn: Connection, name: str) -> int:
    """Take one number."""
    series = lock(conn, name)
    series.last += 1
    store(conn, series)
    return series.last
