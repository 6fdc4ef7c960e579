"""The year in one go, by a process that may be killed: URL SEED ACCOUNTS DAYS. It goes on where the last one died."""

import sys
from datetime import date, timedelta

import sqlalchemy as sa

from bench.year_events import FIRST
from bench.year_world import NOTES, Year
from core.db import Database

lived = sa.Table("year_day", NOTES, sa.Column("day", sa.Date, primary_key=True))


def live(database: Database, seed: int, count: int, days: int) -> None:
    """Live every day that is not yet lived."""
    year = Year(database, seed, count, days)
    year.open()
    while (day := _next(database)) <= year.last_day():
        year.live(day)
        with database.write() as conn:
            conn.execute(sa.insert(lived).values(day=day))


def _next(database: Database) -> date:
    with database.read() as conn:
        last = conn.execute(sa.select(sa.func.max(lived.c.day))).scalar()
    return last + timedelta(days=1) if last else FIRST


def begin() -> None:
    """Live it, or what is left of it."""
    live(Database(sys.argv[1], durable=False), *(int(word) for word in sys.argv[2:]))


if __name__ == "__main__":
    begin()
