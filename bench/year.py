"""A year of a simulated ISP, day by day with every invariant checked; the same year in one go, killed again and again.

`TRUNKLINE_BENCH_ACCOUNTS` (1000), `_DAYS` (365), `_KILLS` (50), `_SEED` (1), `_DATABASE` (sqlite | postgresql).
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from bench import radius_postgres
from bench.year_story import counts, day_by_day, difference, export, killed
from bench.year_world import Year
from core import migrate
from core.db import Database


def main() -> None:
    """Print a table; status 1 where an invariant broke or the books differ."""
    accounts, days, kills, seed = (
        int(os.environ.get(f"TRUNKLINE_BENCH_{name}", default))
        for name, default in (("ACCOUNTS", "1000"), ("DAYS", "365"), ("KILLS", "50"), ("SEED", "1"))
    )
    kind = os.environ.get("TRUNKLINE_BENCH_DATABASE", "sqlite")
    with _databases(kind) as (calm_url, killed_url):
        calm = Year(_made(calm_url), seed, accounts, days)
        started = time.monotonic()
        found = day_by_day(calm, _tell)
        print(
            f"\n{accounts} accounts, {days} days on {kind}, seed {seed}: {time.monotonic() - started:.0f} s"
        )
        print("  " + ", ".join(f"{count} {name}" for name, count in counts(calm.database).items()))
        if found:
            raise SystemExit("\n".join(["an invariant broke:", *found[:20]]))
        print(f"every invariant held on every one of {days} days")
        other = Year(_made(killed_url), seed, accounts, days)
        started = time.monotonic()
        died = killed(other, killed_url, kills)
        print(f"in one go, killed {died} times: {time.monotonic() - started:.0f} s")
        if differ := difference(export(calm.database, calm), export(other.database, other)):
            raise SystemExit("\n".join(["the books of the year that was killed differ:", *differ]))
        print("both years end in the same books")


def _tell(day: date) -> None:
    if day.day == 1:
        print(f"  {day}", flush=True)


def _made(url: str) -> Database:
    database = Database(url, durable=False)
    migrate.upgrade(database)
    return database


@contextmanager
def _databases(kind: str) -> Iterator[tuple[str, str]]:
    """Where both years are kept."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield tuple(f"sqlite:///{Path(folder) / name}.db" for name in ("calm", "killed"))  # type: ignore[misc]
        return
    with radius_postgres.postgres() as server:
        for name in ("calm", "killed"):
            server.psql("postgres", f"CREATE DATABASE {name}")
        yield server.url("calm"), server.url("killed")
