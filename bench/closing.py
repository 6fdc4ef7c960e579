"""The end of a month of 500,000 accounts: revenue recognised, deferred schedule, metrics, aged receivables.

`python -m bench closing [--accounts N] [--database sqlite|postgresql]`
"""

import os
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from bench import billing_world, radius_postgres
from bench.billing import Base, Clock, _arguments, _base
from billing.billrun import run_billing
from billing.books import reports
from billing.books.metrics import metrics
from billing.closing import checks
from billing.closing.recognition import recognise
from billing.closing.schedule import schedule
from core import migrate
from core.db import Database

_END = date(2026, 1, 31)


def main(args: Sequence[str] = ()) -> None:
    """Print the table."""
    told = _arguments(args)
    if told.database == "postgresql" and radius_postgres.missing():
        print(f"not measured: install {radius_postgres.missing()}")
        return
    with tempfile.TemporaryDirectory() as home, _base(told.database, Path(home)) as base:
        load = os.getloadavg()
        print(
            f"{told.accounts} accounts on {told.database}, {os.cpu_count()} cores, load before {load[0]:.1f}"
        )
        database = Database(base.url)
        migrate.upgrade(database)
        billing_world.make(database, told.accounts)
        run = run_billing(database, billing_world.reader(), billing_world.ON)
        print(f"{run.lines} lines of January are billed")
        _measure(base, database, run.lines)
        database.close()
        print(f"load after {os.getloadavg()[0]:.1f}")


def _measure(base: Base, database: Database, lines: int) -> None:
    clock = Clock(base)
    print(f"{'what':<26}{'seconds':>9}{'our CPU s':>11}{'PostgreSQL CPU s':>18}{'a second':>10}")
    recognise(database, billing_world.ON)
    clock.phase("take in, first day (lines)", lines)
    done = recognise(database, _END)
    clock.phase("thirty days (lines)", lines)
    recognise(database, _END)
    clock.phase("again (lines)", lines)
    with database.read() as conn:
        told = schedule(conn, _END)
        clock.phase("schedule (lines)", lines)
        (month,) = metrics(conn, billing_world.ON, _END)
        clock.phase("metrics (accounts)", month.accounts_closing)
        aged = reports.aged_receivables(conn, _END)
        clock.phase("receivables (accounts)", len(aged))
        points = [point for one in told for point in checks.open_points(conn, one.legal_entity, _END)]
        clock.phase("checks before a close", lines)
    print(
        f"{done.transactions} transactions; {[str(one.money(one.booked)) for one in told]} deferred; {points}"
    )
    if any(one.together != one.booked or one.behind for one in told):
        raise SystemExit("the schedule does not tie to the ledger")
