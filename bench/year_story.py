"""Both lives of the simulated year: day by day with every invariant checked, and in one go while being killed."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from difflib import unified_diff
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from bench.year_checks import breaches
from bench.year_events import FIRST
from bench.year_world import Year
from billing import billrun, canonical, dunning, payments
from billing.runs import numbering
from core.db import Database

_ROOT = Path(__file__).resolve().parent.parent
POINTS = (billrun.P_CHUNK, billrun.P_DRAFTS, numbering.P_NUMBER, dunning.P_RUN, payments.P_PAID)
"""Where a process is killed: places that it passes every few days."""
Tell = Callable[[date], None]


def day_by_day(year: Year, tell: Tell = lambda _: None) -> list[str]:
    """Live the year and check everything every evening; returns the breaches of the first bad day."""
    year.open()
    for offset in range(year.days):
        day = FIRST + timedelta(days=offset)
        year.live(day)
        with year.database.read() as conn:
            found = breaches(conn, day)
        if found:
            return [f"{day}: {one}" for one in found]
        tell(day)
    return []


def killed(year: Year, url: str, times: int, days: int = 20) -> int:
    """Live the year in processes that die so often: at fault points, within so many `days`, and at any moment.

    Returns how many died.
    """
    chance = random.Random(year.seed)
    died = 0
    while True:
        fault = f"{chance.choice(POINTS)}:{chance.randrange(1, days)}:kill" if died < times else ""
        moment = chance.uniform(0.8, 3) if fault and died % 3 == 2 else None
        status = _once(year, url, fault, moment)
        if status == 0:
            return died
        if status != -signal.SIGKILL:
            raise RuntimeError(f"the year ended with status {status}")
        died += 1


def export(database: Database, year: Year) -> str:
    """The canonical books of all accounts."""
    with database.read() as conn:
        return "\n".join(canonical.export(conn, year.account_of(who.number)) for who in year.people)


def difference(calm: str, other: str, most: int = 40) -> list[str]:
    """The first lines in which two exports differ; none where they are the same."""
    if calm == other:
        return []
    return list(
        islice(unified_diff(calm.splitlines(), other.splitlines(), "calm", "killed", lineterm="", n=1), most)
    )


def counts(database: Database) -> dict[str, int]:
    """How much there is of what."""
    tables = ("invoice", "invoice_line", "charge", "payment", "payment_allocation", "ledger_entry", "billable",
              "dunning_stage", "billing_override", "promise_to_pay", "bill_park")  # fmt: skip
    with database.read() as conn:
        return {
            name: int(conn.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar_one())
            for name in tables
        }


def _once(year: Year, url: str, fault: str, moment: float | None) -> int:
    """One process; killed after `moment` seconds, or at a fault point, or never."""
    env = {key: value for key, value in os.environ.items() if key != "TRUNKLINE_FAULT"}
    env |= {"TRUNKLINE_TEST_MODE": "1"} | ({"TRUNKLINE_FAULT": fault} if fault else {})
    words = [url, str(year.seed), str(len(year.people)), str(year.days)]
    child = subprocess.Popen([sys.executable, "-m", "bench.year_child", *words], cwd=_ROOT, env=env)
    if moment is not None:
        end = time.monotonic() + moment
        while child.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        if child.poll() is None:
            child.kill()
    return child.wait()
