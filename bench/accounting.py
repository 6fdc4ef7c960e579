"""Accounting beside FreeRADIUS with rlm_sql on PostgreSQL; 5,000 records/s for a while; kill -9 under load.

The same load in the same run, alternating; every reply's signature is verified. CPU is user and kernel of all threads,
PostgreSQL's included, on both sides.
"""

import os
import tempfile
from pathlib import Path

from bench import accounting_load, radius_freeradius, radius_postgres
from bench.accounting_kill import kill_both
from bench.radius_cost import Cpu, cpu_of
from bench.radius_load import Builder, Load, Seen, measure
from bench.radius_ours import running
from bench.radius_postgres import Postgres, postgres

SESSIONS = int(os.environ.get("TRUNKLINE_BENCH_SESSIONS", "10000"))
RATE = int(os.environ.get("TRUNKLINE_BENCH_RATE", "5000"))
SECONDS = int(os.environ.get("TRUNKLINE_BENCH_SECONDS", "60"))
WORKERS = int(os.environ.get("TRUNKLINE_BENCH_WORKERS", "1"))
NASES = 40
PHASES: list[tuple[str, Builder]] = [
    ("start", accounting_load.starts),
    ("interim", accounting_load.interims),
    ("interim", accounting_load.interims),
    ("stop", accounting_load.stops),
]


def main() -> None:
    """Print the tables."""
    absent = radius_freeradius.missing() or radius_postgres.missing()
    if absent:
        print(f"not measured: install {absent}")
        return
    for signed in (True, False):
        compare(signed)
    sustain()
    kill_both(seconds=max(10, SECONDS // 3), rate=RATE // 5)


def compare(signed: bool) -> None:
    """Each phase on ours, then on FreeRADIUS; `signed`: with Message-Authenticator in requests, and in our replies then
    (FreeRADIUS puts none into its own).
    """
    print(f"{'with' if signed else 'without'} Message-Authenticator")
    print(
        f"{'':<12}{'':<12}{'records':>9}{'rec/s':>8}{'server µs':>11}{'PostgreSQL µs':>15}{'sum µs':>8}",
        end="",
    )
    print(f"{'p50 ms':>8}{'p99 ms':>8}{'resent':>8}")
    with tempfile.TemporaryDirectory() as home, postgres(max_wal_size="4GB") as base:
        base.create("ours")
        settings = accounting_load.node_of(Path(home), WORKERS, NASES, base.url("ours"))
        with running(settings) as ours, radius_freeradius.with_sql([], base, NASES) as theirs:
            costs: dict[str, dict[str, float]] = {"ours": {}, "FreeRADIUS": {}}
            for step, (phase, builder) in enumerate(PHASES):
                for name, pid, port in (
                    ("ours", ours.pid, ours.acct_port),
                    ("FreeRADIUS", theirs.pid, theirs.acct_port),
                ):
                    load = Load(port, SESSIONS, SESSIONS, window=256, nases=NASES, seed=step, signed=signed)
                    seen, server, database = _measured(load, builder, pid, base)
                    costs[name][phase] = _row(phase, name, seen, server, database)
    print("FreeRADIUS + rlm_sql + PostgreSQL / ours, in CPU a record:")
    for told, interims in (
        ("as many Interims as Starts and Stops", 2),
        ("a session of a day: 144 Interims", 144),
    ):
        spent = {name: one["start"] + interims * one["interim"] + one["stop"] for name, one in costs.items()}
        print(f"  {told}: {spent['FreeRADIUS'] / spent['ours']:.1f}")


def _measured(load: Load, builder: Builder, pid: int, base: Postgres) -> tuple[Seen, Cpu, Cpu]:
    at: list[tuple[Cpu, Cpu]] = []
    seen = measure(load, builder, lambda _begins: at.append((cpu_of(pid), cpu_of(base.pid))))
    (server, database), (server_after, database_after) = at
    return seen, server_after.since(server), database_after.since(database)


def _row(phase: str, name: str, seen: Seen, server: Cpu, database: Cpu) -> float:
    each = 1e6 / max(1, seen.answered)
    one, other = sum(server) * each, sum(database) * each
    print(
        f"{phase:<12}{name:<12}{seen.answered:>9}{seen.answered / seen.seconds:>8.0f}{one:>11.1f}{other:>15.1f}"
        f"{one + other:>8.1f}{seen.median:>8.1f}{seen.percentile(0.99):>8.1f}{seen.resent:>8}",
        flush=True,
    )
    return one + other


def sustain() -> None:
    """`RATE` records a second for `SECONDS`, acknowledged after commit: interims of live sessions."""
    print(f"\n{RATE} records/s for {SECONDS} s, acknowledged after commit")
    with tempfile.TemporaryDirectory() as home, postgres(max_wal_size="4GB") as base:
        base.create("ours")
        settings = accounting_load.node_of(Path(home), WORKERS, NASES, base.url("ours"))
        with running(settings) as ours:
            for phase, builder in (("start", accounting_load.starts), ("interim", accounting_load.interims)):
                count = RATE * SECONDS // 2
                load = Load(ours.acct_port, count, count, rate=RATE, nases=NASES, seed=1)
                _row(phase, "ours", *_measured(load, builder, ours.pid, base))
            waiting = list((Path(home) / "radius" / "journal").glob("*.journal"))
        told = base.psql("ours", "SELECT count(*), count(*) FILTER (WHERE up_octets > 0) FROM radius_session")
        print(f"sessions, with octets: {told.replace('|', ', ')}; journal segments left: {len(waiting)}")
