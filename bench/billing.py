"""A month of 500,000 accounts: drafts, numbers, tax, ledger; killed and resumed; Tryton beside it.

`python -m bench billing [--accounts N] [--database sqlite|postgresql] [--workers W] [--chunk C] [--kills K] [--tryton]`
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import billing_kill, billing_tryton, billing_world, radius_postgres
from bench.radius_cost import Cpu, cpu_of
from bench.radius_postgres import Postgres, postgres
from billing.billrun import Progress, run_billing
from core import migrate
from core.db import Database

_COUNT = Path(__file__).with_name("billing_count.py")
_HEAD = f"{'phase':<26}{'seconds':>9}{'our CPU s':>11}{'PostgreSQL CPU s':>18}{'a second':>10}"


class Base:
    """A database of a measurement: how to open it, how our script opens it, and what its server costs."""

    def __init__(self, url: str, plain: str, server: Postgres | None) -> None:
        self.url, self.plain, self.server = url, plain, server

    def names(self, twin: str) -> tuple[str, str]:
        """A copy's URL, and how our script opens it."""
        if self.server:
            return self.server.url(twin), self.server.conninfo(twin)
        return f"sqlite:///{twin}", twin

    def copy(self, database: Database) -> str:
        """Copy the database as it is; returns the copy's name."""
        if self.server:
            database.engine.dispose()
            self.server.psql("postgres", "CREATE DATABASE twin TEMPLATE ours")
            return "twin"
        with database.engine.connect() as conn:
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return shutil.copy(self.plain, f"{self.plain}.twin")

    def cpu(self) -> Cpu:
        """Seconds of PostgreSQL."""
        return cpu_of(self.server.pid) if self.server else Cpu(0, 0)


class Clock:
    """Prints a line for each phase."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._mark()

    def _mark(self) -> None:
        self._at, self._cpu, self._theirs = time.monotonic(), cpu_of(os.getpid()), self._base.cpu()

    def phase(self, name: str, count: int) -> float:
        """What it took since the last one; `count`: things that were done."""
        seconds = time.monotonic() - self._at
        theirs = sum(self._base.cpu().since(self._theirs))
        ours = sum(cpu_of(os.getpid()).since(self._cpu)) - theirs  # the server is a child of ours
        print(f"{name:<26}{seconds:>9.1f}{ours:>11.1f}{theirs:>18.1f}{count / seconds:>10.0f}", flush=True)
        self._mark()
        return seconds


def main(args: Sequence[str] = ()) -> None:
    """Print the tables."""
    told = _arguments(args)
    if told.database == "postgresql" and radius_postgres.missing():
        print(f"not measured: install {radius_postgres.missing()}")
        return
    with tempfile.TemporaryDirectory() as home, _base(told.database, Path(home)) as base:
        load = os.getloadavg()
        print(
            f"{told.accounts} accounts on {told.database}, {os.cpu_count()} cores, load before {load[0]:.1f}"
        )
        print(_HEAD)
        database = Database(base.url)
        migrate.upgrade(database)
        clock = Clock(base)
        clock.phase("world (items)", billing_world.make(database, told.accounts))
        twin = base.copy(database) if told.kills else ""
        seconds = month(base, database, told)
        counted(base.plain)
        if twin:
            killed(database, base, twin, told.kills, seconds)
        if told.tryton:
            billing_tryton.beside(base.server)
        database.close()
        print(f"load after {os.getloadavg()[0]:.1f}")


def month(base: Base, database: Database, told: argparse.Namespace) -> float:
    """One month, measured; returns the seconds of the run."""
    clock = Clock(base)
    drafted: list[int] = []
    split = Clock(base)

    def watch(so_far: Progress) -> None:
        if so_far.numbered and not drafted:
            drafted.append(so_far.lines)
            split.phase("  drafts (lines), 1 stretch", so_far.lines)

    reader, on = billing_world.reader(), billing_world.ON
    run = run_billing(database, reader, on, workers=told.workers, chunk=told.chunk, watch=watch)
    split.phase("  numbers (documents)", len(run.final))
    seconds = clock.phase("run (lines)", run.lines)
    run_billing(database, reader, on)
    clock.phase("run again (accounts)", told.accounts)
    print(f"{run.drafts} bills, {run.lines} lines, {len(run.final)} final, {len(run.parked)} parked")
    return seconds


def killed(database: Database, base: Base, twin: str, kills: int, seconds: float) -> None:
    """The same month of a copy, killed again and again; its canonical export must be that of the calm one."""
    url, plain = base.names(twin)
    billing_kill.kill_and_resume(url, kills, seconds)
    counted(plain)
    other = Database(url)
    (one, lines, took), (two, _, _) = billing_kill.digest(database), billing_kill.digest(other)
    other.close()
    print(f"canonical export: {lines} lines in {took:.1f} s; {'identical' if one == two else 'DIFFERENT'}")
    if one != two:
        raise SystemExit("the run that was killed ended in other books")


def counted(plain: str) -> None:
    """Ask the script that knows nothing of our code; a mistake ends the measurement."""
    done = subprocess.run([sys.executable, str(_COUNT), plain], capture_output=True, text=True, check=False)
    print(done.stdout.strip(), done.stderr.strip()[-500:])
    if done.returncode:
        raise SystemExit("the books are wrong")


@contextmanager
def _base(kind: str, home: Path) -> Iterator[Base]:
    if kind == "sqlite":
        yield Base(f"sqlite:///{home / 'bench.db'}", str(home / "bench.db"), None)
        return
    settings = {"max_wal_size": "8GB", "shared_buffers": "1GB"}
    with postgres(**settings) as server:
        server.create("ours")
        yield Base(server.url("ours"), server.conninfo("ours"), server)


def _arguments(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench billing")
    parser.add_argument("--accounts", type=int, default=500_000)
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--chunk", type=int)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--tryton", action="store_true")
    return parser.parse_args(args)
